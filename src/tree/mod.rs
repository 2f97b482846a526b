//! A file tree as data: paths, entries, walking a disk, joining trees.
//!
//! [`Part`]s are opened, then listed into one [`Listing`] a layer: sorted, every
//! parent included, each entry with the way back to its bytes.

mod again;
mod entry;
mod exclude;
mod fingerprint;
mod grow;
mod join;
mod listing;
mod memory;
mod node;
mod normalise;
mod parents;
mod part;
mod path;
mod reader;
mod record;
mod root;
mod scan;
mod seen;
mod settle;
mod walk;
mod xattr;

pub use entry::{Device, Entry, Facts, Kind, Meta, Mtime, Xattrs};
pub use exclude::Exclude;
pub use fingerprint::Fingerprint;
pub use grow::{ListRequest, list};
pub use join::{Follow, SymlinkJoin, symlink_join};
pub use listing::Listing;
pub use memory::{Identity, Memory, Settled};
pub use normalise::{ModeRule, MtimeRule, OwnerRule, Policy, XattrRule};
pub use parents::Parents;
pub use part::{Flavour, Opener, Part};
pub use path::{PATH_LIMIT, PathFault, TreePath};
pub use reader::Reader;
pub(crate) use root::retry_std;
pub use seen::Seen;

use std::io;
use std::path::{Path, PathBuf};

use crate::error::ErrorKind;

/// A file tree that could not be read or joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The operating system refused.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file was not the same after it was read as when it was listed.
    #[error("{} changed while it was read: {what}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What about it changed.
        what: &'static str,
    },
    /// Something that no layer can hold.
    #[error("{} cannot be put into an image: {why}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why no layer can hold it.
        why: String,
    },
    /// Two different things claim one place in the image.
    #[error("both {} and {} want to be {place} in the image{}", first.display(), second.display(), others(*more))]
    Conflict {
        /// The place in the image.
        place: String,
        /// One of the two.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// How many further places are claimed twice.
        more: usize,
    },
    /// Something that does not fit what a base image has at its place.
    #[error("{place} is {found} here and {below} in the base image{}", others(*more))]
    Below {
        /// The place in the image.
        place: String,
        /// What would come there, in words.
        found: String,
        /// What is there, in words.
        below: String,
        /// What can be done.
        advice: String,
        /// How many further places do not fit.
        more: usize,
    },
    /// An exclusion pattern that is none.
    #[error("`{pattern}` is not a pattern: {why}")]
    Pattern {
        /// As given.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
}

fn others(more: usize) -> String {
    if more == 0 {
        String::new()
    } else {
        format!(" (and {more} more such places)")
    }
}

impl TreeError {
    pub(crate) fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => ErrorKind::Input,
            Self::Io { .. } | Self::Changed { .. } => ErrorKind::Io,
            Self::Refused { .. } => ErrorKind::Input,
            Self::Conflict { .. } | Self::Below { .. } => ErrorKind::Conflict,
            Self::Pattern { .. } => ErrorKind::Usage,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Below { advice, .. } => advice,
            Self::Changed { .. } => "stop whatever writes there, or build from a snapshot",
            Self::Refused { .. } => "leave it out with --exclude, or rename it",
            Self::Conflict { .. } => {
                "leave one of them out, or give one another place with PATH:DEST"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run as a user who may read it, or leave it out with --exclude"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
