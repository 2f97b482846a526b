//! `balanced@1`: the largest get a layer each, the others go to bins by a hash of their names.
//!
//! Everything that decides is a name, a size or the budget, never a count of neighbours:
//! one component more or less changes one bin and at most one single, and a new version
//! changes only the layer that it is in.

use sha2::{Digest, Sha256};

use super::LayerKind;
use super::items::{Group, Items};
use crate::graph::NodeId;

/// At most `room` groups (at least 1): singles by name, then bins by number.
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
