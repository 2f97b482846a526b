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
