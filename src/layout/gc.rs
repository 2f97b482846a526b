//! Removing blobs that no name leads to.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::{Layout, LayoutError, is_branch, successors, sweep};
use crate::blob::folder::{Folder, Found};
use crate::blob::{Algorithm, Digest};

/// What to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct GcOptions {
    /// Only say what would be removed.
    pub dry_run: bool,
    /// Keep what was written at this time or later: programs that take no locks may be at work.
    pub older_than: Option<SystemTime>,
}

/// A blob that nothing leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Layout {
    /// Removes blobs that `index.json` does not lead to, and what dead writers left.
    ///
    /// Returns them, sorted by digest. Waits until no other writer is about.
    ///
    /// # Errors
    /// [`LayoutError::Graph`] if a document cannot be followed: nothing is removed then, because
    /// what it leads to is not known. [`LayoutError::Locked`].
    pub fn gc(&mut self, options: GcOptions) -> Result<Vec<Garbage>, LayoutError> {
        self.alone(self.patience.timeout, |layout| layout.collect(options))?
    }

    fn collect(&self, options: GcOptions) -> Result<Vec<Garbage>, LayoutError> {
        let reachable = self.reachable()?;
        let mut garbage = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let Some(home) = self.home(algorithm)? else {
                continue;
            };
            for name in home.names()? {
                let Ok(digest) = format!("{}:{name}", algorithm.name()).parse::<Digest>() else {
                    continue;
                };
                if reachable.contains(&digest) {
                    continue;
                }
                if let Some(size) = garbage_size(&home, &name, options.older_than)? {
                    garbage.push(Garbage { digest, size });
                    if !options.dry_run {
                        home.remove(&name)?;
                    }
                }
            }
        }
        if !options.dry_run {
            sweep(self.folder())?;
        }
        Ok(garbage)
    }

    fn home(&self, algorithm: Algorithm) -> Result<Option<Folder>, LayoutError> {
        let blobs = self.folder().child("blobs")?;
        Ok(blobs
            .and_then(|blobs| blobs.child(algorithm.name()).transpose())
            .transpose()?)
    }

    fn reachable(&self) -> Result<BTreeSet<Digest>, LayoutError> {
        let mut seen = BTreeSet::new();
        // A descriptor that calls a manifest a mere file does not end the search below it.
        let mut followed = BTreeSet::new();
        let mut queue: Vec<_> = {
            let index = self.index()?.value;
            index.manifests.into_iter().map(|e| e.descriptor).collect()
        };
        while let Some(descriptor) = queue.pop() {
            seen.insert(descriptor.digest.clone());
            if is_branch(&descriptor.media_type) && followed.insert(descriptor.digest.clone()) {
                let listed = successors(&self.blobs, &descriptor);
                queue.extend(listed.map_err(|source| LayoutError::Graph {
                    path: self.path().to_owned(),
                    source: Box::new(source),
                })?);
            }
        }
        Ok(seen)
    }
}

/// The size of what is under a blob's name, unless it is too young.
fn garbage_size(
    home: &Folder,
    name: &str,
    older_than: Option<SystemTime>,
) -> Result<Option<u64>, LayoutError> {
    let Found::File(file, _) = home.find(name)? else {
        return Ok(Some(0));
    };
    let metadata = file
        .metadata()
        .map_err(|source| crate::blob::folder::failed("look at", home.path_of(name), source))?;
    let young = match (older_than, metadata.modified()) {
        (Some(limit), Ok(modified)) => modified >= limit,
        _ => false,
    };
    Ok((!young).then_some(metadata.len()))
}
