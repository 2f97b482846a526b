//! `fleet@1`: several images planned together, so that what they share is in shared layers.
//!
//! Components that the same images contain are a *share*; a layer that several images have
//! never holds more than one share. An image with room for fewer shares than it is part of
//! keeps the large ones, and the others go to layers of its own. Spare room splits a share
//! further, as `balanced@1` does, and in all its images alike.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::items::{Facts, Group, Items};
use super::{LayerKind, LayerPlan, Limits, Member, Pins, PlanError, PlanLayer, Special, balanced};
use crate::graph::{Graph, NodeId};

/// Name and version, as plans have it.
const NAME: &str = "fleet@1";

/// Makes the plans of several images, in their order.
///
/// # Errors
/// As [`draw`](super::draw), for the first image that does not fit.
pub fn fleet(images: Vec<(Items<'_>, Limits, &Pins)>) -> Result<Vec<LayerPlan>, PlanError> {
    let mut ships = Vec::new();
    for (items, limits, pins) in images {
        let special = Special::take(&items, pins, limits.room()?)?;
        ships.push(Ship {
            items,
            limits,
            special,
        });
    }
    let shares = shares(&ships);
    let kept = keep(&shares, &ships);
    let layers = allot(&shares, &ships, &kept);
    let mut plans = Vec::new();
    for (number, ship) in ships.iter().enumerate() {
        let dealt = ship.deal(number, &shares, &kept[number], &layers);
        let groups = ship.special.around(dealt).into_iter();
        let planned = groups.map(|group| ship.items.layer(group));
        plans.push(LayerPlan {
            strategy: NAME.to_owned(),
            max_layers: ship.limits.max_layers,
            layers: ship.limits.enclose(planned),
        });
    }
    Ok(plans)
}

/// An image that another one is planned together with, as its own plan has it.
///
/// Only what a strategy dealt out is of interest: its other layers stay what they are.
#[derive(Clone, Debug)]
pub struct Sibling {
    graph: Graph,
    members: Vec<Member>,
    limits: Limits,
}

impl Sibling {
    /// What the plan knows, and what it does not know of paths that both images have, as
    /// `items` has it; a limit that is not known is `max_layers`.
    pub fn new(plan: &LayerPlan, items: &Items<'_>, max_layers: usize) -> Self {
        let is_dealt = |layer: &&PlanLayer| layer.kind.is_dealt();
        let dealt = plan.layers.iter().filter(is_dealt);
        let mut members: Vec<Member> = dealt
            .flat_map(|layer| &layer.members)
            .map(|member| completed(member, items))
            .collect();
        members.sort_by(|a, b| a.path.cmp(&b.path));
        let last = |layer: &PlanLayer| layer.kind == LayerKind::Customisation;
        let customisation = plan.layers.iter().any(last);
        let special = |layer: &&PlanLayer| !layer.kind.is_dealt() && !last(layer);
        let base_layers = plan.layers.iter().filter(special).count();
        let max_layers = match plan.max_layers {
            0 => max_layers,
            known => known,
        };
        Self {
            graph: Graph::unconnected(members.iter().map(|m| m.path.clone()).collect()),
            members,
            limits: Limits {
                max_layers: max_layers.max(base_layers + 2),
                base_layers,
                customisation,
            },
        }
    }

    /// As [`fleet`] takes it.
    pub fn ship(&self) -> (Items<'_>, Limits) {
        let facts = self.members.iter().map(|member| Facts {
            name: member.name.as_deref(),
            version: member.version.as_deref(),
            size: member.size,
            hash: member.hash.as_deref(),
            volatile: false,
            own: false,
        });
        (Items::new(&self.graph, facts.collect()), self.limits)
    }
}

fn completed(member: &Member, items: &Items<'_>) -> Member {
    let known = items.graph.find(&member.path).map(|node| items.facts(node));
    let Facts {
        name,
        version,
        size,
        hash,
        ..
    } = known.unwrap_or_default();
    Member {
        path: member.path.clone(),
        name: member.name.clone().or(name.map(str::to_owned)),
        version: member.version.clone().or(version.map(str::to_owned)),
        size: member.size.or(size),
        hash: member.hash.clone().or(hash.map(str::to_owned)),
        popularity: None,
    }
}

/// One image of the fleet.
struct Ship<'a> {
    items: Items<'a>,
    limits: Limits,
    special: Special,
}

/// What makes two components of two images the same: path, name, hash and size.
type Key<'a> = (&'a str, &'a str, Option<&'a str>, u64);

/// Components that exactly these images contain.
struct Share<'a> {
    images: Vec<usize>,
    components: Vec<Key<'a>>,
    bytes: u128,
}

/// What most images have comes first; no statistics decide, and no order of images.
fn shares<'a>(ships: &'a [Ship<'a>]) -> Vec<Share<'a>> {
    let mut images_of: BTreeMap<Key<'a>, Vec<usize>> = BTreeMap::new();
    for (image, Ship { items, special, .. }) in ships.iter().enumerate() {
        for node in &special.others {
            images_of.entry(key(items, *node)).or_default().push(image);
        }
    }
    let mut by_images: BTreeMap<Vec<usize>, Vec<Key<'a>>> = BTreeMap::new();
    for (key, images) in images_of {
        by_images.entry(images).or_default().push(key);
    }
    let share = |(images, components): (Vec<usize>, Vec<Key<'a>>)| {
        let bytes = components.iter().map(|(.., size)| u128::from(*size)).sum();
        Share {
            images,
            components,
            bytes,
        }
    };
    let mut shares: Vec<Share<'a>> = by_images.into_iter().map(share).collect();
    shares.sort_by(|a, b| {
        let order = |s: &Share<'a>| (Reverse(s.images.len()), s.components.first().copied());
        order(a).cmp(&order(b))
    });
    shares
}

fn key<'a>(items: &'a Items<'a>, node: NodeId) -> Key<'a> {
    let hash = items.facts(node).hash;
    (
        items.graph.path(node),
        items.name(node),
        hash,
        items.size(node),
    )
}

/// For each image the shares that get layers which other images have, too.
fn keep(shares: &[Share<'_>], ships: &[Ship<'_>]) -> Vec<BTreeSet<usize>> {
    let mut useless: BTreeSet<usize> = (0..shares.len())
        .filter(|share| shares[*share].images.len() < 2)
        .collect();
    loop {
        let kept: Vec<BTreeSet<usize>> = ships
            .iter()
            .enumerate()
            .map(|(image, ship)| keep_largest(shares, image, ship.special.room, &useless))
            .collect();
        let keepers = |share: &usize| kept.iter().filter(|kept| kept.contains(share)).count();
        // A layer that one image alone keeps is shared with nobody: its room is better used.
        let alone: Vec<usize> = (0..shares.len())
            .filter(|share| keepers(share) == 1)
            .collect();
        if alone.is_empty() {
            return kept;
        }
        useless.extend(alone);
    }
}

fn keep_largest(
    shares: &[Share<'_>],
    image: usize,
    room: usize,
    useless: &BTreeSet<usize>,
) -> BTreeSet<usize> {
    let of_image = (0..shares.len()).filter(|share| shares[*share].images.contains(&image));
    let (own, mut useful): (Vec<usize>, Vec<usize>) = of_image.partition(|s| useless.contains(s));
    useful.sort_by_key(|share| Reverse(shares[*share].bytes));
    let whole = own.is_empty() && useful.len() <= room;
    useful.truncate(if whole { room } else { room.saturating_sub(1) });
    useful.into_iter().collect()
}

/// How many layers each share may have: as many as the tightest of its images can spare.
fn allot(shares: &[Share<'_>], ships: &[Ship<'_>], kept: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut layers: Vec<Option<usize>> = vec![None; shares.len()];
    for ((image, ship), kept) in ships.iter().enumerate().zip(kept) {
        let of_image = || {
            shares
                .iter()
                .enumerate()
                .filter(|(_, s)| s.images.contains(&image))
        };
        let bytes: u128 = of_image().map(|(_, share)| share.bytes).sum();
        let own = of_image().any(|(share, _)| !kept.contains(&share));
        let spare = ship
            .special
            .room
            .saturating_sub(kept.len() + usize::from(own));
        for share in kept {
            let part = spare as u128 * shares[*share].bytes / bytes.max(1);
            let can = 1 + usize::try_from(part).unwrap_or(spare);
            let least = &mut layers[*share];
            *least = Some(least.map_or(can, |other| other.min(can)));
        }
    }
    let most = |(layers, share): (Option<usize>, &Share<'_>)| {
        layers.unwrap_or(1).min(share.components.len())
    };
    layers.into_iter().zip(shares).map(most).collect()
}

impl Ship<'_> {
    fn deal(
        &self,
        image: usize,
        shares: &[Share<'_>],
        kept: &BTreeSet<usize>,
        layers: &[usize],
    ) -> Vec<Group> {
        let mut groups = Vec::new();
        let mut own = Vec::new();
        let mut room = self.special.room;
        for (number, share) in shares.iter().enumerate() {
            if !share.images.contains(&image) {
                continue;
            }
            let find = |(path, ..): &Key<'_>| self.items.graph.find(path);
            let nodes = share.components.iter().filter_map(find);
            if kept.contains(&number) {
                let nodes: Vec<NodeId> = nodes.collect();
                groups.extend(balanced::deal(&self.items, &nodes, layers[number]));
                room = room.saturating_sub(layers[number]);
            } else {
                own.extend(nodes);
            }
        }
        groups.extend(balanced::deal(&self.items, &own, room));
        groups
    }
}
