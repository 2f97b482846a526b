//! Putting closures together and cutting them down.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use super::{Closure, Component, Content, Mount, SourceError, nest};
use crate::graph::{Graph, NodeId, NodeSpec};
use crate::tree::TreePath;

impl Closure {
    /// Sorts the components as the graph's nodes are; of a path listed twice the last counts.
    pub(super) fn of(graph: Graph, mut components: Vec<Component>, mut roots: Vec<String>) -> Self {
        // The sort is stable and `dedup_by` keeps the first of a run, hence the reversal.
        components.reverse();
        components.sort_by(|a, b| a.path.cmp(&b.path));
        components.dedup_by(|later, kept| later.path == kept.path);
        keep_first_of_each(&mut roots);
        Self {
            components,
            graph,
            roots,
        }
    }

    /// The component at a node of the graph.
    pub fn component(&self, node: NodeId) -> &Component {
        &self.components[node.index()]
    }

    /// The component that an entry of a split tree went into, by the entry's absolute path.
    pub fn holder(&self, path: &str) -> Option<NodeId> {
        let path = TreePath::from_absolute(path).ok()?;
        let holds = |component: &Component| match &component.content {
            Content::Members { picked, .. } => picked.iter().any(|p| p.seen.contains(&path)),
            Content::Store { .. } | Content::Trees { .. } => false,
        };
        let found = self.components.iter().find(|component| holds(component))?;
        self.graph.find(&found.path)
    }

    /// Everything of all closures. A path in several of them is one node with the references
    /// of all; plain directories and files of which one lands inside another are one node, at
    /// the place of the uppermost, and laid over each other in the order given.
    ///
    /// # Errors
    /// [`SourceError::Clash`] for a store path that two sources have in different places, or
    /// that one has in a store and another among plain directories.
    pub fn join(closures: Vec<Self>) -> Result<Self, SourceError> {
        let mut components: BTreeMap<String, Component> = BTreeMap::new();
        let mut references: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut roots = Vec::new();
        let mut closures = nest::uppermost(closures);
        // Of one alone everything stays as it is, which large graphs feel.
        if closures.len() == 1
            && let Some(mut only) = closures.pop()
        {
            keep_first_of_each(&mut only.roots);
            return Ok(only);
        }
        for closure in closures {
            for node in closure.graph.nodes() {
                let targets = closure.graph.references(node).iter();
                let targets = targets.map(|to| closure.graph.path(*to).to_owned());
                references
                    .entry(closure.graph.path(node).to_owned())
                    .or_default()
                    .extend(targets);
            }
            for component in closure.components {
                let component = match components.remove(&component.path) {
                    Some(first) => merge(first, component)?,
                    None => component,
                };
                components.insert(component.path.clone(), component);
            }
            roots.extend(closure.roots);
        }
        let nodes = references
            .into_iter()
            .map(|(path, references)| NodeSpec { path, references });
        let graph = Graph::new(nodes.collect()).map_err(|source| SourceError::Graph {
            origin: "the joined sources".into(),
            source,
        })?;
        Ok(Self::of(graph, components.into_values().collect(), roots))
    }

    /// Only the roots and what they refer to; with no roots at all, everything.
    ///
    /// # Errors
    /// [`SourceError::UnknownRoot`] for a root that is not in the graph.
    pub fn restrict_to_roots(self, roots: &[String]) -> Result<Self, SourceError> {
        if roots.is_empty() {
            return Ok(self);
        }
        let find = |path: &String| {
            self.graph
                .find(path)
                .ok_or_else(|| SourceError::UnknownRoot { path: path.clone() })
        };
        let nodes = roots
            .iter()
            .map(find)
            .collect::<Result<Vec<NodeId>, SourceError>>()?;
        let keep = self.graph.closure(&nodes);
        Ok(self.keep(&keep, roots.to_vec()))
    }

    /// Drops paths that are in the graph; what they refer to become roots in their place.
    ///
    /// For nodes that exist only to hold others together: the derivation that wrote the graph,
    /// an environment, a configuration file. Paths that are not in the graph are ignored.
    pub fn without(self, paths: &[String]) -> Self {
        let mut dropped: Vec<NodeId> = paths.iter().filter_map(|p| self.graph.find(p)).collect();
        dropped.sort_unstable();
        let is_kept = |node: &NodeId| dropped.binary_search(node).is_err();
        let mut roots = Vec::new();
        for root in &self.roots {
            match self.graph.find(root) {
                Some(node) if !is_kept(&node) => roots.extend(self.kept_below(node, &is_kept)),
                _ => roots.push(root.clone()),
            }
        }
        let keep: Vec<NodeId> = self.graph.nodes().filter(is_kept).collect();
        self.keep(&keep, roots)
    }

    /// The first nodes that are kept on every way down from one that is not.
    fn kept_below(&self, node: NodeId, is_kept: &impl Fn(&NodeId) -> bool) -> Vec<String> {
        let mut seen = BTreeSet::from([node]);
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            let new: Vec<NodeId> = self
                .graph
                .references(node)
                .iter()
                .copied()
                .filter(|to| seen.insert(*to))
                .collect();
            open.extend(new.into_iter().filter(|to| !is_kept(to)));
        }
        seen.into_iter()
            .filter(is_kept)
            .map(|node| self.graph.path(node).to_owned())
            .collect()
    }

    fn keep(self, keep: &[NodeId], mut roots: Vec<String>) -> Self {
        keep_first_of_each(&mut roots);
        let (mut graph, mut components) = (self.graph, self.components);
        if keep.len() < graph.len() {
            graph = graph.restrict(keep);
            components.retain(|component| graph.find(&component.path).is_some());
        }
        Self {
            components,
            graph,
            roots,
        }
    }
}

/// Without repetitions, in the order of first appearance.
fn keep_first_of_each(paths: &mut Vec<String>) {
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
}

/// Two components at one path.
fn merge(first: Component, second: Component) -> Result<Component, SourceError> {
    let Component {
        path,
        name,
        version,
        purl,
        size,
        hash,
        volatile,
        own,
        content,
    } = first;
    let content = match (content, second.content) {
        (Content::Trees { mut mounts }, Content::Trees { mounts: more }) => {
            let new = |mount: &Mount| !mounts.contains(mount);
            let new: Vec<Mount> = more.into_iter().filter(new).collect();
            mounts.extend(new);
            Content::Trees { mounts }
        }
        (one, other) if one == other => one,
        (one, other) => {
            let (first, second) = (one.into_host(), other.into_host());
            return Err(SourceError::Clash {
                path,
                first,
                second,
            });
        }
    };
    Ok(Component {
        path,
        name: name.or(second.name),
        version: version.or(second.version),
        purl: purl.or(second.purl),
        size: size.or(second.size),
        hash: hash.or(second.hash),
        volatile: volatile && second.volatile,
        own: own && second.own,
        content,
    })
}

impl Content {
    /// The file or directory on this machine; of several the first.
    pub(super) fn into_host(self) -> PathBuf {
        match self {
            Self::Store { host } => host,
            Self::Trees { mounts } => mounts
                .into_iter()
                .next()
                .map(|mount| mount.host)
                .unwrap_or_default(),
            Self::Members { picked, .. } => picked
                .into_iter()
                .next()
                .map(|picked| picked.mount.host)
                .unwrap_or_default(),
        }
    }
}
