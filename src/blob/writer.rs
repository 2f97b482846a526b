//! A blob on its way into a directory: hashed and written in one pass.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

use super::dir::DirStore;
use super::folder::failed;
use super::sum::Summing;
use super::temporary::Temporary;
use super::{Ahead, Algorithm, BlobError, BlobWriter, Descriptor, Hasher};

/// Writes of at least this size go straight to the file; smaller ones are gathered.
const GATHER: usize = 128 << 10;

/// Bytes, their hash so far, and the file they go to.
pub(super) struct DirWriter<'a> {
    store: &'a DirStore,
    temporary: Temporary<'a>,
    hasher: Hasher,
    /// None if nobody remembers it, or if making it costs more than it may save: bytes that
    /// are put into their places by many threads are as quickly made anew.
    sum: Option<Summing>,
    gathered: Vec<u8>,
    size: u64,
}

impl<'a> DirWriter<'a> {
    pub(super) fn new(store: &'a DirStore, algorithm: Algorithm, temporary: Temporary<'a>) -> Self {
        Self {
            store,
            temporary,
            hasher: Hasher::new(algorithm),
            sum: store.remembers().then(Summing::default),
            gathered: Vec::new(),
            size: 0,
        }
    }

    fn hash(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn pass_on(&mut self) -> Result<(), BlobError> {
        let written = self.temporary.file.write_all(&self.gathered);
        self.gathered.clear();
        written.map_err(|source| failed("write a blob in", self.temporary.path(), source))
    }
}

/// Puts bytes into a file that is on the way to a blob.
pub(super) struct AheadInFile {
    pub file: Arc<File>,
    /// Where the blob starts in it.
    pub start: u64,
    /// For messages.
    pub path: PathBuf,
    /// Whether the blob will be flushed when it is whole.
    pub flushed: bool,
}

impl Ahead for AheadInFile {
    fn put(&self, bytes: &[u8], at: u64) -> Result<(), BlobError> {
        let at = self.start + at;
        let written = self.file.write_all_at(bytes, at);
        written.map_err(|source| failed("write a blob in", self.path.clone(), source))?;
        if self.flushed {
            // Starts writing to disk without waiting for it: what is flushed at the end is less.
            let len = NonZeroU64::new(bytes.len() as u64);
            let _ = fadvise(&self.file, at, len, Advice::DontNeed);
        }
        Ok(())
    }
}

impl BlobWriter for DirWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.hash(bytes);
        if let Some(sum) = &mut self.sum {
            sum.update(bytes);
        }
        if self.gathered.len() + bytes.len() > GATHER {
            self.pass_on()?;
        }
        if bytes.len() >= GATHER {
            let written = self.temporary.file.write_all(bytes);
            return written
                .map_err(|source| failed("write a blob in", self.temporary.path(), source));
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    fn ahead(&self) -> Option<Box<dyn Ahead>> {
        Some(Box::new(AheadInFile {
            file: Arc::new(self.temporary.file.try_clone().ok()?),
            start: 0,
            path: self.temporary.path(),
            flushed: self.store.flushes(),
        }))
    }

    fn follow(&mut self, bytes: &[u8]) {
        self.sum = None;
        self.hash(bytes);
    }

    fn finish(mut self: Box<Self>, media_type: &str) -> Result<Descriptor, BlobError> {
        self.pass_on()?;
        let Self {
            store,
            temporary,
            hasher,
            sum,
            size,
            ..
        } = *self;
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: hasher.finish(),
            size,
        };
        store.install(temporary, &descriptor, sum.map(Summing::finish))?;
        Ok(descriptor)
    }
}
