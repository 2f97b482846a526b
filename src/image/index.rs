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
