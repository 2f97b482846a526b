//! [`Reader`]: the bytes of a listing's files, and whether they are still those listed.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use rustix::fs::{Advice, fadvise};
use rustix::io::{ReadWriteFlags, preadv2};

use super::TreeError;
use super::listing::Listing;
use super::node::{Node, Tag};
use super::part::{Flavour, Part};
use super::root::{open_child, retry_std};

/// Reads files of one [`Listing`], quickest in the order of the archive.
#[derive(Debug)]
pub struct Reader<'l> {
    listing: &'l Listing,
    held: Option<Held>,
    waited: bool,
}

/// The directory of the last file, so that those beside it need no walk to it.
#[derive(Debug)]
struct Held {
    dir: u32,
    part: u32,
    handle: OwnedFd,
}

impl<'l> Reader<'l> {
    pub(super) fn new(listing: &'l Listing) -> Self {
        Self {
            listing,
            held: None,
            waited: false,
        }
    }

    /// Whether a disk had to be waited for: what was read was not in memory.
    pub fn waited(&self) -> bool {
        self.waited
    }

    /// Asks for a piece of a file that will be read soon, and waits for nothing.
    ///
    /// Whatever is wrong with the file shows when it is read.
    pub fn announce(&mut self, index: usize, offset: u64, len: u64) {
        if let Ok(file) = self.open(index) {
            let _ = fadvise(&file, offset, NonZeroU64::new(len), Advice::WillNeed);
        }
    }

    /// Fills `buffer` with a file's bytes from `offset` on.
    ///
    /// # Errors
    /// [`TreeError::Changed`] if the file is not the one that was listed, or not as
    /// it was then; [`TreeError::Io`] if it cannot be read.
    pub fn read(&mut self, index: usize, offset: u64, buffer: &mut [u8]) -> Result<(), TreeError> {
        let file = self.open(index);
        let listing = self.listing;
        let (_, node) = listing.at(index);
        let part = listing.home(node);
        let host = || part.host_of(listing.path(index).as_bytes());
        let file = file.map_err(|e| vanished(e, &host))?;
        let changed = |what| TreeError::Changed { path: host(), what };
        let there = at_once(&file, offset, buffer);
        self.waited |= there < buffer.len();
        file.read_exact_at(&mut buffer[there..], offset + there as u64)
            .map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => changed("it has become shorter"),
                _ if e.raw_os_error() == Some(29) => changed("it is not a regular file any more"),
                _ => TreeError::io("read", &host(), e),
            })?;
        let now =
            retry_std(|| file.metadata()).map_err(|e| TreeError::io("examine", &host(), e))?;
        difference(&now, node, part).map_or(Ok(()), |what| Err(changed(what)))
    }

    fn open(&mut self, index: usize) -> io::Result<File> {
        let (dir, node) = self.listing.at(index);
        if let Some(handle) = self.hold(index) {
            return open_child(handle, dir.name(node));
        }
        let part = self.listing.home(node);
        let path = self.listing.path(index);
        part.root.open_file(&part.source_of(path.as_bytes()))
    }

    /// The directory of a file that has others beside it; `None` if it has none, or if
    /// the directory cannot be held, which opening the file will then explain.
    fn hold(&mut self, index: usize) -> Option<&OwnedFd> {
        let (number, dir, node) = self.listing.place(index);
        let known = |held: &Held| (held.dir, held.part) == (number, node.part);
        if !self.held.as_ref().is_some_and(known) {
            let part = self.listing.home(node);
            let mut files = dir.children.iter().filter(|node| node.tag == Tag::File);
            // A part that is one file has a name of its own on disk.
            if dir.path.as_bytes().len() < part.dest.as_bytes().len() || files.nth(1).is_none() {
                return None;
            }
            let source = part.source_of(dir.path.as_bytes());
            self.held = part.root.hold_dir(&source).ok().map(|handle| Held {
                dir: number,
                part: node.part,
                handle,
            });
        }
        self.held.as_ref().map(|held| &held.handle)
    }
}

/// Reads what is in memory already: how many bytes that was.
fn at_once(file: &File, offset: u64, buffer: &mut [u8]) -> usize {
    let room = &mut [IoSliceMut::new(buffer)];
    // A file system that does not know the flag refuses, and is read in the usual way.
    preadv2(file, room, offset, ReadWriteFlags::NOWAIT).unwrap_or(0)
}

/// What about a file is not as it was listed.
fn difference(now: &std::fs::Metadata, node: &Node, part: &Part) -> Option<&'static str> {
    if !now.is_file() {
        return Some("it is not a regular file any more");
    }
    if now.size() != node.data {
        return Some("its size is another");
    }
    if (now.mtime(), now.mtime_nsec()) != (node.secs, i64::from(node.nanos)) {
        return Some("its modification time is another");
    }
    // Optimising a Nix store replaces files by equal ones with other inodes.
    if part.flavour == Flavour::Plain && now.ino() != node.ino {
        return Some("another file has taken its place");
    }
    None
}

fn vanished(error: io::Error, host: &dyn Fn() -> PathBuf) -> TreeError {
    let link = error.raw_os_error() == Some(40);
    match error.kind() {
        io::ErrorKind::NotFound => TreeError::Changed {
            path: host(),
            what: "it has vanished",
        },
        _ if link => TreeError::Changed {
            path: host(),
            what: "a link has taken its place, or that of a directory above",
        },
        _ => TreeError::io("open", &host(), error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;
    use crate::tree::{Exclude, ListRequest, Opener, Parents, Policy, TreePath, list};

    fn listed(host: &Path, dest: &str) -> Listing {
        let dest = TreePath::new(dest).unwrap();
        let part = Opener::default().open(host, dest, Flavour::Plain).unwrap();
        let (exclude, parents) = (Exclude::default(), Parents::default());
        let request = ListRequest {
            parts: vec![part],
            made: Vec::new(),
            policy: &Policy::default(),
            exclude: &exclude,
            parents: &parents,
            yielding: false,
            threads: 1,
            memory: None,
        };
        list(request).unwrap()
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed_from_a_held_directory() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let listing = listed(dir.path(), "");
        let mut reader = listing.reader();
        let mut byte = [0];
        reader.read(0, 0, &mut byte).unwrap();
        assert_eq!((byte, reader.held.is_some()), (*b"a", true));
        fs::remove_file(dir.path().join("b")).unwrap();
        symlink("c", dir.path().join("b")).unwrap();
        let fault = reader.read(1, 0, &mut byte).unwrap_err().to_string();
        assert!(fault.contains("a link has taken its place"), "{fault}");
        reader.read(2, 0, &mut byte).unwrap();
        assert_eq!(byte, *b"c");
    }

    #[test]
    fn a_part_that_is_one_file_is_found_by_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["x", "y"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let listing = listed(&dir.path().join("x"), "etc/other");
        let mut byte = [0];
        listing.reader().read(1, 0, &mut byte).unwrap();
        assert_eq!(byte, *b"x");
    }
}
