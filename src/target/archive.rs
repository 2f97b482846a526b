//! Archives opened for reading: the layout packed as a tar, and docker's own.
//!
//! Nothing is unpacked: members are found once and then read where they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::docker_archive;
use super::members::{Member, Members};
use super::{TargetError, docker_manifest};
use crate::blob::{
    Algorithm, BlobError, BlobReader, BlobStore, BlobWriter, Descriptor, Digest, MemoryStore,
    verifying,
};
use crate::image::{Index, IndexEntry, parse_strict};

/// The blobs of an archive and the images that it names. Cannot be written.
pub struct ArchiveStore {
    file: File,
    path: PathBuf,
    blobs: BTreeMap<Digest, Member>,
    /// Documents that docker's archives do not have.
    made: MemoryStore,
    entries: Vec<IndexEntry>,
}

impl ArchiveStore {
    /// Finds out what is in an archive: a hybrid is read as a layout.
    ///
    /// The layers of docker's own archive are hashed, because only their order is said there.
    ///
    /// # Errors
    /// [`TargetError::NotAnArchive`] says what is wrong; [`TargetError::Image`];
    /// [`TargetError::Blob`] if the file cannot be read.
    pub fn open(path: &Path) -> Result<Self, TargetError> {
        let members = Members::read(path)?;
        if members.find("index.json").is_some() || members.find("oci-layout").is_some() {
            return Self::of_layout(members);
        }
        if members.find("manifest.json").is_some() {
            return Self::of_docker(members);
        }
        Err(members.fault("there is neither index.json nor manifest.json in it"))
    }

    /// The images, in the order of the archive.
    pub fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn of_layout(members: Members) -> Result<Self, TargetError> {
        members.document("oci-layout")?;
        let index = Index::parse(members.document("index.json")?)?.value;
        let blobs = members.all().filter_map(|(name, member)| {
            let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
            Some((format!("{algorithm}:{hex}").parse().ok()?, *member))
        });
        Ok(Self {
            blobs: blobs.collect(),
            file: members.file,
            path: members.path,
            made: MemoryStore::default(),
            entries: index.manifests,
        })
    }

    fn of_docker(members: Members) -> Result<Self, TargetError> {
        let bytes = members.document("manifest.json")?;
        let value = parse_strict(&bytes);
        let value = value.map_err(|fault| members.fault(format!("manifest.json: {fault}")))?;
        let items = docker_manifest::parse(&value).map_err(|fault| members.fault(fault))?;
        let made = MemoryStore::default();
        let (blobs, entries) = docker_archive::read(&members, &items, &made)?;
        Ok(Self {
            blobs,
            file: members.file,
            path: members.path,
            made,
            entries,
        })
    }

    fn section(&self, descriptor: &Descriptor) -> Result<Option<Section<'_>>, BlobError> {
        let Some(member) = self.blobs.get(&descriptor.digest) else {
            return Ok(None);
        };
        if member.size != descriptor.size {
            return Err(BlobError::Damaged {
                digest: descriptor.digest.clone(),
                fault: format!(
                    "it has {} bytes instead of {}",
                    member.size, descriptor.size
                ),
            });
        }
        Ok(Some(Section::new(&self.file, *member)))
    }
}

impl BlobStore for ArchiveStore {
    fn create_with(&self, _: Algorithm) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        Err(BlobError::Io {
            action: "write into",
            path: self.path.clone(),
            source: io::ErrorKind::Unsupported.into(),
        })
    }

    fn contains(&self, descriptor: &Descriptor) -> Result<bool, BlobError> {
        let mut reader = match self.open(descriptor) {
            Err(BlobError::Missing { .. } | BlobError::Damaged { .. }) => return Ok(false),
            reader => reader?,
        };
        match io::copy(&mut reader, &mut io::sink()) {
            Ok(_) => Ok(true),
            Err(error) => match crate::blob::unreadable(&descriptor.digest, error) {
                BlobError::Damaged { .. } => Ok(false),
                error => Err(error),
            },
        }
    }

    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader<'_>, BlobError> {
        if let Some(section) = self.section(descriptor)? {
            return Ok(verifying(section, descriptor));
        }
        self.made.open(descriptor).map_err(|error| match error {
            BlobError::Missing { digest, .. } => BlobError::Missing {
                digest,
                store: self.path.display().to_string(),
            },
            error => error,
        })
    }
}

/// A piece of a file; any number may be read at once.
pub(super) struct Section<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl<'a> Section<'a> {
    pub(super) fn new(file: &'a File, member: Member) -> Self {
        Self {
            file,
            at: member.at,
            left: member.size,
        }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(part) = buffer.get_mut(..most) else {
            return Ok(0);
        };
        let count = self.file.read_at(part, self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
