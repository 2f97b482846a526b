//! [`Seen`]: entries that were looked at before, so that no disk is asked twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::listing::Listing;
use super::node::{Dir, Node, Tag};
use super::scan::Devices;
use super::walk::{Walked, lock};
use super::{Policy, TreePath, XattrRule};

/// What is known of a tree on disk from an earlier [`Listing`] of it.
///
/// Its files are still compared with the disk when they are read.
#[derive(Clone, Debug)]
pub struct Seen(Kept);

#[derive(Clone, Debug)]
enum Kept {
    /// All of a tree, given to whoever lists it first: a million entries are not held twice.
    Whole(Arc<Mutex<Option<Listing>>>),
    /// Some entries, in their order.
    Some(Arc<Listing>, Arc<Vec<u32>>),
}

impl Seen {
    /// All entries of a listing of one tree.
    pub fn whole(listing: Listing) -> Self {
        Self(Kept::Whole(Arc::new(Mutex::new(Some(listing)))))
    }

    /// Some entries of one tree, by their places in a listing, which may have others.
    pub fn some(listing: &Arc<Listing>, mut entries: Vec<u32>) -> Self {
        entries.sort_unstable();
        Self(Kept::Some(Arc::clone(listing), Arc::new(entries)))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Kept::Whole(_) => false,
            Kept::Some(_, entries) => entries.is_empty(),
        }
    }

    /// Whether a path was picked out.
    pub fn contains(&self, path: &TreePath) -> bool {
        let is = |listing: &Listing, at: usize| listing.path(at) == *path;
        match &self.0 {
            Kept::Whole(slot) => lock(slot).as_ref().is_some_and(|listing| {
                let range = listing.range(path);
                !range.is_empty() && is(listing, range.start)
            }),
            Kept::Some(listing, entries) => {
                let first = below(listing, entries, path).first();
                first.is_some_and(|at| is(listing, *at as usize))
            }
        }
    }

    /// Whether a path, or something below it, may be here.
    pub(super) fn reaches(&self, path: &TreePath) -> bool {
        match &self.0 {
            Kept::Whole(_) => true,
            Kept::Some(listing, entries) => !below(listing, entries, path).is_empty(),
        }
    }

    /// The paths that were picked out; none if that is all there are.
    pub fn paths(&self) -> Option<Vec<TreePath>> {
        match &self.0 {
            Kept::Whole(_) => None,
            Kept::Some(listing, entries) => {
                let paths = entries.iter().map(|at| listing.path(*at as usize));
                Some(paths.collect())
            }
        }
    }

    /// What walking the tree that lands at `dest` would find, as number `index` of a
    /// listing; none if it has been given away.
    pub(super) fn walked(
        &self,
        dest: &TreePath,
        index: u32,
        policy: &Policy,
        devices: &Devices,
    ) -> Option<Walked> {
        let carry = Carry {
            index,
            bare: policy.xattrs == XattrRule::None,
            devices,
        };
        match &self.0 {
            Kept::Whole(slot) => Some(carry.all(lock(slot).take()?, dest)),
            Kept::Some(listing, entries) => Some(carry.some(listing, entries)),
        }
    }
}

/// Equal if they are the same: listings are not compared.
impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kept::Whole(a), Kept::Whole(b)) => Arc::ptr_eq(a, b),
            (Kept::Some(a, these), Kept::Some(b, those)) => Arc::ptr_eq(a, b) && these == those,
            _ => false,
        }
    }
}

impl Eq for Seen {}

/// Those of some entries, by their places, that are at a path or below it.
fn below<'e>(listing: &Listing, entries: &'e [u32], path: &TreePath) -> &'e [u32] {
    let range = listing.range(path);
    let up_to = |end: usize| entries.partition_point(|at| (*at as usize) < end);
    &entries[up_to(range.start)..up_to(range.end)]
}

/// How entries become those of another listing.
struct Carry<'d> {
    index: u32,
    /// Without extended attributes.
    bare: bool,
    devices: &'d Devices,
}

impl Carry<'_> {
    fn all(&self, mut listing: Listing, dest: &TreePath) -> Walked {
        let known = std::mem::take(&mut listing.devices);
        for dir in &mut listing.dirs {
            if self.bare {
                dir.xattrs = Vec::new();
            }
            for node in &mut dir.children {
                self.adapt(node, &known);
            }
        }
        let at = |path: &TreePath| listing.dirs.iter().position(|dir| dir.path == *path);
        // A tree that is one file hangs in the directory above.
        let top = at(dest).or_else(|| at(&dest.parent()?)).unwrap_or(0);
        Walked {
            dirs: listing.dirs,
            loose: vec![top as u32],
            warnings: listing.warnings,
            // Of a tree alone in its listing, which is how all of one comes here.
            identity: match listing.identities.as_slice() {
                [identity] if !self.bare => *identity,
                _ => None,
            },
            top: None,
        }
    }

    fn some(&self, listing: &Listing, entries: &[u32]) -> Walked {
        let mut walked = Walked::default();
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        for &at in entries {
            let (number, from, node) = listing.place(at as usize);
            let into = *numbers.entry(number).or_insert_with(|| {
                walked.loose.push(walked.dirs.len() as u32);
                walked.dirs.push(Dir::at(from.path.clone()));
                walked.dirs.len() as u32 - 1
            });
            let mut node = node.clone();
            self.adapt(&mut node, &listing.devices);
            if node.tag == Tag::Dir {
                node.data = walked.dirs.len() as u64;
                walked.dirs.push(Dir::at(listing.path(at as usize)));
            }
            walked.dirs[into as usize].adopt(node, from);
        }
        walked.dirs.iter_mut().for_each(Dir::trim);
        walked
    }

    fn adapt(&self, node: &mut Node, known: &Devices) {
        node.part = self.index;
        node.dev = self.devices.index(known.number(node.dev));
        if self.bare {
            node.xattrs = 0;
        }
    }
}
