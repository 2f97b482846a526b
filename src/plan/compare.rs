//! What a client that has an image downloads of the next one.

use std::collections::{BTreeMap, BTreeSet};

use super::{LayerKind, LayerPlan, Member, PlanLayer};

/// The layers of a plan held against those of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// One for each layer of the new plan, lowest first; those of the base and the last one,
    /// of which plans say nothing, are left out.
    pub layers: Vec<Comparand>,
}

/// One layer of the new plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparand {
    /// Its number in the plan, 0 is the lowest.
    pub layer: usize,
    /// Why it exists.
    pub kind: LayerKind,
    /// Bytes of its components, if all are known.
    pub size: Option<u64>,
    /// No layer of the earlier plan is the same: its blob is new.
    pub is_new: bool,
    /// It, or a layer below it, is not what stood there before: a store that reuses a layer only
    /// if all below it are the same makes it anew.
    pub breaks_chain: bool,
    /// What made it new, by name; nothing if it is not.
    pub causes: Vec<Cause>,
}

/// Why a layer is new; each names a component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// It has another path, hash, version or size than before.
    Changed(String),
    /// The earlier image does not have it.
    Added(String),
    /// The new image does not have it any more.
    Removed(String),
    /// It was in another layer, or is in another layer now.
    Moved(String),
    /// It is rewritten by every build.
    Volatile(String),
}

impl Cause {
    /// The component's name.
    pub fn component(&self) -> &str {
        match self {
            Self::Changed(name)
            | Self::Added(name)
            | Self::Removed(name)
            | Self::Moved(name)
            | Self::Volatile(name) => name,
        }
    }

    /// In one word: `changed`, `added`, …
    pub fn word(&self) -> &'static str {
        match self {
            Self::Changed(_) => "changed",
            Self::Added(_) => "added",
            Self::Removed(_) => "removed",
            Self::Moved(_) => "moved",
            Self::Volatile(_) => "rewritten",
        }
    }
}

impl Comparison {
    /// Layers whose blobs are new.
    pub fn new_layers(&self) -> impl Iterator<Item = &Comparand> {
        self.layers.iter().filter(|layer| layer.is_new)
    }

    /// Layers that a store of chains makes anew.
    pub fn broken_layers(&self) -> impl Iterator<Item = &Comparand> {
        self.layers.iter().filter(|layer| layer.breaks_chain)
    }
}

/// Bytes of several layers, and whether all are known.
pub fn total<'c>(layers: impl Iterator<Item = &'c Comparand>) -> (u64, bool) {
    layers.fold((0, true), |(sum, all), layer| {
        let size = layer.size.unwrap_or(0);
        (sum.saturating_add(size), all && layer.size.is_some())
    })
}

/// Compares by components: layers are the same if they hold the same paths, of which neither
/// hash nor version nor size is known to be another.
pub fn compare(old: &LayerPlan, new: &LayerPlan) -> Comparison {
    let before = Before::new(old);
    let told = |(_, layer): &(usize, &PlanLayer)| is_told(layer);
    let mut chain = { old.layers.iter() }.filter(|layer| is_told(layer));
    let mut whole = true;
    let comparand = |(number, layer): (usize, &PlanLayer)| {
        let is_new = !before.has(layer);
        whole = whole && !is_new && chain.next().is_some_and(|below| is_same(below, layer));
        Comparand {
            layer: number,
            kind: layer.kind,
            size: layer.size(),
            is_new,
            breaks_chain: !whole,
            causes: match is_new {
                true => before.causes(layer, new),
                false => Vec::new(),
            },
        }
    };
    let layers = new.layers.iter().enumerate().filter(told);
    Comparison {
        layers: layers.map(comparand).collect(),
    }
}

fn is_told(layer: &PlanLayer) -> bool {
    !layer.members.is_empty()
}

fn is_same(one: &PlanLayer, other: &PlanLayer) -> bool {
    let sorted = |layer: &PlanLayer| -> BTreeMap<String, Member> {
        let members = layer.members.iter();
        members.map(|m| (m.path.clone(), m.clone())).collect()
    };
    // What every build rewrites has no known content.
    let volatile = |layer: &PlanLayer| layer.kind == LayerKind::Volatile;
    let (one_by_path, other_by_path) = (sorted(one), sorted(other));
    !volatile(one) && !volatile(other) && one_by_path.len() == other_by_path.len() && {
        one_by_path.values()
    }
    .zip(other_by_path.values())
    .all(|(a, b)| is_unchanged(a, b))
}

/// Neither path nor hash nor version nor size is known to be another.
fn is_unchanged(one: &Member, other: &Member) -> bool {
    let differ =
        |one: Option<&str>, other: Option<&str>| one.is_some() && other.is_some() && one != other;
    let sizes = one.size.zip(other.size);
    one.path == other.path
        && !differ(one.hash.as_deref(), other.hash.as_deref())
        && !differ(one.version.as_deref(), other.version.as_deref())
        && sizes.is_none_or(|(one, other)| one == other)
}

/// The earlier plan, by paths and by names.
struct Before<'p> {
    layers: BTreeMap<BTreeSet<&'p str>, &'p PlanLayer>,
    /// Name → (number of the layer, component).
    homes: BTreeMap<&'p str, (usize, &'p Member)>,
    plan: &'p LayerPlan,
}

impl<'p> Before<'p> {
    fn new(plan: &'p LayerPlan) -> Self {
        let paths = |layer: &'p PlanLayer| layer.members.iter().map(|m| m.path.as_str()).collect();
        let numbered = plan.layers.iter().enumerate();
        let homes = numbered.flat_map(|(number, layer)| {
            let members = layer.members.iter();
            members.map(move |member| (member.identity(), (number, member)))
        });
        Self {
            layers: { plan.layers.iter() }.map(|l| (paths(l), l)).collect(),
            homes: homes.collect(),
            plan,
        }
    }

    fn has(&self, layer: &PlanLayer) -> bool {
        let paths: BTreeSet<&str> = layer.members.iter().map(|m| m.path.as_str()).collect();
        let found = self.layers.get(&paths);
        found.is_some_and(|old| is_same(old, layer))
    }

    fn causes(&self, layer: &PlanLayer, new: &LayerPlan) -> Vec<Cause> {
        let name = |member: &Member| member.identity().to_owned();
        if layer.kind == LayerKind::Volatile {
            return { layer.members.iter() }
                .map(|member| Cause::Volatile(name(member)))
                .collect();
        }
        let home = self.home(layer);
        let mut causes = Vec::new();
        for member in &layer.members {
            match self.homes.get(member.identity()) {
                None => causes.push(Cause::Added(name(member))),
                Some((_, old)) if !is_unchanged(old, member) => {
                    causes.push(Cause::Changed(name(member)));
                }
                Some((number, _)) if Some(*number) != home => {
                    causes.push(Cause::Moved(name(member)));
                }
                Some(_) => {}
            }
        }
        let old = home.and_then(|number| self.plan.layers.get(number));
        let here: BTreeSet<&str> = layer.members.iter().map(Member::identity).collect();
        let gone = old.into_iter().flat_map(|old| &old.members);
        for member in gone.filter(|member| !here.contains(member.identity())) {
            let mut now = new.layers.iter().flat_map(|layer| &layer.members);
            let stays = now.any(|other| other.identity() == member.identity());
            causes.push(match stays {
                true => Cause::Moved(name(member)),
                false => Cause::Removed(name(member)),
            });
        }
        causes.sort();
        causes
    }

    /// The earlier layer that most of these were in; of several the lowest.
    fn home(&self, layer: &PlanLayer) -> Option<usize> {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        let known = layer.members.iter();
        for (number, _) in known.filter_map(|m| self.homes.get(m.identity())) {
            *counts.entry(*number).or_default() += 1;
        }
        let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
        most.map(|(number, _)| number)
    }
}
