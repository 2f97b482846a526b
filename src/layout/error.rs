//! [`LayoutError`]: layouts that cannot be opened, read or changed.

use std::path::PathBuf;

use crate::blob::BlobError;
use crate::error::ErrorKind;
use crate::image::ImageError;

/// A layout that could not be opened, read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A file or directory of the layout could not be read or written.
    #[error(transparent)]
    Blob(BlobError),
    /// Not an image layout.
    #[error("{} is not an image layout: {fault}", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
        /// What is missing or wrong.
        fault: String,
    },
    /// A directory to write to that holds something else.
    #[error("{} is not empty and not an image layout: {fault}", path.display())]
    Occupied {
        /// The directory; it was not touched.
        path: PathBuf,
        /// What was found, or is missing.
        fault: String,
    },
    /// An `index.json` that breaks the specification; it is never overwritten.
    #[error("{} cannot be used", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ImageError>,
    },
    /// An `index.json` that is no file to read; it is never overwritten.
    #[error("{} {fault}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it is.
        fault: String,
    },
    /// A document that cannot be followed, so that it is not known what is needed.
    #[error("could not tell what the images of {} need", path.display())]
    Graph {
        /// The layout.
        path: PathBuf,
        /// What is wrong with which document.
        source: Box<ImageError>,
    },
    /// A name that the layout does not have.
    #[error("{} has no image `{name}`: {}", path.display(), known_names(known))]
    UnknownName {
        /// The layout.
        path: PathBuf,
        /// The tag or `@digest` asked for.
        name: String,
        /// The tags that exist.
        known: Vec<String>,
    },
    /// No name was given, and there is not exactly one image.
    #[error("{} holds {count} images: {}", path.display(), known_names(known))]
    Ambiguous {
        /// The layout.
        path: PathBuf,
        /// So many images.
        count: usize,
        /// The tags that exist.
        known: Vec<String>,
    },
    /// Another process did not give a lock back in time.
    #[error("{} is still in use by another process after {seconds} s", path.display())]
    Locked {
        /// What was to be locked.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
}

impl From<BlobError> for LayoutError {
    // A blob error names its path already.
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

impl LayoutError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Blob(error) => error.kind(),
            Self::NotALayout { .. }
            | Self::Index { .. }
            | Self::Damaged { .. }
            | Self::Graph { .. } => ErrorKind::Invalid,
            Self::Occupied { .. } => ErrorKind::Conflict,
            Self::UnknownName { .. } | Self::Ambiguous { .. } => ErrorKind::Usage,
            Self::Locked { .. } => ErrorKind::Io,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Blob(error) => return error.hint(),
            Self::Occupied { .. } => "name an empty or a new directory",
            Self::Index { .. } | Self::Damaged { .. } => {
                "plywood never overwrites a damaged index.json: restore it, or remove it if its \
                 tags are not needed any more"
            }
            Self::Ambiguous { .. } => "choose one with :TAG or @sha256:…",
            Self::Locked { .. } => "wait longer with --lock-timeout",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn known_names(known: &[String]) -> String {
    const TOLD: usize = 20;
    if known.is_empty() {
        return "it has no tags".to_owned();
    }
    let mut told: Vec<_> = known
        .iter()
        .take(TOLD)
        .map(|n| n.escape_debug().to_string())
        .collect();
    if known.len() > TOLD {
        told.push(format!("and {} more", known.len() - TOLD));
    }
    format!("its tags are {}", told.join(", "))
}
