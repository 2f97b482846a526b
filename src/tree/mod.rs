//! A file tree as data: paths, entries, walking a disk, joining trees.

mod entry;
mod path;

pub use entry::{Device, Entry, Kind, Meta, Mtime, Xattrs};
pub use path::{PATH_LIMIT, PathFault, TreePath};

use crate::error::ErrorKind;

/// A file tree that could not be read or joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {}

impl TreeError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::Io
    }

    pub(crate) fn hint(&self) -> Option<String> {
        None
    }
}
