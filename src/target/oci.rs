//! An image layout packed as a tar (image-layout chapter), as a rule with docker's `manifest.json`.
//!
//! One such file serves `docker load` old and new, podman, skopeo, containerd and crane.

use std::collections::BTreeMap;
use std::io::Read;

use super::docker_manifest::{self, Item};
use super::tarball::Tarball;
use super::{Output, Target, TargetError, closure};
use crate::blob::{BlobError, BlobStore, COPY_BUFFER, Descriptor, Digest, unreadable};
use crate::image::{Image, IndexEntry, canonical};
use crate::layout::{MARKER_TEXT, empty_index, put};

/// Writes one archive per [`send`](Target::send): the same bytes for the same images.
pub struct OciArchive {
    output: Output,
    docker_manifest: bool,
}

impl OciArchive {
    /// An archive that docker before version 25 loads too.
    pub fn new(output: Output) -> Self {
        Self {
            output,
            docker_manifest: true,
        }
    }

    /// An archive of the layout and nothing else.
    pub fn without_docker_manifest(output: Output) -> Self {
        Self {
            output,
            docker_manifest: false,
        }
    }
}

impl Target for OciArchive {
    fn send(&mut self, from: &dyn BlobStore, entries: &[IndexEntry]) -> Result<(), TargetError> {
        let roots: Vec<_> = entries.iter().map(|e| e.descriptor.clone()).collect();
        let blobs: BTreeMap<Digest, Descriptor> = closure(from, &roots)?
            .into_iter()
            .map(|descriptor| (descriptor.digest.clone(), descriptor))
            .collect();
        let mut index = empty_index();
        for entry in entries {
            put(&mut index, entry);
        }
        let docker = if self.docker_manifest {
            items(from, entries)
        } else {
            Vec::new()
        };
        self.output.write(|out, place| {
            let failed = |source| TargetError::Write {
                place: place.to_owned(),
                source,
            };
            let mut tarball = Tarball::new(out);
            tarball.bytes("oci-layout", MARKER_TEXT).map_err(failed)?;
            tarball.folder("blobs/").map_err(failed)?;
            let mut folder = String::new();
            for descriptor in blobs.values() {
                let home = format!("blobs/{}/", descriptor.digest.algorithm().name());
                if home != folder {
                    tarball.folder(&home).map_err(failed)?;
                    folder = home;
                }
                let name = blob_name(&descriptor.digest);
                tarball.begin(&name, descriptor.size).map_err(failed)?;
                pour(from.open(descriptor)?, descriptor, &mut tarball, &failed)?;
            }
            tarball
                .bytes("index.json", &canonical(&index))
                .map_err(failed)?;
            if !docker.is_empty() {
                let bytes = docker_manifest::render(&docker);
                tarball.bytes("manifest.json", &bytes).map_err(failed)?;
            }
            tarball.finish().map_err(failed)
        })
    }
}

/// The body of a member that was begun; never more or less than its header says.
pub(super) fn pour(
    mut reader: impl Read,
    descriptor: &Descriptor,
    tarball: &mut Tarball<'_>,
    failed: &dyn Fn(std::io::Error) -> TargetError,
) -> Result<(), TargetError> {
    let mut buffer = vec![0; COPY_BUFFER];
    let mut left = descriptor.size;
    let changed = || BlobError::Damaged {
        digest: descriptor.digest.clone(),
        fault: "it changed while it was read".to_owned(),
    };
    loop {
        let read = reader.read(&mut buffer);
        let count = read.map_err(|error| unreadable(&descriptor.digest, error))?;
        match buffer.get(..count) {
            Some([]) | None if left == 0 => return tarball.pad(descriptor.size).map_err(failed),
            Some([]) | None => return Err(changed().into()),
            Some(bytes) => {
                left = left.checked_sub(count as u64).ok_or_else(changed)?;
                tarball.body(bytes).map_err(failed)?;
            }
        }
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// What docker's manifest says of the images: its classic store takes one platform of each.
fn items(from: &dyn BlobStore, entries: &[IndexEntry]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for entry in entries {
        // An artifact, or several platforms: containerd's store reads index.json instead.
        let Ok(image) = Image::load(from, entry, None) else {
            continue;
        };
        let layers = image.manifest.value.layers.iter();
        docker_manifest::add(
            &mut items,
            Item {
                config: blob_name(&image.manifest.value.config.descriptor.digest),
                tags: docker_manifest::tag_of(entry).into_iter().collect(),
                layers: layers
                    .map(|layer| blob_name(&layer.descriptor.digest))
                    .collect(),
            },
        );
    }
    items
}
