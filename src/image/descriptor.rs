//! [`IndexEntry`]: a descriptor with all its members (descriptor chapter).

use serde_json::{Map, Value};

use super::annotations::{self, Annotations};
use super::node::{Node, others};
use super::{Platform, media, platform};
use crate::blob::{Descriptor, Digest, DigestFault};
use crate::fault::Faults;

/// One descriptor with all its members, as it stands in an index or a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Media type, digest and size.
    pub descriptor: Descriptor,
    /// Equal to the config's; on manifests only.
    pub platform: Option<Platform>,
    /// Names and whatever else.
    pub annotations: Annotations,
    /// Of an artifact.
    pub artifact_type: Option<String>,
    /// Members that plywood does not know, kept as they were read; under `platform`
    /// those of the platform object.
    pub extra: Map<String, Value>,
}

impl From<Descriptor> for IndexEntry {
    fn from(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            platform: None,
            annotations: Annotations::new(),
            artifact_type: None,
            extra: Map::new(),
        }
    }
}

const KNOWN: [&str; 8] = [
    "mediaType",
    "digest",
    "size",
    "urls",
    "annotations",
    "data",
    "artifactType",
    "platform",
];
const READ: [&str; 6] = [
    "mediaType",
    "digest",
    "size",
    "annotations",
    "artifactType",
    "platform",
];

impl IndexEntry {
    /// The tag: `org.opencontainers.image.ref.name`.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotations
            .get(annotations::REF_NAME)
            .map(String::as_str)
    }

    /// The descriptor as JSON, unknown members included.
    pub fn to_json(&self) -> Value {
        let mut map = self.extra.clone();
        let Descriptor {
            media_type,
            digest,
            size,
        } = &self.descriptor;
        map.insert("mediaType".into(), media_type.clone().into());
        map.insert("digest".into(), digest.to_string().into());
        map.insert("size".into(), (*size).into());
        if let Some(platform) = &self.platform {
            let mut object = platform.to_json();
            if let Some(Value::Object(more)) = self.extra.get("platform") {
                object.extend(more.clone());
            }
            map.insert("platform".into(), object.into());
        }
        if !self.annotations.is_empty() {
            map.insert("annotations".into(), string_map(&self.annotations));
        }
        if let Some(artifact_type) = &self.artifact_type {
            map.insert("artifactType".into(), artifact_type.clone().into());
        }
        map.into()
    }
}

/// A JSON object of strings.
pub(crate) fn string_map(map: &Annotations) -> Value {
    let members = map.iter().map(|(k, v)| (k.clone(), v.clone().into()));
    Value::Object(members.collect())
}

/// Reads a descriptor, noting broken rules; `None` if it points nowhere.
pub(crate) fn read(node: &Node, faults: &mut Faults) -> Option<IndexEntry> {
    node.object(34, faults)?;
    node.check_case(&KNOWN, faults);
    let media_type = node
        .need("mediaType", 21, faults)
        .and_then(|member| read_media_type(&member, 21, faults));
    let digest = node
        .need("digest", 22, faults)
        .and_then(|member| read_digest(&member, 22, faults));
    let size = node
        .need("size", 24, faults)
        .and_then(|member| read_size(&member, faults));
    let annotations = annotations::read(node, faults);
    let artifact_type = node
        .get("artifactType")
        .and_then(|member| read_media_type(&member, 29, faults));
    let mut extra = others(node.value, &READ);
    let platform = read_platform(node, &mut extra, faults);
    check_urls(node, faults);
    let descriptor = Descriptor {
        media_type: media_type?,
        digest: digest?,
        size: size?,
    };
    check_data(node, &descriptor, faults);
    Some(IndexEntry {
        descriptor,
        platform,
        annotations,
        artifact_type,
        extra,
    })
}

pub(crate) fn read_media_type(node: &Node, rule: u16, faults: &mut Faults) -> Option<String> {
    let text = node.text(rule, faults)?;
    if !media::is_media_type(text) {
        let fault = format!("`{text}` is not a media type of RFC 6838");
        faults.must(rule, &node.pointer, fault);
        return None;
    }
    Some(text.to_owned())
}

pub(crate) fn read_digest(node: &Node, rule: u16, faults: &mut Faults) -> Option<Digest> {
    let text = node.text(rule, faults)?;
    match text.parse() {
        Ok(digest) => {
            if !text.starts_with("sha256:") {
                faults.should(23, &node.pointer, "is not a sha256 digest");
            }
            Some(digest)
        }
        Err(
            fault @ (DigestFault::Form(_) | DigestFault::Encoding(_) | DigestFault::Algorithm(_)),
        ) => {
            faults.must(rule, &node.pointer, fault.to_string());
            None
        }
    }
}

fn read_size(node: &Node, faults: &mut Faults) -> Option<u64> {
    let size = node
        .value
        .as_u64()
        .filter(|&size| i64::try_from(size).is_ok());
    if size.is_none() {
        let text = format!(
            "`{}` is not a size: a whole number from 0 to 2^63-1",
            node.value
        );
        faults.must(24, &node.pointer, text);
    }
    size
}

fn read_platform(
    parent: &Node,
    extra: &mut Map<String, Value>,
    faults: &mut Faults,
) -> Option<Platform> {
    let node = parent.get("platform")?;
    if node.is_null(50, faults) {
        return None;
    }
    let platform = read_platform_members(&node, 50, faults);
    let more = others(node.value, &["os", "architecture", "variant"]);
    if !more.is_empty() {
        extra.insert("platform".into(), more.into());
    }
    platform
}

/// Reads `os`, `architecture` and the rest from a platform object or a config.
pub(crate) fn read_platform_members(
    node: &Node,
    rule: u16,
    faults: &mut Faults,
) -> Option<Platform> {
    let mut text = |name: &str| -> Option<String> {
        let member = node.need(name, rule, faults)?;
        let text = member.text(rule, faults)?;
        if text.is_empty() {
            faults.must(rule, &member.pointer, "is empty");
        }
        Some(text.to_owned())
    };
    let (os, architecture) = (text("os"), text("architecture"));
    let variant = node
        .get("variant")
        .and_then(|member| member.text(rule, faults))
        .filter(|text| !text.is_empty())
        .map(str::to_owned);
    read_os_details(node, faults);
    let platform = Platform {
        os: os?,
        architecture: architecture?,
        variant,
    };
    check_values(node, &platform, faults);
    Some(platform)
}

fn read_os_details(node: &Node, faults: &mut Faults) {
    if let Some(version) = node.get("os.version") {
        version.text(52, faults);
    }
    if let Some(features) = node.get("os.features") {
        features.texts(52, faults);
    }
    if node.get("features").is_some() {
        faults.should(52, &node.pointer, "`features` is reserved");
    }
}

fn check_values(node: &Node, platform: &Platform, faults: &mut Faults) {
    let Platform {
        os,
        architecture,
        variant,
    } = platform;
    if !platform::is_goos(os) {
        let text = format!("`{os}` is not an operating system that Go knows");
        faults.should(50, format!("{}/os", node.pointer), text);
    }
    if !platform::is_goarch(architecture) {
        let text = format!("`{architecture}` is not an architecture that Go knows");
        faults.should(50, format!("{}/architecture", node.pointer), text);
    }
    if let Some(variant) = variant.as_deref()
        && !platform::is_variant(architecture, variant)
    {
        let text = format!("`{variant}` is not in the specification's table for {architecture}");
        faults.should(51, format!("{}/variant", node.pointer), text);
    }
}

fn check_urls(node: &Node, faults: &mut Faults) {
    let Some(urls) = node.get("urls") else {
        return;
    };
    if urls.is_null(25, faults) {
        return;
    }
    for url in urls.texts(25, faults) {
        let scheme = url.split_once(':').map(|(scheme, _)| scheme);
        let strange = |b: u8| !b.is_ascii_graphic() || b"<>\"{}|\\^`".contains(&b);
        if scheme.is_none_or(str::is_empty) || url.bytes().any(strange) {
            faults.must(
                25,
                &urls.pointer,
                format!("`{url}` is not a URI of RFC 3986"),
            );
        } else if !matches!(scheme, Some("http" | "https")) {
            faults.should(
                25,
                &urls.pointer,
                format!("`{url}` is neither http nor https"),
            );
        }
    }
}

fn check_data(node: &Node, descriptor: &Descriptor, faults: &mut Faults) {
    let Some(data) = node.get("data") else {
        return;
    };
    let Some(text) = data.text(27, faults) else {
        return;
    };
    match super::base64::decode(text) {
        None => faults.must(27, &data.pointer, "is not padded base64 of RFC 4648"),
        Some(bytes) => {
            let mut hasher = crate::blob::Hasher::new(descriptor.digest.algorithm());
            hasher.update(&bytes);
            if bytes.len() as u64 != descriptor.size || hasher.finish() != descriptor.digest {
                let text = "does not hold the bytes that size and digest promise";
                faults.must(27, &data.pointer, text);
            }
        }
    }
}
