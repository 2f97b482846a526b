//! The image-layout chapter: a directory with `oci-layout`, `index.json` and `blobs/`.
//!
//! What is promised here holds through crashes, power cuts, full disks and rivals:
//!
//! - a name in `index.json` means that all its blobs are there, whole, and on stable storage;
//! - `index.json` is replaced in one step, under a lock, and only by itself with a change;
//! - nothing that plywood does not know is dropped, and what is not a layout is not touched.
//!
//! Two locks on directory handles do it. Writers hold the layout directory *shared* as long as
//! they live; whoever gets it *exclusively* knows that no writer is about and may sweep. The
//! `blobs` directory is locked exclusively while the index is read, changed and replaced: it is
//! the one thing of a layout that is never replaced itself.

mod document;
mod error;
mod gc;
mod lock;
mod survey;

pub(crate) use document::{empty as empty_index, is_branch, put, successors};
pub use error::LayoutError;
pub use gc::{Garbage, GcOptions};
pub use lock::OnWait;
pub(crate) use survey::MARKER_TEXT;

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::blob::folder::{Folder, failed};
use crate::blob::temporary::{Kind, Temporary};
use crate::blob::{BlobError, DirStore, Ledger, SyncMode};
use crate::image::{Index, IndexEntry, Raw, canonical, parse_strict};
use lock::Patience;
use survey::{INDEX, MARKER, Survey, missing};

/// How a layout is written.
#[derive(Clone, Default)]
pub struct WriteOptions {
    /// Whether what is written is put on stable storage.
    pub sync: SyncMode,
    /// How long to wait for other processes; for ever by default.
    pub lock_timeout: Option<Duration>,
    /// Told when another process is waited for.
    pub on_wait: Option<OnWait>,
    /// Which blobs were hashed before: in memory by default.
    pub ledger: Arc<Ledger>,
}

/// An image layout on disk.
pub struct Layout {
    /// The handle of its directory also holds the lock.
    blobs: DirStore,
    sync: SyncMode,
    patience: Patience,
}

impl Layout {
    /// Opens a layout for reading.
    ///
    /// # Errors
    /// [`LayoutError::NotALayout`] says what is wrong; [`LayoutError::Index`].
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        let not = |fault| LayoutError::NotALayout {
            path: path.to_owned(),
            fault,
        };
        let folder = Folder::open(path)?.ok_or_else(|| missing(path))?;
        match survey::survey(&folder)? {
            Survey::Layout => {}
            Survey::Begin => return Err(not(format!("there is no file {MARKER}"))),
            Survey::Foreign(fault) => return Err(not(fault)),
        }
        // Keeps gc away while this is read. A reader never waits, and reads where nothing can be
        // locked as well.
        let _ = lock::attempt(&folder, false);
        let Some(blobs) = DirStore::of_folder(folder)? else {
            return Err(not("there is no directory blobs".to_owned()));
        };
        let layout = Self {
            blobs,
            sync: SyncMode::None,
            patience: Patience::default(),
        };
        if layout.read_index()?.is_none() {
            return Err(not(format!(
                "there is no {INDEX}: no image was finished in it"
            )));
        }
        Ok(layout)
    }

    /// Opens a layout for writing: makes it, or completes one whose making was cut short.
    ///
    /// Sweeps what dead processes left behind, if no other writer is about.
    ///
    /// # Errors
    /// [`LayoutError::Occupied`] for a directory with other things in it, which is not touched;
    /// [`LayoutError::Index`], [`LayoutError::Locked`], or why it could not be written.
    pub fn create_or_open(path: &Path, options: &WriteOptions) -> Result<Self, LayoutError> {
        let folder = Folder::make_all(path, options.sync == SyncMode::Full)?;
        refuse_foreign(&folder)?;
        Self::write_to(folder, options)
    }

    /// Removes what dead processes left in a layout, if it is one and nobody else is about.
    ///
    /// [`create_or_open`](Self::create_or_open) does so itself, but not while this very process
    /// reads the layout. So it is called before images are read that may lie where they go to.
    /// Nothing here can fail: what cannot be removed stays.
    pub fn sweep_the_dead(path: &Path) {
        let Ok(Some(folder)) = Folder::open(path) else {
            return;
        };
        if matches!(survey::survey(&folder), Ok(Survey::Layout))
            && matches!(lock::attempt(&folder, true), Ok(true))
        {
            let _ = sweep(&folder);
        }
    }

    /// Opens an existing layout to change it: to tag, untag and remove.
    ///
    /// # Errors
    /// [`LayoutError::NotALayout`] if there is none; else as [`create_or_open`](Self::create_or_open).
    pub fn open_to_change(path: &Path, options: &WriteOptions) -> Result<Self, LayoutError> {
        Self::open(path)?;
        let folder = Folder::open(path)?.ok_or_else(|| missing(path))?;
        Self::write_to(folder, options)
    }

    fn write_to(folder: Folder, options: &WriteOptions) -> Result<Self, LayoutError> {
        let patience = Patience {
            timeout: options.lock_timeout,
            on_wait: options.on_wait.clone(),
        };
        if lock::attempt(&folder, true)? {
            sweep(&folder)?;
        }
        lock::acquire(&folder, false, &patience)?;
        // Once more, because somebody else may have begun while this one waited.
        if refuse_foreign(&folder)? == Survey::Begin {
            write_marker(&folder, options.sync)?;
        }
        let layout = Self {
            blobs: DirStore::in_folder(folder, options.sync, options.ledger.clone())?,
            sync: options.sync,
            patience,
        };
        // Better refused now than after an hour of work.
        layout.read_index()?;
        Ok(layout)
    }

    /// Does something while no other process has this layout open for writing; waits
    /// at most as long as is said.
    ///
    /// # Errors
    /// [`LayoutError::Locked`] if others do not finish in time; then nothing was done.
    pub(crate) fn alone<T>(
        &mut self,
        timeout: Option<Duration>,
        act: impl FnOnce(&Self) -> T,
    ) -> Result<T, LayoutError> {
        let patience = Patience {
            timeout,
            ..self.patience.clone()
        };
        // The shared lock becomes an exclusive one: in between, it is nobody's.
        let done = lock::acquire(self.folder(), true, &patience).map(|()| act(self));
        lock::acquire(self.folder(), false, &self.patience)?;
        done
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder().path()
    }

    /// Its blobs.
    pub fn blobs(&self) -> &DirStore {
        &self.blobs
    }

    /// `index.json`; an empty index where none was written yet.
    ///
    /// # Errors
    /// [`LayoutError::Index`], or why it could not be read.
    pub fn index(&self) -> Result<Raw<Index>, LayoutError> {
        let index = self.read_index()?;
        Ok(index.unwrap_or_else(|| Index::default().into_raw()))
    }

    /// Names images: an entry replaces the one of its reference name, or is added; an image
    /// without a name replaces an earlier one without a name for its platform.
    ///
    /// All blobs must have been written through [`blobs`](Self::blobs), or found there. When this
    /// returns they and the names are on stable storage, unless [`SyncMode::None`] was asked for.
    ///
    /// # Errors
    /// [`LayoutError`]; no name has changed then, unless only the last flush failed.
    pub fn publish(&self, entries: &[IndexEntry]) -> Result<(), LayoutError> {
        self.edit(|index| {
            document::supersede(index, entries);
            for entry in entries {
                document::put(index, entry);
            }
            Ok(())
        })
    }

    /// Removes names; the blobs stay until [`gc`](Self::gc).
    ///
    /// # Errors
    /// [`LayoutError::UnknownName`] if one does not exist; none is removed then.
    pub fn untag(&self, names: &[String]) -> Result<(), LayoutError> {
        self.edit(|index| {
            let entries = self.index()?.value.manifests;
            match names.iter().find(|name| !document::remove(index, name)) {
                Some(name) => Err(self.unknown(name, &entries)),
                None => Ok(()),
            }
        })
    }

    /// The entry of a tag or of `@sha256:…`; without either, the only one.
    ///
    /// # Errors
    /// [`LayoutError::UnknownName`], [`LayoutError::Ambiguous`]: both list the tags.
    pub fn resolve(&self, name: Option<&str>) -> Result<IndexEntry, LayoutError> {
        let entries = self.index()?.value.manifests;
        let Some(name) = name else {
            // What is attached to an image does not make it ambiguous.
            let images: Vec<_> = { entries.iter() }
                .filter(|entry| entry.artifact_type.is_none())
                .collect();
            return match images.split_first() {
                Some((first, rest)) if rest.iter().all(|e| e.descriptor == first.descriptor) => {
                    Ok((*first).clone())
                }
                _ => Err(LayoutError::Ambiguous {
                    path: self.path().to_owned(),
                    count: images.len(),
                    known: names(&entries),
                }),
            };
        };
        let found = entries.iter().find(|entry| match name.strip_prefix('@') {
            Some(digest) => entry.descriptor.digest.to_string() == digest,
            None => entry.ref_name() == Some(name),
        });
        match found {
            Some(entry) => Ok(entry.clone()),
            None => Err(self.unknown(name, &entries)),
        }
    }

    fn folder(&self) -> &Folder {
        self.blobs.root()
    }

    fn unknown(&self, name: &str, entries: &[IndexEntry]) -> LayoutError {
        LayoutError::UnknownName {
            path: self.path().to_owned(),
            name: name.escape_debug().to_string(),
            known: names(entries),
        }
    }

    fn read_index(&self) -> Result<Option<Raw<Index>>, LayoutError> {
        let refused = |source| LayoutError::Index {
            path: self.folder().path_of(INDEX),
            source: Box::new(source),
        };
        let Some(bytes) = survey::read_index(self.folder())? else {
            return Ok(None);
        };
        let bytes = bytes.map_err(|fault| self.damaged(&fault))?;
        Index::parse(bytes).map(Some).map_err(refused)
    }

    fn damaged(&self, fault: &dyn std::fmt::Display) -> LayoutError {
        LayoutError::Damaged {
            path: self.folder().path_of(INDEX),
            fault: fault.to_string(),
        }
    }

    /// Reads, changes and replaces the index while nobody else does.
    fn edit(
        &self,
        change: impl FnOnce(&mut Value) -> Result<(), LayoutError>,
    ) -> Result<(), LayoutError> {
        self.blobs.flush()?;
        let gone = || missing(&self.folder().path_of("blobs"));
        let guard = self.folder().child("blobs")?.ok_or_else(gone)?;
        lock::acquire(&guard, true, &self.patience)?;
        let old = self.read_index()?;
        let first = old.is_none();
        let mut index = match old {
            // Parsed a second time, into plain JSON: editing that knows less keeps more.
            Some(old) => parse_strict(&old.bytes).map_err(|fault| self.damaged(&fault))?,
            None => document::empty(),
        };
        change(&mut index)?;
        // Even without sync, the names that were there before must outlive a power cut.
        let sync = self.sync == SyncMode::Full || !first;
        let mut temporary = self.blobs.temporary(self.folder())?;
        fill(&mut temporary, &canonical(&index), sync)?;
        temporary.replace(self.folder(), INDEX)?;
        drop(guard);
        if self.sync == SyncMode::Full {
            self.folder().sync()?;
            if first {
                sync_parent(self.folder())?;
            }
        }
        self.blobs.remember();
        Ok(())
    }
}

fn names(entries: &[IndexEntry]) -> Vec<String> {
    entries
        .iter()
        .filter_map(IndexEntry::ref_name)
        .map(str::to_owned)
        .collect()
}

fn refuse_foreign(folder: &Folder) -> Result<Survey, LayoutError> {
    match survey::survey(folder)? {
        Survey::Foreign(fault) => Err(LayoutError::Occupied {
            path: folder.path().to_owned(),
            fault,
        }),
        fine => Ok(fine),
    }
}

/// Removes what dead writers left. The caller has the layout for itself.
fn sweep(folder: &Folder) -> Result<(), BlobError> {
    for name in folder.names()? {
        if Kind::Layout.owns(&name) {
            match folder.remove(&name) {
                // Another user's: no reason not to build.
                Err(error) if !is_forbidden(&error) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

fn is_forbidden(error: &BlobError) -> bool {
    matches!(error, BlobError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied)
}

/// The first thing of a new layout: from here on it is recognised.
fn write_marker(folder: &Folder, sync: SyncMode) -> Result<(), BlobError> {
    let mut temporary = Temporary::named(folder, Kind::Layout)?;
    fill(&mut temporary, MARKER_TEXT, sync == SyncMode::Full)?;
    temporary.replace(folder, MARKER)
}

fn fill(temporary: &mut Temporary<'_>, bytes: &[u8], sync: bool) -> Result<(), BlobError> {
    let written = temporary.file.write_all(bytes);
    written.map_err(|source| failed("write", temporary.path(), source))?;
    if sync {
        temporary.sync()?;
    }
    Ok(())
}

/// Puts the layout directory's own name on stable storage, as far as one may open its parent.
fn sync_parent(folder: &Folder) -> Result<(), BlobError> {
    match folder.child("..") {
        Ok(Some(parent)) => parent.sync(),
        _ => Ok(()),
    }
}
