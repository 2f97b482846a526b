//! [`Root`]: a directory of the source disk; whatever is opened stays beneath it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, Statx, StatxFlags, openat, openat2, statx,
};
use rustix::io::Errno;

/// For reading; a pipe does not block, and no terminal becomes ours.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A held directory. Paths are opened relative to it, never through a link,
/// never above it, and never so that opening blocks.
#[derive(Debug)]
pub(super) struct Root {
    host: PathBuf,
    fd: OwnedFd,
}

impl Root {
    /// Opens a directory; links on the way to it are followed, since its user named it.
    pub(super) fn open(host: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry(|| openat(CWD, host, flags, Mode::empty()))?;
        Ok(Self {
            host: host.to_owned(),
            fd,
        })
    }

    /// Where it is on this machine: for messages.
    pub(super) fn host(&self) -> &Path {
        &self.host
    }

    /// What it looks like now.
    pub(super) fn examine(&self) -> rustix::io::Result<Statx> {
        retry(|| statx(&self.fd, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS))
    }

    /// Opens a directory beneath; the empty path is the root itself.
    pub(super) fn open_dir(&self, rel: &[u8]) -> io::Result<OwnedFd> {
        self.open_beneath(rel, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Holds a directory beneath, to open what is in it by [`open_child`].
    pub(super) fn hold_dir(&self, rel: &[u8]) -> io::Result<OwnedFd> {
        self.open_beneath(rel, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// Opens a file beneath for reading. A pipe in its place does not block.
    pub(super) fn open_file(&self, rel: &[u8]) -> io::Result<File> {
        self.open_beneath(rel, READ).map(File::from)
    }

    fn open_beneath(&self, rel: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let rel = if rel.is_empty() { b"." } else { rel };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match retry(|| openat2(&self.fd, rel, flags, Mode::empty(), resolve)) {
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => Ok(self.open_by_steps(rel, flags)?),
            opened => Ok(opened?),
        }
    }

    fn open_by_steps(&self, rel: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut parts = rel.split(|&b| b == b'/').peekable();
        let mut held: Option<OwnedFd> = None;
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        while let Some(part) = parts.next() {
            let at = held.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
            let wanted = if parts.peek().is_some() { step } else { flags };
            held = Some(retry(|| openat(at, part, wanted, Mode::empty()))?);
        }
        held.ok_or(Errno::NOENT)
    }
}

/// Opens a file in a held directory for reading; `name` is one part of a path.
pub(super) fn open_child(dir: &OwnedFd, name: &[u8]) -> io::Result<File> {
    let flags = READ | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(retry(|| openat(dir, name, flags, Mode::empty()))?.into())
}

/// Signals interrupt calls on network file systems, and a rename elsewhere makes
/// `openat2` ask for another try.
pub(super) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    let mut again = 0;
    loop {
        match call() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if again < 128 => again += 1,
            result => return result,
        }
    }
}

/// The same for calls of the standard library, which repeats reading and opening only.
pub(crate) fn retry_std<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
