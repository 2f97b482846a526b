//! Keeping a cache within its size: what was used last stays.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Cache, CacheError, HALF, PATIENCE, record};
use crate::layout::Layout;

/// What a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Layers that are remembered.
    pub layers: usize,
    /// Blobs that are kept for them.
    pub blobs: usize,
    /// Findings in trees that are remembered.
    pub trees: usize,
    /// Bytes of all blobs and findings.
    pub bytes: u64,
}

/// What was removed from a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Layers that are forgotten.
    pub layers: usize,
    /// Bytes that are free again.
    pub bytes: u64,
}

struct Remembered {
    used: SystemTime,
    path: PathBuf,
    /// What it keeps in the cache: the blob of a layer's record, and a tree's is itself.
    holds: PathBuf,
    size: u64,
}

impl Cache {
    /// What the cache holds.
    ///
    /// # Errors
    /// [`CacheError::Io`] if it cannot be read.
    pub fn usage(&self) -> Result<Usage, CacheError> {
        let shelf = self.shelf();
        Ok(Usage {
            layers: shelf.layers()?.len(),
            blobs: shelf.blob_files()?.len(),
            trees: shelf.trees()?.len(),
            bytes: shelf.bytes()?,
        })
    }

    fn shelf(&self) -> Shelf<'_> {
        Shelf {
            layout: &self.layout,
            records: &self.records,
            trees: &self.trees,
        }
    }

    /// Prunes if there is more than `limit` and nobody else uses the cache.
    ///
    /// # Errors
    /// As [`prune`](Self::prune).
    pub fn tidy(&mut self, limit: u64) -> Result<Pruned, CacheError> {
        if self.shelf().bytes()? <= limit {
            return Ok(Pruned::default());
        }
        self.prune_within(Duration::ZERO, limit)
    }

    /// Forgets the layers and trees used longest ago until all have at most `limit` bytes.
    ///
    /// Blobs are shared with finished images, so that removing them here harms none.
    ///
    /// # Errors
    /// [`CacheError::Io`] if something cannot be read or removed;
    /// [`CacheError::Layout`] while builds use the cache.
    pub fn prune(&mut self, limit: u64) -> Result<Pruned, CacheError> {
        self.prune_within(PATIENCE, limit)
    }

    fn prune_within(&mut self, patience: Duration, limit: u64) -> Result<Pruned, CacheError> {
        let (records, trees) = (&self.records, &self.trees);
        self.layout.alone(Some(patience), |layout| {
            let shelf = Shelf {
                layout,
                records,
                trees,
            };
            shelf.prune(limit)
        })?
    }
}

/// A cache that nobody else uses at the moment.
struct Shelf<'c> {
    layout: &'c Layout,
    records: &'c Path,
    trees: &'c Path,
}

impl Shelf<'_> {
    fn prune(&self, limit: u64) -> Result<Pruned, CacheError> {
        self.remove_halves()?;
        let mut records = self.layers()?;
        records.extend(self.trees()?);
        // Equally old ones by name, so that what stays does not depend on the directory's order.
        records.sort_by(|a, b| (b.used, &a.path).cmp(&(a.used, &b.path)));
        let (mut kept, mut bytes, mut pruned) = (BTreeSet::new(), 0_u64, Pruned::default());
        for record in records {
            let more = if kept.contains(&record.holds) {
                0
            } else {
                record.size
            };
            if bytes + more <= limit {
                bytes += more;
                kept.insert(record.holds);
                continue;
            }
            remove(&record.path)?;
            if record.holds == record.path {
                pruned.bytes += record.size;
            } else {
                pruned.layers += 1;
            }
        }
        for (path, size) in self.blob_files()? {
            if !kept.contains(&path) {
                remove(&path)?;
                pruned.bytes += size;
            }
        }
        Ok(pruned)
    }

    /// Of all blobs and findings; no record is read, because every build asks.
    fn bytes(&self) -> Result<u64, CacheError> {
        let blobs = self.blob_files()?.into_iter().map(|(_, size)| size);
        let trees = self.trees()?.into_iter().map(|tree| tree.size);
        Ok(blobs.chain(trees).sum())
    }

    /// Nobody else is here, so what is half written was left by processes that have died.
    fn remove_halves(&self) -> Result<(), CacheError> {
        let all = [names(self.records)?, names(self.trees)?].concat();
        let half = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default();
            name.as_encoded_bytes().starts_with(HALF.as_bytes())
        };
        all.into_iter()
            .filter(half)
            .try_for_each(|path| remove(&path))
    }

    fn trees(&self) -> Result<Vec<Remembered>, CacheError> {
        let found = names(self.trees)?.into_iter().filter_map(|path| {
            let metadata = fs::symlink_metadata(&path).ok()?;
            metadata.is_file().then(|| Remembered {
                used: used(&metadata),
                holds: path.clone(),
                path,
                size: metadata.len(),
            })
        });
        Ok(found.collect())
    }

    fn layers(&self) -> Result<Vec<Remembered>, CacheError> {
        let mut found = Vec::new();
        for path in names(self.records)? {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            let used = used(&metadata);
            // Half a record is that of a process that has died, or one under way.
            if let Some(descriptor) = record::blob_of(&path) {
                let holds = self.layout.blobs().path_of(&descriptor.digest);
                let size = descriptor.size;
                found.push(Remembered {
                    used,
                    path,
                    holds,
                    size,
                });
            }
        }
        Ok(found)
    }

    fn blob_files(&self) -> Result<Vec<(PathBuf, u64)>, CacheError> {
        let home = self.layout.path().join("blobs/sha256");
        let sized = |path: PathBuf| {
            let metadata = fs::symlink_metadata(&path).ok()?;
            Some((path, metadata.len()))
        };
        Ok(names(&home)?.into_iter().filter_map(sized).collect())
    }
}

fn used(metadata: &fs::Metadata) -> SystemTime {
    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn names(directory: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let fail = |e| CacheError::io("list", directory, e);
    match fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| Ok(entry.map_err(fail)?.path()))
            .collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(fail(e)),
    }
}

fn remove(path: &Path) -> Result<(), CacheError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(CacheError::io("remove", path, e))
        }
        _ => Ok(()),
    }
}
