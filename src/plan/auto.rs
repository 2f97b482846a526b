//! `auto@1`: what nixpkgs' dockerTools has done by default since the end of 2024.
//!
//! One after another, from the largest on, a path becomes the *head* of a layer. Every other
//! path is labelled with the heads that need it, save those that need it only through a
//! smaller head; paths with the same label share a layer. The head that would lead to more
//! layers than allowed is given up, and with it all after it.
//!
//! The original leaves open what comes first of equal sizes; here it is the greater path, as
//! in the original if its input is sorted by path.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::LayerKind;
use super::items::{Group, Items};
use crate::graph::{Graph, NodeId};

/// At most `room` groups (at least 1), small closures lowest.
pub(super) fn deal(items: &Items<'_>, nodes: &[NodeId], room: usize) -> Vec<Group> {
    let mut heads = nodes.to_vec();
    heads.sort_by_key(|node| Reverse((items.size(*node), *node)));
    let mut split = Split::new(items.graph, nodes);
    let fits = |head| split.add(head, room);
    // `all` stops at the first that does not fit.
    let _ = heads.into_iter().all(fits);
    groups(items, split.by_label())
}

/// Which heads need a node.
type Label = BTreeSet<NodeId>;

struct Split<'a> {
    graph: &'a Graph,
    reversed: Graph,
    /// The nodes that are dealt out; others only hand on who needs what.
    nodes: &'a [NodeId],
    heads: Label,
    /// By node, an index into `labels`.
    label_of: Vec<usize>,
    labels: Vec<Label>,
    index: BTreeMap<Label, usize>,
}

impl<'a> Split<'a> {
    fn new(graph: &'a Graph, nodes: &'a [NodeId]) -> Self {
        Self {
            graph,
            reversed: graph.reversed(),
            nodes,
            heads: Label::new(),
            label_of: vec![0; graph.len()],
            labels: vec![Label::new()],
            index: BTreeMap::from([(Label::new(), 0)]),
        }
    }

    /// Makes a node a head, unless that would be more labels than there is room for.
    fn add(&mut self, head: NodeId, room: usize) -> bool {
        let mut below = self.graph.closure(&[head]);
        below.retain(|node| *node != head);
        let heads_below: Label = below
            .iter()
            .filter(|n| self.heads.contains(n))
            .copied()
            .collect();
        let above = self.reversed.closure(&[head]);
        let heads_above: Label = above
            .into_iter()
            .filter(|n| *n != head && self.heads.contains(n))
            .collect();
        let relabel = |old: &Label| {
            let mut label: Label = old - &heads_above;
            if label.is_disjoint(&heads_below) {
                label.insert(head);
            }
            label
        };
        let mut label_of = self.label_of.clone();
        let mut changed: HashMap<usize, usize> = HashMap::new();
        label_of[head.index()] = self.intern(Label::from([head]));
        for node in below {
            let label = &mut label_of[node.index()];
            let new = match changed.get(label) {
                Some(new) => *new,
                None => self.intern(relabel(&self.labels[*label])),
            };
            changed.insert(*label, new);
            *label = new;
        }
        let fits = count_labels(self.nodes, &label_of, self.labels.len()) <= room;
        if fits {
            self.label_of = label_of;
            self.heads.insert(head);
        }
        fits
    }

    fn intern(&mut self, label: Label) -> usize {
        *self.index.entry(label).or_insert_with_key(|label| {
            self.labels.push(label.clone());
            self.labels.len() - 1
        })
    }

    /// The nodes of each label, and whether that is the label of no heads.
    fn by_label(&self) -> Vec<(bool, Vec<NodeId>)> {
        let mut all = vec![Vec::new(); self.labels.len()];
        for node in self.nodes {
            all[self.label_of[node.index()]].push(*node);
        }
        let labelled = self.labels.iter().map(BTreeSet::is_empty).zip(all);
        labelled.filter(|(_, nodes)| !nodes.is_empty()).collect()
    }
}

fn count_labels(nodes: &[NodeId], label_of: &[usize], labels: usize) -> usize {
    let mut used = vec![false; labels];
    for node in nodes {
        used[label_of[node.index()]] = true;
    }
    used.into_iter().filter(|used| *used).count()
}

/// Layers in the order of what their closures weigh, so that each comes after its needs.
fn groups(items: &Items<'_>, split: Vec<(bool, Vec<NodeId>)>) -> Vec<Group> {
    let weight = |nodes: &[NodeId]| -> u128 {
        items
            .graph
            .closure(nodes)
            .into_iter()
            .map(|node| u128::from(items.size(node)))
            .sum()
    };
    let mut layers: Vec<_> = split
        .into_iter()
        .map(|(unlabelled, mut nodes)| {
            nodes.sort_by_key(|node| name_then_hash(items.graph.path(*node)));
            let first = nodes
                .first()
                .map(|node| name_then_hash(items.graph.path(*node)));
            (weight(&nodes), first, unlabelled, nodes)
        })
        .collect();
    layers.sort();
    let group = |(_, _, unlabelled, nodes): (_, _, bool, Vec<NodeId>)| match nodes.len() {
        1 => Group::new(LayerKind::Single, nodes),
        _ if unlabelled => Group::new(LayerKind::Rest, nodes),
        _ => Group::new(LayerKind::Bin, nodes),
    };
    layers.into_iter().map(group).collect()
}

/// What comes after the first `-`, then what comes before it.
fn name_then_hash(path: &str) -> (&str, &str) {
    path.split_once('-')
        .map_or((path, ""), |(hash, name)| (name, hash))
}
