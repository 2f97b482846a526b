//! A store in files without names: for images that go into an archive or a stream.
//!
//! Nothing of it is left when the process ends, however it ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::writer::AheadInFile;
use super::{
    Ahead, Algorithm, BlobError, BlobReader, BlobStore, BlobWriter, Descriptor, Digest, Hasher,
};

/// Blobs one after another in as few unnamed files as there are writers at once.
pub struct SpoolStore {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<Digest, Place>,
    /// Files that nobody writes to at the moment, with their lengths.
    idle: Vec<(Arc<File>, u64)>,
}

#[derive(Clone)]
struct Place {
    file: Arc<File>,
    start: u64,
    size: u64,
}

impl SpoolStore {
    /// Keeps its files in `directory`, which should be on a disk rather than in memory.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, action: &'static str, source: io::Error) -> BlobError {
        BlobError::Io {
            action,
            path: self.directory.clone(),
            source,
        }
    }
}

impl BlobStore for SpoolStore {
    fn create_with(&self, algorithm: Algorithm) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        let idle = self.lock().idle.pop();
        let (file, start) = match idle {
            Some(idle) => idle,
            None => {
                let file = tempfile::tempfile_in(&self.directory);
                (
                    Arc::new(file.map_err(|e| self.fail("make a temporary file in", e))?),
                    0,
                )
            }
        };
        let hasher = Hasher::new(algorithm);
        Ok(Box::new(SpoolWriter {
            store: self,
            file,
            start,
            at: start,
            hasher,
        }))
    }

    fn contains(&self, descriptor: &Descriptor) -> Result<bool, BlobError> {
        let state = self.lock();
        Ok(state
            .blobs
            .get(&descriptor.digest)
            .is_some_and(|place| place.size == descriptor.size))
    }

    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader<'_>, BlobError> {
        let digest = descriptor.digest.clone();
        let place = self.lock().blobs.get(&digest).cloned();
        let missing = || BlobError::Missing {
            digest,
            store: "the temporary store".to_owned(),
        };
        let Place { file, start, size } = place.ok_or_else(missing)?;
        Ok(Box::new(SpoolReader {
            file,
            at: start,
            end: start + size,
        }))
    }
}

struct SpoolWriter<'s> {
    store: &'s SpoolStore,
    file: Arc<File>,
    start: u64,
    at: u64,
    hasher: Hasher,
}

impl BlobWriter for SpoolWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let written = self.file.write_all_at(bytes, self.at);
        written.map_err(|e| self.store.fail("write a temporary file in", e))?;
        self.follow(bytes);
        Ok(())
    }

    fn ahead(&self) -> Option<Box<dyn Ahead>> {
        Some(Box::new(AheadInFile {
            file: Arc::clone(&self.file),
            start: self.start,
            path: self.store.directory.clone(),
            flushed: false,
        }))
    }

    fn follow(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
    }

    fn finish(self: Box<Self>, media_type: &str) -> Result<Descriptor, BlobError> {
        let Self {
            store,
            file,
            start,
            at,
            hasher,
        } = *self;
        let (digest, size) = (hasher.finish(), at - start);
        let mut state = store.lock();
        state.blobs.insert(
            digest.clone(),
            Place {
                file: Arc::clone(&file),
                start,
                size,
            },
        );
        state.idle.push((file, at));
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
        })
    }
}

/// What was written a moment ago by this process needs no second hash.
struct SpoolReader {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..room], self.at)?;
        self.at += read as u64;
        if read == 0 && room > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::read_all;

    #[test]
    fn blobs_share_files_and_come_back() {
        let store = SpoolStore::new(&std::env::temp_dir());
        let texts = [&b"first"[..], b"", b"third, and longer"];
        let described = texts.map(|text| {
            let mut writer = store.create().unwrap();
            text.chunks(4)
                .for_each(|chunk| writer.write(chunk).unwrap());
            writer.finish("text/plain").unwrap()
        });
        for (text, descriptor) in texts.iter().zip(&described) {
            assert_eq!(descriptor.digest, Digest::of(text));
            assert_eq!(read_all(&store, descriptor, 100).unwrap(), *text);
        }
        assert_eq!(store.lock().idle.len(), 1);
    }

    #[test]
    fn an_abandoned_writer_leaves_no_blob() {
        let store = SpoolStore::new(&std::env::temp_dir());
        let mut writer = store.create().unwrap();
        writer.write(b"half").unwrap();
        drop(writer);
        let descriptor = Descriptor {
            media_type: "a/b".into(),
            digest: Digest::of(b"half"),
            size: 4,
        };
        assert!(!store.contains(&descriptor).unwrap());
        assert!(store.open(&descriptor).is_err());
    }
}
