//! Docker's own archive as blobs: the documents that it does not have are made for it.

use std::collections::BTreeMap;
use std::io::Read as _;

use rayon::prelude::*;

use super::TargetError;
use super::archive::Section;
use super::docker_manifest::Item;
use super::members::{Member, Members};
use crate::blob::folder::failed;
use crate::blob::{Algorithm, COPY_BUFFER, Descriptor, Digest, Hasher, MemoryStore};
use crate::fault::printable;
use crate::image::{ImageConfig, ImageName, IndexEntry, Manifest, Raw, canonical, media};

type Blobs = BTreeMap<Digest, Member>;

/// Makes a manifest for each image; hashes all layers.
pub(super) fn read(
    members: &Members,
    items: &[Item],
    made: &MemoryStore,
) -> Result<(Blobs, Vec<IndexEntry>), TargetError> {
    let mut names: Vec<&str> = items
        .iter()
        .flat_map(|i| &i.layers)
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    let hashed = names
        .par_iter()
        .map(|name| Ok((*name, layer(members, name)?)));
    let layers = hashed.collect::<Result<BTreeMap<_, _>, TargetError>>()?;
    let mut entries = Vec::new();
    for item in items {
        let image = layers_of(&layers, item);
        entries.extend(image_entries(members, item, &image, made)?);
    }
    let blobs = layers
        .into_values()
        .map(|(descriptor, member)| (descriptor.digest, member));
    Ok((blobs.collect(), entries))
}

fn layers_of(layers: &BTreeMap<&str, (Descriptor, Member)>, item: &Item) -> Vec<Descriptor> {
    let found = item
        .layers
        .iter()
        .filter_map(|name| layers.get(name.as_str()));
    found.map(|(descriptor, _)| descriptor.clone()).collect()
}

/// One entry for each name of an image, or one without a name.
fn image_entries(
    members: &Members,
    item: &Item,
    layers: &[Descriptor],
    made: &MemoryStore,
) -> Result<Vec<IndexEntry>, TargetError> {
    let config: Raw<ImageConfig> = ImageConfig::parse(members.document(&item.config)?)?;
    check_config(members, item, &config, layers)?;
    let descriptor = made.put(media::CONFIG, &config.bytes);
    let manifest = Manifest {
        media_type: None,
        artifact_type: None,
        config: descriptor.into(),
        layers: layers.iter().cloned().map(IndexEntry::from).collect(),
        subject: None,
        annotations: BTreeMap::new(),
        extra: serde_json::Map::new(),
    };
    let descriptor = made.put(media::MANIFEST, &canonical(&manifest.to_json()));
    let mut entry = IndexEntry::from(descriptor);
    entry.platform = Some(config.value.platform.clone());
    if item.tags.is_empty() {
        return Ok(vec![entry]);
    }
    let named = item.tags.iter().map(|tag| {
        let mut entry = entry.clone();
        entry.annotations = ImageName::parse(tag)?.annotations();
        Ok(entry)
    });
    named.collect()
}

fn check_config(
    members: &Members,
    item: &Item,
    config: &Raw<ImageConfig>,
    layers: &[Descriptor],
) -> Result<(), TargetError> {
    let stem = item.config.rsplit('/').next().unwrap_or_default();
    let stem = stem.strip_suffix(".json").unwrap_or(stem);
    let promised = format!("sha256:{stem}").parse::<Digest>();
    if promised.is_ok_and(|promised| promised != config.descriptor.digest) {
        return Err(members.fault(format!("{stem} is not the digest of that config")));
    }
    let diff_ids = &config.value.diff_ids;
    if diff_ids.len() != layers.len() {
        let (ids, count) = (diff_ids.len(), layers.len());
        return Err(members.fault(format!("there are {count} layers for {ids} diff IDs")));
    }
    let plain = layers.iter().zip(diff_ids);
    for (layer, diff_id) in plain.filter(|(layer, _)| layer.media_type == media::LAYER) {
        if layer.digest != diff_id.0 {
            return Err(TargetError::DiffId {
                digest: layer.digest.clone(),
                found: layer.digest.clone(),
                promised: diff_id.clone(),
            });
        }
    }
    Ok(())
}

/// Hashes a layer and tells its codec by its first bytes.
fn layer(members: &Members, name: &str) -> Result<(Descriptor, Member), TargetError> {
    let missing = || members.fault(format!("there is no layer {} in it", printable(name)));
    let member = members.find(name).ok_or_else(missing)?;
    let mut section = Section::new(&members.file, member);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; COPY_BUFFER];
    let mut media_type = None;
    loop {
        let read = section.read(&mut buffer);
        let count = read.map_err(|source| failed("read", members.path.clone(), source))?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        media_type = media_type.or(Some(layer_type(bytes)));
        hasher.update(bytes);
    }
    let descriptor = Descriptor {
        media_type: media_type.unwrap_or(media::LAYER).to_owned(),
        digest: hasher.finish(),
        size: member.size,
    };
    Ok((descriptor, member))
}

fn layer_type(bytes: &[u8]) -> &'static str {
    if bytes.starts_with(b"\x1f\x8b") {
        media::LAYER_GZIP
    } else if bytes.starts_with(b"\x28\xb5\x2f\xfd") {
        media::LAYER_ZSTD
    } else {
        media::LAYER
    }
}
