//! [`assemble`]: wishes, a base and layers → an [`Image`].

use serde_json::{Map, Value, json};

use super::annotations::{self, Annotations};
use super::descriptor::{IndexEntry, string_map};
use super::document::DOCUMENT_LIMIT;
use super::{
    ConfigSpec, Image, ImageConfig, ImageError, ImageLayer, Manifest, Platform, Raw, canonical,
    media, merge,
};
use crate::json::noncharacter;

/// Puts an image together from what it shall say, what it stands on and its own layers.
///
/// The base's layers and history come first; its configuration is the ground
/// that `spec.start` and then the wishes of `spec` are laid over. `annotations`
/// go to the manifest, beside those for the creation date and the base.
///
/// # Errors
/// [`ImageError::Wish`] for a wish that the specification does not allow, no
/// platform or two, no layer at all, or documents above 4 MiB.
pub fn assemble(
    spec: &ConfigSpec,
    base: Option<&Image>,
    layers: &[ImageLayer],
    annotations: &Annotations,
) -> Result<Image, ImageError> {
    if layers.is_empty() && base.is_none_or(|base| base.config.value.diff_ids.is_empty()) {
        let fault = "has no layer; the schema wants at least one";
        return Err(ImageError::wish("image", "", fault));
    }
    let config = config(spec, base, layers, annotations)?;
    let manifest = manifest(spec, base, layers, &config, annotations);
    let manifest = written("manifest", &manifest, Manifest::parse)?;
    Ok(Image {
        manifest,
        config,
        name: None,
    })
}

/// Refuses, before there are layers, what [`assemble`] would refuse of the wishes.
///
/// # Errors
/// As [`assemble`], but for the number of layers and the size of documents that list them.
pub fn rehearse(
    spec: &ConfigSpec,
    base: Option<&Image>,
    annotations: &Annotations,
) -> Result<(), ImageError> {
    config(spec, base, &[], annotations).map(drop)
}

fn config(
    spec: &ConfigSpec,
    base: Option<&Image>,
    layers: &[ImageLayer],
    annotations: &Annotations,
) -> Result<Raw<ImageConfig>, ImageError> {
    spec.check()?;
    annotations::check("annotation", annotations)?;
    let config = config_document(spec, base, layers)?;
    written("config", &config, ImageConfig::parse)
}

/// Serialises a new document, and reads it again under the rules for documents of others.
fn written<T>(
    what: &'static str,
    value: &Value,
    parse: impl Fn(Vec<u8>) -> Result<Raw<T>, ImageError>,
) -> Result<Raw<T>, ImageError> {
    check_text(what, value)?;
    let bytes = canonical(value);
    if bytes.len() as u64 > DOCUMENT_LIMIT {
        let size = format!("{} bytes", bytes.len());
        let fault = format!("is more than the {DOCUMENT_LIMIT} that registries and readers take");
        return Err(ImageError::wish(what, &size, fault)
            .with_hint("fewer or shorter labels, annotations and variables"));
    }
    parse(bytes)
}

fn check_text(what: &'static str, value: &Value) -> Result<(), ImageError> {
    let check = |text: &str| match noncharacter(text) {
        None => Ok(()),
        Some(_) => Err(ImageError::wish(
            what,
            text,
            "has a noncharacter, which JSON may not hold",
        )),
    };
    match value {
        Value::String(text) => check(text),
        Value::Array(items) => items.iter().try_for_each(|item| check_text(what, item)),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            check(name)?;
            check_text(what, value)
        }),
        _ => Ok(()),
    }
}

fn config_document(
    spec: &ConfigSpec,
    base: Option<&Image>,
    layers: &[ImageLayer],
) -> Result<Value, ImageError> {
    let ground = base.map(|base| base.config.value.document.clone());
    let mut document = ground.unwrap_or_default();
    // The date is the base's own, not that of what stands on it.
    document.remove("created");
    let start = spec.start.clone().unwrap_or_default();
    let runtime = merge::runtime(object(&document, "config"), object(&start, "config"));
    let runtime = merge::runtime(runtime, spec.runtime());
    document.extend(start.into_iter().filter(|(_, value)| !value.is_null()));
    set_platform(&mut document, spec, base)?;
    for (name, wish) in [("author", &spec.author), ("created", &spec.created)] {
        if let Some(text) = wish {
            document.insert(name.into(), text.clone().into());
        }
    }
    document.insert("config".into(), runtime.into());
    document.insert("rootfs".into(), rootfs(base, layers));
    document.insert("history".into(), history(spec, base, layers).into());
    Ok(document.into())
}

fn object(document: &Map<String, Value>, name: &str) -> Map<String, Value> {
    let member = document.get(name).and_then(Value::as_object);
    member.cloned().unwrap_or_default()
}

fn set_platform(
    document: &mut Map<String, Value>,
    spec: &ConfigSpec,
    base: Option<&Image>,
) -> Result<(), ImageError> {
    if let Some(wanted) = &spec.platform {
        document.extend(wanted.to_json());
        if wanted.variant.is_none() && base.is_none() {
            document.remove("variant");
        }
    }
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let (Some(os), Some(architecture)) = (text("os"), text("architecture")) else {
        return Err(ImageError::wish("platform", "", "is not known")
            .with_hint("say which machines the image is for: --platform linux/amd64"));
    };
    let platform = Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: text("variant").filter(|v| !v.is_empty()).map(str::to_owned),
    };
    Platform::parse(&platform.to_string())?;
    match base.map(|base| &base.config.value.platform) {
        Some(theirs) if !theirs.serves(&platform) => {
            let fault = format!("does not fit the base image, which is for {theirs}");
            Err(ImageError::wish("platform", &platform.to_string(), fault))
        }
        _ => Ok(()),
    }
}

fn rootfs(base: Option<&Image>, layers: &[ImageLayer]) -> Value {
    let below = base
        .into_iter()
        .flat_map(|base| &base.config.value.diff_ids);
    let own = layers.iter().map(|layer| &layer.blob.diff_id);
    let ids: Vec<_> = below.chain(own).map(ToString::to_string).collect();
    json!({ "type": "layers", "diff_ids": ids })
}

/// The base's steps as they are, then one a layer.
fn history(spec: &ConfigSpec, base: Option<&Image>, layers: &[ImageLayer]) -> Vec<Value> {
    let below = base.map(base_history).unwrap_or_default();
    let own = layers.iter().map(|layer| {
        let mut step = Map::new();
        step.insert("created_by".into(), layer.created_by.clone().into());
        if let Some(created) = &spec.created {
            step.insert("created".into(), created.clone().into());
        }
        step.into()
    });
    below.into_iter().chain(own).collect()
}

fn base_history(base: &Image) -> Vec<Value> {
    let config = &base.config.value;
    let told = config.document.get("history").and_then(Value::as_array);
    match told {
        Some(steps) if !steps.is_empty() => steps.clone(),
        // A base without history still needs a step a layer, or the counts would not fit.
        _ => {
            let steps = config.diff_ids.iter();
            steps
                .map(|_| json!({ "created_by": "base image" }))
                .collect()
        }
    }
}

fn manifest(
    spec: &ConfigSpec,
    base: Option<&Image>,
    layers: &[ImageLayer],
    config: &Raw<ImageConfig>,
    annotations: &Annotations,
) -> Value {
    let mut notes = annotations.clone();
    if let Some(created) = &spec.created {
        let key = annotations::CREATED.to_owned();
        notes.entry(key).or_insert_with(|| created.clone());
    }
    if let Some(base) = base {
        let digest = base.manifest.descriptor.digest.to_string();
        notes.insert(annotations::BASE_DIGEST.to_owned(), digest);
        if let Some(name) = &base.name {
            notes.insert(annotations::BASE_NAME.to_owned(), name.clone());
        }
    }
    let below = base
        .into_iter()
        .flat_map(|base| &base.manifest.value.layers);
    let below = below.map(|layer| carried(layer).to_json());
    let own = layers.iter().map(|layer| {
        let mut entry = IndexEntry::from(layer.blob.descriptor.clone());
        entry.annotations.clone_from(&layer.annotations);
        entry.to_json()
    });
    let mut map = json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "config": IndexEntry::from(config.descriptor.clone()).to_json(),
        "layers": below.chain(own).collect::<Vec<_>>(),
    });
    if !notes.is_empty() {
        map["annotations"] = string_map(&notes);
    }
    map
}

/// A base's layer, the same bytes under the OCI name of their type.
fn carried(layer: &IndexEntry) -> IndexEntry {
    let mut carried = layer.clone();
    if let Some(media_type) = media::layer(&layer.descriptor.media_type) {
        media_type.clone_into(&mut carried.descriptor.media_type);
    }
    carried
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::{Descriptor, DiffId, Digest};
    use crate::layer::LayerBlob;

    pub(crate) fn layer(text: &str) -> ImageLayer {
        let digest = Digest::of(text.as_bytes());
        ImageLayer {
            blob: LayerBlob {
                descriptor: Descriptor {
                    media_type: media::LAYER.to_owned(),
                    digest: digest.clone(),
                    size: text.len() as u64,
                },
                diff_id: DiffId(digest),
                tar_size: text.len() as u64,
                cached: false,
            },
            created_by: format!("plywood: {text}"),
            annotations: Annotations::new(),
        }
    }

    fn linux() -> ConfigSpec {
        ConfigSpec {
            platform: Some(Platform::parse("linux/amd64").unwrap()),
            ..ConfigSpec::default()
        }
    }

    #[test]
    fn golden_documents() {
        let spec = ConfigSpec {
            env: vec![("A".into(), "1".into())],
            cmd: Some(vec!["/bin/x".into()]),
            created: Some("2024-01-01T00:00:00Z".into()),
            ..linux()
        };
        let image = assemble(&spec, None, &[layer("one")], &Annotations::new()).unwrap();
        let one = Digest::of(b"one");
        assert_eq!(
            String::from_utf8(image.config.bytes).unwrap(),
            format!(
                r#"{{"architecture":"amd64","config":{{"Cmd":["/bin/x"],"Env":["A=1"]}},"created":"2024-01-01T00:00:00Z","history":[{{"created":"2024-01-01T00:00:00Z","created_by":"plywood: one"}}],"os":"linux","rootfs":{{"diff_ids":["{one}"],"type":"layers"}}}}"#
            )
        );
        let config = image.config.descriptor;
        assert_eq!(
            String::from_utf8(image.manifest.bytes).unwrap(),
            format!(
                r#"{{"annotations":{{"org.opencontainers.image.created":"2024-01-01T00:00:00Z"}},"config":{{"digest":"{}","mediaType":"application/vnd.oci.image.config.v1+json","size":{}}},"layers":[{{"digest":"{one}","mediaType":"application/vnd.oci.image.layer.v1.tar","size":3}}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}}"#,
                config.digest, config.size
            )
        );
    }

    #[test]
    fn stands_on_a_base() {
        let spec = ConfigSpec {
            start: Some(crate::image::start::read("s", br#"{"author":"me","future":{"x":1},"config":{"Env":["A=1","P=0"],"OnBuild":["RUN"]}}"#).unwrap()),
            created: Some("2024-01-01T00:00:00Z".into()),
            ..linux()
        };
        let base = assemble(&spec, None, &[layer("base")], &Annotations::new()).unwrap();
        let over = ConfigSpec {
            env: vec![("A".into(), "2".into())],
            ..ConfigSpec::default()
        };
        let image = assemble(&over, Some(&base), &[layer("own")], &Annotations::new()).unwrap();
        let config = &image.config.value;
        assert_eq!(config.platform, base.config.value.platform);
        assert_eq!(config.diff_ids[0], base.config.value.diff_ids[0]);
        assert_eq!(
            config.created_by(),
            [Some("plywood: base"), Some("plywood: own")]
        );
        let document = Value::Object(config.document.clone());
        assert_eq!(
            document["config"],
            json!({"Env": ["A=2", "P=0"], "OnBuild": ["RUN"]})
        );
        assert_eq!(document["future"], json!({"x": 1}));
        assert_eq!(document["author"], "me");
        assert_eq!(document.get("created"), None);
        let notes = &image.manifest.value.annotations;
        assert_eq!(
            notes[annotations::BASE_DIGEST],
            base.manifest.descriptor.digest.to_string()
        );
        assert_eq!(image.layers().len(), 2);
    }

    #[test]
    fn refuses() {
        let none = Annotations::new();
        let message = |spec: &ConfigSpec, base: Option<&Image>, layers: &[ImageLayer]| {
            assemble(spec, base, layers, &none).unwrap_err().to_string()
        };
        let base = assemble(&linux(), None, &[layer("b")], &none).unwrap();
        let arm = ConfigSpec {
            platform: Some(Platform::parse("arm64").unwrap()),
            ..ConfigSpec::default()
        };
        assert_eq!(
            message(&ConfigSpec::default(), None, &[layer("a")]),
            "platform `` is not known"
        );
        assert_eq!(
            message(&linux(), None, &[]),
            "image `` has no layer; the schema wants at least one"
        );
        assert_eq!(
            message(&arm, Some(&base), &[layer("a")]),
            "platform `linux/arm64` does not fit the base image, which is for linux/amd64"
        );
        let mut big = linux();
        big.labels.insert("a".into(), "x".repeat(5 << 20));
        assert!(message(&big, None, &[layer("a")]).contains("is more than the 4194304"));
        big.labels.insert("a".into(), "\u{ffff}".into());
        assert!(message(&big, None, &[layer("a")]).contains("noncharacter"));
        let mut wrong = linux();
        wrong.start = crate::image::start::read("s", br#"{"config":{"cmd":["x"]}}"#).ok();
        assert_eq!(
            message(&wrong, None, &[layer("a")]),
            "config cannot be used because of /config: member `cmd` is spelt `Cmd` in the specification"
        );
    }
}
