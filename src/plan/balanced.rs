//! `balanced@1`: the largest get a layer each, the others go to bins by a hash of their names.
//! `balanced@2`: the same layers in a better order, and what is the image's own apart.
//!
//! Everything that decides is a name, a size or the budget, never a count of neighbours:
//! one component more or less changes one bin and at most one single, and a new version
//! changes only the layer that it is in.
//!
//! That has a price where images that were planned alone shall share layers: of b bins, m
//! packages that only one of them has leave (1 − 1/b)ᵐ the same, and no bin can be chosen by
//! what needs a package, because then a new one would move those that it needs. Only what
//! belongs to no package can be told apart (`fleet@1` sees all images).

use std::cmp::Reverse;

use sha2::{Digest, Sha256};

use super::LayerKind;
use super::items::{Group, Items};
use crate::graph::NodeId;

/// `balanced@2`: at most `room` groups (at least 1).
///
/// The largest lie lowest, because a store that knows layers by what lies below them then keeps
/// the most bytes below the first change. What is the image's own lies highest: it changes the
/// most, and images of one house have all the rest in common.
pub(super) fn deal_apart(items: &Items<'_>, nodes: &[NodeId], room: usize) -> Vec<Group> {
    let (groups, bin) = match own_bin(items, nodes, room) {
        Some((others, bin)) => (deal(items, &others, room - 1), Some(bin)),
        None => (deal(items, nodes, room), None),
    };
    let is_single = |group: &Group| group.kind == LayerKind::Single;
    let (mut singles, bins): (Vec<Group>, Vec<Group>) = groups.into_iter().partition(is_single);
    // Powers of two: a size that changes a little moves nothing.
    singles.sort_by_key(|group| Reverse(items.bytes(&group.nodes).checked_ilog2()));
    let (own, singles): (Vec<Group>, Vec<Group>) = singles
        .into_iter()
        .partition(|group| group.nodes.iter().any(|node| items.is_own(*node)));
    singles
        .into_iter()
        .chain(bins)
        .chain(own)
        .chain(bin)
        .collect()
}

/// With room for one bin only, what is the image's own and small gets another: or each new build
/// of a program would rewrite all the small packages, and no other image would share them.
fn own_bin(items: &Items<'_>, nodes: &[NodeId], room: usize) -> Option<(Vec<NodeId>, Group)> {
    if room < 2 || bins(room) > 1 {
        return None;
    }
    let mut order = nodes.to_vec();
    items.sort_by_size(&mut order);
    let small = order.get(room - 1..).unwrap_or_default();
    let own = small.iter().filter(|node| items.is_own(**node)).count();
    if own == 0 || own == small.len() {
        return None;
    }
    // The other bin takes a layer, and the smallest single pays.
    let small = order.split_off(room - 2);
    let (mut own, others): (Vec<NodeId>, Vec<NodeId>) =
        small.into_iter().partition(|node| items.is_own(*node));
    items.sort_by_name(&mut own);
    order.extend(others);
    Some((order, Group::new(LayerKind::Bin, own)))
}

/// `balanced@1`: at most `room` groups (at least 1), singles by name, then bins by number.
pub(super) fn deal(items: &Items<'_>, nodes: &[NodeId], room: usize) -> Vec<Group> {
    let bins = bins(room);
    let mut large = nodes.to_vec();
    items.sort_by_size(&mut large);
    let mut small = large.split_off(large.len().min(room.saturating_sub(bins)));
    items.sort_by_name(&mut large);
    items.sort_by_name(&mut small);
    let mut binned = vec![Vec::new(); bins];
    for node in small {
        binned[bin(items.name(node), bins)].push(node);
    }
    let binned = binned
        .into_iter()
        .filter_map(|nodes| Group::of_all(LayerKind::Bin, nodes));
    large.into_iter().map(Group::single).chain(binned).collect()
}

/// An eighth of a budget up to 32 layers, a quarter of a larger one; at least one.
fn bins(room: usize) -> usize {
    let share = if room <= 32 { 8 } else { 4 };
    (room / share).max(1)
}

/// Rendezvous hashing: the bin that gives this name the highest weight.
fn bin(name: &str, bins: usize) -> usize {
    let seed = seed(name);
    let weight = |bin: &usize| mix(seed ^ mix(*bin as u64 + 1));
    // `max_by_key` would take the last of equals; either is as good, but it must be said.
    (0..bins).rev().max_by_key(weight).unwrap_or(0)
}

fn seed(name: &str) -> u64 {
    let digest = Sha256::new_with_prefix("plywood balanced@1\0")
        .chain_update(name)
        .finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// The finaliser of splitmix64: every bit of the input decides every bit of the output.
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
