//! `--config-json`: a configuration to start from, in any of the forms people have.

use serde_json::{Map, Value};

use super::config::start_fault;
use super::node::kind_of;
use super::{ImageError, parse_strict};

/// What Docker says of a container's host and terminal; never part of an image.
const HOST_ONLY: [&str; 10] = [
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Image",
    "MacAddress",
];

/// Reads an OCI configuration, the output of `docker inspect`, or a bare container
/// configuration (`{"Cmd": …}`), and gives it as an OCI configuration.
///
/// Members that plywood does not know are kept; `rootfs` and `history`, which
/// follow from the layers, are dropped. `what` names the document in messages.
///
/// # Errors
/// [`ImageError::Json`], or [`ImageError::Wish`] for another shape or what no image may say.
pub fn read(what: &str, bytes: &[u8]) -> Result<Map<String, Value>, ImageError> {
    let value = parse_strict(bytes).map_err(|source| ImageError::Json {
        what: what.to_owned(),
        source,
    })?;
    let refuse = |fault: String| {
        let hint = "give an OCI image config, or what `docker inspect IMAGE` prints";
        Err(ImageError::wish("configuration", what, fault).with_hint(hint))
    };
    let object = match value {
        Value::Object(object) => object,
        Value::Array(mut items) if items.len() == 1 && items[0].is_object() => {
            match items.swap_remove(0) {
                Value::Object(object) => object,
                _ => return refuse("is an array of something else".to_owned()),
            }
        }
        Value::Array(items) => return refuse(format!("is an array of {} items", items.len())),
        other => return refuse(format!("is {}, not an object", kind_of(&other))),
    };
    let mut map = if object.contains_key("Config") {
        from_inspect(&object)
    } else if is_bare(&object) {
        Map::from_iter([("config".to_owned(), Value::Object(object))])
    } else {
        object
    };
    map.remove("rootfs");
    map.remove("history");
    match start_fault(&map) {
        Some((place, fault)) => Err(ImageError::wish(
            "configuration",
            what,
            format!("cannot be used because of {place}: {fault}"),
        )),
        None => Ok(map),
    }
}

/// A container configuration has capital members and none of an image's.
fn is_bare(object: &Map<String, Value>) -> bool {
    const TELLING: [&str; 8] = [
        "Cmd",
        "Entrypoint",
        "Env",
        "Labels",
        "User",
        "WorkingDir",
        "ExposedPorts",
        "Volumes",
    ];
    let image = ["config", "rootfs", "architecture", "os", "history"];
    TELLING.iter().any(|name| object.contains_key(*name))
        && !image.iter().any(|name| object.contains_key(*name))
}

fn from_inspect(object: &Map<String, Value>) -> Map<String, Value> {
    let mut map = Map::new();
    for (theirs, ours) in [
        ("Architecture", "architecture"),
        ("Os", "os"),
        ("Variant", "variant"),
        ("OsVersion", "os.version"),
        ("Author", "author"),
    ] {
        let said = object.get(theirs).and_then(Value::as_str);
        if let Some(text) = said.filter(|text| !text.is_empty()) {
            map.insert(ours.to_owned(), text.into());
        }
    }
    if let Some(Value::Object(config)) = object.get("Config") {
        let members = config.iter();
        let kept = members.filter(|(name, _)| !HOST_ONLY.contains(&name.as_str()));
        let kept: Map<_, _> = kept.map(|(k, v)| (k.clone(), v.clone())).collect();
        map.insert("config".to_owned(), kept.into());
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn started(value: &Value) -> Value {
        read("c.json", value.to_string().as_bytes()).unwrap().into()
    }

    #[test]
    fn three_forms() {
        let oci = json!({"os": "linux", "x": 1, "config": {"Cmd": ["a"], "Y": 2}, "rootfs": {}, "history": []});
        assert_eq!(
            started(&oci),
            json!({"os": "linux", "x": 1, "config": {"Cmd": ["a"], "Y": 2}})
        );
        let bare = json!({"Cmd": ["a"], "Z": null});
        assert_eq!(started(&bare), json!({"config": {"Cmd": ["a"], "Z": null}}));
        let inspect = json!([{"Id": "x", "Os": "linux", "Architecture": "arm64", "Variant": "v8",
            "Config": {"Hostname": "h", "Cmd": ["a"], "Healthcheck": {"Test": ["NONE"]}}}]);
        assert_eq!(
            started(&inspect),
            json!({"os": "linux", "architecture": "arm64", "variant": "v8",
                "config": {"Cmd": ["a"], "Healthcheck": {"Test": ["NONE"]}}})
        );
    }

    #[test]
    fn refuses_others() {
        let bad_words = ["{\"User\":\"-1\"}", "{\"config\":{\"WorkingDir\":\"a\"}}"];
        let shapes = ["[]", "[1]", "[{},{}]", "1", "", "{\"a\":1,\"a\":1}"];
        for bad in shapes.into_iter().chain(bad_words) {
            assert!(read("c.json", bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
