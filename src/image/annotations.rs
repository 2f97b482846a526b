//! Annotations and labels (annotations chapter): keys that mean something, and the rules for ours.

use std::collections::BTreeMap;

use super::ImageError;
use super::node::Node;
use crate::blob::Digest;
use crate::fault::Faults;

/// Annotations or labels by key.
pub type Annotations = BTreeMap<String, String>;

/// When the image was made, RFC 3339.
pub const CREATED: &str = "org.opencontainers.image.created";
/// What a descriptor in index.json is called: the tag.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Full image name, as containerd and newer docker read it.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// Manifest digest of the base image.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// Full reference of the base image.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// File name of an artifact's blob.
pub const TITLE: &str = "org.opencontainers.image.title";
/// On a manifest: name and version of the strategy that planned its layers.
pub const STRATEGY: &str = "dev.plywood.strategy";
/// On a layer's descriptor: the kind of its plan item.
pub const LAYER_KIND: &str = "dev.plywood.layer.kind";
/// On a layer's descriptor: the paths of its components, as a JSON list.
pub const LAYER_PATHS: &str = "dev.plywood.layer.paths";

/// On a layer's descriptor: the identities of its components over their versions, as a JSON
/// list in the order of the paths; only if they are not told by the paths.
pub const LAYER_COMPONENTS: &str = "dev.plywood.layer.components";

/// On a layer's descriptor: the versions of its components, as a JSON list in the order of the
/// paths with `null` where none is known; only if any is.
pub const LAYER_VERSIONS: &str = "dev.plywood.layer.versions";

/// Keys that the specification defines; all others under its domain are reserved.
const PREDEFINED: [&str; 14] = [
    "authors",
    "base.digest",
    "base.name",
    "created",
    "description",
    "documentation",
    "licenses",
    "ref.name",
    "revision",
    "source",
    "title",
    "url",
    "vendor",
    "version",
];

/// Whether the key is under the specification's domain without being defined there.
pub fn is_reserved(key: &str) -> bool {
    let Some(rest) = key.strip_prefix("org.opencontainers") else {
        return false;
    };
    let defined = rest.strip_prefix(".image.");
    (rest.is_empty() || rest.starts_with('.'))
        && !defined.is_some_and(|name| PREDEFINED.contains(&name))
}

/// Holds annotations or labels for a new image against the rules.
///
/// # Errors
/// [`ImageError::Wish`] for an empty or reserved key, or a value that the
/// specification does not allow for its key.
pub fn check(what: &'static str, annotations: &Annotations) -> Result<(), ImageError> {
    for (key, value) in annotations {
        if key.is_empty() {
            return Err(ImageError::wish(what, &format!("={value}"), "has no name"));
        }
        if is_reserved(key) {
            let hint = "use a domain of your own, reversed: com.example.key";
            let fault = "uses a name that the image specification reserves";
            return Err(ImageError::wish(what, key, fault).with_hint(hint));
        }
        if let Some(fault) = value_fault(key, value) {
            return Err(ImageError::wish(what, &format!("{key}={value}"), fault));
        }
    }
    Ok(())
}

fn value_fault(key: &str, value: &str) -> Option<&'static str> {
    match key {
        CREATED if !super::time::is_rfc3339(value) => Some("is not a date and time of RFC 3339"),
        BASE_DIGEST if value.parse::<Digest>().is_err() => Some("is not a digest"),
        BASE_NAME if value.is_empty() => Some("is empty"),
        _ => None,
    }
}

/// Reads the annotations of a document or descriptor, noting broken rules.
pub(crate) fn read(parent: &Node, faults: &mut Faults) -> Annotations {
    let Some(node) = parent.get("annotations") else {
        return Annotations::new();
    };
    if node.is_null(26, faults) {
        return Annotations::new();
    }
    read_map(&node, 26, faults)
}

/// Reads a map of strings under the annotation rules.
pub(crate) fn read_map(node: &Node, rule: u16, faults: &mut Faults) -> Annotations {
    let mut map = Annotations::new();
    for (key, value) in node.members(rule, faults) {
        if key.is_empty() {
            faults.must(60, &node.pointer, "an annotation has an empty name");
        }
        if is_reserved(key) {
            faults.field(
                59,
                &value.pointer,
                "is a key that the specification reserves",
            );
        }
        let Some(text) = value.text(rule, faults) else {
            continue;
        };
        if let Some(fault) = value_fault(key, text) {
            faults.field(61, &value.pointer, fault);
        }
        map.insert(key.to_owned(), text.to_owned());
    }
    map
}
