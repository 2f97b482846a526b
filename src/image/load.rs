//! [`Image::load`]: from an index entry to an image that can be trusted.

use std::collections::BTreeSet;

use super::document::{DOCUMENT_LIMIT, Document, parse_named};
use super::{Image, ImageConfig, ImageError, Index, IndexEntry, Manifest, Platform, Raw, media};
use crate::blob::{BlobStore, read_all};
use crate::fault::{Fault, Level};

/// So many indexes within indexes are followed; one is what everybody writes.
pub const NESTING_LIMIT: usize = 8;

impl Image {
    /// Reads and verifies the manifest and config of one image.
    ///
    /// An index is searched for `platform`; without one it must hold exactly one
    /// image. Every document is held against its digest, its size and the rules
    /// of the specification. Layers are not read.
    ///
    /// # Errors
    /// [`ImageError`], naming the document and the place in it, or the platforms
    /// to choose from.
    pub fn load(
        store: &dyn BlobStore,
        entry: &IndexEntry,
        platform: Option<&Platform>,
    ) -> Result<Self, ImageError> {
        let mut candidates = Vec::new();
        gather(store, entry, 0, &mut BTreeSet::new(), &mut candidates)?;
        let chosen = choose(store, candidates, platform)?;
        let mut image = Self::load_manifest(store, &chosen)?;
        let name = entry.annotations.get(super::annotations::CONTAINERD_NAME);
        image.name = name.cloned();
        Ok(image)
    }

    /// Reads the image that `entry`, the descriptor of a manifest, points at.
    fn load_manifest(store: &dyn BlobStore, entry: &IndexEntry) -> Result<Self, ImageError> {
        let manifest = read_document::<Manifest>(store, entry)?;
        let config = &manifest.value.config;
        if !manifest.value.is_image() {
            let text = format!(
                "is an artifact: its config is `{}`",
                config.descriptor.media_type
            );
            return Err(refused::<Manifest>(entry, 34, "/config/mediaType", &text));
        }
        for (i, layer) in manifest.value.layers.iter().enumerate() {
            if media::layer(&layer.descriptor.media_type).is_none() {
                let text = format!("`{}` is not carried along", layer.descriptor.media_type);
                let place = format!("/layers/{i}/mediaType");
                return Err(refused::<Manifest>(entry, 85, &place, &text));
            }
        }
        let config = read_document::<ImageConfig>(store, config)?;
        let (layers, ids) = (manifest.value.layers.len(), config.value.diff_ids.len());
        if layers != ids {
            let text = format!("{ids} diff_ids for the {layers} layers of the manifest");
            let config = &manifest.value.config;
            return Err(refused::<ImageConfig>(
                config,
                64,
                "/rootfs/diff_ids",
                &text,
            ));
        }
        Ok(Self {
            manifest,
            config,
            name: None,
        })
    }
}

/// Reads and verifies one document.
pub(crate) fn read_document<T: Document>(
    store: &dyn BlobStore,
    entry: &IndexEntry,
) -> Result<Raw<T>, ImageError> {
    let what = format!("{} {}", T::NAME, entry.descriptor.digest);
    let bytes = read_all(store, &entry.descriptor, DOCUMENT_LIMIT);
    let bytes = bytes.map_err(|source| ImageError::Blob {
        what: what.clone(),
        source,
    })?;
    let mut document = parse_named::<T>(what, bytes)?;
    let promised = &entry.descriptor.media_type;
    let own = &document.descriptor.media_type;
    let comparable = T::NAME != ImageConfig::NAME;
    if comparable && own != promised && says_its_type(&document.bytes) {
        let text = format!("calls itself `{own}`, and its descriptor says `{promised}`");
        return Err(refused::<T>(entry, 33, "/mediaType", &text));
    }
    document.descriptor = entry.descriptor.clone();
    Ok(document)
}

fn says_its_type(bytes: &[u8]) -> bool {
    let value = super::parse_strict(bytes);
    value.is_ok_and(|value| value.get("mediaType").is_some())
}

fn refused<T: Document>(entry: &IndexEntry, rule: u16, pointer: &str, text: &str) -> ImageError {
    ImageError::Document {
        what: format!("{} {}", T::NAME, entry.descriptor.digest),
        fault: Fault::new(Level::Must, rule, pointer, text),
    }
}

/// Collects the image manifests below `entry`, each once.
fn gather(
    store: &dyn BlobStore,
    entry: &IndexEntry,
    depth: usize,
    seen: &mut BTreeSet<crate::blob::Digest>,
    found: &mut Vec<IndexEntry>,
) -> Result<(), ImageError> {
    let digest = &entry.descriptor.digest;
    if !seen.insert(digest.clone()) {
        return Ok(());
    }
    if !media::is_index(&entry.descriptor.media_type) {
        found.push(entry.clone());
        return Ok(());
    }
    if depth == NESTING_LIMIT {
        return Err(ImageError::Nested {
            digest: digest.clone(),
            limit: NESTING_LIMIT,
        });
    }
    let index = read_document::<Index>(store, entry)?.value;
    let images = index.manifests.iter().filter(|entry| is_choice(entry));
    for entry in images {
        gather(store, entry, depth + 1, seen, found)?;
    }
    Ok(())
}

/// Neither an artifact nor a note about another manifest, as `BuildKit` hides them in indexes.
fn is_choice(entry: &IndexEntry) -> bool {
    let hidden = |platform: &Platform| platform.os == "unknown";
    let media_type = &entry.descriptor.media_type;
    entry.artifact_type.is_none()
        && !entry.platform.as_ref().is_some_and(hidden)
        && (media::is_manifest(media_type) || media::is_index(media_type))
}

fn choose(
    store: &dyn BlobStore,
    mut candidates: Vec<IndexEntry>,
    wanted: Option<&Platform>,
) -> Result<IndexEntry, ImageError> {
    if wanted.is_none() && candidates.len() == 1 {
        return Ok(candidates.swap_remove(0));
    }
    for entry in &mut candidates {
        if entry.platform.is_none() {
            entry.platform = platform_of(store, entry)?;
        }
    }
    let choices = || -> Vec<String> { candidates.iter().map(shown).collect() };
    let Some(wanted) = wanted else {
        return Err(ImageError::ManyPlatforms { choices: choices() });
    };
    let serves = |entry: &&IndexEntry| entry.platform.as_ref().is_some_and(|p| p.serves(wanted));
    let fitting: Vec<_> = candidates.iter().filter(serves).collect();
    match fitting[..] {
        [entry] => Ok(entry.clone()),
        [] => Err(ImageError::NoPlatform {
            wanted: wanted.clone(),
            choices: choices(),
        }),
        _ => Err(ImageError::ManyPlatforms {
            choices: fitting.into_iter().map(shown).collect(),
        }),
    }
}

fn shown(entry: &IndexEntry) -> String {
    match &entry.platform {
        Some(platform) => format!("{platform} ({})", entry.descriptor.digest),
        None => format!("no platform ({})", entry.descriptor.digest),
    }
}

/// The platform that an image's config names; `None` for an artifact.
pub(crate) fn platform_of(
    store: &dyn BlobStore,
    entry: &IndexEntry,
) -> Result<Option<Platform>, ImageError> {
    let manifest = read_document::<Manifest>(store, entry)?.value;
    if !manifest.is_image() {
        return Ok(None);
    }
    let config = read_document::<ImageConfig>(store, &manifest.config)?;
    Ok(Some(config.value.platform))
}
