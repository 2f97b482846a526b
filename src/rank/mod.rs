//! Graph → order of its nodes. One file a strategy; each is frozen under a version.

use num_bigint::BigUint;

use crate::graph::NodeId;

/// An order of all nodes of one graph, most wanted first, with the score that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// A permutation of the graph's nodes.
    order: Vec<NodeId>,
    /// By node, not by rank: `scores[node.index()]`.
    scores: Vec<BigUint>,
}
