//! Content-addressed bytes: digests, descriptors, and the stores that hold blobs.
//!
//! A [`Descriptor`] with the name of new bytes comes from [`BlobWriter::finish`] only.

mod digest;
mod dir;
mod memory;
mod store;

pub use digest::{Algorithm, DiffId, Digest, DigestFault, Hasher};
pub use dir::{DirStore, SyncMode};
pub use memory::MemoryStore;
pub use store::{BlobReader, BlobStore, BlobWriter, Descriptor, read_all};

use std::io;
use std::path::PathBuf;

use crate::error::ErrorKind;

/// A blob that could not be read, written or trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
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
    /// No such blob in this store.
    #[error("blob {digest} is missing from {store}")]
    Missing {
        /// The blob.
        digest: Digest,
        /// Where it was looked for.
        store: String,
    },
    /// The bytes do not have the digest or the size that was promised.
    #[error("blob {digest} is damaged: {fault}")]
    Damaged {
        /// The promised digest.
        digest: Digest,
        /// What is wrong, in words.
        fault: String,
    },
    /// A document larger than plywood is willing to hold in memory.
    #[error("blob {digest} has {size} bytes, more than the {limit} that a document may have")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl BlobError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } => ErrorKind::Io,
            Self::Missing { .. } | Self::Damaged { .. } | Self::TooLarge { .. } => {
                ErrorKind::Invalid
            }
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        None
    }
}
