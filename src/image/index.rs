//! [`Index`]: manifests by platform or name (image-index chapter).

use serde_json::{Map, Value, json};

use super::annotations::{self, Annotations};
use super::descriptor::{self, IndexEntry, string_map};
use super::document::{self, Document};
use super::node::{Node, others};
use super::{ImageError, Raw, media};
use crate::fault::Faults;

/// An image index: a layout's `index.json`, or one nested in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// What the document calls itself; some do not say.
    pub media_type: Option<String>,
    /// Of an artifact.
    pub artifact_type: Option<String>,
    /// In the order of the document.
    pub manifests: Vec<IndexEntry>,
    /// The manifest that this index is about.
    pub subject: Option<IndexEntry>,
    /// Of the index.
    pub annotations: Annotations,
    /// Members that plywood does not know.
    pub extra: Map<String, Value>,
}

const KNOWN: [&str; 6] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "manifests",
    "subject",
    "annotations",
];

impl Index {
    /// Reads the bytes of an index.
    ///
    /// # Errors
    /// [`ImageError::Json`] or [`ImageError::Document`], if the specification forbids it.
    pub fn parse(bytes: Vec<u8>) -> Result<Raw<Self>, ImageError> {
        document::parse(bytes)
    }

    /// One index of images for several platforms, best first.
    ///
    /// The order of the entries is kept, except that of one architecture the
    /// variants that want more come first, because readers take the first that fits.
    ///
    /// # Errors
    /// [`ImageError::Wish`] for no entry, one without platform, or a platform twice.
    pub fn for_platforms(
        entries: Vec<IndexEntry>,
        annotations: Annotations,
    ) -> Result<Raw<Self>, ImageError> {
        annotations::check("annotation", &annotations)?;
        let mut manifests: Vec<IndexEntry> = Vec::new();
        for mut entry in entries {
            let digest = entry.descriptor.digest.to_string();
            let Some(platform) = &entry.platform else {
                return Err(ImageError::wish("image", &digest, "is for no platform"));
            };
            let serves = |other: &IndexEntry| {
                let theirs = other.platform.as_ref();
                theirs.is_some_and(|theirs| theirs.serves(platform))
            };
            if manifests.iter().any(serves) {
                let fault = format!("is the second for {platform}");
                let hint = "an index holds one image a platform";
                return Err(ImageError::wish("image", &digest, fault).with_hint(hint));
            }
            // Names are for index.json only.
            entry.annotations.remove(annotations::REF_NAME);
            entry.annotations.remove(annotations::CONTAINERD_NAME);
            let better = |other: &IndexEntry| is_better(&entry, other);
            let place = manifests.iter().position(better).unwrap_or(manifests.len());
            manifests.insert(place, entry);
        }
        if manifests.is_empty() {
            return Err(ImageError::wish("index", "", "has no image"));
        }
        let index = Self {
            manifests,
            annotations,
            ..Self::default()
        };
        Ok(index.into_raw())
    }

    /// The canonical document of this index.
    pub fn into_raw(mut self) -> Raw<Self> {
        self.media_type = Some(media::INDEX.to_owned());
        let bytes = super::canonical(&self.to_json());
        Raw::new(self, bytes, media::INDEX)
    }

    /// The OCI index as JSON, unknown members included.
    pub fn to_json(&self) -> Value {
        let mut map = self.extra.clone();
        map.insert("schemaVersion".into(), 2.into());
        map.insert("mediaType".into(), media::INDEX.into());
        let entries: Vec<_> = self.manifests.iter().map(IndexEntry::to_json).collect();
        map.insert("manifests".into(), json!(entries));
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

/// Whether `entry` is for the same architecture as `other` and wants more of it.
fn is_better(entry: &IndexEntry, other: &IndexEntry) -> bool {
    let key = |entry: &IndexEntry| {
        let platform = entry.platform.clone()?;
        Some((platform.os, platform.architecture, platform.variant))
    };
    match (key(entry), key(other)) {
        (Some((os, arch, variant)), Some((other_os, other_arch, other_variant))) => {
            // Variants of one table have the same length, but for `v8` and `v8.1`.
            os == other_os && arch == other_arch && variant > other_variant
        }
        _ => false,
    }
}

impl Document for Index {
    const NAME: &'static str = "index";

    fn media_type(&self) -> &str {
        self.media_type.as_deref().unwrap_or(media::INDEX)
    }

    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        node.object(3, faults)?;
        node.check_case(&KNOWN, faults);
        document::check_schema_version(node, 47, faults);
        let media_type = document::read_own_media_type(node, 47, media::is_index, faults);
        document::refuse_members(
            node,
            &["config", "layers", "fsLayers", "signatures"],
            faults,
        );
        let artifact_type = node
            .get("artifactType")
            .and_then(|member| descriptor::read_media_type(&member, 29, faults));
        let member = node.need("manifests", 48, faults)?;
        let items = member.items(48, faults);
        let entries = items.iter().map(|item| descriptor::read(item, faults));
        let manifests: Option<Vec<_>> = entries.collect::<Vec<_>>().into_iter().collect();
        let subject = node
            .get("subject")
            .filter(|member| !member.is_null(44, faults))
            .and_then(|member| descriptor::read(&member, faults));
        let index = Self {
            media_type,
            artifact_type,
            manifests: manifests?,
            subject,
            annotations: annotations::read(node, faults),
            extra: others(node.value, &KNOWN),
        };
        check_entries(&index, faults);
        Some(index)
    }
}

fn check_entries(index: &Index, faults: &mut Faults) {
    for (i, entry) in index.manifests.iter().enumerate() {
        let media_type = &entry.descriptor.media_type;
        if matches!(&**media_type, media::DOCKER_MANIFEST | media::DOCKER_LIST) {
            let text = format!("`{media_type}` is a type of Docker");
            faults.should(49, format!("/manifests/{i}"), text);
        }
    }
}
