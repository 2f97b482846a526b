//! Who refers to whom: dense ids, sorted edges, closures. Pure: no I/O.

use crate::error::ErrorKind;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    paths: Vec<String>,
    /// `edges[starts[i]..starts[i + 1]]` are the references of node i, ascending.
    starts: Vec<u32>,
    edges: Vec<NodeId>,
}

impl Graph {
    /// Builds a graph; of a path listed twice the last references count.
    ///
    /// # Errors
    /// [`GraphError::Dangling`] with the missing paths and who refers to them.
    pub fn new(nodes: Vec<NodeSpec>) -> Result<Self, GraphError> {
        todo!("{nodes:?}")
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// All ids, in order of their paths.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeId> + Clone + use<> {
        (0..self.paths.len() as u32).map(NodeId)
    }

    /// The path of a node.
    pub fn path(&self, node: NodeId) -> &str {
        &self.paths[node.index()]
    }

    /// The node of a path.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        let found = self.paths.binary_search_by(|p| p.as_str().cmp(path)).ok()?;
        Some(NodeId(found as u32))
    }

    /// What a node refers to, ascending.
    pub fn references(&self, node: NodeId) -> &[NodeId] {
        let (from, to) = (self.starts[node.index()], self.starts[node.index() + 1]);
        &self.edges[from as usize..to as usize]
    }
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

fn dangling_text(missing: &[(String, String)]) -> String {
    format!("{missing:?}")
}

impl GraphError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::Input
    }

    pub(crate) fn hint(&self) -> Option<String> {
        None
    }
}
