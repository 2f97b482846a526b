//! Media types (media-types chapter): which there are, and the grammar of all.

/// An image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An image's configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// `{}`, where a descriptor is wanted and there is nothing to say.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A layer as it is.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// A layer compressed with gzip.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A layer compressed with zstd.
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Docker's manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's image configuration: the same document as OCI's.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's compressed layer.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker's plain layer.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// Whether a descriptor of this type points at an image manifest.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, MANIFEST | DOCKER_MANIFEST)
}

/// Whether a descriptor of this type points at an index.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_LIST)
}

/// Whether a config of this type belongs to a runnable image.
pub fn is_config(media_type: &str) -> bool {
    matches!(media_type, CONFIG | DOCKER_CONFIG)
}

/// The OCI name of a layer type that images may hold; `None` for all other types.
pub fn layer(media_type: &str) -> Option<&'static str> {
    match media_type {
        LAYER | DOCKER_LAYER => Some(LAYER),
        LAYER_GZIP | DOCKER_LAYER_GZIP => Some(LAYER_GZIP),
        LAYER_ZSTD => Some(LAYER_ZSTD),
        _ => None,
    }
}

/// Whether the type is one of those whose bytes may not be passed on.
pub fn is_foreign(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.")
        || media_type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
}

/// Whether `text` is `TYPE/SUBTYPE` by RFC 6838, 4.2.
pub fn is_media_type(text: &str) -> bool {
    let mut parts = text.split('/');
    let two = [parts.next(), parts.next()];
    parts.next().is_none() && two.iter().all(|part| part.is_some_and(is_restricted_name))
}

fn is_restricted_name(name: &str) -> bool {
    name.len() <= 127
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_of_media_types() {
        for good in [MANIFEST, "text/plain", "a/b!#$&-^_.+"] {
            assert!(is_media_type(good), "{good}");
        }
        let long = format!("a/{}", "b".repeat(128));
        for bad in [
            "", "text", "text/", "/plain", "a/b/c", "a/b;q=1", "a/ b", "-a/b", &long,
        ] {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
