//! Taking over whole files as blobs, without reading them where the file system can do without.

use std::fs::File;
use std::io::{self, Seek};

use rustix::fs::{AtFlags, CWD, fstat};

use super::dir::{DirStore, drain};
use super::folder::failed;
use super::ledger::Stamp;
use super::temporary::{Temporary, through_proc};
use super::verify::Verifying;
use super::{BlobError, BlobStore as _, Descriptor, unreadable};

/// Whether the bytes of a file that is adopted are known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The caller has hashed them.
    Vouched,
    /// Nobody has: they are hashed.
    Hash,
}

impl DirStore {
    /// Takes over a file's bytes as a blob: cloned where the file system can, else copied.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] if they are not those of the descriptor, as far as `trust` has them
    /// looked at; [`BlobError::Io`].
    pub fn adopt(&self, from: &File, wanted: &Descriptor, trust: Trust) -> Result<(), BlobError> {
        let home = self.home(wanted.digest.algorithm())?;
        let mut temporary = self.temporary(home)?;
        copy_file(from, &mut temporary, wanted)?;
        if trust == Trust::Hash {
            let reading = |source| unreadable(&wanted.digest, source);
            temporary.file.rewind().map_err(reading)?;
            drain(&mut Verifying::new(&temporary.file, wanted), wanted)?;
        }
        self.install(temporary, wanted, None)
    }

    /// Takes over a sound blob of another directory, without copying its bytes if that
    /// can be: cloned, else under a second name if it is a file of this user that
    /// nobody else may write, else copied.
    ///
    /// # Errors
    /// [`BlobError::Missing`] or [`BlobError::Damaged`] if the other store does not have
    /// it whole; [`BlobError::Io`].
    pub fn share(&self, from: &Self, wanted: &Descriptor) -> Result<(), BlobError> {
        if self.contains(wanted)? {
            return Ok(());
        }
        let (file, before) = from.plausible(wanted)?;
        if !from.contains(wanted)? {
            let fault = "its bytes are others".to_owned();
            return Err(BlobError::Damaged {
                digest: wanted.digest.clone(),
                fault,
            });
        }
        if !self.link(&file, wanted)? {
            return self.adopt(&file, wanted, Trust::Vouched);
        }
        // The second name has changed the ctime, and nothing else may have changed meanwhile.
        let after = fstat(&file).map(|stat| Stamp::of(&stat));
        if let Some(after) = after.ok().filter(|after| after.has_content_of(&before)) {
            self.note(&wanted.digest, after);
            from.note(&wanted.digest, after);
        }
        Ok(())
    }

    /// Gives a file its name here as well; false where that is not possible or not wise.
    fn link(&self, file: &File, wanted: &Descriptor) -> Result<bool, BlobError> {
        let home = self.home(wanted.digest.algorithm())?;
        let path = self.path_of(&wanted.digest);
        let look = |file: &File| fstat(file).map_err(|e| failed("look at", path.clone(), e.into()));
        let (stat, new) = (look(file)?, self.temporary(home)?);
        // It must look like a file that is written here and now, and be nobody else's to change.
        let ours = stat.st_uid == rustix::process::geteuid().as_raw()
            && stat.st_mode == look(&new.file)?.st_mode
            && stat.st_mode & 0o022 == 0;
        if !ours || clones(file, &new) {
            return Ok(false);
        }
        let (name, follow) = (through_proc(file), AtFlags::SYMLINK_FOLLOW);
        if rustix::fs::linkat(CWD, name, home.fd(), wanted.digest.hex(), follow).is_err() {
            return Ok(false);
        }
        if self.flushes() {
            file.sync_all().map_err(|e| failed("flush", path, e))?;
        }
        Ok(true)
    }
}

/// Whether the file system can clone files: then no two names need share one.
fn clones(file: &File, onto: &Temporary<'_>) -> bool {
    rustix::fs::ioctl_ficlone(&onto.file, file).is_ok()
}

/// Clones or copies a whole file that has the promised size.
fn copy_file(
    mut from: &File,
    to: &mut Temporary<'_>,
    wanted: &Descriptor,
) -> Result<(), BlobError> {
    let reading = |source| unreadable(&wanted.digest, source);
    if rustix::fs::ioctl_ficlone(&to.file, from).is_err() {
        from.rewind().map_err(reading)?;
        // The standard library has the kernel do this (`copy_file_range`).
        let copied = io::copy(&mut from, &mut to.file);
        copied.map_err(|source| failed("write", to.path(), source))?;
    }
    let size = to.file.metadata().map_err(reading)?.len();
    if size != wanted.size {
        return Err(BlobError::Damaged {
            digest: wanted.digest.clone(),
            fault: format!("it has {size} bytes instead of {}", wanted.size),
        });
    }
    Ok(())
}
