//! A directory held by its handle: everything in it is named relative to that handle.
//!
//! Handles keep a layout in one piece while its path is renamed or replaced, and no name is ever
//! followed through a link. Interrupted calls are repeated; errors name the path.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::BlobError;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

/// What is found under a name.
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// A regular file, open for reading, and its attributes.
    File(File, Box<Stat>),
    /// Something else: what it is, in words.
    Other(&'static str),
}

impl Folder {
    /// Opens a directory by path; `None` if there is nothing.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, BlobError> {
        // Following links is right here alone: the user may name an output through one.
        Self::open_at(CWD, path, path.to_owned(), OFlags::empty())
    }

    /// Opens a directory in this one, not through a link; `None` if there is nothing.
    pub(crate) fn child(&self, name: &str) -> Result<Option<Self>, BlobError> {
        let path = self.path_of(name);
        Self::open_at(self.fd(), Path::new(name), path, OFlags::NOFOLLOW)
    }

    fn open_at(
        at: BorrowedFd<'_>,
        name: &Path,
        path: PathBuf,
        more: OFlags,
    ) -> Result<Option<Self>, BlobError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
        match retry_on_intr(|| rustix::fs::openat(at, name, flags, Mode::empty())) {
            Ok(handle) => Ok(Some(Self { handle, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(refused("open the directory", path, errno)),
        }
    }

    /// Opens a directory in this one and makes it first if need be.
    pub(crate) fn child_made(&self, name: &str) -> Result<Self, BlobError> {
        for _ in 0..8 {
            if let Some(child) = self.child(name)? {
                return Ok(child);
            }
            make_directory(self.fd(), Path::new(name), self.path_of(name))?;
        }
        Err(refused(
            "make the directory",
            self.path_of(name),
            Errno::NOENT,
        ))
    }

    /// Opens a directory by path and makes it and its parents first if need be.
    ///
    /// With `sync` what is made is on stable storage afterwards.
    pub(crate) fn make_all(path: &Path, sync: bool) -> Result<Self, BlobError> {
        if let Some(folder) = Self::open(path)? {
            return Ok(folder);
        }
        let parent = match path.parent() {
            Some(parent) if parent == Path::new("") => Path::new("."),
            Some(parent) => parent,
            None => return Err(refused("open the directory", path.to_owned(), Errno::NOENT)),
        };
        let parent = Self::make_all(parent, sync)?;
        make_directory(CWD, path, path.to_owned())?;
        if sync {
            parent.sync()?;
        }
        Self::open(path)?
            .ok_or_else(|| refused("open the directory", path.to_owned(), Errno::NOENT))
    }

    /// What is under a name; a FIFO does not block, a link is not followed.
    pub(crate) fn find(&self, name: &str) -> Result<Found, BlobError> {
        let refuse = |errno| refused("open", self.path_of(name), errno);
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = retry_on_intr(|| rustix::fs::openat(self.fd(), name, flags, Mode::empty()));
        let handle = match opened {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(Errno::LOOP) => return Ok(Found::Other("a symbolic link")),
            Err(Errno::NXIO | Errno::NODEV) => return Ok(Found::Other("a socket or device")),
            Err(errno) => return Err(refuse(errno)),
        };
        let stat = rustix::fs::fstat(&handle).map_err(refuse)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Found::File(handle.into(), Box::new(stat)),
            FileType::Directory => Found::Other("a directory"),
            FileType::Fifo => Found::Other("a FIFO"),
            _ => Found::Other("a device"),
        })
    }

    /// The names in this directory, sorted; those that are not UTF-8 are shown lossily.
    pub(crate) fn names(&self) -> Result<Vec<String>, BlobError> {
        let names = retry_on_intr(|| self.list());
        names.map_err(|errno| refused("list", self.path.clone(), errno))
    }

    fn list(&self) -> Result<Vec<String>, Errno> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Renames over whatever file is under the new name.
    pub(crate) fn rename(&self, from: &str, to: &Self, name: &str) -> Result<(), Errno> {
        retry_on_intr(|| rustix::fs::renameat(&self.handle, from, &to.handle, name))
    }

    /// Removes a file; that there is none is fine.
    pub(crate) fn unlink(&self, name: &str) -> Result<(), BlobError> {
        let unlinked = retry_on_intr(|| rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()));
        match unlinked {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(refused("remove", self.path_of(name), errno)),
        }
    }

    /// Removes a file, or a directory with all that is in it.
    pub(crate) fn remove(&self, name: &str) -> Result<(), BlobError> {
        let path = self.path_of(name);
        match retry_on_intr(|| rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // Of a directory POSIX says PERM, as Linux does of a file that is somebody else's.
            Err(errno @ (Errno::ISDIR | Errno::PERM)) => match std::fs::remove_dir_all(&path) {
                Err(source) if source.kind() == io::ErrorKind::NotADirectory => {
                    Err(refused("remove", path, errno))
                }
                removed => removed.map_err(|source| failed("remove", path, source)),
            },
            Err(errno) => Err(refused("remove", path, errno)),
        }
    }

    /// Puts the directory's names on stable storage.
    pub(crate) fn sync(&self) -> Result<(), BlobError> {
        let synced = retry_on_intr(|| rustix::fs::fsync(&self.handle));
        synced.map_err(|errno| refused("flush the directory", self.path.clone(), errno))
    }

    /// The handle.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// The path it was opened by: for messages, and for tools that want one.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a name in it.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn make_directory(at: BorrowedFd<'_>, name: &Path, path: PathBuf) -> Result<bool, BlobError> {
    match retry_on_intr(|| rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o777))) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(refused("make the directory", path, errno)),
    }
}

/// Opens a file; `None` for whatever else is there, such as a FIFO, which would block.
pub(crate) fn open_regular(path: &Path) -> Option<File> {
    let name = path.file_name()?.to_str()?;
    match Folder::open(path.parent()?).ok()??.find(name).ok()? {
        Found::File(file, _) => Some(file),
        _ => None,
    }
}

/// The bytes of a small file; `None` for whatever else is there.
pub(crate) fn read_small(path: &Path, limit: u64) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let file = open_regular(path)?;
    // Most are smaller than this, and read by one call.
    let mut bytes = Vec::with_capacity(1 << 10);
    file.take(limit + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= limit).then_some(bytes)
}

/// An error of the operating system, with what was being done to what.
pub(crate) fn refused(action: &'static str, path: PathBuf, errno: Errno) -> BlobError {
    failed(action, path, errno.into())
}

/// The same from an [`io::Error`].
pub(crate) fn failed(action: &'static str, path: PathBuf, source: io::Error) -> BlobError {
    BlobError::Io {
        action,
        path,
        source,
    }
}
