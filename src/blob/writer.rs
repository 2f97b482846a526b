//! A blob on its way into a directory: hashed and written in one pass.

use std::io::Write;

use super::dir::DirStore;
use super::folder::failed;
use super::temporary::Temporary;
use super::{Algorithm, BlobError, BlobWriter, Descriptor, Hasher};

/// Writes of at least this size go straight to the file; smaller ones are gathered.
const GATHER: usize = 128 << 10;

/// Bytes, their hash so far, and the file they go to.
pub(super) struct DirWriter<'a> {
    store: &'a DirStore,
    temporary: Temporary<'a>,
    hasher: Hasher,
    gathered: Vec<u8>,
    size: u64,
}

impl<'a> DirWriter<'a> {
    pub(super) fn new(store: &'a DirStore, algorithm: Algorithm, temporary: Temporary<'a>) -> Self {
        Self {
            store,
            temporary,
            hasher: Hasher::new(algorithm),
            gathered: Vec::new(),
            size: 0,
        }
    }

    fn pass_on(&mut self) -> Result<(), BlobError> {
        let written = self.temporary.file.write_all(&self.gathered);
        self.gathered.clear();
        written.map_err(|source| failed("write a blob in", self.temporary.path(), source))
    }
}

impl BlobWriter for DirWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
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

    fn finish(mut self: Box<Self>, media_type: &str) -> Result<Descriptor, BlobError> {
        self.pass_on()?;
        let Self {
            store,
            temporary,
            hasher,
            size,
            ..
        } = *self;
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: hasher.finish(),
            size,
        };
        store.install(temporary, &descriptor)?;
        Ok(descriptor)
    }
}
