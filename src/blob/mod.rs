//! Content-addressed bytes: digests, descriptors, and the stores that hold blobs.
//!
//! A [`Descriptor`] with the name of new bytes comes from [`BlobWriter::finish`] only.

mod adopt;
mod digest;
mod dir;
pub(crate) mod folder;
mod ledger;
mod memory;
mod spool;
mod store;
mod sum;
pub(crate) mod temporary;
mod verify;
mod writer;

pub use adopt::Trust;
pub use digest::{Algorithm, DiffId, Digest, DigestFault, Hasher};
pub use dir::{DirStore, SyncMode};
pub use ledger::Ledger;
pub use memory::MemoryStore;
pub use spool::SpoolStore;
pub use store::{Ahead, BlobReader, BlobStore, BlobWriter, Descriptor, read_all};
pub(crate) use store::{COPY_BUFFER, unreadable};
pub(crate) use verify::verifying;

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
    /// The bytes of a blob could not be read to their end.
    #[error("could not read blob {digest}")]
    Unreadable {
        /// The blob.
        digest: Digest,
        /// Why not.
        source: io::Error,
    },
    /// A name that must be a directory is something else.
    #[error("{} is {found}, not a directory", path.display())]
    NotADirectory {
        /// The name.
        path: PathBuf,
        /// What it is, in words.
        found: &'static str,
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
            Self::Io { .. } | Self::Unreadable { .. } => ErrorKind::Io,
            Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::TooLarge { .. }
            | Self::NotADirectory { .. } => ErrorKind::Invalid,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } | Self::Unreadable { source, .. } => advice(source),
            Self::Damaged { .. } => Some(
                "build or copy the image into the layout again: damaged blobs are rewritten"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// What helps against an error of the operating system.
pub(crate) fn advice(error: &io::Error) -> Option<String> {
    let text = match error.kind() {
        io::ErrorKind::StorageFull => "free some space or some inodes, then run it again",
        io::ErrorKind::QuotaExceeded => "the quota is used up: free some space, then run it again",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: choose another output",
        io::ErrorKind::FileTooLarge => "a file may not be that large here: see `ulimit -f`",
        _ if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "too few files may be open at once: see `ulimit -n`"
        }
        _ => return None,
    };
    Some(text.to_owned())
}
