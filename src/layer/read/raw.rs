//! [`RawEntry`]: an entry as a tar says it, normal or not.

use crate::tree::{Device, Entry, Kind, Meta, Mtime, TreePath, Xattrs};

/// One entry of a tar of anybody's making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// As written, from whichever header had the last word.
    pub name: Vec<u8>,
    /// The name as a path, `./` and `/` at its ends taken away; `None` if it is
    /// none (absolute, `..`, NUL, too long).
    pub path: Option<TreePath>,
    /// What it is.
    pub kind: RawKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Last modification.
    pub mtime: Mtime,
    /// Owner by name; to be ignored.
    pub uname: Vec<u8>,
    /// Group by name; to be ignored.
    pub gname: Vec<u8>,
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// Length of the body in bytes.
    pub size: u64,
}

/// What an entry is, by its tar type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawKind {
    /// Regular file.
    File,
    /// One more name of another entry, as written.
    HardLink(Vec<u8>),
    /// Symbolic link.
    Symlink(Vec<u8>),
    /// Character device.
    Char(Device),
    /// Block device.
    Block(Device),
    /// Directory.
    Dir,
    /// Named pipe.
    Fifo,
    /// A type that has no place in a layer.
    Other(u8),
}

impl RawEntry {
    /// The name in words, safe for a terminal.
    pub fn shown(&self) -> String {
        self.name.escape_ascii().to_string()
    }

    /// The entry as it will stand in a file tree; `None` if it cannot: an
    /// impossible path or owner, or a type that has no place in a layer.
    pub fn to_entry(&self) -> Option<Entry> {
        let kind = match &self.kind {
            RawKind::File => Kind::File { size: self.size },
            RawKind::HardLink(target) => Kind::HardLink {
                target: normal_path(target)?,
            },
            RawKind::Symlink(target) => Kind::Symlink {
                target: target.clone(),
            },
            RawKind::Char(device) => Kind::Char(*device),
            RawKind::Block(device) => Kind::Block(*device),
            RawKind::Dir => Kind::Dir,
            RawKind::Fifo => Kind::Fifo,
            RawKind::Other(_) => return None,
        };
        let meta = Meta {
            mode: self.mode,
            uid: u32::try_from(self.uid).ok()?,
            gid: u32::try_from(self.gid).ok()?,
            mtime: self.mtime,
        };
        Some(Entry {
            path: self.path.clone()?,
            kind,
            meta,
            xattrs: self.xattrs.clone(),
        })
    }
}

/// The path that a name means: `.` and empty parts taken away.
pub(super) fn normal_path(name: &[u8]) -> Option<TreePath> {
    if name.starts_with(b"/") || name.is_empty() {
        return None;
    }
    let parts = name.split(|&b| b == b'/');
    let parts: Vec<_> = parts.filter(|p| !matches!(*p, b"" | b".")).collect();
    TreePath::new(parts.join(&b'/')).ok()
}
