//! Who refers to whom: dense ids, sorted edges, closures. Pure: no I/O.

mod parts;
mod reach;

use std::collections::HashMap;

use crate::error::ErrorKind;

pub use parts::Parts;

/// A node of a [`Graph`], valid for that graph only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The id as an index into slices of `Graph::len` items.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One path as a graph file lists it: its name and the names that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// The path: any non-empty text without NUL.
    pub path: String,
    /// Paths it refers to, in any order, with repetitions and itself allowed.
    pub references: Vec<String>,
}

/// Paths and their references. Edges lead only to members; no self references, no duplicates.
///
/// Node ids follow the order of paths as bytes, so that no order of input matters.
///
/// ```
/// use plywood::graph::{Graph, NodeSpec};
///
/// let node = |path: &str, references: &[&str]| NodeSpec {
///     path: path.into(),
///     references: references.iter().map(ToString::to_string).collect(),
/// };
/// let graph = Graph::new(vec![node("/b", &["/a", "/b"]), node("/a", &[])])?;
/// assert_eq!(graph.len(), 2);
/// assert_eq!(graph.references(graph.find("/b").unwrap()), [graph.find("/a").unwrap()]);
/// # Ok::<(), plywood::graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    paths: Vec<String>,
    /// `edges[starts[i]..starts[i + 1]]` are the references of node i, ascending.
    starts: Vec<usize>,
    edges: Vec<NodeId>,
}

impl Graph {
    /// Builds a graph; of a path listed twice the last references count.
    ///
    /// # Errors
    /// [`GraphError::Dangling`] with the missing paths and who refers to them.
    pub fn new(nodes: Vec<NodeSpec>) -> Result<Self, GraphError> {
        let nodes = last_of_each_path(nodes);
        let ids: HashMap<&str, NodeId> = nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (node.path.as_str(), NodeId(i as u32)))
            .collect();
        let mut missing = Vec::new();
        let mut starts = Vec::with_capacity(nodes.len() + 1);
        let mut edges = Vec::new();
        let mut targets = Vec::new();
        starts.push(0);
        for node in &nodes {
            targets.clear();
            for reference in node.references.iter().filter(|r| **r != node.path) {
                match ids.get(reference.as_str()) {
                    Some(id) => targets.push(*id),
                    None => missing.push((reference.clone(), node.path.clone())),
                }
            }
            targets.sort_unstable();
            targets.dedup();
            edges.extend_from_slice(&targets);
            starts.push(edges.len());
        }
        if !missing.is_empty() {
            missing.sort_unstable();
            missing.dedup();
            return Err(GraphError::Dangling { missing });
        }
        drop(ids);
        Ok(Self {
            paths: nodes.into_iter().map(|node| node.path).collect(),
            starts,
            edges,
        })
    }

    /// A graph without edges.
    pub fn unconnected(mut paths: Vec<String>) -> Self {
        paths.sort_unstable();
        paths.dedup();
        Self {
            starts: vec![0; paths.len() + 1],
            edges: Vec::new(),
            paths,
        }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// How many references there are.
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// All ids, in order of their paths.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeId> + Clone + use<> {
        (0..self.paths.len() as u32).map(NodeId)
    }

    /// The path of a node.
    pub fn path(&self, node: NodeId) -> &str {
        &self.paths[node.index()]
    }

    /// All paths, in the order of their nodes.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// The node of a path.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        let found = self.paths.binary_search_by(|p| p.as_str().cmp(path)).ok()?;
        Some(NodeId(found as u32))
    }

    /// What a node refers to, ascending.
    pub fn references(&self, node: NodeId) -> &[NodeId] {
        let (from, to) = (self.starts[node.index()], self.starts[node.index() + 1]);
        &self.edges[from..to]
    }
}

/// Sorted by path, each path once.
fn last_of_each_path(mut nodes: Vec<NodeSpec>) -> Vec<NodeSpec> {
    // The sort is stable and `dedup_by` keeps the first of a run, hence the reversal.
    nodes.reverse();
    nodes.sort_by(|a, b| a.path.cmp(&b.path));
    nodes.dedup_by(|later, kept| later.path == kept.path);
    nodes
}

/// Why a list of nodes is no graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// References to paths that are not in the graph: (missing, who refers to it).
    #[error("{}", dangling_text(missing))]
    Dangling {
        /// Pairs of missing path and referrer, sorted.
        missing: Vec<(String, String)>,
    },
}

/// How many of a long list an error text names.
const NAMED: usize = 10;

fn dangling_text(missing: &[(String, String)]) -> String {
    let named: Vec<String> = missing
        .iter()
        .take(NAMED)
        .map(|(path, referrer)| format!("{referrer} refers to {path}"))
        .collect();
    let named = named.join("; ");
    match missing.len() {
        1 => format!("{named}, which is not in the graph"),
        n if n <= NAMED => {
            format!("{n} references lead to paths that are not in the graph: {named}")
        }
        n => format!(
            "{n} references lead to paths that are not in the graph: {named}; and {} more",
            n - NAMED
        ),
    }
}

impl GraphError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Dangling { .. } => ErrorKind::Input,
        }
    }

    #[allow(clippy::unnecessary_wraps)] // the same signature in every room
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Dangling { .. } => {
                Some("a graph must list the whole closure: add the missing paths to it".into())
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A graph from `("path", "reference reference …")`.
    pub(crate) fn graph(nodes: &[(&str, &str)]) -> Graph {
        Graph::new(specs(nodes)).unwrap()
    }

    fn specs(nodes: &[(&str, &str)]) -> Vec<NodeSpec> {
        nodes
            .iter()
            .map(|(path, references)| NodeSpec {
                path: (*path).into(),
                references: references.split_whitespace().map(Into::into).collect(),
            })
            .collect()
    }

    fn names(graph: &Graph, nodes: &[NodeId]) -> Vec<String> {
        nodes.iter().map(|n| graph.path(*n).into()).collect()
    }

    #[test]
    fn the_last_entry_of_a_path_wins() {
        let g = graph(&[("a", "b c"), ("c", ""), ("b", ""), ("a", "c a c")]);
        assert_eq!(g.len(), 3);
        assert_eq!(names(&g, g.references(g.find("a").unwrap())), ["c"]);
        assert_eq!(g.edge_count(), 1);
    }

    #[test]
    fn order_of_input_is_forgotten() {
        let one = graph(&[("a", "b c"), ("b", "c"), ("c", "")]);
        let other = graph(&[("c", ""), ("a", "c b"), ("b", "c")]);
        assert_eq!(one, other);
    }

    #[test]
    fn a_dangling_reference_names_both_ends() {
        let error = Graph::new(specs(&[("a", "b x"), ("b", "")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a refers to x, which is not in the graph"
        );
        let error = Graph::new(specs(&[("a", "y x y")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 references lead to paths that are not in the graph: a refers to x; a refers to y"
        );
    }

    #[test]
    fn of_many_dangling_references_ten_are_named() {
        let many: Vec<String> = (10..35).map(|i| format!("x{i}")).collect();
        let error = Graph::new(specs(&[("a", &many.join(" "))]))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("25 references lead"), "{error}");
        assert!(error.ends_with("a refers to x19; and 15 more"), "{error}");
    }

    #[test]
    fn a_reference_that_only_an_earlier_entry_had_does_not_dangle() {
        let g = graph(&[("a", "gone"), ("a", "")]);
        assert_eq!(g.edge_count(), 0);
    }

    #[test]
    fn nothing_is_a_graph() {
        let g = graph(&[]);
        assert!(g.is_empty() && g.roots().is_empty() && g.parts().is_empty());
    }
}
