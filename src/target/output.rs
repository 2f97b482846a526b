//! A file that appears whole or not at all, or a stream.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::TargetError;
use crate::blob::folder::{Folder, Found, failed};
use crate::blob::temporary::{Kind, Temporary};
use crate::blob::{BlobError, SyncMode};

/// Where an archive goes.
pub enum Output {
    /// A file: written beside its place and renamed when it is whole. A device or FIFO under that
    /// name is written to as it is.
    File {
        /// Its path; missing parents are made.
        path: PathBuf,
        /// Whether it is on stable storage afterwards.
        sync: SyncMode,
    },
    /// A stream such as standard output.
    Stream {
        /// What to call it in messages.
        name: String,
        /// Where the bytes go.
        writer: Box<dyn Write>,
    },
}

const BUFFER: usize = 256 << 10;

impl Output {
    /// Has the archive written and, if that went well, puts it in its place.
    pub(super) fn write(
        &mut self,
        body: impl FnOnce(&mut dyn Write, &str) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        match self {
            Self::Stream { name, writer } => buffered(writer, name, body),
            Self::File { path, sync } => {
                // A link is followed here, so that it stays one.
                let path = std::fs::canonicalize(&*path).unwrap_or_else(|_| path.clone());
                if is_special(&path) {
                    let file = OpenOptions::new().write(true).open(&path);
                    let mut file = file.map_err(|e| failed("open", path.clone(), e))?;
                    return buffered(&mut file, &path.display().to_string(), body);
                }
                write_file(&path, *sync, body)
            }
        }
    }
}

fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn buffered(
    writer: &mut dyn Write,
    name: &str,
    body: impl FnOnce(&mut dyn Write, &str) -> Result<(), TargetError>,
) -> Result<(), TargetError> {
    let mut buffer = BufWriter::with_capacity(BUFFER, writer);
    body(&mut buffer, name)?;
    buffer.flush().map_err(|source| TargetError::Write {
        place: name.to_owned(),
        source,
    })
}

fn write_file(
    path: &Path,
    sync: SyncMode,
    body: impl FnOnce(&mut dyn Write, &str) -> Result<(), TargetError>,
) -> Result<(), TargetError> {
    let unnameable = |what| TargetError::Write {
        place: path.display().to_string(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, what),
    };
    let Some(name) = path.file_name() else {
        return Err(unnameable("this names no file"));
    };
    let name = name
        .to_str()
        .ok_or_else(|| unnameable("the name is not UTF-8"))?;
    if path.is_dir() {
        return Err(unnameable("this is a directory"));
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let parent = Folder::make_all(parent, sync == SyncMode::Full)?;
    sweep(&parent);
    let mut temporary = locked(&parent)?;
    buffered(&mut &temporary.file, &path.display().to_string(), body)?;
    if sync == SyncMode::Full {
        temporary.sync()?;
    }
    if !temporary.publish(&parent, name)? {
        temporary.replace(&parent, name)?;
    }
    if sync == SyncMode::Full {
        parent.sync()?;
    }
    Ok(())
}

/// A temporary that is locked as long as its writer lives, from before it has a name.
///
/// A named one exists for a moment before it is locked; if it was swept in that moment, it is
/// made again.
fn locked(parent: &Folder) -> Result<Temporary<'_>, BlobError> {
    loop {
        let temporary = match Temporary::unnamed(parent, parent, Kind::Archive)? {
            Some(temporary) => temporary,
            None => Temporary::named(parent, Kind::Archive)?,
        };
        // Without locks nothing is swept either.
        let _ = rustix::fs::flock(&temporary.file, FlockOperation::NonBlockingLockExclusive);
        if temporary.is_in_place() {
            return Ok(temporary);
        }
    }
}

/// Removes what dead writers of archives left in a directory; that it cannot be done is no matter.
fn sweep(parent: &Folder) {
    let names = parent.names().unwrap_or_default();
    for name in names.iter().filter(|name| Kind::Archive.owns(name)) {
        if let Ok(Found::File(file, _)) = parent.find(name) {
            let lock = FlockOperation::NonBlockingLockExclusive;
            if rustix::fs::flock(&file, lock).is_ok() {
                let _ = parent.unlink(name);
            }
        }
    }
}
