//! Values of the image specification, and their one serialisation. Pure: no I/O of its own;
//! documents come from and go to a [`BlobStore`].

pub mod annotations;
mod artifact;
mod assemble;
mod base64;
mod config;
mod descriptor;
mod document;
mod error;
mod index;
mod json;
mod load;
mod manifest;
pub mod media;
mod merge;
mod name;
mod node;
mod platform;
mod spec;
pub mod start;
pub mod time;
pub mod wish;

#[cfg(test)]
mod tests;

pub use annotations::Annotations;
pub use artifact::{Artifact, ArtifactFile, ArtifactSpec, referrers};
pub use assemble::{assemble, rehearse};
pub use config::{History, ImageConfig};
pub use descriptor::IndexEntry;
pub use document::DOCUMENT_LIMIT;
pub(crate) use document::Document;
pub use error::ImageError;
pub use index::Index;
pub use json::{JsonFault, Raw, canonical, parse_strict};
pub use load::NESTING_LIMIT;
pub(crate) use load::read_document;
pub use manifest::Manifest;
pub use name::{ImageName, is_ref_name, is_tag};
pub(crate) use node::Node;
pub use platform::{Platform, is_goarch, is_goos, is_variant};
pub use spec::ConfigSpec;

use crate::blob::{BlobError, BlobStore, DiffId};
use crate::layer::LayerBlob;

/// A finished layer together with what the image says about it.
#[derive(Clone, Debug)]
pub struct ImageLayer {
    /// The bytes.
    pub blob: LayerBlob,
    /// `created_by` of its history entry: what is in it, in words.
    pub created_by: String,
    /// Annotations of its descriptor.
    pub annotations: Annotations,
}

/// An image: layers, `diff_ids` and history steps with a layer are as many, in the same order.
///
/// Comes from [`assemble`], or from [`Image::load`], which holds it against the rules.
#[derive(Clone, Debug)]
pub struct Image {
    /// Names the config and the layers.
    pub manifest: Raw<Manifest>,
    /// How to run it.
    pub config: Raw<ImageConfig>,
    /// What it is called in full, if it was found by a name.
    pub name: Option<String>,
}

impl Image {
    /// What the image runs on.
    pub fn platform(&self) -> &Platform {
        &self.config.value.platform
    }

    /// The layers, lowest first, each with the digest of its uncompressed tar.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = (&IndexEntry, &DiffId)> {
        let layers = self.manifest.value.layers.iter();
        layers.zip(&self.config.value.diff_ids)
    }

    /// The descriptor for an index, with the image's platform.
    pub fn entry(&self, annotations: Annotations) -> IndexEntry {
        IndexEntry {
            platform: Some(self.platform().clone()),
            annotations,
            ..IndexEntry::from(self.manifest.descriptor.clone())
        }
    }

    /// An image of an existing config and the layers it is about, as archives of
    /// `docker save` hold them; the manifest is new.
    ///
    /// # Errors
    /// [`ImageError`] if the config breaks the rules or is about another number of layers.
    pub fn from_config(config: Vec<u8>, layers: Vec<IndexEntry>) -> Result<Self, ImageError> {
        let config = ImageConfig::parse(config)?;
        let (ids, count) = (config.value.diff_ids.len(), layers.len());
        if ids != count {
            let text = format!("{ids} diff_ids for {count} layers");
            return Err(ImageError::Document {
                what: format!("config {}", config.descriptor.digest),
                fault: crate::fault::Fault::new(
                    crate::fault::Level::Must,
                    64,
                    "/rootfs/diff_ids",
                    text,
                ),
            });
        }
        let manifest = Manifest {
            media_type: Some(media::MANIFEST.to_owned()),
            artifact_type: None,
            config: config.descriptor.clone().into(),
            layers,
            subject: None,
            annotations: Annotations::new(),
            extra: serde_json::Map::new(),
        };
        Ok(Self {
            manifest: Manifest::parse(canonical(&manifest.to_json()))?,
            config,
            name: None,
        })
    }

    /// Puts config and manifest into a store, beside the layers.
    ///
    /// # Errors
    /// [`BlobError::Io`] from the store.
    pub fn write_to(&self, store: &dyn BlobStore) -> Result<(), BlobError> {
        write(store, &self.config)?;
        write(store, &self.manifest)
    }
}

/// Puts a document into a store.
///
/// # Errors
/// [`BlobError::Io`] from the store.
pub fn write<T>(store: &dyn BlobStore, document: &Raw<T>) -> Result<(), BlobError> {
    if store.contains(&document.descriptor)? {
        return Ok(());
    }
    let mut writer = store.create()?;
    writer.write(&document.bytes)?;
    writer.finish(&document.descriptor.media_type)?;
    Ok(())
}
