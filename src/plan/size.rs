//! `size@1`: the largest get a layer each, the others share one.

use super::items::{Group, Items};
use crate::graph::NodeId;

/// At most `room` groups (at least 1). Singles stand in the order of their names, so that a
/// size that changes moves no layer.
pub(super) fn deal(items: &Items<'_>, nodes: &[NodeId], room: usize) -> Vec<Group> {
    let mut order = nodes.to_vec();
    items.sort_by_size(&mut order);
    let mut rest = order.split_off(order.len().min(room.saturating_sub(1)));
    items.sort_by_name(&mut order);
    items.sort_by_name(&mut rest);
    order
        .into_iter()
        .map(Group::single)
        .chain(Group::of_rest(rest))
        .collect()
}
