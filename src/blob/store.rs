//! What every blob store can do.

use std::io::Read;

use super::{BlobError, Digest};

/// The three required members of a content descriptor (descriptor chapter).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: String,
    /// Their digest as stored.
    pub digest: Digest,
    /// Their length in bytes as stored.
    pub size: u64,
}

/// A place for blobs: a layout directory, memory, an archive opened for reading.
///
/// Shared by all workers of a build, hence `Sync`.
pub trait BlobStore: Sync {
    /// Starts a new blob; nothing is visible in the store before `finish`.
    ///
    /// # Errors
    /// [`BlobError::Io`] if the store cannot be written.
    fn create(&self) -> Result<Box<dyn BlobWriter + '_>, BlobError>;

    /// Whether the blob is here, whole and with the right digest and size.
    ///
    /// # Errors
    /// [`BlobError::Io`] if that cannot be told. A damaged blob is `false`.
    fn contains(&self, descriptor: &Descriptor) -> Result<bool, BlobError>;

    /// Opens a blob's bytes. The reader verifies: it fails at the end of the
    /// stream if size or digest are not those of the descriptor.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Io`].
    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader<'_>, BlobError>;
}

/// The bytes of one blob, verified while they are read.
pub type BlobReader<'a> = Box<dyn Read + Send + 'a>;

/// A blob being written. Dropping it leaves nothing behind.
pub trait BlobWriter: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`BlobError::Io`] naming the temporary file.
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError>;

    /// Names the blob by its digest, puts it into the store (durably, if the
    /// store promises that) and describes it.
    ///
    /// # Errors
    /// [`BlobError::Io`]; the store is then as it was before.
    fn finish(self: Box<Self>, media_type: &str) -> Result<Descriptor, BlobError>;
}

/// Reads a whole document of at most `limit` bytes, verified.
///
/// # Errors
/// [`BlobError::TooLarge`] before anything is read; else those of [`BlobStore::open`].
pub fn read_all(
    store: &dyn BlobStore,
    descriptor: &Descriptor,
    limit: u64,
) -> Result<Vec<u8>, BlobError> {
    let (digest, size) = (descriptor.digest.clone(), descriptor.size);
    if size > limit {
        return Err(BlobError::TooLarge {
            digest,
            size,
            limit,
        });
    }
    let mut bytes = Vec::new();
    // The verifying reader reports damage as an io::Error; here it gets its digest back.
    let read = store
        .open(descriptor)?
        .take(size + 1)
        .read_to_end(&mut bytes);
    match read {
        Ok(_) => Ok(bytes),
        Err(fault) => Err(BlobError::Damaged {
            digest,
            fault: fault.to_string(),
        }),
    }
}
