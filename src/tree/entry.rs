//! [`Entry`]: one file, directory or link, as it will stand in a layer.

use std::collections::BTreeMap;

use super::TreePath;

/// One entry of a file tree, with everything that a layer records of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands, relative to the image's root.
    pub path: TreePath,
    /// What it is.
    pub kind: Kind,
    /// Owner, mode, time.
    pub meta: Meta,
    /// Extended attributes by name; ordered, so that bytes are too.
    pub xattrs: Xattrs,
}

/// Extended attributes: full name (`user.x`) to raw value.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// What an entry is. A socket is none of these: a layer cannot hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A regular file with its length in bytes.
    File {
        /// Bytes.
        size: u64,
    },
    /// A symbolic link; the target's bytes are not interpreted.
    Symlink {
        /// Where it points.
        target: Vec<u8>,
    },
    /// One more name of an earlier entry of the same layer.
    HardLink {
        /// That earlier entry.
        target: TreePath,
    },
    /// A character device.
    Char(Device),
    /// A block device.
    Block(Device),
    /// A named pipe.
    Fifo,
}

/// The number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// The driver.
    pub major: u32,
    /// The unit.
    pub minor: u32,
}

/// Owner, mode and time of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits with setuid, setgid and sticky: within 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification.
    pub mtime: Mtime,
}

/// A point in time; before 1970 the seconds are negative and the nanoseconds count up from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mtime {
    /// Seconds since the epoch, rounded down.
    pub secs: i64,
    /// `0..1_000_000_000`.
    pub nanos: u32,
}

/// What tells one state of a file on this machine from another. Never reaches an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Inode number; 0 for what no disk has.
    pub inode: u64,
    /// Last modification of its content.
    pub modified: Mtime,
    /// Last change of anything about it, in nanoseconds since the epoch.
    pub changed: i64,
}
