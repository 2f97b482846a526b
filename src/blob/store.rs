//! What every blob store can do.

use std::fs::File;
use std::io::Read;

use super::verify::damage;
use super::{Algorithm, BlobError, Digest};

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
    fn create(&self) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        self.create_with(Algorithm::Sha256)
    }

    /// Starts a new blob whose digest is to be of another algorithm: for copies of foreign images.
    ///
    /// # Errors
    /// [`BlobError::Io`] if the store cannot be written.
    fn create_with(&self, algorithm: Algorithm) -> Result<Box<dyn BlobWriter + '_>, BlobError>;

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

    /// A plain file that holds exactly this blob, unverified, if the store has such a file: it can
    /// be cloned instead of copied.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn file(&self, _: &Descriptor) -> Result<Option<File>, BlobError> {
        Ok(None)
    }

    /// Copies a blob from another store, verified.
    ///
    /// # Errors
    /// Those of reading there and of writing here; a damaged blob does not get in.
    fn import(&self, from: &dyn BlobStore, descriptor: &Descriptor) -> Result<(), BlobError> {
        copy_stream(from, self, descriptor)
    }
}

/// Copies a blob byte by byte; the reader verifies it.
pub(crate) fn copy_stream<S: BlobStore + ?Sized>(
    from: &dyn BlobStore,
    to: &S,
    descriptor: &Descriptor,
) -> Result<(), BlobError> {
    let mut reader = from.open(descriptor)?;
    let mut writer = to.create_with(descriptor.digest.algorithm())?;
    let mut buffer = vec![0; COPY_BUFFER];
    loop {
        let read = reader.read(&mut buffer);
        let count = read.map_err(|error| unreadable(&descriptor.digest, error))?;
        match buffer.get(..count) {
            Some([]) | None => break,
            Some(bytes) => writer.write(bytes)?,
        }
    }
    writer.finish(&descriptor.media_type).map(|_| ())
}

/// Bytes that are read and written at once where whole blobs are copied.
pub(crate) const COPY_BUFFER: usize = 256 << 10;

/// An error of a verifying reader, with its digest.
pub(crate) fn unreadable(digest: &Digest, error: std::io::Error) -> BlobError {
    damage(error).unwrap_or_else(|source| BlobError::Unreadable {
        digest: digest.clone(),
        source,
    })
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

    /// A way to put bytes into their places before their turn, from any thread; `None`
    /// if this store has none. All bytes of the blob then take it.
    fn ahead(&self) -> Option<Box<dyn Ahead>> {
        None
    }

    /// Takes the next bytes into the digest, which [`ahead`](Self::ahead) has put there.
    fn follow(&mut self, bytes: &[u8]);

    /// Names the blob by its digest, puts it into the store (durably, if the
    /// store promises that) and describes it.
    ///
    /// # Errors
    /// [`BlobError::Io`]; the store is then as it was before.
    fn finish(self: Box<Self>, media_type: &str) -> Result<Descriptor, BlobError>;
}

/// Puts bytes into a blob out of order.
pub trait Ahead: Send + Sync {
    /// Puts bytes where they belong, counted from the start of the blob.
    ///
    /// # Errors
    /// [`BlobError::Io`] naming the temporary file.
    fn put(&self, bytes: &[u8], at: u64) -> Result<(), BlobError>;
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
    let Descriptor { digest, size, .. } = descriptor;
    if *size > limit {
        return Err(BlobError::TooLarge {
            digest: digest.clone(),
            size: *size,
            limit,
        });
    }
    let mut bytes = Vec::new();
    store
        .open(descriptor)?
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(digest, error))?;
    Ok(bytes)
}
