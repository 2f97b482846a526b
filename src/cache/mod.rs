//! Plan-item key → [`LayerBlob`] already made.
//!
//! The cache is a directory: an image layout whose blobs are finished layers, and
//! beside it one small record a key. A record is believed only if it is whole and
//! of this version, and a blob only if it is sound; whatever is wrong with either is
//! a layer made anew, never a failed build. What was found in trees ([`TreeMemory`]) is
//! there as well; every entry of it is held against the disk before it is believed.

mod key;
mod prune;
mod record;
mod trees;

pub use key::{FORMAT, Key, KeyBuilder};
pub use prune::{Pruned, Usage};
pub use trees::TreeMemory;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::blob::{BlobStore, DirStore, Ledger, SyncMode};
use crate::error::ErrorKind;
use crate::layer::LayerBlob;
use crate::layout::{Layout, LayoutError, WriteOptions};
use crate::tree::Settled;

/// A cache that cannot be used; a build goes on without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
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
    /// The directory is no cache.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A newer plywood has written it.
    #[error("the cache {} was written by a newer plywood", path.display())]
    Newer {
        /// The directory.
        path: PathBuf,
    },
}

impl CacheError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } => ErrorKind::Io,
            Self::Layout(error) => error.kind(),
            Self::Newer { .. } => ErrorKind::Unsupported,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Newer { .. } => "name another directory with --cache, or update plywood",
            Self::Io { .. } => {
                "build without it (--no-cache), or name another directory with --cache"
            }
            Self::Layout(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }
}

/// Version of the records and of where they lie; another one is not read.
const VERSION: &str = "v1";

/// What names of records begin with while they are written.
const HALF: &str = ".record-";

/// How long to wait for somebody who prunes the cache.
const PATIENCE: Duration = Duration::from_secs(10);

/// An opened cache. Any number of builds share one.
pub struct Cache {
    layout: Layout,
    records: PathBuf,
    /// Where what was found in trees is kept.
    trees: PathBuf,
    ledger: Arc<Ledger>,
    settled: Settled,
    empty: bool,
}

impl Cache {
    /// Opens a cache, making it if need be.
    ///
    /// # Errors
    /// [`CacheError`] if the directory is something else or cannot be written.
    pub fn open(path: &Path, sync: SyncMode) -> Result<Self, CacheError> {
        let ledger = Arc::new(Ledger::load(&path.join("ledger")));
        let options = WriteOptions {
            sync,
            lock_timeout: Some(PATIENCE),
            ledger: Arc::clone(&ledger),
            ..WriteOptions::default()
        };
        let layout = Layout::create_or_open(path, &options)?;
        refuse_newer(path)?;
        let records = path.join("layers").join(VERSION);
        fs::create_dir_all(&records)
            .map_err(|e| CacheError::io("make the directory", &records, e))?;
        let fail = |e| CacheError::io("list", &records, e);
        let empty = fs::read_dir(&records).map_err(fail)?.next().is_none();
        let fail = |e| CacheError::io("make a temporary file in", &records, e);
        let settled = tempfile::tempfile_in(&records).and_then(|new| settled(&new));
        let settled = settled.map_err(fail)?;
        Ok(Self {
            layout,
            records,
            trees: trees::home(path),
            ledger,
            settled,
            empty,
        })
    }

    /// Which blobs were hashed before: to be shared with the layouts of a build.
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger)
    }

    /// The blobs of the cache.
    pub fn blobs(&self) -> &DirStore {
        self.layout.blobs()
    }

    /// Which changes on disk were over when this build began.
    pub fn settled(&self) -> Settled {
        self.settled
    }

    /// Whether nothing has been kept yet.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// The layer of a key, put into `into` if it is not there yet; `None` whenever
    /// anything about it is in doubt.
    pub fn find(&self, key: &Key, into: &DirStore) -> Option<LayerBlob> {
        let path = self.records.join(key.as_str());
        let blob = record::read(&path, key)?;
        let there = into.contains(&blob.descriptor).unwrap_or(false)
            || into.share(self.layout.blobs(), &blob.descriptor).is_ok();
        if !there {
            return None;
        }
        touch(&path);
        Some(LayerBlob {
            cached: true,
            ..blob
        })
    }

    /// Remembers a layer that was made into `from`.
    ///
    /// # Errors
    /// [`CacheError::Io`] if there is no room, for one.
    pub fn keep(&self, key: &Key, blob: &LayerBlob, from: &DirStore) -> Result<(), CacheError> {
        let shared = self.layout.blobs().share(from, &blob.descriptor);
        shared.map_err(|e| CacheError::Layout(e.into()))?;
        record::write(&self.records, key, blob)
    }

    /// Saves what is known about blobs and was found in trees; to be called when the build
    /// is over.
    pub fn close(&self, trees: Option<&TreeMemory>) {
        self.layout.blobs().remember();
        if let Some(Err(error)) = trees.map(TreeMemory::save) {
            tracing::warn!(%error, "what was found in trees was not put into the cache");
        }
    }
}

/// Sets a record's time of last use; that it cannot be told is no matter.
fn touch(path: &Path) {
    // The kernel knows what time it is; the library does not.
    let now = |tv_nsec| rustix::fs::Timespec { tv_sec: 0, tv_nsec };
    let times = rustix::fs::Timestamps {
        last_access: now(rustix::fs::UTIME_OMIT),
        last_modification: now(rustix::fs::UTIME_NOW),
    };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    let _ = rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags);
}

fn refuse_newer(path: &Path) -> Result<(), CacheError> {
    let layers = path.join("layers");
    let Ok(entries) = fs::read_dir(&layers) else {
        return Ok(());
    };
    let version = |name: &str| {
        name.strip_prefix('v')
            .and_then(|number| number.parse::<u32>().ok())
    };
    let ours = version(VERSION);
    let newer = entries
        .flatten()
        .any(|entry| entry.file_name().to_str().and_then(version) > ours);
    if newer {
        Err(CacheError::Newer {
            path: path.to_owned(),
        })
    } else {
        Ok(())
    }
}

/// Which changes on disk were over when a file was made a moment ago, by the clock that
/// stamps files there.
fn settled(new: &fs::File) -> io::Result<Settled> {
    use std::os::unix::fs::MetadataExt;
    let made = new.metadata()?;
    let began = made.ctime().saturating_mul(1_000_000_000);
    Ok(Settled::of_run(began.saturating_add(made.ctime_nsec())))
}
