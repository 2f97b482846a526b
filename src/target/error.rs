//! [`TargetError`]: images that cannot be sent or read from an archive.

use std::io;
use std::path::PathBuf;

use crate::blob::{BlobError, DiffId, Digest, advice};
use crate::error::ErrorKind;
use crate::image::ImageError;
use crate::layout::LayoutError;

/// An image that could not be sent, or an archive that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A blob could not be read from the source or written to the target.
    #[error(transparent)]
    Blob(BlobError),
    /// The layout to write to.
    #[error(transparent)]
    Layout(LayoutError),
    /// The archive could not be written.
    #[error("could not write {place}")]
    Write {
        /// The file, or `stdout`.
        place: String,
        /// Why not.
        source: io::Error,
    },
    /// A document on the way that breaks the specification.
    #[error(transparent)]
    Image(ImageError),
    /// A layer whose uncompressed bytes are not what the config says.
    #[error("layer {digest} has the diff ID {found}, but the config says {promised}")]
    DiffId {
        /// The layer's blob.
        digest: Digest,
        /// What its tar hashes to.
        found: Digest,
        /// What the config says.
        promised: DiffId,
    },
    /// A text that names no image.
    #[error("`{text}` names no image: it {fault}")]
    Reference {
        /// As given.
        text: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A name that two images bear.
    #[error("{} has {} images `{name}`: {}", path.display(), choices.len(), choices.join(", "))]
    Twice {
        /// The layout or archive.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The images, with what tells them apart.
        choices: Vec<String>,
    },
    /// A file that is not an archive of images.
    #[error("{} cannot be read as an archive of images: {fault}", path.display())]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
}

impl From<BlobError> for TargetError {
    // A blob error names its path already.
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

impl From<ImageError> for TargetError {
    // An image error names its document.
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl From<LayoutError> for TargetError {
    // As does a layout error.
    fn from(error: LayoutError) -> Self {
        Self::Layout(error)
    }
}

impl TargetError {
    /// Whether a reader of the stream has gone away, which is no fault of anybody's.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Blob(error) => error.kind(),
            Self::Layout(error) => error.kind(),
            Self::Write { .. } => ErrorKind::Io,
            Self::Image(error) => error.kind(),
            Self::Reference { .. } | Self::Twice { .. } => ErrorKind::Usage,
            Self::DiffId { .. } | Self::NotAnArchive { .. } => ErrorKind::Invalid,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Blob(error) => error.hint(),
            Self::Layout(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Write { source, .. } => advice(source),
            Self::Reference { .. } => {
                Some("write [oci:|oci-archive:|docker-archive:]PATH[:TAG|@DIGEST]".to_owned())
            }
            Self::Twice { .. } => Some("choose one with @sha256:…, or with --platform".to_owned()),
            _ => None,
        }
    }
}
