//! Claims → the one group that every entry belongs to.

use std::collections::HashMap;

use super::view::{NONE, View};
use super::{Claims, Kind};

/// What nobody owns is a component of its own from this size on, in bytes.
const LARGE: u64 = 1 << 20;

/// Which entries go where. Directories that hold something are in no group: every layer
/// makes the parents of its entries.
pub(super) struct Assignment {
    /// By entry: index of its group, or [`NONE`].
    pub of: Vec<u32>,
    pub groups: Vec<Group>,
}

/// Entries that are never parted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Owners (database, owner), more than one if files of theirs are hard links of each other.
    Owned(Vec<(usize, u32)>),
    /// A large file of nobody.
    Large(u32),
    /// All else.
    Unowned,
}

/// Deals every entry to one group.
pub(super) fn assign(view: &View, found: &[(Kind, Claims)]) -> Assignment {
    let mut owners = Owners::claim(view, found);
    owners.follow_sources(view);
    owners.join_links(view);
    owners.groups(view, &databases(view, found))
}

/// The first claim of every entry, owners of all databases numbered through.
struct Owners {
    of: Vec<u32>,
    /// (database, owner) by number.
    all: Vec<(usize, u32)>,
    /// By number: another one that it is merged with, or itself.
    merged: Vec<u32>,
}

impl Owners {
    fn claim(view: &View, found: &[(Kind, Claims)]) -> Self {
        let mut of = vec![NONE; view.len() as usize];
        let mut all = Vec::new();
        for (database, (_, claims)) in found.iter().enumerate() {
            let shift = all.len() as u32;
            all.extend((0..claims.owners.len() as u32).map(|owner| (database, owner)));
            for &(at, owner) in &claims.files {
                let place = &mut of[at as usize];
                if *place == NONE {
                    *place = shift + owner;
                }
            }
        }
        let merged = (0..all.len() as u32).collect();
        Self { of, all, merged }
    }

    /// Byte code that an installation left beside a module belongs to the module's owner:
    /// `D/__pycache__/NAME.….pyc` to that of `D/NAME.py`.
    fn follow_sources(&mut self, view: &View) {
        for at in view.entries() {
            let cache = view.parent(at);
            if self.of[at as usize] != NONE || cache == NONE {
                continue;
            }
            let name = view.base_name(at);
            if view.base_name(cache) != b"__pycache__" || !name.ends_with(b".pyc") {
                continue;
            }
            let stem = name.split(|&b| b == b'.').next().unwrap_or_default();
            let source = [stem, b".py"].concat();
            let found = match view.parent(cache) {
                NONE => view.find(&source),
                dir => view.child(dir, &source),
            };
            if let Some(source) = found {
                self.of[at as usize] = self.of[source as usize];
            }
        }
    }

    /// All names of an inode get one owner; owners that share an inode are merged.
    fn join_links(&mut self, view: &View) {
        let mut of_inode: HashMap<u32, u32> = HashMap::new();
        for (at, first) in further_names(view) {
            for name in [first, at] {
                let owner = self.of[name as usize];
                if owner == NONE {
                    continue;
                }
                let known = *of_inode.entry(first).or_insert(owner);
                self.merge(known, owner);
            }
        }
        for (at, first) in further_names(view) {
            if let Some(&owner) = of_inode.get(&first) {
                self.of[at as usize] = owner;
                self.of[first as usize] = owner;
            }
        }
    }

    fn merge(&mut self, one: u32, other: u32) {
        let (one, other) = (self.head(one), self.head(other));
        self.merged[one.max(other) as usize] = one.min(other);
    }

    fn head(&self, mut owner: u32) -> u32 {
        while self.merged[owner as usize] != owner {
            owner = self.merged[owner as usize];
        }
        owner
    }

    fn groups(&self, view: &View, databases: &[bool]) -> Assignment {
        let mut groups = vec![Group::Unowned];
        let heads: Vec<u32> = (0..self.all.len() as u32).map(|o| self.head(o)).collect();
        let mut of_head: HashMap<u32, u32> = HashMap::new();
        for (&head, &owner) in heads.iter().zip(&self.all) {
            let group = *of_head.entry(head).or_insert_with(|| {
                groups.push(Group::Owned(Vec::new()));
                groups.len() as u32 - 1
            });
            if let Some(Group::Owned(owners)) = groups.get_mut(group as usize) {
                owners.push(owner);
            }
        }
        let mut of = vec![NONE; self.of.len()];
        let covered = covered(view);
        for at in view.entries() {
            let (place, first) = (at as usize, view.first(at));
            if covered[place] || view.mount(at) == NONE {
                continue;
            }
            of[place] = match self.of[place] {
                // The first name comes first, so its group is known.
                NONE if first != at => of[first as usize],
                NONE if view.size(at) >= LARGE && !databases[place] => {
                    groups.push(Group::Large(at));
                    groups.len() as u32 - 1
                }
                NONE => 0,
                owner => of_head.get(&self.head(owner)).copied().unwrap_or(0),
            };
        }
        Assignment { of, groups }
    }
}

/// Further hard links, each with the first name of its inode.
fn further_names(view: &View) -> impl Iterator<Item = (u32, u32)> {
    let pairs = view.entries().map(|at| (at, view.first(at)));
    pairs.filter(|(at, first)| at != first)
}

/// Directories with anything but directories somewhere below them.
fn covered(view: &View) -> Vec<bool> {
    let mut covered = vec![false; view.len() as usize];
    for at in view.entries().filter(|at| !view.is_dir(*at)) {
        let mut dir = view.parent(at);
        while dir != NONE && !covered[dir as usize] {
            covered[dir as usize] = true;
            dir = view.parent(dir);
        }
    }
    covered
}

fn databases(view: &View, found: &[(Kind, Claims)]) -> Vec<bool> {
    let mut inside = vec![false; view.len() as usize];
    let all = found.iter().flat_map(|(_, claims)| &claims.databases);
    for &at in all.filter(|at| **at != NONE) {
        let end = view.end(at);
        inside[at as usize..end as usize].fill(true);
    }
    inside
}
