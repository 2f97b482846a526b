//! One plan item → one [`LayerBlob`]: tar encoding, compression, hashing, in parallel.
//!
//! Knows file trees and blobs; knows nothing of images.

mod build;
mod codec;
mod queue;
pub mod read;
mod stream;
pub mod tar;

pub use build::{LayerJob, LayerSource, Progress, Silent, build_layers};
pub use codec::Codec;

use crate::blob::{BlobError, Descriptor, DiffId};
use crate::error::ErrorKind;
use crate::tree::TreeError;

/// One finished layer: exists only as the result of writing or verifying it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerBlob {
    /// The blob as stored.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Length of the uncompressed tar in bytes.
    pub tar_size: u64,
    /// Whether it was known already and nothing was read for it.
    pub cached: bool,
}

/// A layer that could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// Its files could not be listed or read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Its blob could not be written.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The compressor refused its level or failed.
    #[error("could not compress layer {layer}: {fault}")]
    Compress {
        /// Number of the layer, from 0.
        layer: usize,
        /// In the compressor's words.
        fault: String,
    },
    /// The build was told to stop.
    #[error("the build was stopped")]
    Cancelled,
    /// A fault of plywood itself.
    #[error("a worker panicked while it made layer {layer}: {fault}")]
    Panicked {
        /// Number of the layer, from 0.
        layer: usize,
        /// The panic's message.
        fault: String,
    },
    /// The threads could not be started.
    #[error("could not start {threads} threads: {fault}")]
    Threads {
        /// How many were wanted.
        threads: usize,
        /// Why not.
        fault: String,
    },
}

impl LayerError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Tree(error) => error.kind(),
            Self::Blob(error) => error.kind(),
            Self::Compress { .. } | Self::Panicked { .. } => ErrorKind::Internal,
            Self::Cancelled | Self::Threads { .. } => ErrorKind::Io,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Tree(error) => error.hint(),
            Self::Blob(error) => error.hint(),
            Self::Panicked { .. } => Some("this is a fault of plywood: please report it".into()),
            _ => None,
        }
    }
}
