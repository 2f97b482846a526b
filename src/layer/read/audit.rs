//! [`Audit`]: the entries of one layer, held against each other.

use std::collections::HashMap;

use sha2::Digest as _;

use super::raw::{RawEntry, RawKind, normal_path};
use crate::fault::{Fault, Faults};
use crate::tree::TreePath;

/// Stands for a path: half of its SHA-256, so that a million paths fit into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathKey(u64, u64);

impl PathKey {
    /// The key of a path.
    pub fn of(path: &TreePath) -> Self {
        let hash = sha2::Sha256::digest(path.as_bytes());
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        };
        let (first, rest) = hash.split_at(8);
        Self(number(first), number(rest.split_at(8).0))
    }
}

/// What is remembered of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which path.
    pub key: PathKey,
    /// What it was.
    pub kind: SeenKind,
    /// A hash of its attributes, to be compared with others of the same audit format.
    pub attributes: u32,
}

/// What an entry was, as far as other layers care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenKind {
    /// A directory.
    Dir,
    /// A directory that has no entry here, but content.
    Implied,
    /// A symbolic link.
    Symlink,
    /// Anything else.
    Other,
    /// A whiteout, under its own name.
    Whiteout,
}

/// What one layer says about paths; for comparing layers.
#[derive(Clone, Debug, Default)]
pub struct LayerPaths {
    /// In the order of their keys.
    pub seen: Vec<Seen>,
    /// What whiteouts take away from lower layers.
    pub removed: Vec<PathKey>,
    /// Whether names start with `./`; `None` if there are none to tell by.
    pub dotted: Option<bool>,
}

/// Takes the entries of a layer in order; notes duplicates, missing parents, links that
/// lead nowhere, and whiteouts that are none.
#[derive(Default)]
pub struct Audit {
    places: HashMap<PathKey, Place>,
    missing: HashMap<PathKey, Missing>,
    missing_more: usize,
    removed: Vec<PathKey>,
    dotted: Option<bool>,
    last: Option<TreePath>,
    disorder: [Option<String>; 2],
    faults: Faults,
}

struct Place {
    kind: SeenKind,
    attributes: u32,
    /// Whether something other than a whiteout stands in it already.
    filled: bool,
}

struct Missing {
    path: TreePath,
    child: String,
}

/// So many missing directories are kept by name.
const MISSING_LIMIT: usize = 10_000;

impl Audit {
    /// Takes the next entry.
    pub fn entry(&mut self, entry: &RawEntry) {
        let Some(path) = &entry.path else {
            return;
        };
        let shown = entry.shown();
        self.check_prefix(entry, path, &shown);
        if matches!(entry.kind, RawKind::Char(device) if device.major == 0 && device.minor == 0) {
            let text = "is the character device 0:0, a whiteout of overlayfs";
            self.faults.field(104, &shown, text);
        }
        if let Some(name) = path.name().strip_prefix(b".wh.") {
            return self.whiteout(entry, path, name, &shown);
        }
        self.check_order(path, &shown);
        self.check_parent(path, &shown, true);
        if let RawKind::HardLink(target) = &entry.kind {
            self.check_link(entry, target, &shown);
        }
        let kind = match entry.kind {
            RawKind::Dir => SeenKind::Dir,
            RawKind::Symlink(_) => SeenKind::Symlink,
            _ => SeenKind::Other,
        };
        self.remember(PathKey::of(path), kind, attributes(entry), &shown);
    }

    /// What was noted, and what other layers must know.
    pub fn finish(mut self) -> (Vec<Fault>, LayerPaths) {
        if let [Some(entry), Some(_)] = &self.disorder {
            let text = "stands before its place: entries are not sorted";
            self.faults.should(98, entry, text);
        }
        let mut seen = self.take_seen();
        seen.sort_by_key(|seen| seen.key);
        let paths = LayerPaths {
            seen,
            removed: self.removed,
            dotted: self.dotted,
        };
        (self.faults.into_vec(), paths)
    }

    #[expect(clippy::iter_over_hash_type, reason = "sorted right afterwards")]
    fn take_seen(&mut self) -> Vec<Seen> {
        let mut list = Vec::with_capacity(self.places.len() + self.missing.len());
        for (key, place) in std::mem::take(&mut self.places) {
            let Place {
                kind, attributes, ..
            } = place;
            list.push(Seen {
                key,
                kind,
                attributes,
            });
        }
        let mut missing = Vec::new();
        for (key, gap) in std::mem::take(&mut self.missing) {
            let kind = SeenKind::Implied;
            list.push(Seen {
                key,
                kind,
                attributes: 0,
            });
            missing.push(gap);
        }
        missing.sort_by(|a, b| a.path.cmp(&b.path));
        for gap in missing {
            let text = format!(
                "its directory {} has no entry in this layer",
                gap.path.display()
            );
            self.faults.field(95, gap.child, text);
        }
        if self.missing_more > 0 {
            let text = format!("{} more directories have no entry", self.missing_more);
            self.faults.field(95, "", text);
        }
        list
    }

    fn remember(&mut self, key: PathKey, kind: SeenKind, attributes: u32, shown: &str) {
        if let Some(gap) = self.missing.remove(&key) {
            let text = format!("comes after its content ({})", gap.child);
            self.faults.field(94, shown, text);
        }
        let place = Place {
            kind,
            attributes,
            filled: false,
        };
        if self.places.insert(key, place).is_some() {
            self.faults.must(87, shown, "stands in the archive twice");
        }
    }

    fn check_prefix(&mut self, entry: &RawEntry, path: &TreePath, shown: &str) {
        if path.is_root() {
            return;
        }
        let dotted = entry.name.starts_with(b"./");
        if self.dotted.is_some_and(|before| before != dotted) {
            self.faults
                .field(93, shown, "differs from others in its prefix `./`");
        }
        self.dotted = Some(dotted);
    }

    /// Sorted by whole names or by components: either is an order.
    fn check_order(&mut self, path: &TreePath, shown: &str) {
        if let Some(last) = &self.last {
            let wrong = [last > path, last.as_bytes() > path.as_bytes()];
            for (noted, wrong) in self.disorder.iter_mut().zip(wrong) {
                if wrong && noted.is_none() {
                    *noted = Some(shown.to_owned());
                }
            }
        }
        self.last = Some(path.clone());
    }

    /// Directories come before what is in them, and only directories have content.
    fn check_parent(&mut self, path: &TreePath, shown: &str, mut fills: bool) {
        let mut path = path.clone();
        while let Some(parent) = path.parent().filter(|parent| !parent.is_root()) {
            let key = PathKey::of(&parent);
            if let Some(place) = self.places.get_mut(&key) {
                place.filled |= fills;
                if place.kind != SeenKind::Dir {
                    let text = format!("stands below {}, which is no directory", parent.display());
                    self.faults.must(94, shown, text);
                }
                return;
            }
            if self.missing.contains_key(&key) {
                return;
            }
            if self.missing.len() >= MISSING_LIMIT {
                self.missing_more += 1;
                return;
            }
            let gap = Missing {
                path: parent.clone(),
                child: shown.to_owned(),
            };
            self.missing.insert(key, gap);
            fills = false;
            path = parent;
        }
    }

    fn check_link(&mut self, entry: &RawEntry, target: &[u8], shown: &str) {
        let said = target.escape_ascii();
        let Some(path) = normal_path(target) else {
            let text = format!("links to `{said}`, which is not a name of this layer");
            return self.faults.must(91, shown, text);
        };
        match self.places.get(&PathKey::of(&path)) {
            None => {
                let text = format!("links to `{said}`, which is no earlier entry of this layer");
                self.faults.must(91, shown, text);
            }
            Some(place) if place.kind == SeenKind::Dir => {
                self.faults
                    .must(91, shown, format!("links to the directory `{said}`"));
            }
            Some(place) if place.attributes != attributes(entry) => {
                let text = format!("has other attributes than `{said}`, to which it links");
                self.faults.field(91, shown, text);
            }
            Some(_) => {}
        }
    }

    fn whiteout(&mut self, entry: &RawEntry, path: &TreePath, name: &[u8], shown: &str) {
        self.check_parent(path, shown, false);
        if entry.kind != RawKind::File || entry.size > 0 {
            self.faults
                .must(107, shown, "is a whiteout, and not an empty regular file");
        }
        let parent = path.parent().unwrap_or_default();
        match name {
            b"" => return self.faults.must(108, shown, "is a whiteout of nothing"),
            b".wh..opq" => {
                let text = "is an opaque whiteout, where explicit ones are preferred";
                self.faults.should(110, shown, text);
                self.removed.push(PathKey::of(&parent));
            }
            _ if name.starts_with(b".wh.") => {
                let text = "has a name that only some unpackers give a meaning";
                return self.faults.field(109, shown, text);
            }
            _ => self
                .removed
                .extend(parent.join(name).as_ref().map(PathKey::of)),
        }
        let filled = self.places.get(&PathKey::of(&parent));
        if filled.is_some_and(|place| place.filled) {
            self.faults
                .should(110, shown, "comes after what it stands beside");
        }
        self.remember(PathKey::of(path), SeenKind::Whiteout, 0, shown);
    }
}

/// Owner, mode and time: what must be the same wherever the entry stands.
fn attributes(entry: &RawEntry) -> u32 {
    let mut hasher = sha2::Sha256::new();
    for number in [u64::from(entry.mode), entry.uid, entry.gid] {
        hasher.update(number.to_be_bytes());
    }
    hasher.update(entry.mtime.secs.to_be_bytes());
    hasher.update(entry.mtime.nanos.to_be_bytes());
    let hash = hasher.finalize();
    let start = hash.iter().take(4);
    start.fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}
