//! What earlier builds found in trees, kept beside their layers.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{CacheError, HALF, settled, touch};
use crate::blob::folder::open_regular;
use crate::tree::{Memory, Settled};

/// Version of what is kept; another one is not read.
const VERSION: &str = "v1";

/// The findings of earlier builds, and those of this one until it is over.
///
/// Nothing is written into the cache before the build has come to its end: what is kept
/// meanwhile is in a file without a name.
pub struct TreeMemory {
    home: PathBuf,
    settled: Settled,
    fresh: Mutex<Fresh>,
}

struct Fresh {
    file: File,
    end: u64,
    /// Names with where in the file their bytes are.
    kept: Vec<(String, u64, u64)>,
}

impl TreeMemory {
    /// For the cache at `cache`; if that does not exist yet, `temporary` is a directory for
    /// what will go there.
    ///
    /// # Errors
    /// [`CacheError::Io`] if no file can be made in either.
    pub fn open(cache: &Path, temporary: &Path) -> Result<Self, CacheError> {
        let fail = |e| CacheError::io("make a temporary file in", temporary, e);
        let file = tempfile::tempfile_in(cache)
            .or_else(|_| tempfile::tempfile_in(temporary))
            .map_err(fail)?;
        Ok(Self {
            home: home(cache),
            settled: settled(&file).map_err(fail)?,
            fresh: Mutex::new(Fresh {
                file,
                end: 0,
                kept: Vec::new(),
            }),
        })
    }

    /// Puts what this build has found into the cache. What cannot be is left out.
    pub(super) fn save(&self) -> Result<(), CacheError> {
        let fresh = self.lock();
        if fresh.kept.is_empty() {
            return Ok(());
        }
        let fail = |e| CacheError::io("make the directory", &self.home, e);
        fs::create_dir_all(&self.home).map_err(fail)?;
        for (name, from, to) in &fresh.kept {
            let path = self.home.join(name);
            let fail = |e| CacheError::io("write the record", &path, e);
            let mut record = tempfile::Builder::new()
                .prefix(HALF)
                .tempfile_in(&self.home)
                .map_err(fail)?;
            copy(&fresh.file, *from..*to, record.as_file_mut()).map_err(fail)?;
            record.persist(&path).map_err(|e| fail(e.error))?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the trees of a cache are.
pub(super) fn home(cache: &Path) -> PathBuf {
    cache.join("trees").join(VERSION)
}

fn copy(from: &File, range: std::ops::Range<u64>, to: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    let mut at = range.start;
    while at < range.end {
        let now = (range.end - at).min(buffer.len() as u64) as usize;
        from.read_exact_at(&mut buffer[..now], at)?;
        to.write_all(&buffer[..now])?;
        at += now as u64;
    }
    Ok(())
}

impl Memory for TreeMemory {
    fn recall(&self, name: &str) -> Option<Box<dyn Read>> {
        let path = self.home.join(name);
        let mut file = open_regular(&path)?;
        // What was found of the same tree with other flags is as whole, and wrong.
        let mut told = vec![0; name.len()];
        file.read_exact(&mut told).ok()?;
        if told != name.as_bytes() {
            return None;
        }
        touch(&path);
        Some(Box::new(file))
    }

    fn keep(&self, name: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) {
        let mut fresh = self.lock();
        let from = fresh.end;
        let written = fresh.file.seek(SeekFrom::Start(from)).and_then(|_| {
            fresh.file.write_all(name.as_bytes())?;
            write(&mut fresh.file)?;
            fresh.file.stream_position()
        });
        match written {
            Ok(end) => {
                fresh.end = end;
                fresh.kept.push((name.to_owned(), from, end));
            }
            Err(error) => tracing::debug!(%error, "a tree will not be remembered"),
        }
    }

    fn settled(&self) -> Settled {
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(memory: &TreeMemory, name: &str) -> Option<String> {
        let mut text = String::new();
        memory.recall(name)?.read_to_string(&mut text).ok()?;
        Some(text)
    }

    #[test]
    fn keeps_nothing_in_the_cache_before_the_end() {
        let (cache, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let memory = TreeMemory::open(cache.path(), temporary.path()).unwrap();
        memory.keep("a", &mut |out| out.write_all(b"one"));
        memory.keep("b", &mut |out| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        memory.keep("c", &mut |out| out.write_all(b"two"));
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
        assert_eq!(told(&memory, "a"), None);
        memory.save().unwrap();
        let of = |name| told(&memory, name);
        assert_eq!(of("a").as_deref(), Some("one"));
        assert_eq!(of("b"), None);
        assert_eq!(of("c").as_deref(), Some("two"));
        let of = |name| home(cache.path()).join(name);
        fs::copy(of("c"), of("a")).unwrap();
        assert_eq!(told(&memory, "a"), None, "under another name");
    }

    #[test]
    fn waits_for_no_fifo() {
        let cache = tempfile::tempdir().unwrap();
        let memory = TreeMemory::open(cache.path(), cache.path()).unwrap();
        memory.keep("a", &mut |out| out.write_all(b"one"));
        memory.save().unwrap();
        let path = home(cache.path()).join("a");
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert_eq!(told(&memory, "a"), None);
    }
}
