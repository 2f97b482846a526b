//! A store in memory: for tests, and for documents on their way to a layout.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::verify::Verifying;
use super::{Algorithm, BlobError, BlobReader, BlobStore, BlobWriter, Descriptor, Digest, Hasher};

/// Blobs in memory.
#[derive(Default)]
pub struct MemoryStore {
    blobs: Mutex<BTreeMap<Digest, Arc<[u8]>>>,
}

impl MemoryStore {
    /// Adds a blob.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Descriptor {
        self.insert(Digest::of(bytes), media_type, bytes.into())
    }

    /// The digests of all blobs, sorted.
    pub fn digests(&self) -> Vec<Digest> {
        self.lock().keys().cloned().collect()
    }

    fn insert(&self, digest: Digest, media_type: &str, bytes: Arc<[u8]>) -> Descriptor {
        let size = bytes.len() as u64;
        self.lock().insert(digest.clone(), bytes);
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
        }
    }

    // A panic elsewhere cannot leave the map half-changed.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Arc<[u8]>>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore for MemoryStore {
    fn create_with(&self, algorithm: Algorithm) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        Ok(Box::new(MemoryWriter {
            store: self,
            hasher: Hasher::new(algorithm),
            bytes: Vec::new(),
        }))
    }

    fn contains(&self, descriptor: &Descriptor) -> Result<bool, BlobError> {
        let blobs = self.lock();
        let found = blobs.get(&descriptor.digest);
        Ok(found.is_some_and(|bytes| bytes.len() as u64 == descriptor.size))
    }

    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader<'_>, BlobError> {
        let found = self.lock().get(&descriptor.digest).map(Arc::clone);
        let bytes = found.ok_or_else(|| BlobError::Missing {
            digest: descriptor.digest.clone(),
            store: "memory".to_owned(),
        })?;
        Ok(Box::new(Verifying::new(Cursor::new(bytes), descriptor)))
    }
}

struct MemoryWriter<'a> {
    store: &'a MemoryStore,
    hasher: Hasher,
    bytes: Vec<u8>,
}

impl BlobWriter for MemoryWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.bytes.extend_from_slice(bytes);
        self.follow(bytes);
        Ok(())
    }

    fn follow(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    fn finish(self: Box<Self>, media_type: &str) -> Result<Descriptor, BlobError> {
        let digest = self.hasher.finish();
        Ok(self.store.insert(digest, media_type, self.bytes.into()))
    }
}
