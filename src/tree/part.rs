//! [`Part`]: one tree on disk and where it goes.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::root::{Root, retry_std};
use super::{Facts, Mtime, Seen, TreeError, TreePath};

/// A file or directory of the source disk that lands at `dest` in the image.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where it lands; the root for a whole file system.
    pub dest: TreePath,
    pub(super) root: Arc<Root>,
    /// From the root's directory to this tree; empty if they are the same.
    pub(super) base: Vec<u8>,
    pub(super) flavour: Flavour,
    /// Only these entries of the tree, by their paths in the image, sorted.
    pub(super) only: Option<Arc<Vec<TreePath>>>,
    /// What is known of the tree, which may be reduced to it.
    pub(super) seen: Option<Seen>,
    /// These entries, and what is below them, are left out.
    pub(super) without: Vec<TreePath>,
}

/// What may be taken for granted about a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// A path of an immutable store: hard links are an accident of optimisation and
    /// become files; inode numbers may change in the middle of a build.
    Store,
    /// Any other tree: hard links are kept, and a changed inode is a changed file.
    Plain,
}

/// Opens trees; store paths side by side share one handle of their directory.
#[derive(Debug, Default)]
pub struct Opener {
    last: Option<Arc<Root>>,
}

impl Opener {
    /// Opens the tree at `host`, which will land at `dest`.
    ///
    /// A plain tree named through a link is that which the link leads to; a store
    /// path that is a link stays one.
    ///
    /// # Errors
    /// [`TreeError::Io`] if it does not exist or may not be opened.
    pub fn open(
        &mut self,
        host: &Path,
        dest: TreePath,
        flavour: Flavour,
    ) -> Result<Part, TreeError> {
        let fail = |source| TreeError::io("open", host, source);
        let host = match flavour {
            Flavour::Plain => retry_std(|| std::fs::canonicalize(host)).map_err(fail)?,
            Flavour::Store => host.to_owned(),
        };
        let whole = flavour == Flavour::Plain
            && retry_std(|| std::fs::symlink_metadata(&host))
                .map_err(fail)?
                .is_dir();
        let (dir, base) = if whole {
            (host.clone(), Vec::new())
        } else {
            split(&host).map_err(fail)?
        };
        let root = self.root(&dir).map_err(fail)?;
        Ok(Part {
            dest,
            root,
            base,
            flavour,
            only: None,
            seen: None,
            without: Vec::new(),
        })
    }

    fn root(&mut self, dir: &Path) -> io::Result<Arc<Root>> {
        if let Some(root) = self.last.as_ref().filter(|root| root.host() == dir) {
            return Ok(Arc::clone(root));
        }
        let root = Arc::new(Root::open(dir)?);
        self.last = Some(Arc::clone(&root));
        Ok(root)
    }
}

fn split(host: &Path) -> io::Result<(PathBuf, Vec<u8>)> {
    match (host.parent(), host.file_name()) {
        (Some(dir), Some(name)) => {
            let dir = if dir.as_os_str().is_empty() {
                Path::new(".")
            } else {
                dir
            };
            Ok((dir.to_owned(), name.as_bytes().to_owned()))
        }
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// A path below `from` at the same place below `to`.
fn carried(path: &TreePath, from: &TreePath, to: &TreePath) -> TreePath {
    let below = path.as_bytes().get(from.as_bytes().len()..);
    let below = below.unwrap_or_default();
    let below = below.strip_prefix(b"/").unwrap_or(below);
    // What is too long is refused when it is listed.
    to.join(below).unwrap_or_default()
}

impl Part {
    /// What tells the state of this tree's own entry from others; nothing below it is
    /// looked at.
    ///
    /// # Errors
    /// [`TreeError::Io`] if it cannot be examined.
    pub fn facts(&self) -> Result<Facts, TreeError> {
        let host = self.host_of(self.dest.as_bytes());
        let found = retry_std(|| std::fs::symlink_metadata(&host));
        let found = found.map_err(|e| TreeError::io("examine", &host, e))?;
        let nanos = |nanos: i64| u32::try_from(nanos).unwrap_or(0);
        let modified = Mtime {
            secs: found.mtime(),
            nanos: nanos(found.mtime_nsec()),
        };
        let changed = found
            .ctime()
            .saturating_mul(1_000_000_000)
            .saturating_add(found.ctime_nsec());
        Ok(Facts {
            inode: found.ino(),
            modified,
            changed,
        })
    }

    /// The same tree, as it was seen at this place: reduced to the entries that were
    /// picked out.
    pub fn as_seen(mut self, seen: Seen) -> Self {
        self.seen = Some(seen);
        self
    }

    /// The same tree, to be looked at anew, because something about it is not as it was.
    fn unseen(mut self) -> Self {
        if let Some(paths) = self.seen.take().and_then(|seen| seen.paths()) {
            self.only = Some(Arc::new(paths));
        }
        self
    }

    /// The directory at `from` as a tree of its own that lands at `to`.
    ///
    /// # Errors
    /// [`TreeError::Io`] if it cannot be opened.
    pub fn moved(&self, from: &TreePath, to: TreePath) -> Result<Self, TreeError> {
        let host = self.host_of(from.as_bytes());
        let root = Root::open(&host).map_err(|e| TreeError::io("open", &host, e))?;
        let only = self.clone().unseen().only.map(|only| {
            let below = only
                .iter()
                .filter(|path| from.contains(path) && *path != from);
            Arc::new(below.map(|path| carried(path, from, &to)).collect())
        });
        Ok(Self {
            dest: to,
            root: Arc::new(root),
            base: Vec::new(),
            flavour: self.flavour,
            only,
            seen: None,
            without: Vec::new(),
        })
    }

    /// The same tree at another place.
    pub fn at(self, dest: TreePath) -> Self {
        if dest == self.dest {
            return self;
        }
        let mut part = self.unseen();
        part.only = part.only.map(|only| {
            let carry = |path| carried(path, &part.dest, &dest);
            Arc::new(only.iter().map(carry).collect())
        });
        part.dest = dest;
        part
    }

    /// The same tree without the entry at `gone` and what is below it.
    pub fn without(self, gone: TreePath) -> Self {
        let mut part = self.unseen();
        part.only = part.only.map(|only| {
            let kept = only.iter().filter(|path| !gone.contains(path));
            Arc::new(kept.cloned().collect())
        });
        part.without.push(gone);
        part
    }

    /// Whether a path, or something below it, is in this part of a tree.
    pub(super) fn reaches(&self, path: &TreePath) -> bool {
        let listed = |only: &Arc<Vec<TreePath>>| {
            let at = only.partition_point(|other| other < path);
            only.get(at).is_some_and(|first| path.contains(first))
        };
        self.dest.contains(path)
            && self.only.as_ref().is_none_or(listed)
            && self.seen.as_ref().is_none_or(|seen| seen.reaches(path))
            && !self.without.iter().any(|gone| gone.contains(path))
    }

    /// Whether an entry of a directory is left out.
    pub(super) fn leaves_out(&self, dir: &TreePath, name: &[u8]) -> bool {
        let is = |path: &TreePath| path.name() == name && path.parent().as_ref() == Some(dir);
        self.without.iter().any(is)
    }

    /// From the root's handle to the directory that this tree's own entry is in, and its
    /// name there.
    pub(super) fn source_of_top(&self) -> (&[u8], &[u8]) {
        match self.base.iter().rposition(|&b| b == b'/') {
            Some(at) => (&self.base[..at], &self.base[at + 1..]),
            None => (b"", &self.base),
        }
    }

    /// Whether this part is one file rather than a directory's content.
    pub(super) fn is_whole_root(&self) -> bool {
        self.base.is_empty()
    }

    /// From the root's handle to the entry that lands at `path`.
    pub(super) fn source_of(&self, path: &[u8]) -> Vec<u8> {
        let below = path.get(self.dest.as_bytes().len()..).unwrap_or_default();
        let below = below.strip_prefix(b"/").unwrap_or(below);
        match (self.base.is_empty(), below.is_empty()) {
            (true, _) => below.to_owned(),
            (false, true) => self.base.clone(),
            (false, false) => [&self.base, &b"/"[..], below].concat(),
        }
    }

    /// Where the entry that lands at `path` is on this machine: for messages.
    pub(super) fn host_of(&self, path: &[u8]) -> PathBuf {
        let rel = self.source_of(path);
        if rel.is_empty() {
            self.root.host().to_owned()
        } else {
            self.root.host().join(OsStr::from_bytes(&rel))
        }
    }
}
