//! [`View`]: the plain trees of one component, listed once, to be asked about paths.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::SplitRequest;
use crate::source::{Mount, SourceError};
use crate::tree::{
    Flavour, Kind, ListRequest, Listing, Opener, Parents, Policy, TreeError, TreePath, list,
};

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// The largest database that is read: far more than any real one.
const LARGEST: u64 = 1 << 30;

/// Links that lead to links, before they are taken for a circle.
const HOPS: usize = 40;

/// What is where in trees that are laid over each other.
pub(super) struct View {
    listing: Listing,
    items: Vec<Item>,
    /// Entries by path as bytes.
    by_path: Vec<u32>,
    mounts: Vec<Mount>,
    dests: Vec<TreePath>,
}

/// One entry, as far as ownership goes.
#[derive(Debug)]
pub(super) struct Item {
    pub path: TreePath,
    pub kind: Shape,
    /// The directory that it is in, or [`NONE`].
    pub parent: u32,
    /// One behind the last entry below it.
    pub end: u32,
    /// The first name of its inode; itself unless it is a further hard link.
    pub first: u32,
    /// Which mount has it, or [`NONE`] for a directory made above one.
    pub mount: u32,
    /// In bytes; a further hard link has none.
    pub size: u64,
    /// Its extended attribute `user.component`.
    pub component: Option<Vec<u8>>,
}

/// What an entry is, as far as ownership goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Dir,
    File,
    Symlink { target: Vec<u8> },
    Other,
}

impl View {
    /// Lists the mounts laid over each other, as their layers will have them.
    pub(super) fn of(
        mounts: &[Mount],
        request: &SplitRequest<'_>,
        policy: &Policy,
    ) -> Result<Self, SourceError> {
        let mut opener = Opener::default();
        let (mut parts, mut dests) = (Vec::new(), Vec::new());
        for mount in mounts {
            let dest = dest(mount)?;
            parts.push(opener.open(&mount.host, dest.clone(), Flavour::Plain)?);
            dests.push(dest);
        }
        let parents = Parents::of(&parts, *policy);
        let listing = list(ListRequest {
            parts,
            made: Vec::new(),
            policy,
            exclude: request.exclude,
            parents: &parents,
            yielding: false,
            threads: request.threads,
        })?;
        Ok(Self::new(listing, mounts.to_vec(), dests))
    }

    fn new(listing: Listing, mounts: Vec<Mount>, dests: Vec<TreePath>) -> Self {
        let mut items: Vec<Item> = Vec::with_capacity(listing.len());
        let mut above: Vec<u32> = Vec::new();
        let mut links = Vec::new();
        for (at, entry) in listing.entries().enumerate() {
            let at_u32 = at as u32;
            while let Some(&dir) = above.last() {
                if items[dir as usize].path.contains(&entry.path) {
                    break;
                }
                items[dir as usize].end = at_u32;
                above.pop();
            }
            let parent = above.last().copied().unwrap_or(NONE);
            let kind = match entry.kind {
                Kind::Dir => {
                    above.push(at_u32);
                    Shape::Dir
                }
                Kind::File { .. } => Shape::File,
                Kind::Symlink { target } => Shape::Symlink { target },
                Kind::HardLink { target } => {
                    links.push((at, target));
                    Shape::Other
                }
                Kind::Char(_) | Kind::Block(_) | Kind::Fifo => Shape::Other,
            };
            items.push(Item {
                path: entry.path,
                kind,
                parent,
                end: at_u32 + 1,
                first: at_u32,
                mount: listing.part(at).map_or(NONE, |part| part as u32),
                size: listing.content_size(at),
                component: entry.xattrs.get(&b"user.component"[..]).cloned(),
            });
        }
        let len = items.len() as u32;
        for dir in above {
            items[dir as usize].end = len;
        }
        let mut by_path: Vec<u32> = (0..len).collect();
        by_path.sort_unstable_by(|a, b| {
            let bytes = |at: &u32| items[*at as usize].path.as_bytes();
            bytes(a).cmp(bytes(b))
        });
        let mut view = Self {
            listing,
            items,
            by_path,
            mounts,
            dests,
        };
        for (at, target) in links {
            view.items[at].first = view.find(target.as_bytes()).unwrap_or(at as u32);
        }
        view
    }

    pub(super) fn len(&self) -> u32 {
        self.items.len() as u32
    }

    pub(super) fn item(&self, at: u32) -> &Item {
        &self.items[at as usize]
    }

    pub(super) fn items(&self) -> impl Iterator<Item = (u32, &Item)> {
        (0..).zip(&self.items)
    }

    pub(super) fn is_dir(&self, at: u32) -> bool {
        self.item(at).kind == Shape::Dir
    }

    /// What was left out of the listing and why.
    pub(super) fn warnings(&self) -> &[String] {
        self.listing.warnings()
    }

    /// Where mounts land, each place once, the outermost first.
    pub(super) fn roots(&self) -> Vec<TreePath> {
        let mut roots = self.dests.clone();
        roots.sort();
        roots.dedup();
        roots
    }

    /// The innermost of the places where mounts land that an entry is in.
    pub(super) fn root_of(&self, at: u32) -> TreePath {
        let path = &self.item(at).path;
        let around = self.dests.iter().filter(|dest| dest.contains(path));
        let inner = around.max_by_key(|dest| dest.as_bytes().len());
        inner.cloned().unwrap_or_default()
    }

    /// The entries directly in a directory, by name.
    pub(super) fn children(&self, dir: u32) -> impl Iterator<Item = u32> {
        let end = self.item(dir).end;
        let after = move |&at: &u32| Some(self.item(at).end).filter(|next| *next < end);
        let first = Some(dir + 1).filter(|at| *at < end);
        std::iter::successors(first, after)
    }

    /// An entry of a directory by its name.
    pub(super) fn child(&self, dir: u32, name: &[u8]) -> Option<u32> {
        self.find(&[self.item(dir).path.as_bytes(), b"/", name].concat())
    }

    /// The entry at a path that leads through no link.
    pub(super) fn find(&self, path: &[u8]) -> Option<u32> {
        let compare = |at: &u32| self.item(*at).path.as_bytes().cmp(path);
        let found = self.by_path.binary_search_by(compare).ok()?;
        self.by_path.get(found).copied()
    }

    /// A whole file's bytes.
    pub(super) fn read(&self, at: u32) -> Result<Vec<u8>, SourceError> {
        let at = self.item(at).first;
        let size = self.item(at).size;
        if size > LARGEST {
            let reason = "is larger than any package database";
            return Err(self.refuse(at, None, reason));
        }
        let mut bytes = vec![0; size as usize];
        if size > 0 {
            self.listing.reader().read(at as usize, 0, &mut bytes)?;
        }
        Ok(bytes)
    }

    /// Where an entry is on this machine.
    pub(super) fn host(&self, at: u32) -> PathBuf {
        let item = self.item(at);
        let from = (self.mounts.get(item.mount as usize)).zip(self.dests.get(item.mount as usize));
        let Some((mount, dest)) = from else {
            return PathBuf::from(item.path.display());
        };
        let below = item.path.as_bytes().get(dest.as_bytes().len()..);
        let below = below.unwrap_or_default();
        let below = below.strip_prefix(b"/").unwrap_or(below);
        if below.is_empty() {
            mount.host.clone()
        } else {
            mount.host.join(std::ffi::OsStr::from_bytes(below))
        }
    }

    /// The error for a database that is broken at a line, or as a whole.
    pub(super) fn refuse(
        &self,
        at: u32,
        line: Option<usize>,
        reason: impl Into<String>,
    ) -> SourceError {
        SourceError::Database {
            path: self.host(at),
            line,
            reason: reason.into(),
        }
    }

    /// A name that may be a component's: not empty, printable, of reasonable length.
    pub(super) fn name(
        &self,
        at: u32,
        line: Option<usize>,
        name: &str,
    ) -> Result<String, SourceError> {
        let bad = name.is_empty() || name.len() > 255 || name.chars().any(char::is_control);
        if bad {
            let reason = format!("`{}` is no name for a package", shorten(name));
            return Err(self.refuse(at, line, reason));
        }
        Ok(name.to_owned())
    }
}

/// For messages.
pub(super) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}

fn dest(mount: &Mount) -> Result<TreePath, TreeError> {
    TreePath::from_absolute(&mount.dest).map_err(|fault| TreeError::Refused {
        path: mount.host.clone(),
        why: format!("its destination {} {fault}", mount.dest),
    })
}

/// Follows links the way a process inside the image would.
pub(super) struct Resolver<'a> {
    view: &'a View,
    root: &'a TreePath,
    /// Directories by the path that was asked for.
    known: HashMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Resolver<'a> {
    /// For paths below `root`, which `..` and absolute links do not leave.
    pub(super) fn new(view: &'a View, root: &'a TreePath) -> Self {
        Self {
            view,
            root,
            known: HashMap::new(),
        }
    }

    /// The entry at a normal path relative to the root; a link as the last part is not followed.
    pub(super) fn entry(&mut self, path: &[u8]) -> Option<u32> {
        let whole = self.below_root(path);
        if let Some(found) = self.view.find(&whole) {
            return Some(found);
        }
        let (dir, name) = split(path);
        if dir.is_empty() {
            return None;
        }
        let real = match self.known.get(dir) {
            Some(known) => known.clone(),
            None => {
                let found = self.walk(&self.below_root(dir));
                self.known.insert(dir.to_owned(), found.clone());
                found
            }
        };
        self.view.find(&[&real?[..], b"/", name].concat())
    }

    /// The entry that a path leads to, links followed to their end.
    pub(super) fn target(&mut self, path: &[u8]) -> Option<u32> {
        let at = self.entry(path)?;
        self.follow(at)
    }

    /// The entry that a link leads to, if it is one.
    pub(super) fn follow(&self, at: u32) -> Option<u32> {
        match self.view.item(at).kind {
            Shape::Symlink { .. } => {
                let real = self.walk(self.view.item(at).path.as_bytes())?;
                self.view.find(&real)
            }
            _ => Some(at),
        }
    }

    fn below_root(&self, path: &[u8]) -> Vec<u8> {
        match (self.root.is_root(), path.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => self.root.as_bytes().to_owned(),
            (false, false) => [self.root.as_bytes(), b"/", path].concat(),
        }
    }

    /// Where a path of the image really is.
    fn walk(&self, path: &[u8]) -> Option<Vec<u8>> {
        let base = self.root.as_bytes().to_vec();
        let mut open: Vec<Vec<u8>> = Vec::new();
        push_parts(&mut open, path.get(base.len()..).unwrap_or_default());
        let mut real = base.clone();
        let mut hops = 0;
        while let Some(part) = open.pop() {
            if part == b".." {
                if real.len() > base.len() {
                    let end = real.iter().rposition(|&b| b == b'/').unwrap_or(0);
                    real.truncate(end.max(base.len()));
                }
                continue;
            }
            let mut next = real.clone();
            if !next.is_empty() {
                next.push(b'/');
            }
            next.extend_from_slice(&part);
            let item = self.view.item(self.view.find(&next)?);
            match &item.kind {
                Shape::Symlink { target } => {
                    hops += 1;
                    if hops > HOPS {
                        return None;
                    }
                    if target.first() == Some(&b'/') {
                        real.clone_from(&base);
                    }
                    push_parts(&mut open, target);
                }
                _ if item.kind != Shape::Dir && !open.is_empty() => return None,
                _ => real = next,
            }
        }
        Some(real)
    }
}

/// Puts a path's parts on a stack, the first on top.
fn push_parts(open: &mut Vec<Vec<u8>>, path: &[u8]) {
    let parts = path.split(|&b| b == b'/').rev();
    let named = parts.filter(|part| !part.is_empty() && *part != b".");
    open.extend(named.map(<[u8]>::to_vec));
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}
