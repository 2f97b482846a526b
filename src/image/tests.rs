//! Documents of others: what is read, what is refused, and with which words.

use super::*;
use serde_json::{Value, json};

const HEX: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn descriptor(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{HEX}"), "size": 2})
}

fn manifest() -> Value {
    json!({
        "schemaVersion": 2, "mediaType": media::MANIFEST,
        "config": descriptor(media::CONFIG), "layers": [descriptor(media::LAYER)],
    })
}

fn config() -> Value {
    json!({
        "os": "linux", "architecture": "amd64", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{HEX}")]},
    })
}

/// The rule and the pointer of a refusal.
fn refusal<T>(result: Result<Raw<T>, ImageError>) -> Option<(u16, String)> {
    match result.err()? {
        ImageError::Document { fault, .. } => Some((fault.rule, fault.where_)),
        ImageError::Json { source, .. } => Some((source.rule, source.pointer)),
        other => panic!("{other}"),
    }
}

#[test]
fn manifests_that_are_refused() {
    for (pointer, value, rule, place) in [
        ("/schemaVersion", json!("2"), 31, "/schemaVersion"),
        ("/mediaType", json!(media::INDEX), 32, "/mediaType"),
        ("/manifests", json!([]), 33, "/manifests"),
        (
            "/config/digest",
            json!("md5:d41d8cd98f00b204e9800998ecf8427e"),
            22,
            "/config/digest",
        ),
        (
            "/config/digest",
            json!(format!("sha256:{}", HEX.to_uppercase())),
            22,
            "/config/digest",
        ),
        (
            "/layers/0/digest",
            json!("sha256:../../../etc/passwd"),
            22,
            "/layers/0/digest",
        ),
        (
            "/layers/0/digest",
            json!("sha256:44"),
            22,
            "/layers/0/digest",
        ),
        ("/layers/0/size", json!(-1), 24, "/layers/0/size"),
        ("/layers/0/size", json!(1.5), 24, "/layers/0/size"),
        ("/layers/0/size", json!(u64::MAX), 24, "/layers/0/size"),
        ("/layers/0/mediaType", json!("x"), 21, "/layers/0/mediaType"),
        (
            "/layers/0/mediaType",
            json!("text/plain"),
            39,
            "/layers/0/mediaType",
        ),
        (
            "/layers/0/annotations",
            json!({"a": 1}),
            26,
            "/layers/0/annotations/a",
        ),
        ("/layers/0/data", json!("e30"), 27, "/layers/0/data"),
        ("/layers/0/data", json!("e31="), 27, "/layers/0/data"),
        ("/layers", json!({}), 36, "/layers"),
        ("/Layers", json!([]), 18, ""),
        ("/artifactType", json!("a/b"), 42, "/config/mediaType"),
    ] {
        let mut document = manifest();
        set(&mut document, pointer, value);
        let refused = refusal(Manifest::parse(canonical(&document)));
        assert_eq!(refused, Some((rule, place.to_owned())), "{pointer}");
    }
    assert!(Manifest::parse(canonical(&manifest())).is_ok());
}

#[test]
fn configs_that_are_refused() {
    for (pointer, value, rule, place) in [
        ("/os", json!(1), 63, "/os"),
        ("/rootfs/type", json!("layer"), 64, "/rootfs/type"),
        (
            "/rootfs/diff_ids",
            json!(["sha256:x"]),
            64,
            "/rootfs/diff_ids/0",
        ),
        ("/created", json!(1), 69, "/created"),
        ("/created", json!("2023-02-29T00:00:00Z"), 69, "/created"),
        ("/history", json!([{}, {}]), 76, "/history"),
        ("/history", json!([{"empty_layer": true}]), 76, "/history"),
        ("/config/Env", json!(["=x"]), 71, "/config/Env"),
        ("/config/Cmd", json!("sh"), 72, "/config/Cmd"),
        ("/config/cmd", json!([]), 18, "/config"),
        (
            "/config/ExposedPorts",
            json!({"80/x": {}}),
            73,
            "/config/ExposedPorts",
        ),
        (
            "/config/Volumes",
            json!({"/v": null}),
            73,
            "/config/Volumes/~1v",
        ),
        ("/config/User", json!(0), 74, "/config/User"),
    ] {
        let mut document = config();
        set(&mut document, pointer, value);
        let refused = refusal(ImageConfig::parse(canonical(&document)));
        assert_eq!(refused, Some((rule, place.to_owned())), "{pointer}");
    }
    assert!(ImageConfig::parse(canonical(&config())).is_ok());
}

#[test]
fn what_other_tools_write_is_read() {
    let mut document = config();
    set(&mut document, "/config/Entrypoint", json!(null));
    set(
        &mut document,
        "/config/Healthcheck",
        json!({"Test": ["NONE"]}),
    );
    set(&mut document, "/config/WorkingDir", json!(""));
    set(&mut document, "/docker_version", json!("20"));
    assert!(ImageConfig::parse(canonical(&document)).is_ok());
    let mut document = manifest();
    let empty = json!({annotations::BASE_DIGEST: "", annotations::BASE_NAME: ""});
    set(&mut document, "/annotations", empty);
    assert!(Manifest::parse(canonical(&document)).is_ok());
}

#[test]
fn an_index_keeps_what_it_does_not_know() {
    let mut entry = descriptor(media::MANIFEST);
    set(
        &mut entry,
        "/platform",
        json!({"os": "windows", "architecture": "amd64", "os.version": "10"}),
    );
    set(&mut entry, "/future", json!([1]));
    set(&mut entry, "/urls", json!(["https://example.com/x"]));
    let other = descriptor("application/x-unknown");
    let document = json!({
        "schemaVersion": 2, "mediaType": media::INDEX, "manifests": [entry, other],
        "annotations": {"a": "b"}, "future": {"x": null},
    });
    let index = Index::parse(canonical(&document)).unwrap();
    assert_eq!(index.value.to_json(), document);
    assert_eq!(index.value.into_raw().bytes, index.bytes);
}

#[test]
fn json_faults_name_the_place() {
    let text = br#"{"schemaVersion":2,"config":{"size":1,"size":2}}"#;
    let error = Manifest::parse(text.to_vec()).unwrap_err();
    assert_eq!(error.to_string(), "manifest is not valid JSON");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        source,
        "line 1 column 44 at /config/size: a member of this name stands here twice"
    );
}

fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        other => other[name] = value,
    }
}

mod choosing {
    use super::*;
    use crate::blob::{Descriptor, Digest, MemoryStore};
    use crate::layer::LayerBlob;

    /// An image for a platform, in the store; its layer is not.
    fn image(store: &MemoryStore, platform: &str) -> IndexEntry {
        let spec = ConfigSpec {
            platform: Some(Platform::parse(platform).unwrap()),
            ..ConfigSpec::default()
        };
        let blob = LayerBlob {
            descriptor: Descriptor {
                media_type: media::LAYER.to_owned(),
                digest: Digest::of(b""),
                size: 0,
            },
            diff_id: DiffId(Digest::of(b"")),
            tar_size: 0,
            cached: false,
        };
        let layer = ImageLayer {
            blob,
            created_by: "x".to_owned(),
            annotations: Annotations::new(),
        };
        let image = assemble(&spec, None, &[layer], &Annotations::new()).unwrap();
        image.write_to(store).unwrap();
        image.entry(Annotations::new())
    }

    fn index(store: &MemoryStore, manifests: Vec<IndexEntry>) -> IndexEntry {
        let index = Index {
            manifests,
            ..Index::default()
        };
        let raw = index.into_raw();
        write(store, &raw).unwrap();
        raw.descriptor.into()
    }

    fn load(
        store: &MemoryStore,
        entry: &IndexEntry,
        platform: Option<&str>,
    ) -> Result<String, String> {
        let platform = platform.map(|text| Platform::parse(text).unwrap());
        let image = Image::load(store, entry, platform.as_ref());
        let image = image.map_err(|error| error.to_string())?;
        Ok(image.platform().to_string())
    }

    #[test]
    fn by_platform() {
        let store = MemoryStore::default();
        let [amd, arm, v6] = ["amd64", "arm64", "linux/arm/v6"].map(|p| image(&store, p));
        let mut silent = arm.clone();
        silent.platform = None;
        let nested = index(&store, vec![v6.clone()]);
        let all = index(&store, vec![amd.clone(), silent, nested, amd.clone()]);
        assert_eq!(load(&store, &amd, None).unwrap(), "linux/amd64");
        assert_eq!(
            load(&store, &all, Some("linux/arm64/v8")).unwrap(),
            "linux/arm64"
        );
        assert_eq!(
            load(&store, &all, Some("linux/arm/v6")).unwrap(),
            "linux/arm/v6"
        );
        let choices = |entries: &[&IndexEntry]| -> String {
            let shown = entries
                .iter()
                .map(|e| format!("{} ({})", e.platform.as_ref().unwrap(), e.descriptor.digest));
            shown.collect::<Vec<_>>().join(", ")
        };
        let there = choices(&[&amd, &arm, &v6]);
        assert_eq!(
            load(&store, &all, None).unwrap_err(),
            format!("3 images to choose from: {there}")
        );
        assert_eq!(
            load(&store, &all, Some("s390x")).unwrap_err(),
            format!("no image for linux/s390x: there is {there}")
        );
        assert_eq!(
            load(&store, &amd, Some("s390x")).unwrap_err(),
            format!("no image for linux/s390x: there is {}", choices(&[&amd]))
        );
        let none = index(&store, vec![]);
        assert_eq!(
            load(&store, &none, None).unwrap_err(),
            "0 images to choose from: none at all"
        );
    }

    #[test]
    fn nesting_has_an_end() {
        let store = MemoryStore::default();
        let mut entry = image(&store, "amd64");
        for _ in 0..NESTING_LIMIT {
            entry = index(&store, vec![entry]);
        }
        assert!(load(&store, &entry, None).is_ok());
        for _ in 0..1000 {
            entry = index(&store, vec![entry]);
        }
        let message = load(&store, &entry, None).unwrap_err();
        assert!(
            message.ends_with("is nested more than 8 deep, or in itself"),
            "{message}"
        );
    }

    #[test]
    fn lies_and_foreign_layers_are_refused() {
        let store = MemoryStore::default();
        let good = image(&store, "amd64");
        let bytes = crate::blob::read_all(&store, &good.descriptor, 1 << 20).unwrap();
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        let changed = |pointer: &str, value: Value| {
            let mut manifest = manifest.clone();
            set(&mut manifest, pointer, value);
            store.put(media::MANIFEST, &canonical(&manifest)).into()
        };
        let refused = |entry: &IndexEntry, text: &str| {
            let message = load(&store, entry, None).unwrap_err();
            assert!(message.contains(text), "{message}");
        };
        let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
        refused(
            &changed("/layers/0/mediaType", json!(foreign)),
            "is not carried along",
        );
        refused(
            &changed("/mediaType", json!(media::DOCKER_MANIFEST)),
            "its descriptor says",
        );
        refused(
            &changed("/manifests", json!([])),
            "another kind of document",
        );
        refused(
            &changed("/config/mediaType", json!("application/x.y")),
            "is an artifact",
        );
        let layer = manifest["layers"][0].clone();
        refused(
            &changed("/layers", json!([layer, layer])),
            "1 diff_ids for the 2 layers",
        );
        refused(&changed("/config/size", json!(3)), "could not read config");
        let mut large = good.clone();
        large.descriptor.size = 200 << 20;
        refused(&large, "could not read manifest");
        let mut missing = good;
        missing.descriptor.digest = Digest::of(b"nothing");
        refused(&missing, "could not read manifest");
    }

    #[test]
    fn an_index_for_platforms() {
        let store = MemoryStore::default();
        let [v1, v3, arm, v8] =
            ["amd64", "linux/amd64/v3", "arm64", "linux/arm64/v8"].map(|p| image(&store, p));
        let notes = Annotations::new;
        let made = Index::for_platforms(vec![arm.clone(), v1.clone(), v3], notes()).unwrap();
        let platforms: Vec<_> = { made.value.manifests.iter() }
            .map(|e| e.platform.as_ref().unwrap().to_string())
            .collect();
        assert_eq!(platforms, ["linux/arm64", "linux/amd64/v3", "linux/amd64"]);
        let twice = Index::for_platforms(vec![arm, v8.clone()], notes()).unwrap_err();
        assert_eq!(
            twice.to_string(),
            format!(
                "image `{}` is the second for linux/arm64/v8",
                v8.descriptor.digest
            )
        );
        let mut silent = v1;
        silent.platform = None;
        assert!(Index::for_platforms(vec![silent], notes()).is_err());
        assert!(Index::for_platforms(vec![], notes()).is_err());
    }
}
