//! [`Manifest`]: a config and its layers, lowest first (manifest chapter).

use serde_json::{Map, Value, json};

use super::annotations::{self, Annotations};
use super::descriptor::{self, IndexEntry, string_map};
use super::document::{self, Document};
use super::node::{Node, others};
use super::{ImageError, Raw, media};
use crate::fault::Faults;

/// An image manifest, or an artifact's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What the document calls itself; some old ones do not say.
    pub media_type: Option<String>,
    /// Of an artifact.
    pub artifact_type: Option<String>,
    /// The image's configuration.
    pub config: IndexEntry,
    /// Lowest first.
    pub layers: Vec<IndexEntry>,
    /// The manifest that this one is about.
    pub subject: Option<IndexEntry>,
    /// Of the manifest.
    pub annotations: Annotations,
    /// Members that plywood does not know.
    pub extra: Map<String, Value>,
}

const KNOWN: [&str; 7] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "subject",
    "annotations",
];

impl Manifest {
    /// Reads the bytes of a manifest.
    ///
    /// # Errors
    /// [`ImageError::Json`] or [`ImageError::Document`], if the specification forbids it.
    pub fn parse(bytes: Vec<u8>) -> Result<Raw<Self>, ImageError> {
        document::parse(bytes)
    }

    /// Whether this is an image that can be run, rather than an artifact.
    pub fn is_image(&self) -> bool {
        media::is_config(&self.config.descriptor.media_type)
    }

    /// The OCI manifest as JSON.
    pub fn to_json(&self) -> Value {
        let mut map = self.extra.clone();
        map.insert("schemaVersion".into(), 2.into());
        map.insert("mediaType".into(), media::MANIFEST.into());
        map.insert("config".into(), self.config.to_json());
        let layers: Vec<_> = self.layers.iter().map(IndexEntry::to_json).collect();
        map.insert("layers".into(), json!(layers));
        if let Some(artifact_type) = &self.artifact_type {
            map.insert("artifactType".into(), artifact_type.clone().into());
        }
        if let Some(subject) = &self.subject {
            map.insert("subject".into(), subject.to_json());
        }
        if !self.annotations.is_empty() {
            map.insert("annotations".into(), string_map(&self.annotations));
        }
        map.into()
    }
}

impl Document for Manifest {
    const NAME: &'static str = "manifest";

    fn media_type(&self) -> &str {
        self.media_type.as_deref().unwrap_or(media::MANIFEST)
    }

    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        node.object(3, faults)?;
        node.check_case(&KNOWN, faults);
        document::check_schema_version(node, 31, faults);
        let media_type = document::read_own_media_type(node, 32, media::is_manifest, faults);
        document::refuse_members(node, &["manifests", "fsLayers", "signatures"], faults);
        let artifact_type = node
            .get("artifactType")
            .and_then(|member| descriptor::read_media_type(&member, 40, faults));
        let config = node
            .need("config", 34, faults)
            .and_then(|member| descriptor::read(&member, faults));
        let layers = read_layers(node, faults);
        let subject = node
            .get("subject")
            .filter(|member| !member.is_null(44, faults))
            .and_then(|member| descriptor::read(&member, faults));
        let manifest = Self {
            media_type,
            artifact_type,
            config: config?,
            layers: layers?,
            subject,
            annotations: annotations::read(node, faults),
            extra: others(node.value, &KNOWN),
        };
        check_parts(&manifest, faults);
        Some(manifest)
    }
}

/// The layers; `None` if one of them cannot be told.
fn read_layers(node: &Node, faults: &mut Faults) -> Option<Vec<IndexEntry>> {
    let member = node.need("layers", 36, faults)?;
    let items = member.items(36, faults);
    if items.is_empty() && member.value.is_array() {
        faults.field(
            36,
            &member.pointer,
            "there is no layer; the schema wants one",
        );
    }
    let layers = items.iter().map(|item| descriptor::read(item, faults));
    layers.collect::<Vec<_>>().into_iter().collect()
}

fn check_parts(manifest: &Manifest, faults: &mut Faults) {
    if !manifest.is_image() {
        return check_artifact(manifest, faults);
    }
    if manifest.artifact_type.is_some() {
        let text = "an artifact has the config of a runnable image";
        faults.must(42, "/config/mediaType", text);
    }
    for (i, layer) in manifest.layers.iter().enumerate() {
        let place = format!("/layers/{i}");
        let media_type = &layer.descriptor.media_type;
        if media::is_foreign(media_type) {
            let text = format!("`{media_type}` may not be distributed");
            faults.should(85, &place, text);
        } else if media::layer(media_type).is_none() {
            let text = format!("`{media_type}` is no layer type of images");
            faults.must(39, format!("{place}/mediaType"), text);
        } else if media_type.starts_with("application/vnd.docker.") && is_oci(manifest) {
            let text = "a layer type of Docker in an OCI manifest";
            faults.field(39, format!("{place}/mediaType"), text);
        }
        let earlier = manifest.layers.iter().take(i);
        let same = |other: &IndexEntry| other.descriptor.digest == layer.descriptor.digest;
        if let Some(first) = earlier.into_iter().position(same) {
            faults.field(46, place, format!("is the same blob as layer {first}"));
        }
    }
}

fn is_oci(manifest: &Manifest) -> bool {
    manifest.media_type.as_deref() != Some(media::DOCKER_MANIFEST)
}

fn check_artifact(manifest: &Manifest, faults: &mut Faults) {
    let config = &manifest.config.descriptor;
    if config.media_type == media::EMPTY {
        if manifest.artifact_type.is_none() {
            faults.must(
                40,
                "",
                "`artifactType` is missing, and the config is the empty one",
            );
        }
        if config.size != 2 || config.digest != crate::blob::Digest::of(b"{}") {
            faults.must(41, "/config", "is called empty without being `{}`");
        }
    }
    for (i, layer) in manifest.layers.iter().enumerate() {
        if layer.descriptor.size == 0 {
            faults.field(
                43,
                format!("/layers/{i}"),
                "has no bytes; some registries refuse it",
            );
        }
    }
}
