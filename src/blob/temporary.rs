//! A file that has no final name yet and leaves nothing behind when it is dropped.
//!
//! Without a name at all where the file system can do that (`O_TMPFILE`): then a killed process
//! leaves nothing either. Elsewhere with a recognisable name in a directory that is swept.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::BlobError;
use super::folder::{Folder, Found, failed, refused};

/// What a temporary is on the way to; its name says so, because each kind is swept by other rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file of a layout: dead when no writer holds the layout.
    Layout,
    /// An archive: dead when it is not locked.
    Archive,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Layout => ".plywood-",
            Self::Archive => ".plywood-archive-",
        }
    }

    /// Whether a name is that of a temporary of this kind.
    pub(crate) fn owns(self, name: &str) -> bool {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        name.strip_prefix(self.prefix())
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(process, number)| digits(process) && digits(number))
    }

    fn fresh_name(self) -> String {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        format!("{}{}-{number}", self.prefix(), std::process::id())
    }
}

/// The mode of every file that plywood writes, before the umask.
const MODE: u32 = 0o644;

/// A file being written.
pub(crate) struct Temporary<'a> {
    /// Open for reading and writing.
    pub(crate) file: File,
    scratch: &'a Folder,
    name: Option<String>,
    kind: Kind,
}

impl<'a> Temporary<'a> {
    /// A file without a name on the file system of `home`; `None` if that cannot be had there.
    pub(crate) fn unnamed(
        home: &Folder,
        scratch: &'a Folder,
        kind: Kind,
    ) -> Result<Option<Self>, BlobError> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(MODE);
        match retry_on_intr(|| rustix::fs::openat(home.fd(), ".", flags, mode)) {
            Ok(handle) => {
                let file = File::from(handle);
                // Without /proc it could never be given a name.
                let nameable = rustix::fs::stat(through_proc(&file)).is_ok();
                Ok(nameable.then_some(Self {
                    file,
                    scratch,
                    name: None,
                    kind,
                }))
            }
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => Ok(None),
            Err(errno) => Err(refused("make a file in", home.path().to_owned(), errno)),
        }
    }

    /// A file with a name of its own in `scratch`.
    pub(crate) fn named(scratch: &'a Folder, kind: Kind) -> Result<Self, BlobError> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(MODE);
        loop {
            let name = kind.fresh_name();
            let opened =
                retry_on_intr(|| rustix::fs::openat(scratch.fd(), name.as_str(), flags, mode));
            match opened {
                Ok(handle) => {
                    return Ok(Self {
                        file: handle.into(),
                        scratch,
                        name: Some(name),
                        kind,
                    });
                }
                // A process of the same number, dead or in another container.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(refused("make", scratch.path_of(&name), errno)),
            }
        }
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.name {
            Some(name) => self.scratch.path_of(name),
            None => self.scratch.path().to_owned(),
        }
    }

    /// Whether its name, if it has one, still is its own.
    pub(crate) fn is_in_place(&self) -> bool {
        let Some(name) = &self.name else { return true };
        let Ok(Found::File(_, found)) = self.scratch.find(name) else {
            return false;
        };
        rustix::fs::fstat(&self.file)
            .is_ok_and(|own| (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino))
    }

    /// Puts the bytes on stable storage.
    pub(crate) fn sync(&self) -> Result<(), BlobError> {
        let synced = self.file.sync_all();
        synced.map_err(|source| failed("flush a file in", self.path(), source))
    }

    /// Gives it its final name if nothing has that name; `false` if something has.
    pub(crate) fn publish(&mut self, home: &Folder, name: &str) -> Result<bool, BlobError> {
        match self.link(home, name) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            // File systems that link no unnamed files, or none at all.
            Err(Errno::NOENT | Errno::PERM | Errno::OPNOTSUPP | Errno::XDEV | Errno::MLINK) => {
                self.replace(home, name).map(|()| true)
            }
            Err(errno) => Err(refused("name", home.path_of(name), errno)),
        }
    }

    /// Gives it its final name, in place of whatever has that name.
    pub(crate) fn replace(&mut self, home: &Folder, name: &str) -> Result<(), BlobError> {
        let own = self.own_name()?;
        let mut renamed = self.scratch.rename(&own, home, name);
        if matches!(renamed, Err(Errno::ISDIR | Errno::NOTEMPTY)) {
            self.move_aside(home, name)?;
            renamed = self.scratch.rename(&own, home, name);
        }
        renamed.map_err(|errno| refused("rename to", home.path_of(name), errno))?;
        self.name = None;
        Ok(())
    }

    fn link(&mut self, home: &Folder, name: &str) -> Result<(), Errno> {
        match &self.name {
            None => {
                let from = through_proc(&self.file);
                let follow = AtFlags::SYMLINK_FOLLOW;
                retry_on_intr(|| rustix::fs::linkat(CWD, &from, home.fd(), name, follow))
            }
            Some(own) => {
                let (from, none) = (self.scratch.fd(), AtFlags::empty());
                retry_on_intr(|| rustix::fs::linkat(from, own.as_str(), home.fd(), name, none))?;
                self.forget();
                Ok(())
            }
        }
    }

    /// A name in the scratch directory to rename from.
    fn own_name(&mut self) -> Result<String, BlobError> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        loop {
            let name = self.kind.fresh_name();
            match self.link(self.scratch, &name) {
                Ok(()) => {
                    self.name = Some(name.clone());
                    return Ok(name);
                }
                Err(Errno::EXIST) => {}
                Err(Errno::NOENT | Errno::PERM | Errno::OPNOTSUPP | Errno::XDEV) => {
                    return self.copy_to_named();
                }
                Err(errno) => return Err(refused("name", self.scratch.path_of(&name), errno)),
            }
        }
    }

    /// The last resort where an unnamed file cannot be linked.
    fn copy_to_named(&mut self) -> Result<String, BlobError> {
        use std::io::Seek;
        let mut copy = Self::named(self.scratch, self.kind)?;
        let copied = self
            .file
            .rewind()
            .and_then(|()| std::io::copy(&mut self.file, &mut copy.file));
        copied.map_err(|source| failed("write", copy.path(), source))?;
        copy.sync()?;
        std::mem::swap(self, &mut copy);
        Ok(self.name.clone().unwrap_or_default())
    }

    /// A directory cannot be renamed over: it goes to a name that is swept, and away.
    fn move_aside(&self, home: &Folder, name: &str) -> Result<(), BlobError> {
        let aside = self.kind.fresh_name();
        home.rename(name, self.scratch, &aside)
            .map_err(|errno| refused("move away", home.path_of(name), errno))?;
        self.scratch.remove(&aside)
    }

    fn forget(&mut self) {
        if let Some(name) = self.name.take() {
            let _ = self.scratch.unlink(&name);
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        self.forget();
    }
}

pub(crate) fn through_proc(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised() {
        for kind in [Kind::Layout, Kind::Archive] {
            assert!(kind.owns(&kind.fresh_name()));
        }
        assert!(!Kind::Layout.owns(&Kind::Archive.fresh_name()));
        assert!(!Kind::Archive.owns(&Kind::Layout.fresh_name()));
        for other in [
            ".plywood",
            ".plywood-",
            ".plywood-1",
            ".plywood-1-x",
            ".plywood-x-1",
            "a",
        ] {
            assert!(!Kind::Layout.owns(other), "{other}");
        }
    }
}
