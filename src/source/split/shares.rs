//! Groups of entries → [`Shares`]: what each component gets of one tree, as a value that can
//! be kept.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::assign::{Assignment, Group};
use super::view::{NONE, View};
use super::{Claims, Kind, Owner, version};
use crate::tree::{Fingerprint, Identity, Settled};

/// What one tree is split into.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shares {
    /// By component; none if the tree stays in one piece.
    pub all: Vec<Share>,
    /// What was passed over and why, in words.
    pub warnings: Vec<String>,
    /// Whether something outside the tree had a part in this.
    #[serde(skip)]
    pub outside: bool,
}

/// What one component gets of a tree.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    /// The component's name in the graph, which no real path can be: `dpkg:openssl`.
    pub path: String,
    /// Its identity over versions.
    pub name: String,
    pub version: Option<String>,
    pub purl: Option<String>,
    pub size: u64,
    pub volatile: bool,
    pub own: bool,
    /// Paths of the components that it needs.
    pub requires: Vec<String>,
    /// Which entries of the tree's listing, by mount.
    pub picked: Vec<Runs>,
    /// What tells these entries from all others; 64 hexadecimal digits.
    pub identity: Option<String>,
}

/// Ascending numbers, as (first, how many) of those that follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Runs(Vec<(u32, u32)>);

impl Runs {
    fn push(&mut self, number: u32) {
        match self.0.last_mut() {
            Some((first, count)) if *first + *count == number => *count += 1,
            _ => self.0.push((number, 1)),
        }
    }

    /// Whether all are numbers of so many things.
    pub(super) fn are_below(&self, count: usize) -> bool {
        let fits = |(first, many): &(u32, u32)| *first as usize + *many as usize <= count;
        self.0.iter().all(fits)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        let runs = self.0.iter();
        runs.flat_map(|(first, count)| *first..first.saturating_add(*count))
    }
}

/// A tree that was split, and what is to be known of it.
pub(super) struct Tree<'t> {
    /// The component that it was.
    pub path: &'t str,
    pub view: &'t View,
    pub mounts: usize,
    pub found: &'t [(Kind, Claims)],
    pub vendor: Option<&'t str>,
    /// Whether and since when entries can be told from all others.
    pub settled: Option<Settled>,
}

/// Deals the entries of a tree to the components of their groups.
pub(super) fn deal(tree: &Tree<'_>, assignment: &Assignment) -> Vec<Share> {
    let (view, groups) = (tree.view, &assignment.groups);
    let titles: Vec<Title> = { groups.iter() }
        .map(|group| Title::of(group, tree))
        .collect();
    let mut picked: Vec<Vec<Runs>> = vec![Vec::new(); groups.len()];
    let mut sizes = vec![0_u64; groups.len()];
    for at in view.entries() {
        let group = assignment.of[at as usize] as usize;
        if let Some(runs) = picked.get_mut(group) {
            runs.resize(tree.mounts, Runs::default());
            runs[view.mount(at) as usize].push(at);
            sizes[group] += view.size(at);
        }
    }
    let exists: Vec<bool> = picked.iter().map(|runs| !runs.is_empty()).collect();
    let mut requires = requires(tree.found, groups, &titles, &exists);
    let all = picked.into_iter().zip(titles).zip(groups).enumerate();
    let mut shares: Vec<Share> = all
        .filter(|(number, _)| exists[*number])
        .map(|(number, ((picked, title), group))| Share {
            path: title.path,
            name: title.name,
            version: title.version,
            purl: title.purl,
            size: sizes[number],
            volatile: *group == Group::Unowned,
            own: matches!(group, Group::Large(_)),
            requires: requires.remove(&number).unwrap_or_default(),
            picked,
            identity: None,
        })
        .collect();
    if let Some(settled) = tree.settled {
        let identity = |share: &Share| identity(view, &share.picked, settled);
        { shares.par_iter_mut() }
            .for_each(|share| share.identity = identity(share).map(|found| found.to_string()));
    }
    shares
}

/// By group: the components that it needs.
fn requires(
    found: &[(Kind, Claims)],
    groups: &[Group],
    titles: &[Title],
    exists: &[bool],
) -> BTreeMap<usize, Vec<String>> {
    let mut of_owner: BTreeMap<(usize, u32), usize> = BTreeMap::new();
    for (number, group) in groups.iter().enumerate().filter(|(n, _)| exists[*n]) {
        if let Group::Owned(owners) = group {
            of_owner.extend(owners.iter().map(|owner| (*owner, number)));
        }
    }
    let mut requires: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (&(database, owner), &from) in &of_owner {
        let Some(owner) = found[database].1.owners.get(owner as usize) else {
            continue;
        };
        let to = owner.requires.iter();
        let to = to.filter_map(|to| of_owner.get(&(database, *to)));
        let to = to.map(|to| titles[*to].path.clone());
        requires.entry(from).or_default().extend(to);
    }
    for to in requires.values_mut() {
        to.sort();
        to.dedup();
    }
    requires
}

/// Of some entries with the directories above them.
fn identity(view: &View, picked: &[Runs], settled: Settled) -> Option<Identity> {
    let mut fingerprint = Fingerprint::new(view.listing(), settled);
    let mut above = std::collections::BTreeSet::new();
    for at in picked.iter().flat_map(Runs::numbers) {
        fingerprint.entry(at as usize);
        let mut dir = view.parent(at);
        while dir != NONE && above.insert(dir) {
            dir = view.parent(dir);
        }
    }
    let above = above.into_iter();
    above.for_each(|dir| fingerprint.directory(dir as usize));
    fingerprint.finish()
}

/// How many owners' names a merged component bears.
const NAMED: usize = 4;

/// What a group's component is called.
struct Title {
    /// Its name in the graph, which no real path can be: `dpkg:openssl`.
    path: String,
    /// Its identity over versions.
    name: String,
    version: Option<String>,
    purl: Option<String>,
}

impl Title {
    fn of(group: &Group, tree: &Tree<'_>) -> Self {
        let path = tree.path;
        match group {
            Group::Unowned => Self {
                path: format!("unowned:{path}"),
                name: match path {
                    "/" => "unowned".to_owned(),
                    _ => format!("unowned:{path}"),
                },
                version: None,
                purl: None,
            },
            Group::Large(at) => {
                let name = tree.view.path(*at).display();
                Self {
                    path: format!("file:{name}"),
                    name,
                    version: None,
                    purl: None,
                }
            }
            Group::Owned(owners) => Self::joined(owners, tree.found, tree.vendor),
        }
    }

    fn joined(owners: &[(usize, u32)], found: &[(Kind, Claims)], vendor: Option<&str>) -> Self {
        let mut all: Vec<(String, Kind, &Owner)> = Vec::new();
        for &(database, owner) in owners {
            let (kind, claims) = &found[database];
            if let Some(owner) = claims.owners.get(owner as usize) {
                all.push((format!("{}:{}", kind.name(), owner.name), *kind, owner));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let versions = all
            .iter()
            .filter_map(|(.., o)| version::joined(&o.versions));
        let version = versions.collect::<Vec<_>>().join(",");
        let purl = match all.as_slice() {
            [(_, kind, owner)] => version::purl(*kind, vendor, owner),
            _ => None,
        };
        let more = all.len().saturating_sub(NAMED);
        let more = match more {
            0 => String::new(),
            more => format!(",…{more}"),
        };
        let named = &all[..all.len().min(NAMED)];
        let paths: Vec<&str> = named.iter().map(|(path, ..)| path.as_str()).collect();
        let names: Vec<&str> = named.iter().map(|(.., owner)| &*owner.name).collect();
        Self {
            path: paths.join(",") + &more,
            name: names.join(",") + &more,
            version: Some(version).filter(|version| !version.is_empty()),
            purl,
        }
    }
}
