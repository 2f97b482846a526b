//! Staying close to the plan of an earlier image.
//!
//! A layer is downloaded again when any of its components changes. If each does so with the
//! same chance at an update, a layer of n components and s bytes costs s · (1 − qⁿ) a time.
//! New components go where that rises least, counting [`HORIZON`] updates to come and the
//! bytes of the layer that is disturbed now. A fresh plan is taken instead if it is better by
//! [`MARGIN`] over the same time, its own disturbance included.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::items::{Group, Items};
use super::{LayerKind, LayerPlan, Member, PlanLayer, Strategy};
use crate::graph::NodeId;

/// Updates that a plan is made for.
const HORIZON: u128 = 12;
/// A fresh plan must save more than one part in this many.
const MARGIN: u128 = 10;

/// Which components shared a layer in an earlier image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Previous {
    strategy: Option<String>,
    /// Names of components by layer, lowest first; only layers that were dealt out.
    layers: Vec<(LayerKind, Vec<String>)>,
    /// Why nothing can be kept, if that is so.
    unusable: Option<String>,
}

impl Previous {
    /// From the plan itself.
    pub fn from_plan(plan: &LayerPlan) -> Self {
        let names = |layer: &PlanLayer| {
            let names = layer.members.iter().map(Member::identity);
            (layer.kind, names.map(str::to_owned).collect())
        };
        let layers = dealt(plan.layers.iter().map(names));
        Self {
            strategy: Some(plan.strategy.clone()),
            layers,
            unusable: None,
        }
    }

    /// With names in the place of paths where this knows one; plans and images from before
    /// names were known have paths.
    pub fn named_by(mut self, name: impl Fn(&str) -> Option<String>) -> Self {
        for path in self.layers.iter_mut().flat_map(|(_, names)| names) {
            if let Some(name) = name(path) {
                *path = name;
            }
        }
        self
    }

    /// Nothing to keep, for a reason that the warning will give.
    pub fn unusable(reason: String) -> Self {
        Self {
            unusable: Some(reason),
            ..Self::default()
        }
    }

    /// Groups as they were, with new components among them; or fresh ones.
    pub(super) fn follow(
        &self,
        items: &Items<'_>,
        nodes: &[NodeId],
        room: usize,
        strategy: Strategy,
        warnings: &mut Vec<String>,
    ) -> Vec<Group> {
        let fresh = strategy.deal(items, nodes, room);
        let mut refuse = |reason: &str| {
            warnings.push(format!("{reason}: the plan is made afresh"));
            fresh.clone()
        };
        if let Some(reason) = &self.unusable {
            return refuse(reason);
        }
        // Another version of the strategy moves nothing that stays.
        let name = self.strategy.as_deref().and_then(|s| s.split('@').next());
        if name != Some(strategy.versionless()) {
            let earlier = self.strategy.as_deref().unwrap_or("unknown");
            return refuse(&format!("the previous plan is {earlier}, not {strategy}"));
        }
        let mut kept = Kept::new(items, &self.layers, nodes);
        if kept.bins.len() > room {
            let (layers, s) = (kept.bins.len(), if room == 1 { "" } else { "s" });
            return refuse(&format!(
                "{layers} layers of the previous plan exceed {room} layer{s}"
            ));
        }
        let strangers = std::mem::take(&mut kept.strangers);
        kept.settle(strangers, room);
        let (cost_kept, cost_fresh) = (kept.cost(), kept.cost_of(&fresh, &self.layers));
        // Both are scaled alike; u128 has room for sizes of 2⁶⁴ all the same.
        if cost_fresh < cost_kept - cost_kept / MARGIN {
            return refuse("the previous plan has become too costly");
        }
        kept.into_groups()
    }
}

/// Layers that a strategy dealt out; the others are made anew anyway.
fn dealt(
    layers: impl IntoIterator<Item = (LayerKind, Vec<String>)>,
) -> Vec<(LayerKind, Vec<String>)> {
    layers
        .into_iter()
        .filter(|(kind, names)| kind.is_dealt() && !names.is_empty())
        .collect()
}

/// A layer of the earlier plan and what is in it now.
struct Bin {
    kind: LayerKind,
    nodes: Vec<NodeId>,
    bytes: u128,
    /// It is downloaded again anyway, because something was taken out or put in.
    disturbed: bool,
}

struct Kept<'a> {
    items: &'a Items<'a>,
    bins: Vec<Bin>,
    /// Components that the earlier plan does not know.
    strangers: Vec<NodeId>,
    chances: Chances,
}

impl<'a> Kept<'a> {
    fn new(items: &'a Items<'a>, layers: &[(LayerKind, Vec<String>)], nodes: &[NodeId]) -> Self {
        // Two components of one name are told apart by the order of their paths.
        let mut homes: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
        for (home, (_, names)) in layers.iter().enumerate() {
            for name in names {
                homes.entry(name).or_default().push_back(home);
            }
        }
        let empty = |kind| Bin {
            kind,
            nodes: Vec::new(),
            bytes: 0,
            disturbed: false,
        };
        let mut bins: Vec<Bin> = layers.iter().map(|(kind, _)| empty(*kind)).collect();
        let mut strangers = Vec::new();
        let mut sorted = nodes.to_vec();
        items.sort_by_name(&mut sorted);
        for node in sorted {
            let mut home = |name: &str| homes.get_mut(name).and_then(VecDeque::pop_front);
            match home(items.name(node)).or_else(|| home(items.graph.path(node))) {
                Some(home) => bins[home].take(items, node),
                None => strangers.push(node),
            }
        }
        for (bin, (_, names)) in bins.iter_mut().zip(layers) {
            bin.disturbed = bin.nodes.len() < names.len();
        }
        bins.retain(|bin| !bin.nodes.is_empty());
        Self {
            items,
            bins,
            strangers,
            chances: Chances::new(nodes.len()),
        }
    }

    /// Each stranger goes where the cost rises least, the largest first; ties go low.
    fn settle(&mut self, mut strangers: Vec<NodeId>, room: usize) {
        self.items.sort_by_size(&mut strangers);
        for node in strangers {
            let rise = |bin: &Bin| self.rise(bin, node);
            let cheapest = (0..self.bins.len()).min_by_key(|i| rise(&self.bins[*i]));
            match cheapest {
                Some(home) if self.bins.len() >= room => {
                    let bin = &mut self.bins[home];
                    bin.disturbed = true;
                    bin.take(self.items, node);
                }
                _ => {
                    let mut bin = Bin {
                        kind: LayerKind::Single,
                        nodes: Vec::new(),
                        bytes: 0,
                        disturbed: true,
                    };
                    bin.take(self.items, node);
                    self.bins.push(bin);
                }
            }
        }
    }

    fn rise(&self, bin: &Bin, node: NodeId) -> u128 {
        let bytes = bin.bytes + u128::from(self.items.size(node));
        let later = self.chances.cost(bytes, bin.nodes.len() + 1)
            - self.chances.cost(bin.bytes, bin.nodes.len());
        let now = if bin.disturbed {
            0
        } else {
            bin.bytes * Chances::ONE
        };
        now + HORIZON * later
    }

    fn cost(&self) -> u128 {
        let cost = |bin: &Bin| {
            let now = if bin.disturbed {
                bin.bytes * Chances::ONE
            } else {
                0
            };
            now + HORIZON * self.chances.cost(bin.bytes, bin.nodes.len())
        };
        self.bins.iter().map(cost).sum()
    }

    fn cost_of(&self, groups: &[Group], earlier: &[(LayerKind, Vec<String>)]) -> u128 {
        let known: BTreeSet<Vec<&str>> = earlier
            .iter()
            .map(|(_, names)| sorted(names.iter().map(String::as_str)))
            .collect();
        let cost = |group: &Group| {
            let names = sorted(group.nodes.iter().map(|node| self.items.name(*node)));
            let bytes = self.items.bytes(&group.nodes);
            let now = if known.contains(&names) {
                0
            } else {
                bytes * Chances::ONE
            };
            now + HORIZON * self.chances.cost(bytes, group.nodes.len())
        };
        groups.iter().map(cost).sum()
    }

    fn into_groups(self) -> Vec<Group> {
        let items = self.items;
        let group = |bin: Bin| {
            let Bin {
                kind, mut nodes, ..
            } = bin;
            items.sort_by_name(&mut nodes);
            let kind = if kind == LayerKind::Single && nodes.len() > 1 {
                LayerKind::Bin
            } else {
                kind
            };
            Group::new(kind, nodes)
        };
        self.bins.into_iter().map(group).collect()
    }
}

impl Bin {
    fn take(&mut self, items: &Items<'_>, node: NodeId) {
        self.bytes += u128::from(items.size(node));
        self.nodes.push(node);
    }
}

fn sorted<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

/// The chance that some of n components change, in whole numbers, so that every machine
/// plans alike.
struct Chances {
    /// By n, as parts of `ONE`; later ones are as the last.
    some_change: Vec<u128>,
}

impl Chances {
    const ONE: u128 = 1 << 32;

    /// One component in four changes at an update: between what a month changes in a Python
    /// environment and a fortnight in Debian's testing (`scripts/layering`).
    fn new(most: usize) -> Self {
        let mut none = Self::ONE;
        let next = |_| {
            let some = Self::ONE - none;
            none -= none / 4;
            some
        };
        Self {
            some_change: (0..=most.min(1_000) + 1).map(next).collect(),
        }
    }

    fn cost(&self, bytes: u128, components: usize) -> u128 {
        let last = self.some_change.last().copied().unwrap_or(Self::ONE);
        bytes * self.some_change.get(components).copied().unwrap_or(last)
    }
}
