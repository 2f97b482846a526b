//! `popularity@1`: the first paths of the ranking get a layer each, the others share one.

use super::items::{Group, Items};
use crate::graph::NodeId;

/// At most `room` groups (at least 1), most popular lowest. Popularity counts in the whole
/// graph, also where only some nodes are dealt out.
pub(super) fn deal(items: &Items<'_>, nodes: &[NodeId], room: usize) -> Vec<Group> {
    let mut wanted = vec![false; items.graph.len()];
    for node in nodes {
        wanted[node.index()] = true;
    }
    let ranked = items.ranking.iter().flat_map(|ranking| ranking.order());
    let mut alone: Vec<NodeId> = ranked
        .copied()
        .filter(|node| wanted[node.index()])
        .collect();
    let rest = alone.split_off(alone.len().min(room.saturating_sub(1)));
    alone
        .into_iter()
        .map(Group::single)
        .chain(Group::of_rest(rest))
        .collect()
}
