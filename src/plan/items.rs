//! What strategies see of components, and what they give back.

use std::borrow::Cow;
use std::sync::Arc;

use super::{LayerKind, Member, PlanLayer};
use crate::graph::{Graph, NodeId};
use crate::rank::Ranking;

/// What is known of a component beside its path and its references.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Its identity over versions, if that is not its path.
    pub name: Option<&'a str>,
    /// Of what is in it, as its source states it.
    pub version: Option<&'a str>,
    /// In bytes, as its source states it.
    pub size: Option<u64>,
    /// Of its content, as its source states it.
    pub hash: Option<&'a str>,
    /// Whether every build rewrites it.
    pub volatile: bool,
    /// Whether it is the image's own, of no package that others may have, too.
    pub own: bool,
}

/// Components to plan: the nodes of a graph and what is known of them.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    pub(super) graph: &'a Graph,
    /// In the order of the nodes; may be shorter.
    facts: Vec<Facts<'a>>,
    /// Only for strategies that go by popularity.
    pub(super) ranking: Option<Cow<'a, Ranking>>,
}

impl<'a> Items<'a> {
    /// Components with facts in the order of the graph's nodes; where those end, nothing is
    /// known.
    pub fn new(graph: &'a Graph, facts: Vec<Facts<'a>>) -> Self {
        Self {
            graph,
            facts,
            ranking: None,
        }
    }

    pub(super) fn facts(&self, node: NodeId) -> Facts<'a> {
        self.facts.get(node.index()).copied().unwrap_or_default()
    }

    /// Identity over versions.
    pub(super) fn name(&self, node: NodeId) -> &'a str {
        self.facts(node).name.unwrap_or(self.graph.path(node))
    }

    /// In bytes; nothing where it is not known.
    pub(super) fn size(&self, node: NodeId) -> u64 {
        self.facts(node).size.unwrap_or(0)
    }

    pub(super) fn bytes(&self, nodes: &[NodeId]) -> u128 {
        nodes.iter().map(|node| u128::from(self.size(*node))).sum()
    }

    pub(super) fn is_volatile(&self, node: NodeId) -> bool {
        self.facts(node).volatile
    }

    pub(super) fn is_own(&self, node: NodeId) -> bool {
        self.facts(node).own
    }

    /// By name, then by path.
    pub(super) fn sort_by_name(&self, nodes: &mut [NodeId]) {
        nodes.sort_by(|a, b| self.name(*a).cmp(self.name(*b)).then(a.cmp(b)));
    }

    /// The largest first; ties by name, then by path.
    pub(super) fn sort_by_size(&self, nodes: &mut [NodeId]) {
        self.sort_by_name(nodes);
        nodes.sort_by_key(|node| std::cmp::Reverse(self.size(*node)));
    }

    pub(super) fn layer(&self, group: Group) -> PlanLayer {
        let Group { kind, name, nodes } = group;
        PlanLayer {
            kind,
            name,
            members: nodes.into_iter().map(|node| self.member(node)).collect(),
        }
    }

    fn member(&self, node: NodeId) -> Member {
        let Facts {
            name,
            version,
            size,
            hash,
            ..
        } = self.facts(node);
        Member {
            path: self.graph.path(node).to_owned(),
            name: name.map(str::to_owned),
            version: version.map(str::to_owned),
            size,
            hash: hash.map(str::to_owned),
            popularity: self
                .ranking
                .as_ref()
                .map(|ranking| Arc::clone(ranking.score(node))),
        }
    }
}

/// Nodes that will share a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) kind: LayerKind,
    pub(super) name: Option<String>,
    pub(super) nodes: Vec<NodeId>,
}

impl Group {
    pub(super) fn new(kind: LayerKind, nodes: Vec<NodeId>) -> Self {
        Self {
            kind,
            name: None,
            nodes,
        }
    }

    /// No group without nodes.
    pub(super) fn of_all(kind: LayerKind, nodes: Vec<NodeId>) -> Option<Self> {
        (!nodes.is_empty()).then(|| Self::new(kind, nodes))
    }

    /// All that is left over, if anything is; one alone is a single.
    pub(super) fn of_rest(nodes: Vec<NodeId>) -> Option<Self> {
        let kind = if nodes.len() == 1 {
            LayerKind::Single
        } else {
            LayerKind::Rest
        };
        Self::of_all(kind, nodes)
    }

    pub(super) fn single(node: NodeId) -> Self {
        Self::new(LayerKind::Single, vec![node])
    }
}
