//! The image-layout chapter: a directory with `oci-layout`, `index.json` and `blobs/`.

use crate::error::ErrorKind;

/// A layout that could not be opened, read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {}

impl LayoutError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::Io
    }

    pub(crate) fn hint(&self) -> Option<String> {
        None
    }
}
