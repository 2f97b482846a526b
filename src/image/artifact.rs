//! Artifacts: anything that is no image, in a manifest (manifest chapter, artifact usage).

use serde_json::Map;

use super::annotations::{self, Annotations};
use super::descriptor::IndexEntry;
use super::document::{DOCUMENT_LIMIT, read_artifact_type};
use super::load::read_document;
use super::{ImageError, Index, Manifest, Raw, base64, canonical, media, write};
use crate::blob::{BlobError, BlobStore, Descriptor, Digest};

/// What an artifact shall be; its files are in a store already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactSpec {
    /// What kind of thing it is: a media type.
    pub artifact_type: String,
    /// The files, in order.
    pub files: Vec<ArtifactFile>,
    /// A config of its own; the empty one if there is none.
    pub config: Option<Descriptor>,
    /// The manifest that it is about.
    pub subject: Option<Descriptor>,
    /// Of the manifest.
    pub annotations: Annotations,
}

/// One file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Media type, digest and size.
    pub blob: Descriptor,
    /// What it is called when it is fetched: `org.opencontainers.image.title`.
    pub title: Option<String>,
    /// Whatever else.
    pub annotations: Annotations,
}

/// The manifest of an artifact; it exists only if the specification allows it.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Names the files.
    pub manifest: Raw<Manifest>,
}

const NOTHING: &[u8] = b"{}";

impl Artifact {
    /// Makes the manifest.
    ///
    /// # Errors
    /// [`ImageError::Wish`] without an artifact type, with one that is no media
    /// type, with the config of an image, with empty files (registries refuse
    /// them), and for annotations that the specification does not allow.
    pub fn new(spec: &ArtifactSpec) -> Result<Self, ImageError> {
        check(spec)?;
        let files: Vec<_> = spec.files.iter().map(file_entry).collect();
        let manifest = Manifest {
            media_type: Some(media::MANIFEST.to_owned()),
            artifact_type: Some(spec.artifact_type.clone()),
            config: match &spec.config {
                Some(config) => config.clone().into(),
                None => nothing(),
            },
            // A list without items is no valid manifest.
            layers: if files.is_empty() {
                vec![nothing()]
            } else {
                files
            },
            subject: spec.subject.clone().map(IndexEntry::from),
            annotations: spec.annotations.clone(),
            extra: Map::new(),
        };
        let bytes = canonical(&manifest.to_json());
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            let size = format!("{} bytes", bytes.len());
            let fault = format!("is more than the {DOCUMENT_LIMIT} that registries take");
            return Err(ImageError::wish("artifact manifest", &size, fault));
        }
        Ok(Self {
            manifest: Manifest::parse(bytes)?,
        })
    }

    /// The descriptor for an index.
    pub fn entry(&self, annotations: Annotations) -> IndexEntry {
        IndexEntry {
            artifact_type: self.manifest.value.artifact_type.clone(),
            annotations,
            ..IndexEntry::from(self.manifest.descriptor.clone())
        }
    }

    /// Puts the manifest into a store, and the empty config if it is used.
    ///
    /// # Errors
    /// [`BlobError::Io`] from the store.
    pub fn write_to(&self, store: &dyn BlobStore) -> Result<(), BlobError> {
        let manifest = &self.manifest.value;
        let mut parts = manifest.layers.iter().chain([&manifest.config]);
        if parts.any(|part| part.descriptor.media_type == media::EMPTY) {
            write(store, &Raw::new((), NOTHING.to_vec(), media::EMPTY))?;
        }
        write(store, &self.manifest)
    }
}

fn check(spec: &ArtifactSpec) -> Result<(), ImageError> {
    read_artifact_type(&spec.artifact_type)?;
    annotations::check("annotation", &spec.annotations)?;
    if let Some(config) = &spec.config
        && media::is_config(&config.media_type)
    {
        let fault = "is the config type of runnable images";
        return Err(ImageError::wish(
            "artifact config",
            &config.media_type,
            fault,
        ));
    }
    for file in &spec.files {
        annotations::check("annotation", &file.annotations)?;
        let named = file.title.as_deref().unwrap_or("without title");
        if !media::is_media_type(&file.blob.media_type) {
            let shown = format!("{named}:{}", file.blob.media_type);
            let hint = "write FILE:TYPE/SUBTYPE";
            return Err(
                ImageError::wish("file", &shown, "has no media type of RFC 6838").with_hint(hint),
            );
        }
        if file.blob.size == 0 {
            return Err(ImageError::wish(
                "file",
                named,
                "is empty, which registries refuse",
            ));
        }
    }
    Ok(())
}

fn file_entry(file: &ArtifactFile) -> IndexEntry {
    let mut entry = IndexEntry::from(file.blob.clone());
    entry.annotations.clone_from(&file.annotations);
    if let Some(title) = &file.title {
        let key = annotations::TITLE.to_owned();
        entry.annotations.insert(key, title.clone());
    }
    entry
}

/// The empty descriptor, with its two bytes in it.
fn nothing() -> IndexEntry {
    let descriptor = Descriptor {
        media_type: media::EMPTY.to_owned(),
        digest: Digest::of(NOTHING),
        size: NOTHING.len() as u64,
    };
    let mut entry = IndexEntry::from(descriptor);
    let data = base64::encode(NOTHING);
    entry.extra.insert("data".into(), data.into());
    entry
}

/// The manifests and indexes of `index` that are about `subject` (distribution
/// specification, referrers), in the order of the index, each once.
///
/// # Errors
/// [`ImageError`] for a document that cannot be read.
pub fn referrers(
    store: &dyn BlobStore,
    index: &Index,
    subject: &Digest,
) -> Result<Vec<IndexEntry>, ImageError> {
    let mut found: Vec<IndexEntry> = Vec::new();
    for entry in &index.manifests {
        let media_type = &entry.descriptor.media_type;
        let known = found.iter().any(|f| f.descriptor == entry.descriptor);
        let about = if known {
            None
        } else if media::is_manifest(media_type) {
            let manifest = read_document::<Manifest>(store, entry)?.value;
            let own_type = manifest.artifact_type;
            let config_type = manifest.config.descriptor.media_type;
            let told = (own_type.unwrap_or(config_type), manifest.annotations);
            manifest.subject.map(|subject| (subject, told))
        } else if media::is_index(media_type) {
            let index = read_document::<Index>(store, entry)?.value;
            let told = (index.artifact_type.unwrap_or_default(), index.annotations);
            index.subject.map(|subject| (subject, told))
        } else {
            None
        };
        if let Some((about, (artifact_type, annotations))) = about
            && about.descriptor.digest == *subject
        {
            found.push(IndexEntry {
                artifact_type: Some(artifact_type).filter(|text| !text.is_empty()),
                annotations,
                ..IndexEntry::from(entry.descriptor.clone())
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::MemoryStore;

    fn spec() -> ArtifactSpec {
        ArtifactSpec {
            artifact_type: "application/vnd.example.thing".into(),
            ..ArtifactSpec::default()
        }
    }

    #[test]
    fn golden() {
        let store = MemoryStore::default();
        let mut spec = spec();
        spec.files.push(ArtifactFile {
            blob: store.put("text/plain", b"hello"),
            title: Some("hello.txt".into()),
            annotations: Annotations::new(),
        });
        let artifact = Artifact::new(&spec).unwrap();
        assert_eq!(
            String::from_utf8(artifact.manifest.bytes).unwrap(),
            r#"{"artifactType":"application/vnd.example.thing","config":{"data":"e30=","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","mediaType":"application/vnd.oci.empty.v1+json","size":2},"layers":[{"annotations":{"org.opencontainers.image.title":"hello.txt"},"digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","mediaType":"text/plain","size":5}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#
        );
    }

    #[test]
    fn found_by_its_subject() {
        let store = MemoryStore::default();
        let plain = Artifact::new(&spec()).unwrap();
        let about = Artifact::new(&ArtifactSpec {
            subject: Some(plain.manifest.descriptor.clone()),
            annotations: [("com.example.a".to_owned(), "b".to_owned())].into(),
            ..spec()
        })
        .unwrap();
        let mut index = Index::default();
        for artifact in [&plain, &about, &about] {
            artifact.write_to(&store).unwrap();
            index.manifests.push(artifact.entry(Annotations::new()));
        }
        let subject = &plain.manifest.descriptor.digest;
        let found = referrers(&store, &index, subject).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].descriptor, about.manifest.descriptor);
        assert_eq!(found[0].annotations["com.example.a"], "b");
        assert_eq!(
            found[0].artifact_type.as_deref(),
            Some("application/vnd.example.thing")
        );
    }

    #[test]
    fn refuses() {
        let store = MemoryStore::default();
        let message = |change: &dyn Fn(&mut ArtifactSpec)| {
            let mut spec = spec();
            change(&mut spec);
            Artifact::new(&spec).unwrap_err().to_string()
        };
        let file = |media_type: &str, bytes: &[u8]| ArtifactFile {
            blob: store.put(media_type, bytes),
            title: Some("f".into()),
            annotations: Annotations::new(),
        };
        assert_eq!(
            message(&|s| s.artifact_type.clear()),
            "artifact type `` is missing"
        );
        assert_eq!(
            message(&|s| s.artifact_type = "sbom".into()),
            "artifact type `sbom` is not a media type of RFC 6838"
        );
        assert_eq!(
            message(&|s| s.config = Some(store.put(media::CONFIG, b"{}"))),
            format!(
                "artifact config `{}` is the config type of runnable images",
                media::CONFIG
            )
        );
        assert_eq!(
            message(&|s| s.files = vec![file("text/plain", b"")]),
            "file `f` is empty, which registries refuse"
        );
        assert_eq!(
            message(&|s| s.files = vec![file("text", b"x")]),
            "file `f:text` has no media type of RFC 6838"
        );
    }
}
