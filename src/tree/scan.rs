//! The children of one directory, with all that a layer records of them.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, readlinkat, statx};
use rustix::io::Errno;

use super::node::{Dir, Node, Span, Tag};
use super::part::Flavour;
use super::root::retry;
use super::walk::{Walk, lock};
use super::xattr::{self, XattrFault};
use super::{PATH_LIMIT, PathFault, TreeError, TreePath};

/// Device numbers, interned: equal numbers get equal indices within one listing.
#[derive(Debug, Default)]
pub(super) struct Devices(Mutex<Vec<(u32, u32)>>);

impl Devices {
    pub(super) fn index(&self, device: (u32, u32)) -> u16 {
        let mut known = lock(&self.0);
        let at = known.iter().position(|&d| d == device).unwrap_or_else(|| {
            known.push(device);
            known.len() - 1
        });
        at as u16
    }

    /// The number at an index that was given out here.
    pub(super) fn number(&self, index: u16) -> (u32, u32) {
        lock(&self.0)
            .get(usize::from(index))
            .copied()
            .unwrap_or_default()
    }
}

/// What one directory holds.
pub(super) struct Scan {
    pub dir: Dir,
    /// Which of the children are directories.
    pub subdirs: Vec<usize>,
    pub warnings: Vec<String>,
}

impl Scan {
    pub(super) fn at(path: TreePath) -> Self {
        Self {
            dir: Dir::at(path),
            subdirs: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Reads the facts of the children of one open directory.
pub(super) struct Scanner<'w> {
    walk: &'w Walk<'w>,
    fd: OwnedFd,
    /// The directory's path on this machine, with a `/` behind it.
    near: Vec<u8>,
    path: Vec<u8>,
    buffer: Vec<u8>,
    last_dev: Option<((u32, u32), u16)>,
}

impl<'w> Scanner<'w> {
    /// For the open directory that is at `source` below the part's root.
    pub(super) fn new(walk: &'w Walk<'w>, fd: OwnedFd, source: &[u8]) -> Self {
        let mut near = walk.part.root.host().as_os_str().as_bytes().to_vec();
        for part in [b"/", source, b"/"] {
            near.extend_from_slice(part);
        }
        Self {
            walk,
            fd,
            near,
            path: Vec::new(),
            buffer: Vec::new(),
            last_dev: None,
        }
    }

    /// Adds the child `found` (its name on disk) under `name` (that in the image).
    pub(super) fn add(
        &mut self,
        scan: &mut Scan,
        found: &[u8],
        name: &[u8],
    ) -> Result<(), TreeError> {
        match self.try_add(scan, found, name) {
            Ok(true) => {}
            Ok(false) => {
                let shown = self
                    .host(scan, found, name)
                    .into_os_string()
                    .as_bytes()
                    .escape_ascii()
                    .to_string();
                scan.warnings.push(format!(
                    "skipped the socket {shown}: a layer cannot hold one"
                ));
            }
            Err(fault) => return Err(fault.at(&self.host(scan, found, name))),
        }
        Ok(())
    }

    /// False for a socket.
    fn try_add(&mut self, scan: &mut Scan, found: &[u8], name: &[u8]) -> Result<bool, Fault> {
        let stat = self.stat(found)?;
        if name.starts_with(b".wh.") {
            return Err(Fault::Refused(
                "names that start with `.wh.` mean removal in a layer".into(),
            ));
        }
        if scan.dir.path.as_bytes().len() + 1 + name.len() > PATH_LIMIT {
            return Err(Fault::Refused(format!(
                "its path in the image {}",
                PathFault::TooLong
            )));
        }
        let Some(mut node) = self.node(&stat, &mut scan.dir, found)? else {
            return Ok(false);
        };
        node.name = scan.dir.store(name);
        let attributes = self.xattrs(found)?;
        if !attributes.is_empty() {
            scan.dir.xattrs.push(attributes);
            node.xattrs = scan.dir.xattrs.len() as u32;
        }
        if node.tag == Tag::Dir {
            scan.subdirs.push(scan.dir.children.len());
        }
        scan.dir.children.push(node);
        Ok(true)
    }

    fn stat(&self, found: &[u8]) -> Result<Statx, Fault> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        retry(|| statx(&self.fd, found, flags, StatxFlags::BASIC_STATS)).map_err(
            |errno| match errno {
                // What a user named may be missing; what a directory listed has gone since.
                Errno::NOENT if self.walk.part.is_whole_root() && self.walk.part.only.is_none() => {
                    Fault::Vanished
                }
                errno => Fault::Io("examine", errno.into()),
            },
        )
    }

    fn host(&self, scan: &Scan, found: &[u8], name: &[u8]) -> PathBuf {
        self.walk
            .part
            .root
            .host()
            .join(OsStr::from_bytes(&self.source(scan, found, name)))
    }

    fn source(&self, scan: &Scan, found: &[u8], name: &[u8]) -> Vec<u8> {
        match scan.dir.path.join(name) {
            Ok(path) => self.walk.part.source_of(path.as_bytes()),
            Err(_) => [
                &self.walk.part.source_of(scan.dir.path.as_bytes()),
                &b"/"[..],
                found,
            ]
            .concat(),
        }
    }

    /// The facts of an entry; `None` for a socket.
    fn node(&mut self, stat: &Statx, dir: &mut Dir, found: &[u8]) -> Result<Option<Node>, Fault> {
        let (tag, data) = match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
            FileType::Directory => (Tag::Dir, 0),
            FileType::RegularFile => (Tag::File, stat.stx_size),
            FileType::Symlink => (Tag::Symlink, self.target(dir, found)?.pack()),
            FileType::Fifo => (Tag::Fifo, 0),
            FileType::CharacterDevice => (Tag::Char, device(stat)),
            FileType::BlockDevice => (Tag::Block, device(stat)),
            FileType::Socket => return Ok(None),
            FileType::Unknown => return Err(Fault::Refused("its type is unknown".into())),
        };
        if tag == Tag::Char && data == 0 {
            return Err(Fault::Refused(
                "a character device 0:0 means removal on an overlay file system".into(),
            ));
        }
        let plain = self.walk.part.flavour == Flavour::Plain;
        Ok(Some(Node {
            data,
            secs: stat.stx_mtime.tv_sec,
            changed: changed(stat),
            ino: stat.stx_ino,
            name: Span { at: 0, len: 0 },
            nanos: stat.stx_mtime.tv_nsec,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            xattrs: 0,
            part: self.walk.index,
            mode: stat.stx_mode & 0o7777,
            dev: self.dev((stat.stx_dev_major, stat.stx_dev_minor)),
            tag,
            linked: plain && tag != Tag::Dir && stat.stx_nlink > 1,
        }))
    }

    fn target(&self, dir: &mut Dir, found: &[u8]) -> Result<Span, Fault> {
        let target = readlinkat(&self.fd, found, Vec::new())
            .map_err(|e| Fault::Io("read the link", e.into()))?;
        Ok(dir.store(target.as_bytes()))
    }

    fn dev(&mut self, device: (u32, u32)) -> u16 {
        match self.last_dev {
            Some((known, index)) if known == device => index,
            _ => {
                let index = self.walk.devices.index(device);
                self.last_dev = Some((device, index));
                index
            }
        }
    }

    fn xattrs(&mut self, found: &[u8]) -> Result<super::Xattrs, Fault> {
        if self.walk.policy.xattrs == super::XattrRule::None || self.has_none(found) {
            return Ok(super::Xattrs::new());
        }
        // There is no call relative to a directory; this path is one, and cannot be diverted.
        let held = format!("/proc/self/fd/{}/", self.fd.as_raw_fd());
        let path = CString::new([held.as_bytes(), found].concat());
        let path = path.map_err(|e| Fault::Refused(e.to_string()))?;
        xattr::read(&path, self.walk.policy, &mut self.buffer).map_err(|fault| match fault {
            XattrFault::Io(error) => Fault::Io("read the extended attributes of", error),
            XattrFault::Refused(why) => Fault::Refused(why),
        })
    }

    /// Whether a cheaper look, by a path that somebody could divert, finds no attribute.
    ///
    /// A diverted look finds nothing of what lies elsewhere, and the file itself is
    /// opened later on a way that cannot be diverted.
    fn has_none(&mut self, found: &[u8]) -> bool {
        self.path.clear();
        self.path.extend_from_slice(&self.near);
        self.path.extend_from_slice(found);
        self.path.push(0);
        CStr::from_bytes_with_nul(&self.path).is_ok_and(xattr::none_at)
    }
}

fn device(stat: &Statx) -> u64 {
    u64::from(stat.stx_rdev_major) << 32 | u64::from(stat.stx_rdev_minor)
}

/// Last change of anything about an entry, in nanoseconds since the epoch.
pub(super) fn changed(found: &Statx) -> i64 {
    let nanos = i64::from(found.stx_ctime.tv_nsec);
    let secs = found.stx_ctime.tv_sec.saturating_mul(1_000_000_000);
    secs.saturating_add(nanos)
}

/// A fault of one entry whose path is not known yet.
enum Fault {
    Io(&'static str, std::io::Error),
    Refused(String),
    Vanished,
}

impl Fault {
    fn at(self, path: &Path) -> TreeError {
        match self {
            Self::Io(action, source) => TreeError::io(action, path, source),
            Self::Refused(why) => TreeError::Refused {
                path: path.to_owned(),
                why,
            },
            Self::Vanished => {
                let what = "it vanished while its directory was listed";
                TreeError::Changed {
                    path: path.to_owned(),
                    what,
                }
            }
        }
    }
}
