//! How one configuration is laid over another: a base's, a given one, and the flags.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Lays the members of `over`'s `config` over `base`'s.
///
/// - `Env` by name: ours win and keep the place of what they replace;
/// - `Labels`, `ExposedPorts`, `Volumes` are united, ours win;
/// - a new `Entrypoint` takes the base's `Cmd` away, as in Docker, unless there is a new one;
/// - everything else is replaced whole. `null` says nothing.
///
/// Members that nobody knows are kept. Empty lists and objects are left out.
pub(super) fn runtime(base: Map<String, Value>, over: Map<String, Value>) -> Map<String, Value> {
    let mut merged = base;
    if over.get("Entrypoint").is_some_and(|v| !v.is_null()) {
        merged.remove("Cmd");
    }
    for (name, value) in over {
        if value.is_null() {
            continue;
        }
        let value = match (name.as_str(), merged.remove(&name)) {
            ("Env", Some(Value::Array(old))) => env(old, value),
            ("Labels" | "ExposedPorts" | "Volumes", Some(Value::Object(old))) => union(old, value),
            _ => value,
        };
        merged.insert(name, value);
    }
    merged
        .into_iter()
        .filter(|(_, value)| says_something(value))
        .collect()
}

/// The environment by name; of names set twice the last value, at the place of the first.
fn env(old: Vec<Value>, new: Value) -> Value {
    let Value::Array(new) = new else {
        return new;
    };
    let mut places = BTreeMap::new();
    let mut merged: Vec<Value> = Vec::new();
    for item in old.into_iter().chain(new) {
        let text = item.as_str().unwrap_or_default();
        let name = text
            .split_once('=')
            .map_or(text, |(name, _)| name)
            .to_owned();
        let place = places.get(&name);
        if let Some(earlier) = place.and_then(|&place: &usize| merged.get_mut(place)) {
            *earlier = item;
        } else {
            places.insert(name, merged.len());
            merged.push(item);
        }
    }
    merged.into()
}

fn union(mut old: Map<String, Value>, new: Value) -> Value {
    let Value::Object(new) = new else {
        return new;
    };
    old.extend(new);
    old.into()
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(base: Value, over: Value) -> Value {
        match (base, over) {
            (Value::Object(base), Value::Object(over)) => runtime(base, over).into(),
            _ => Value::Null,
        }
    }

    #[test]
    fn env_by_name() {
        assert_eq!(
            merged(
                json!({"Env": ["A=1", "PATH=/bin"]}),
                json!({"Env": ["B=2", "A=3"]})
            ),
            json!({"Env": ["A=3", "PATH=/bin", "B=2"]})
        );
    }

    #[test]
    fn entrypoint_resets_cmd() {
        let base = json!({"Entrypoint": ["e"], "Cmd": ["c"], "Shell": ["s"]});
        let cases = [
            (
                json!({"Entrypoint": ["x"]}),
                json!({"Entrypoint": ["x"], "Shell": ["s"]}),
            ),
            (
                json!({"Cmd": ["x"]}),
                json!({"Entrypoint": ["e"], "Cmd": ["x"], "Shell": ["s"]}),
            ),
            (
                json!({"Entrypoint": ["x"], "Cmd": ["y"]}),
                json!({"Entrypoint": ["x"], "Cmd": ["y"], "Shell": ["s"]}),
            ),
            (json!({"Entrypoint": []}), json!({"Shell": ["s"]})),
            (json!({"Entrypoint": null}), base.clone()),
        ];
        for (over, result) in cases {
            assert_eq!(merged(base.clone(), over), result);
        }
    }

    #[test]
    fn maps_are_united() {
        assert_eq!(
            merged(
                json!({"Labels": {"a": "1", "b": "2"}, "Volumes": null}),
                json!({"Labels": {"b": "3"}, "Volumes": {"/v": {}}})
            ),
            json!({"Labels": {"a": "1", "b": "3"}, "Volumes": {"/v": {}}})
        );
    }
}
