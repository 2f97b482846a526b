//! Graph → order of its nodes. One file a strategy; each is frozen under a version.

mod popularity;

use std::sync::Arc;

use num_bigint::BigUint;

use crate::graph::NodeId;

pub use popularity::popularity;

/// An order of all nodes of one graph, most wanted first, with the score that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// A permutation of the graph's nodes.
    order: Vec<NodeId>,
    /// By node, not by rank: `scores[node.index()]`.
    scores: Vec<Arc<BigUint>>,
}

impl Ranking {
    /// All nodes of the graph, each once, most wanted first.
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// The score of a node.
    pub fn score(&self, node: NodeId) -> &Arc<BigUint> {
        &self.scores[node.index()]
    }
}

#[cfg(test)]
mod tests;
