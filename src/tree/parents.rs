//! [`Parents`]: what a directory looks like in every layer that mentions it.
//!
//! Overlay file systems show the uppermost layer's attributes of a directory, and
//! unpackers invent attributes for parents that are missing: so every layer carries
//! all parents of its entries, with the same attributes everywhere.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, statx};

use super::part::{Flavour, Part};
use super::root::retry;
use super::{Meta, Mtime, Policy, TreeError, TreePath, Xattrs, xattr};

/// Attributes of directories that several layers mention.
#[derive(Debug, Default)]
pub struct Parents {
    /// Plain trees by where they land, each with its rank on the command line.
    plain: BTreeMap<TreePath, Vec<(usize, Part)>>,
    known: Mutex<HashMap<TreePath, Option<(Meta, Xattrs)>>>,
    given: HashMap<TreePath, (Meta, Xattrs)>,
    policy: Policy,
}

impl Parents {
    /// Knows all trees of an image; the first that has a directory decides its attributes.
    pub fn of<'p>(parts: impl IntoIterator<Item = &'p Part>, policy: Policy) -> Self {
        let mut plain: BTreeMap<TreePath, Vec<(usize, Part)>> = BTreeMap::new();
        let kept = parts
            .into_iter()
            .filter(|part| part.flavour == Flavour::Plain && part.is_whole_root());
        for (rank, part) in kept.enumerate() {
            plain
                .entry(part.dest.clone())
                .or_default()
                .push((rank, part.clone()));
        }
        Self {
            plain,
            policy,
            ..Self::default()
        }
    }

    /// Adds directories whose attributes are decided already: those of a base image.
    pub fn with_given(
        mut self,
        given: impl IntoIterator<Item = (TreePath, (Meta, Xattrs))>,
    ) -> Self {
        self.given.extend(given);
        self
    }

    /// Whether some directories are decided already.
    pub(super) fn has_given(&self) -> bool {
        !self.given.is_empty()
    }

    /// The attributes of a directory that are decided already.
    pub(super) fn given(&self, path: &TreePath) -> Option<&(Meta, Xattrs)> {
        self.given.get(path)
    }

    /// The attributes of a directory as some tree has it; `None` if none has it.
    ///
    /// # Errors
    /// [`TreeError::Conflict`] if a tree has something else in its place: a link
    /// there would lead what stands below somewhere else.
    pub fn attributes(&self, path: &TreePath) -> Result<Option<(Meta, Xattrs)>, TreeError> {
        if let Some(given) = self.given.get(path) {
            return Ok(Some(given.clone()));
        }
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.look_up(path)?;
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.clone(), found.clone());
        Ok(found)
    }

    fn look_up(&self, path: &TreePath) -> Result<Option<(Meta, Xattrs)>, TreeError> {
        for part in self.above(path) {
            match examine(part, path, &self.policy)? {
                Some(Found::Dir(meta, xattrs)) => return Ok(Some((meta, xattrs))),
                Some(Found::Other) => {
                    let why = format!(
                        "it is not a directory, and other content goes below {}",
                        path.display()
                    );
                    return Err(TreeError::Refused {
                        path: part.host_of(path.as_bytes()),
                        why,
                    });
                }
                None => {}
            }
        }
        Ok(None)
    }

    /// What a plain tree has at a path: (where, whether it is a directory).
    ///
    /// # Errors
    /// [`TreeError::Io`] if that cannot be told.
    pub fn claim(&self, path: &TreePath) -> Result<Option<(PathBuf, bool)>, TreeError> {
        for part in self.above(path) {
            if let Some(found) = examine(part, path, &self.policy)? {
                let dir = matches!(found, Found::Dir(..));
                return Ok(Some((part.host_of(path.as_bytes()), dir)));
            }
        }
        Ok(None)
    }

    /// Plain trees that land at `path` or above it, first on the command line first.
    fn above(&self, path: &TreePath) -> impl Iterator<Item = &Part> {
        let dests = std::iter::once(TreePath::root())
            .chain(path.ancestors())
            .chain([path.clone()]);
        let mut dests: Vec<_> = dests.collect();
        dests.dedup();
        let mut found: Vec<_> = dests
            .iter()
            .filter_map(|dest| self.plain.get(dest))
            .flatten()
            .collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, part)| part)
    }
}

impl Part {
    /// Whether this tree has a directory at a path; `None` if it has nothing there.
    ///
    /// # Errors
    /// [`TreeError::Io`] if that cannot be told.
    pub fn has_dir(&self, path: &TreePath) -> Result<Option<bool>, TreeError> {
        let policy = Policy {
            xattrs: super::XattrRule::None,
            ..Policy::default()
        };
        let found = match self.reaches(path) {
            true => examine(self, path, &policy)?,
            false => None,
        };
        Ok(found.map(|found| matches!(found, Found::Dir(..))))
    }
}

enum Found {
    Dir(Meta, Xattrs),
    Other,
}

fn examine(part: &Part, path: &TreePath, policy: &Policy) -> Result<Option<Found>, TreeError> {
    let source = part.source_of(path.as_bytes());
    let fail = |e: std::io::Error| TreeError::io("examine", &part.host_of(path.as_bytes()), e);
    let (dir, name) = match source.iter().rposition(|&b| b == b'/') {
        Some(at) => (&source[..at], &source[at + 1..]),
        None => (
            &b""[..],
            if source.is_empty() {
                &b"."[..]
            } else {
                &source[..]
            },
        ),
    };
    let fd = match part.root.open_dir(dir) {
        Ok(fd) => fd,
        Err(e) if absent(&e) => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    let stat = match retry(|| {
        statx(
            &fd,
            name,
            AtFlags::SYMLINK_NOFOLLOW,
            StatxFlags::BASIC_STATS,
        )
    }) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(e) => return Err(fail(e.into())),
    };
    if FileType::from_raw_mode(u32::from(stat.stx_mode)) != FileType::Directory {
        return Ok(Some(Found::Other));
    }
    let inside = [
        format!("/proc/self/fd/{}/", fd.as_raw_fd()).as_bytes(),
        name,
    ]
    .concat();
    let inside = CString::new(inside).map_err(|e| fail(e.into()))?;
    let xattrs = xattr::read(&inside, policy, &mut Vec::new()).map_err(|fault| match fault {
        xattr::XattrFault::Io(e) => fail(e),
        xattr::XattrFault::Refused(why) => TreeError::Refused {
            path: part.host_of(path.as_bytes()),
            why,
        },
    })?;
    Ok(Some(Found::Dir(meta(&stat), xattrs)))
}

/// A parent that is missing, or that is a link or file, holds nothing at this path;
/// the parent itself is examined in its own turn.
fn absent(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV)
    )
}

fn meta(stat: &Statx) -> Meta {
    Meta {
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        mtime: Mtime {
            secs: stat.stx_mtime.tv_sec,
            nanos: stat.stx_mtime.tv_nsec,
        },
    }
}
