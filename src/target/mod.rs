//! Where an image goes: a graph of blobs is copied, children before parents.

use crate::blob::BlobStore;
use crate::error::ErrorKind;
use crate::image::IndexEntry;

/// A place that images are copied to; a new output is a new implementation and nothing else.
pub trait Target {
    /// Copies everything reachable from `entries` and then names them.
    ///
    /// # Errors
    /// [`TargetError`]; nothing is named then.
    fn send(&mut self, from: &dyn BlobStore, entries: &[IndexEntry]) -> Result<(), TargetError>;
}

/// An image that could not be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {}

impl TargetError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::Io
    }

    pub(crate) fn hint(&self) -> Option<String> {
        None
    }
}
