//! Docker's own archive: plain layers by diff ID, the config, and `manifest.json`.
//!
//! What every docker and podman loads. The config's bytes stay as they are, and with them the
//! image ID; compressed layers are decompressed, because docker's store names them by diff ID.

use std::collections::BTreeMap;
use std::io::Read;

use super::docker_manifest::{self, Item};
use super::oci::pour;
use super::tarball::Tarball;
use super::{Output, Target, TargetError};
use crate::blob::{BlobStore, COPY_BUFFER, Descriptor, DiffId, Hasher, unreadable};
use crate::image::{Image, ImageError, IndexEntry};
use crate::layer::read::{decompress, tar_limit};

/// Writes one archive per [`send`](Target::send).
pub struct DockerArchive {
    output: Output,
}

impl DockerArchive {
    /// An archive that goes there.
    pub fn new(output: Output) -> Self {
        Self { output }
    }
}

/// A layer and how long its tar is.
struct Plain {
    stored: Descriptor,
    size: u64,
}

impl Target for DockerArchive {
    fn send(&mut self, from: &dyn BlobStore, entries: &[IndexEntry]) -> Result<(), TargetError> {
        let images = entries.iter().map(|entry| Image::load(from, entry, None));
        let images = images.collect::<Result<Vec<_>, ImageError>>()?;
        let mut layers: BTreeMap<DiffId, Plain> = BTreeMap::new();
        let mut configs: BTreeMap<String, &[u8]> = BTreeMap::new();
        let mut items = Vec::new();
        for (image, entry) in images.iter().zip(entries) {
            for (layer, diff_id) in image.layers() {
                if !layers.contains_key(diff_id) {
                    let plain = measure(from, &layer.descriptor, diff_id)?;
                    layers.insert(diff_id.clone(), plain);
                }
            }
            let config = format!("{}.json", image.config.descriptor.digest.hex());
            configs.insert(config.clone(), &image.config.bytes);
            docker_manifest::add(
                &mut items,
                Item {
                    config,
                    tags: docker_manifest::tag_of(entry).into_iter().collect(),
                    layers: image.layers().map(|(_, id)| layer_name(id)).collect(),
                },
            );
        }
        self.output.write(|out, place| {
            let failed = |source| TargetError::Write {
                place: place.to_owned(),
                source,
            };
            let mut tarball = Tarball::new(out);
            for (name, bytes) in &configs {
                tarball.bytes(name, bytes).map_err(failed)?;
            }
            for (diff_id, Plain { stored, size }) in &layers {
                tarball.begin(&layer_name(diff_id), *size).map_err(failed)?;
                let plain = Descriptor {
                    size: *size,
                    ..stored.clone()
                };
                pour(plain_tar(from, stored)?, &plain, &mut tarball, &failed)?;
            }
            let bytes = docker_manifest::render(&items);
            tarball.bytes("manifest.json", &bytes).map_err(failed)?;
            tarball.finish().map_err(failed)
        })
    }
}

fn layer_name(diff_id: &DiffId) -> String {
    format!("{}.tar", diff_id.0.hex())
}

/// Reads a layer once to learn its uncompressed size, and holds it against its diff ID.
fn measure(
    from: &dyn BlobStore,
    stored: &Descriptor,
    diff_id: &DiffId,
) -> Result<Plain, TargetError> {
    let stored = stored.clone();
    if stored.digest == diff_id.0 {
        let size = stored.size;
        return Ok(Plain { stored, size });
    }
    let mut reader = plain_tar(from, &stored)?;
    let mut hasher = Hasher::new(diff_id.0.algorithm());
    let mut buffer = vec![0; COPY_BUFFER];
    let mut size = 0;
    loop {
        let read = reader.read(&mut buffer);
        let count = read.map_err(|error| unreadable(&stored.digest, error))?;
        match buffer.get(..count) {
            Some([]) | None => break,
            Some(bytes) => hasher.update(bytes),
        }
        size += count as u64;
    }
    let found = hasher.finish();
    if found != diff_id.0 {
        return Err(TargetError::DiffId {
            digest: stored.digest,
            found,
            promised: diff_id.clone(),
        });
    }
    Ok(Plain { stored, size })
}

/// The bytes of a layer's tar.
fn plain_tar<'a>(
    from: &'a dyn BlobStore,
    layer: &Descriptor,
) -> Result<impl Read + 'a, TargetError> {
    let limit = tar_limit(layer.size);
    Ok(decompress(&layer.media_type, from.open(layer)?, limit))
}
