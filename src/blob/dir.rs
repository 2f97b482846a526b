//! A store in a directory: `blobs/ALGORITHM/HEX` of an image layout.
//!
//! A blob is under its final name when it is whole, never before, and is trusted there only if it
//! was hashed and has not been touched since.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::adopt::Trust;
use super::folder::{Folder, Found, failed};
use super::ledger::{Knowledge, Ledger, Stamp};
use super::store::{COPY_BUFFER, copy_stream, unreadable};
use super::sum::Sum;
use super::temporary::{Kind, Temporary};
use super::verify::Verifying;
use super::writer::DirWriter;
use super::{Algorithm, BlobError, BlobReader, BlobStore, BlobWriter, Descriptor, Digest};

/// Blobs in a directory.
///
/// Any number of processes may share one: two that write the same blob race without harm.
pub struct DirStore {
    root: Folder,
    blobs: Folder,
    sha256: OnceLock<Folder>,
    sha512: OnceLock<Folder>,
    pub(super) writes: Option<SyncMode>,
    unnamed: AtomicBool,
    ledger: Arc<Ledger>,
    /// What was written or hashed here.
    fresh: Mutex<BTreeMap<Digest, Fresh>>,
}

/// A blob that was written or hashed, and how its file looked then.
#[derive(Clone, Copy)]
struct Fresh {
    stamp: Stamp,
    sum: Option<Sum>,
}

/// Whether blobs are on stable storage when `finish` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// fsync every blob; [`DirStore::flush`] every directory.
    #[default]
    Full,
    /// Leave it to the operating system, except where something whole is replaced.
    None,
}

impl DirStore {
    /// Opens `root/blobs` for reading.
    ///
    /// # Errors
    /// [`BlobError::Io`], also if there is no such directory.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        let missing = |path: PathBuf| {
            let source = io::ErrorKind::NotFound.into();
            failed("open the directory", path, source)
        };
        let folder = Folder::open(root)?.ok_or_else(|| missing(root.to_owned()))?;
        Self::of_folder(folder)?.ok_or_else(|| missing(root.join("blobs")))
    }

    /// The same by handle; `None` if it has no directory `blobs`.
    pub(crate) fn of_folder(root: Folder) -> Result<Option<Self>, BlobError> {
        let blobs = root.child("blobs")?;
        Ok(blobs.map(|blobs| Self::new(root, blobs, None, Arc::default())))
    }

    /// Opens `root/blobs` for writing and makes all directories that are missing.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn create_or_open(
        root: &Path,
        sync: SyncMode,
        ledger: Arc<Ledger>,
    ) -> Result<Self, BlobError> {
        let folder = Folder::make_all(root, sync == SyncMode::Full)?;
        Self::in_folder(folder, sync, ledger)
    }

    pub(crate) fn in_folder(
        root: Folder,
        sync: SyncMode,
        ledger: Arc<Ledger>,
    ) -> Result<Self, BlobError> {
        let blobs = root.child_made("blobs")?;
        let store = Self::new(root, blobs, Some(sync), ledger);
        store.home(Algorithm::Sha256)?;
        Ok(store)
    }

    fn new(root: Folder, blobs: Folder, writes: Option<SyncMode>, ledger: Arc<Ledger>) -> Self {
        Self {
            root,
            blobs,
            sha256: OnceLock::new(),
            sha512: OnceLock::new(),
            writes,
            unnamed: AtomicBool::new(true),
            ledger,
            fresh: Mutex::default(),
        }
    }

    /// The directory that `blobs` is in.
    pub(crate) fn root(&self) -> &Folder {
        &self.root
    }

    /// The path of a blob, whether it is there or not.
    pub fn path_of(&self, digest: &Digest) -> PathBuf {
        let home = self.blobs.path_of(digest.algorithm().name());
        home.join(digest.hex())
    }

    /// Puts the names of all blobs on stable storage; their bytes are there already.
    ///
    /// Also those that another process has just written: it may not have come so far.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn flush(&self) -> Result<(), BlobError> {
        if !self.flushes() {
            return Ok(());
        }
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            if let Some(home) = self.home_if_there(algorithm)? {
                home.sync()?;
            }
        }
        self.blobs.sync()
    }

    /// Enters what was written and hashed into the ledger, if it has not been touched since.
    ///
    /// To be called last; nothing here can fail.
    pub fn remember(&self) {
        let fresh = self.fresh().clone();
        if fresh.is_empty() || !self.ledger.lasts() {
            return;
        }
        // A file that is not on stable storage may come back from a power cut as anything.
        let known = match self.flushes() {
            true => Knowledge::Flushed,
            false => Knowledge::Written,
        };
        let Some(now) = self.clock() else { return };
        for (digest, Fresh { stamp, sum }) in fresh {
            let Ok(Found::File(_, stat)) = self.find(&digest) else {
                continue;
            };
            if Stamp::of(&stat) == stamp && stamp.older_than(&now) {
                self.ledger.record(&digest, stamp, known, sum);
            }
        }
        self.ledger.save();
    }

    /// The present moment by the clock of the file system.
    fn clock(&self) -> Option<Stamp> {
        let home = self.sha256.get()?;
        let temporary = self.temporary(home).ok()?;
        rustix::fs::fstat(&temporary.file)
            .ok()
            .map(|stat| Stamp::of(&stat))
    }

    /// A new file on the way to a blob.
    pub(crate) fn temporary(&self, home: &Folder) -> Result<Temporary<'_>, BlobError> {
        if self.unnamed.load(Ordering::Relaxed) {
            if let Some(temporary) = Temporary::unnamed(home, &self.root, Kind::Layout)? {
                return Ok(temporary);
            }
            self.unnamed.store(false, Ordering::Relaxed);
        }
        Temporary::named(&self.root, Kind::Layout)
    }

    /// Puts a whole file under its final name, unless a sound one is there.
    pub(super) fn install(
        &self,
        mut temporary: Temporary<'_>,
        descriptor: &Descriptor,
        sum: Option<Sum>,
    ) -> Result<(), BlobError> {
        let digest = &descriptor.digest;
        let home = self.home(digest.algorithm())?;
        if self.is_sound_or_damaged(descriptor) {
            return Ok(());
        }
        if self.flushes() {
            temporary.sync()?;
        }
        if !temporary.publish(home, digest.hex())? {
            // Damaged, or a rival was faster.
            if self.is_sound_or_damaged(descriptor) {
                return Ok(());
            }
            // Even without sync: an older image may rely on the one that is replaced.
            temporary.sync()?;
            temporary.replace(home, digest.hex())?;
        }
        if let Ok(stat) = rustix::fs::fstat(&temporary.file) {
            let stamp = Stamp::of(&stat);
            self.fresh().insert(digest.clone(), Fresh { stamp, sum });
        }
        Ok(())
    }

    /// A blob that cannot be read counts as damaged where a sound one stands ready.
    fn is_sound_or_damaged(&self, descriptor: &Descriptor) -> bool {
        self.contains(descriptor).unwrap_or(false)
    }

    /// Takes note of how a file looks whose bytes are known to be right.
    pub(super) fn note(&self, digest: &Digest, stamp: Stamp) {
        let mut fresh = self.fresh();
        let before = fresh.get(digest);
        let before = before.filter(|before| before.stamp.has_content_of(&stamp));
        let sum = before.and_then(|before| before.sum);
        fresh.insert(digest.clone(), Fresh { stamp, sum });
    }

    /// Whether sums are worth making: somebody remembers them.
    pub(super) fn remembers(&self) -> bool {
        self.ledger.lasts()
    }

    /// Whether a file need not be hashed again; one that may not be on stable storage
    /// is flushed if this store cares.
    fn knows(&self, file: &File, digest: &Digest, stamp: &Stamp) -> Result<bool, BlobError> {
        if self.fresh().get(digest).map(|fresh| fresh.stamp) == Some(*stamp) {
            return Ok(true);
        }
        let known = self.ledger.knows(digest, stamp);
        if known == Some(Knowledge::Written) && self.flushes() {
            self.flush_blob(file, digest)?;
            self.note(digest, *stamp);
        }
        Ok(known.is_some())
    }

    /// Whether blobs are on stable storage before they have their names.
    pub(super) fn flushes(&self) -> bool {
        self.writes == Some(SyncMode::Full)
    }

    /// Whether a file that was touched since it was hashed has its old sum.
    fn has_old_sum(&self, file: &File, descriptor: &Descriptor, stamp: &Stamp) -> bool {
        let sum = self.ledger.sum(&descriptor.digest, stamp);
        sum.is_some_and(|sum| Sum::of_file(file, descriptor.size).is_ok_and(|now| now == sum))
    }

    fn flush_blob(&self, file: &File, digest: &Digest) -> Result<(), BlobError> {
        let path = || self.path_of(digest);
        file.sync_all().map_err(|e| failed("flush", path(), e))
    }

    // A panic elsewhere cannot leave the map half-changed.
    fn fresh(&self) -> MutexGuard<'_, BTreeMap<Digest, Fresh>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, digest: &Digest) -> Result<Found, BlobError> {
        match self.home_if_there(digest.algorithm())? {
            Some(home) => home.find(digest.hex()),
            None => Ok(Found::Nothing),
        }
    }

    pub(super) fn home(&self, algorithm: Algorithm) -> Result<&Folder, BlobError> {
        if self.writes.is_none() {
            let source = io::ErrorKind::ReadOnlyFilesystem.into();
            return Err(failed("write to", self.blobs.path().to_owned(), source));
        }
        let slot = self.slot(algorithm);
        if let Some(home) = slot.get() {
            return Ok(home);
        }
        let made = self.blobs.child_made(algorithm.name())?;
        Ok(slot.get_or_init(|| made))
    }

    fn home_if_there(&self, algorithm: Algorithm) -> Result<Option<&Folder>, BlobError> {
        let slot = self.slot(algorithm);
        if let Some(home) = slot.get() {
            return Ok(Some(home));
        }
        let found = self.blobs.child(algorithm.name())?;
        Ok(found.map(|home| slot.get_or_init(|| home)))
    }

    fn slot(&self, algorithm: Algorithm) -> &OnceLock<Folder> {
        match algorithm {
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha512 => &self.sha512,
        }
    }

    /// The file of a blob if it has the right type and size.
    pub(super) fn plausible(&self, descriptor: &Descriptor) -> Result<(File, Stamp), BlobError> {
        let digest = descriptor.digest.clone();
        let fault = match self.find(&digest)? {
            Found::File(file, stat) => {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                if size == descriptor.size {
                    return Ok((file, Stamp::of(&stat)));
                }
                format!("it has {size} bytes instead of {}", descriptor.size)
            }
            Found::Other(kind) => format!("it is {kind}, not a file"),
            Found::Nothing => {
                let store = self.root.path().display().to_string();
                return Err(BlobError::Missing { digest, store });
            }
        };
        Err(BlobError::Damaged { digest, fault })
    }
}

impl BlobStore for DirStore {
    fn create_with(&self, algorithm: Algorithm) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        let temporary = self.temporary(self.home(algorithm)?)?;
        Ok(Box::new(DirWriter::new(self, algorithm, temporary)))
    }

    fn contains(&self, descriptor: &Descriptor) -> Result<bool, BlobError> {
        let (file, stamp) = match self.plausible(descriptor) {
            Err(BlobError::Missing { .. } | BlobError::Damaged { .. }) => return Ok(false),
            result => result?,
        };
        if self.knows(&file, &descriptor.digest, &stamp)? {
            return Ok(true);
        }
        if !self.has_old_sum(&file, descriptor, &stamp) {
            match drain(&mut Verifying::new(&file, descriptor), descriptor) {
                Err(BlobError::Damaged { .. }) => return Ok(false),
                result => result?,
            }
        }
        if self.flushes() {
            // Whoever wrote it may not have cared.
            self.flush_blob(&file, &descriptor.digest)?;
        }
        self.note(&descriptor.digest, stamp);
        Ok(true)
    }

    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader<'_>, BlobError> {
        let (file, _) = self.plausible(descriptor)?;
        Ok(Box::new(Verifying::new(file, descriptor)))
    }

    fn file(&self, descriptor: &Descriptor) -> Result<Option<File>, BlobError> {
        self.plausible(descriptor).map(|(file, _)| Some(file))
    }

    fn import(&self, from: &dyn BlobStore, descriptor: &Descriptor) -> Result<(), BlobError> {
        match from.file(descriptor)? {
            Some(file) => self.adopt(&file, descriptor, Trust::Hash),
            None => copy_stream(from, self, descriptor),
        }
    }
}

/// Reads a verifying reader to its end: how many bytes there were.
pub(super) fn drain(reader: &mut dyn Read, descriptor: &Descriptor) -> Result<(), BlobError> {
    let mut buffer = vec![0; COPY_BUFFER];
    loop {
        let read = reader.read(&mut buffer);
        if read.map_err(|error| unreadable(&descriptor.digest, error))? == 0 {
            return Ok(());
        }
    }
}
