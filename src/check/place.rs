//! [`Place`]: a directory or an archive, as the files that are really there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::fault::{Fault, Faults, Level};
use crate::layer::read::{RawKind, TarReader, fault_of};

/// Files by name, read only.
pub(super) trait Place: Sync {
    /// What is there, by relative path with `/` between its parts, printable.
    fn files(&self) -> &BTreeMap<String, FileInfo>;

    /// Opens a regular file of [`files`](Self::files).
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send + '_>>;

    /// What was wrong with the place itself.
    fn faults(&self) -> &[Fault];

    /// Whether this is one file.
    fn is_archive(&self) -> bool;

    /// Whether nothing can be told of what is in it.
    fn is_opaque(&self) -> bool {
        false
    }
}

/// What is known of a file before it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileInfo {
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Where the body starts in an archive.
    start: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    File,
    Dir,
    Link,
    Other,
}

impl FileKind {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "a regular file",
            Self::Dir => "a directory",
            Self::Link => "a link",
            Self::Other => "a special file",
        }
    }
}

/// Lists a directory, or the members of an archive.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Place>> {
    if fs::metadata(path)?.is_dir() {
        Ok(Box::new(Directory::open(path)?))
    } else {
        Ok(Box::new(Archive::open(path)?))
    }
}

struct Directory {
    root: PathBuf,
    files: BTreeMap<String, FileInfo>,
}

impl Directory {
    fn open(root: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(root).min_depth(1).max_depth(8) {
            let entry = entry?;
            let meta = entry.metadata()?;
            let kind = match meta.file_type() {
                kind if kind.is_dir() => FileKind::Dir,
                kind if kind.is_symlink() => FileKind::Link,
                kind if kind.is_file() => FileKind::File,
                _ => FileKind::Other,
            };
            let info = FileInfo {
                kind,
                size: meta.len(),
                mode: meta.permissions().mode() & 0o7777,
                start: 0,
            };
            let name = entry.path().strip_prefix(root).unwrap_or(entry.path());
            files.insert(name.to_string_lossy().into_owned(), info);
        }
        let root = root.to_owned();
        Ok(Self { root, files })
    }
}

impl Place for Directory {
    fn files(&self) -> &BTreeMap<String, FileInfo> {
        &self.files
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(File::open(self.root.join(name))?))
    }

    fn faults(&self) -> &[Fault] {
        &[]
    }

    fn is_archive(&self) -> bool {
        false
    }
}

struct Archive {
    file: File,
    files: BTreeMap<String, FileInfo>,
    faults: Vec<Fault>,
    compressed: bool,
}

impl Archive {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut faults = Faults::default();
        let mut files = BTreeMap::new();
        let codec = compression(&file)?;
        if let Some(codec) = codec {
            let text = format!("the archive is compressed with {codec}, which few programs load");
            faults.field(11, "", text);
        } else {
            list(&file, &mut files, &mut faults)?;
        }
        let faults = faults.into_vec();
        Ok(Self {
            file,
            files,
            faults,
            compressed: codec.is_some(),
        })
    }
}

/// Notes the members of an archive; of the tar's own faults those that keep it from being read.
fn list(
    file: &File,
    files: &mut BTreeMap<String, FileInfo>,
    faults: &mut Faults,
) -> io::Result<()> {
    let mut reader = TarReader::new(BufReader::with_capacity(1 << 20, file));
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) => match fault_of(&error) {
                Some(fault) => {
                    faults.push(fault.clone());
                    break;
                }
                None => return Err(error),
            },
        };
        let Some(path) = &entry.path else {
            faults.field(11, entry.shown(), "is not a relative name");
            continue;
        };
        let info = FileInfo {
            kind: match entry.kind {
                RawKind::File => FileKind::File,
                RawKind::Dir => FileKind::Dir,
                RawKind::Symlink(_) | RawKind::HardLink(_) => FileKind::Link,
                _ => FileKind::Other,
            },
            size: entry.size,
            mode: entry.mode,
            start: reader.position(),
        };
        let name = String::from_utf8_lossy(path.as_bytes()).into_owned();
        if files.insert(name, info).is_some() {
            faults.field(11, entry.shown(), "stands in the archive twice");
        }
    }
    let own = reader.take_faults();
    let own = own.into_iter().filter(|fault| fault.level == Level::Must);
    own.for_each(|fault| faults.push(fault));
    Ok(())
}

fn compression(file: &File) -> io::Result<Option<&'static str>> {
    let mut start = [0; 6];
    let length = file.read_at(&mut start, 0)?;
    Ok(match start.get(..length).unwrap_or_default() {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0xfd, b'7', b'z', ..] => Some("xz"),
        [b'B', b'Z', b'h', ..] => Some("bzip2"),
        _ => None,
    })
}

impl Place for Archive {
    fn files(&self) -> &BTreeMap<String, FileInfo> {
        &self.files
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send + '_>> {
        let info = self.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Section {
            file: &self.file,
            position: info.start,
            left: info.size,
        }))
    }

    fn faults(&self) -> &[Fault] {
        &self.faults
    }

    fn is_archive(&self) -> bool {
        true
    }

    fn is_opaque(&self) -> bool {
        self.compressed
    }
}

/// A part of a file; several may be read at once.
struct Section<'a> {
    file: &'a File,
    position: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
