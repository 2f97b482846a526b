//! The members of an archive by name, where their bytes are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tar::{Archive, EntryType};

use super::TargetError;
use super::archive::Section;
use crate::blob::folder::failed;
use crate::fault::printable;

/// Documents larger than this are not read.
const DOCUMENT_LIMIT: u64 = 64 << 20;

/// More members than this are no archive of images.
const MEMBER_LIMIT: usize = 1 << 20;

/// Where a member's bytes are in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The first.
    pub(super) at: u64,
    /// How many.
    pub(super) size: u64,
}

/// A tar file with its regular members by name, without `./`, and its links.
pub(super) struct Members {
    pub(super) file: File,
    pub(super) path: PathBuf,
    files: BTreeMap<String, Member>,
    links: BTreeMap<String, String>,
}

impl Members {
    /// Reads all headers of an archive.
    ///
    /// # Errors
    /// [`TargetError::NotAnArchive`] for what is compressed, cut short, ambiguous or no tar.
    pub(super) fn read(path: &Path) -> Result<Self, TargetError> {
        let reading = |source| failed("read", path.to_owned(), source);
        // A FIFO is to be refused, not waited for.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let mut options = File::options();
        let file = options.read(true).custom_flags(flags).open(path);
        let file = file.map_err(reading)?;
        let metadata = file.metadata().map_err(reading)?;
        let mut members = Self {
            file,
            path: path.to_owned(),
            files: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        if !metadata.is_file() {
            return Err(members.fault("it is not a plain file"));
        }
        let mut magic = [0; 6];
        let known = members.file.read_at(&mut magic, 0).map_err(reading)?;
        if let Some(name) = compression(magic.get(..known).unwrap_or_default()) {
            return Err(members.fault(format!("it is compressed with {name}: decompress it first")));
        }
        members.scan(metadata.len())?;
        Ok(members)
    }

    fn scan(&mut self, length: u64) -> Result<(), TargetError> {
        let file = self.file.try_clone();
        let file = file.map_err(|source| failed("read", self.path.clone(), source))?;
        let mut archive = Archive::new(file);
        let malformed = |error: io::Error| printable(&error.to_string());
        let entries = archive.entries_with_seek();
        for entry in entries.map_err(|error| self.fault(malformed(error)))? {
            let entry = entry.map_err(|error| self.fault(malformed(error)))?;
            let name = plain_name(&entry.path_bytes());
            let member = Member {
                at: entry.raw_file_position(),
                size: entry.size(),
            };
            let end = member.at.checked_add(member.size);
            if end.is_none_or(|end| end > length) {
                let text = format!("it is cut short in {}", printable(&name));
                return Err(self.fault(text));
            }
            let repeated = match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    self.files.insert(name.clone(), member).is_some()
                }
                EntryType::Symlink | EntryType::Link => {
                    let target = link_target(&entry, &name);
                    self.links.insert(name.clone(), target).is_some()
                }
                EntryType::Directory => false,
                _ => {
                    let text = format!("{} is neither file nor directory", printable(&name));
                    return Err(self.fault(text));
                }
            };
            if repeated {
                return Err(self.fault(format!("{} is in it twice", printable(&name))));
            }
            if self.files.len() + self.links.len() > MEMBER_LIMIT {
                return Err(self.fault("it has too many members"));
            }
        }
        Ok(())
    }

    /// A member by name; docker's archives say the same layer twice by a link.
    pub(super) fn find(&self, name: &str) -> Option<Member> {
        let name = plain_name(name.as_bytes());
        let target = self.links.get(&name).unwrap_or(&name);
        self.files.get(target).copied()
    }

    /// All files.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.files
            .iter()
            .map(|(name, member)| (name.as_str(), member))
    }

    /// The bytes of a member that is a document.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>, TargetError> {
        let missing = || self.fault(format!("there is no {} in it", printable(name)));
        let member = self.find(name).ok_or_else(missing)?;
        if member.size > DOCUMENT_LIMIT {
            let text = format!("{} has {} bytes", printable(name), member.size);
            return Err(self.fault(text));
        }
        let mut bytes = Vec::new();
        let read = Section::new(&self.file, member).read_to_end(&mut bytes);
        read.map_err(|source| failed("read", self.path.clone(), source))?;
        Ok(bytes)
    }

    /// An error about the whole archive.
    pub(super) fn fault(&self, fault: impl Into<String>) -> TargetError {
        TargetError::NotAnArchive {
            path: self.path.clone(),
            fault: fault.into(),
        }
    }
}

/// A member's name without `./` in front and `/` behind.
fn plain_name(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let mut name = name.as_ref();
    while let Some(rest) = name.strip_prefix("./") {
        name = rest.trim_start_matches('/');
    }
    name.trim_end_matches('/').to_owned()
}

/// Hard links name members; symbolic ones lead from where they are.
fn link_target(entry: &tar::Entry<'_, File>, name: &str) -> String {
    let target = entry.link_name_bytes().unwrap_or_default();
    match entry.header().entry_type() {
        EntryType::Symlink => beside(name, &String::from_utf8_lossy(&target)),
        _ => plain_name(&target),
    }
}

/// What a relative link in `name`'s directory leads to.
fn beside(name: &str, target: &str) -> String {
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn compression(magic: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 4] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
    ];
    let found = KNOWN.iter().find(|(start, _)| magic.starts_with(start));
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_one_form() {
        assert_eq!(plain_name(b"./a/b/"), "a/b");
        assert_eq!(plain_name(b".//./a"), "a");
        assert_eq!(plain_name(b".a"), ".a");
        assert_eq!(beside("x/layer.tar", "../y/layer.tar"), "y/layer.tar");
        assert_eq!(beside("x", "../../y"), "y");
    }
}
