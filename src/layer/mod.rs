//! One plan item → one [`LayerBlob`]: tar encoding, compression, hashing, in parallel.
//!
//! Knows file trees and blobs; knows nothing of images.

use crate::blob::{Descriptor, DiffId};
use crate::error::ErrorKind;

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

/// How a layer's tar is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As it is.
    None,
    /// gzip members of fixed size, level 1..=12 (libdeflate's scale).
    Gzip(u8),
    /// zstd frames of fixed size, level 1..=22.
    Zstd(u8),
}

impl Codec {
    /// The layer media type of the image specification (layer chapter).
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip(_) => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd(_) => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// A layer that could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {}

impl LayerError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::Io
    }

    pub(crate) fn hint(&self) -> Option<String> {
        None
    }
}
