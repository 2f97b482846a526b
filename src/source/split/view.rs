//! [`View`]: the plain trees of one component, listed once, to be asked about paths.

use std::collections::HashMap;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::SplitRequest;
use crate::source::{Mount, SourceError};
use crate::tree::{
    Flavour, ListRequest, Listing, Opener, Parents, Part, Policy, TreeError, TreePath, list,
};

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// The largest database that is read: far more than any real one.
const LARGEST: u64 = 1 << 30;

/// What is where in trees that are laid over each other.
///
/// Holds 12 bytes an entry beside the listing.
pub(super) struct View {
    listing: Listing,
    spans: Vec<Span>,
    /// Entries by the directory that they are in, then by name.
    children: Vec<u32>,
    dirs: Dirs,
    mounts: Vec<Mount>,
    dests: Vec<TreePath>,
}

/// Where an entry stands in its tree.
struct Span {
    /// The directory that it is in, or [`NONE`].
    parent: u32,
    /// One behind the last entry below it.
    end: u32,
}

/// What an entry is, as far as ownership goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Dir,
    File,
    Symlink,
    /// Devices, pipes, and further names of files.
    Other,
}

impl View {
    /// Of the listing of these mounts.
    pub(super) fn new(listing: Listing, mounts: &[Mount]) -> Result<Self, SourceError> {
        let dests = mounts.iter().map(dest).collect::<Result<_, _>>()?;
        let spans = spans(&listing);
        let (children, dirs) = children(&listing, &spans);
        Ok(Self {
            listing,
            spans,
            children,
            dirs,
            mounts: mounts.to_vec(),
            dests,
        })
    }

    /// What was listed.
    pub(super) fn listing(&self) -> &Listing {
        &self.listing
    }

    /// What was listed, for the layers.
    pub(super) fn into_listing(self) -> Listing {
        self.listing
    }

    pub(super) fn len(&self) -> u32 {
        self.spans.len() as u32
    }

    /// All entries, parents before children.
    pub(super) fn entries(&self) -> Range<u32> {
        0..self.len()
    }

    pub(super) fn path(&self, at: u32) -> TreePath {
        self.listing.path(at as usize)
    }

    /// An entry's name in its directory.
    pub(super) fn base_name(&self, at: u32) -> &[u8] {
        self.listing.name(at as usize)
    }

    pub(super) fn shape(&self, at: u32) -> Shape {
        let at = at as usize;
        if self.listing.is_dir(at) {
            Shape::Dir
        } else if self.listing.is_file(at) {
            Shape::File
        } else if self.listing.target(at).is_some() {
            Shape::Symlink
        } else {
            Shape::Other
        }
    }

    pub(super) fn is_dir(&self, at: u32) -> bool {
        self.listing.is_dir(at as usize)
    }

    pub(super) fn is_symlink(&self, at: u32) -> bool {
        self.target(at).is_some()
    }

    /// Where a symbolic link leads; none for whatever is not one.
    pub(super) fn target(&self, at: u32) -> Option<&[u8]> {
        self.listing.target(at as usize)
    }

    /// The directory that an entry is in, or [`NONE`].
    pub(super) fn parent(&self, at: u32) -> u32 {
        self.spans[at as usize].parent
    }

    /// One behind the last entry below an entry.
    pub(super) fn end(&self, at: u32) -> u32 {
        self.spans[at as usize].end
    }

    /// The first name of an entry's inode; itself unless it is a further hard link.
    pub(super) fn first(&self, at: u32) -> u32 {
        let first = self.listing.link_of(at as usize);
        first.map_or(at, |first| first as u32)
    }

    /// Which mount has an entry, or [`NONE`] for a directory made above one.
    pub(super) fn mount(&self, at: u32) -> u32 {
        let part = self.listing.part(at as usize);
        part.map_or(NONE, |part| part as u32)
    }

    /// In bytes; a further hard link has none.
    pub(super) fn size(&self, at: u32) -> u64 {
        self.listing.content_size(at as usize)
    }

    /// An entry's extended attribute `user.component`.
    pub(super) fn component(&self, at: u32) -> Option<&[u8]> {
        self.listing.xattr(at as usize, b"user.component")
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
        let path = self.path(at);
        let around = self.dests.iter().filter(|dest| dest.contains(&path));
        let inner = around.max_by_key(|dest| dest.as_bytes().len());
        inner.cloned().unwrap_or_default()
    }

    /// The entries directly in a directory, by name.
    pub(super) fn children(&self, dir: u32) -> impl Iterator<Item = u32> {
        let end = self.end(dir);
        let after = move |&at: &u32| Some(self.end(at)).filter(|next| *next < end);
        let first = Some(dir + 1).filter(|at| *at < end);
        std::iter::successors(first, after)
    }

    /// An entry of a directory by its name.
    pub(super) fn child(&self, dir: u32, name: &[u8]) -> Option<u32> {
        self.find(&[self.path(dir).as_bytes(), b"/", name].concat())
    }

    /// The entry at a path that leads through no link.
    pub(super) fn find(&self, path: &[u8]) -> Option<u32> {
        let (dir, name) = split(path);
        let within = self.dirs.get(dir)?;
        let within = &self.children[within.start as usize..within.end as usize];
        let found = within.binary_search_by(|at| self.base_name(*at).cmp(name));
        found.ok().and_then(|found| within.get(found).copied())
    }

    /// A whole file's bytes.
    pub(super) fn read(&self, at: u32) -> Result<Vec<u8>, SourceError> {
        let at = self.first(at);
        let size = self.size(at);
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
        let (path, mount) = (self.path(at), self.mount(at) as usize);
        let Some((mount, dest)) = self.mounts.get(mount).zip(self.dests.get(mount)) else {
            return PathBuf::from(path.display());
        };
        let below = path.as_bytes().get(dest.as_bytes().len()..);
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

/// Lists mounts laid over each other, as their layers will have them.
pub(super) fn list_mounts(
    mounts: &[Mount],
    request: &SplitRequest<'_>,
    policy: &Policy,
) -> Result<Listing, SourceError> {
    let mut opener = Opener::default();
    let open = |mount: &Mount| opener.open(&mount.host, dest(mount)?, Flavour::Plain);
    let parts: Vec<Part> = mounts.iter().map(open).collect::<Result<_, _>>()?;
    let parents = Parents::of(&parts, *policy);
    Ok(list(ListRequest {
        parts,
        made: Vec::new(),
        policy,
        exclude: request.exclude,
        parents: &parents,
        yielding: false,
        threads: request.threads,
        memory: request.memory,
    })?)
}

fn spans(listing: &Listing) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::with_capacity(listing.len());
    let mut above: Vec<u32> = Vec::new();
    for at in 0..listing.len() {
        let here = listing.directory(at);
        while let Some(&dir) = above.last() {
            if listing.path_is(dir as usize, here) {
                break;
            }
            spans[dir as usize].end = at as u32;
            above.pop();
        }
        spans.push(Span {
            parent: above.last().copied().unwrap_or(NONE),
            end: at as u32 + 1,
        });
        if listing.is_dir(at) {
            above.push(at as u32);
        }
    }
    for dir in above {
        spans[dir as usize].end = listing.len() as u32;
    }
    spans
}

/// Where each directory's entries stand among those of all.
type Dirs = HashMap<Box<[u8]>, Range<u32>>;

fn children(listing: &Listing, spans: &[Span]) -> (Vec<u32>, Dirs) {
    // Entries of the root have no parent, and come first.
    let key = |at: usize| spans[at].parent.wrapping_add(1);
    let mut children: Vec<u32> = (0..spans.len() as u32).collect();
    children.sort_by_key(|at| key(*at as usize));
    let mut dirs = Dirs::new();
    let mut start = 0;
    for group in children.chunk_by(|a, b| key(*a as usize) == key(*b as usize)) {
        let end = start + group.len() as u32;
        let dir = listing.directory(group[0] as usize);
        dirs.insert(dir.as_bytes().into(), start..end);
        start = end;
    }
    (children, dirs)
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

/// A path's directory and its name in it.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}
