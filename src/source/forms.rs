//! The JSON forms of a reference graph, told apart by their shape.

use super::Place;
use super::graph::{Document, Listed};
use super::json::{Fault, Member, Value, pointer};

/// Entries and roots of a JSON document in any known form.
pub(super) fn read(document: &Value) -> Result<Document, Fault> {
    match document {
        Value::Array(_) => Ok(Document {
            entries: list("", document)?,
            roots: Vec::new(),
        }),
        Value::Object(_) if document.get("exportReferencesGraph").is_some() => attributes(document),
        Value::Object(_) if document.get("info").is_some() && document.get("version").is_some() => {
            versioned(document)
        }
        Value::Object(members) if members.iter().all(|(_, entry)| is_path_info(entry)) => {
            Ok(Document {
                entries: map(None, "", document)?,
                roots: Vec::new(),
            })
        }
        _ => Err((Place::Whole, unknown_form())),
    }
}

/// The text for what has none of the shapes.
pub(super) fn unknown_form() -> String {
    "no known form of a reference graph (known are: structured attributes with \
     exportReferencesGraph, a list of {path, references}, `nix path-info --json`, \
     exportReferencesGraph text, `nix-store --dump-db` text)"
        .into()
}

/// Invalid paths are null; a future version may add members that are neither.
fn is_path_info(entry: &Value) -> bool {
    matches!(entry, Value::Null) || entry.get("references").is_some()
}

/// `.attrs.json` of a derivation with structured attributes.
fn attributes(document: &Value) -> Result<Document, Fault> {
    let at = "/exportReferencesGraph";
    let mut all = Document::default();
    for (key, roots) in members(at, document.get("exportReferencesGraph"))? {
        all.roots.extend(match roots {
            Value::String(_) => {
                let root = path(roots).map_err(|reason| fault(&pointer(at, key), reason))?;
                vec![root]
            }
            _ => paths(&pointer(at, key), Some(roots))?,
        });
        let Some(named) = document.get(key) else {
            return Err(fault(
                &pointer(at, key),
                format!("there is no member `{key}` beside it"),
            ));
        };
        all.entries.extend(list(&pointer("", key), named)?);
    }
    Ok(all)
}

/// `nix path-info --json` of format 2 and later: base names below `storeDir`.
fn versioned(document: &Value) -> Result<Document, Fault> {
    let store = match document.get("storeDir") {
        None => "/nix/store".to_owned(),
        Some(value) => path(value).map_err(|reason| fault("/storeDir", reason))?,
    };
    let info = document.get("info").unwrap_or(&Value::Null);
    Ok(Document {
        entries: map(Some(&store), "/info", info)?,
        roots: Vec::new(),
    })
}

fn list(at: &str, entries: &Value) -> Result<Vec<Listed>, Fault> {
    let Value::Array(entries) = entries else {
        return Err(wrong(at, "a list", entries));
    };
    let entry = |(i, value): (usize, &Value)| {
        let at = pointer(at, i);
        let named = need(&at, value, "path")?;
        let path = path(named).map_err(|reason| fault(&pointer(&at, "path"), reason))?;
        entry(&at, path, value, |reference| reference)
    };
    entries.iter().enumerate().map(entry).collect()
}

/// Entries by their paths, which may be base names below `store`.
fn map(store: Option<&str>, at: &str, entries: &Value) -> Result<Vec<Listed>, Fault> {
    let absolute = |name: String| match store {
        Some(store) if !name.starts_with('/') => format!("{}/{name}", store.trim_end_matches('/')),
        _ => name,
    };
    let entry = |(name, value): &Member| {
        let at = pointer(at, name);
        let name = checked(name).map_err(|reason| fault(&at, reason))?;
        entry(&at, absolute(name), value, absolute)
    };
    members(at, Some(entries))?.iter().map(entry).collect()
}

fn entry(
    at: &str,
    path: String,
    value: &Value,
    absolute: impl Fn(String) -> String,
) -> Result<Listed, Fault> {
    if value == &Value::Null || value.get("valid") == Some(&Value::Bool(false)) {
        return Err(fault(
            at,
            format!("{path} is not valid in the store that was asked"),
        ));
    }
    need(at, value, "references")?;
    let references = paths(&pointer(at, "references"), value.get("references"))?;
    Ok(Listed {
        name: string(at, value, "name")?,
        source: string(at, value, "source")?.map(Into::into),
        size: size(&pointer(at, "narSize"), value.get("narSize"))?,
        hash: hash(&pointer(at, "narHash"), value.get("narHash"))?,
        ..Listed::new(path, references.into_iter().map(absolute).collect())
    })
}

fn need<'v, 'a>(at: &str, object: &'v Value<'a>, name: &str) -> Result<&'v Value<'a>, Fault> {
    members(at, Some(object))?;
    object
        .get(name)
        .ok_or_else(|| fault(at, format!("has no `{name}`")))
}

fn members<'v, 'a>(at: &str, value: Option<&'v Value<'a>>) -> Result<&'v [Member<'a>], Fault> {
    match value {
        Some(Value::Object(members)) => Ok(members),
        other => Err(wrong(at, "an object", other.unwrap_or(&Value::Null))),
    }
}

fn paths(at: &str, value: Option<&Value>) -> Result<Vec<String>, Fault> {
    match value {
        Some(Value::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(i, item)| path(item).map_err(|reason| fault(&pointer(at, i), reason)))
            .collect(),
        other => Err(wrong(at, "a list of paths", other.unwrap_or(&Value::Null))),
    }
}

/// A path, or what is wrong with it; where it stands is told only if something is.
fn path(value: &Value) -> Result<String, String> {
    match value {
        Value::String(path) => checked(path),
        other => Err(unexpected("a path", other)),
    }
}

fn checked(path: &str) -> Result<String, String> {
    if path.is_empty() {
        Err("an empty path".into())
    } else if path.contains('\0') {
        Err("a path contains NUL".into())
    } else {
        Ok(path.to_owned())
    }
}

/// An optional member that says nothing if it is null.
fn string(at: &str, object: &Value, name: &str) -> Result<Option<String>, Fault> {
    let at = pointer(at, name);
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Err(fault(&at, "an empty string".into())),
        Some(Value::String(text)) if text.contains('\0') => Err(fault(&at, "contains NUL".into())),
        Some(Value::String(text)) => Ok(Some(text.clone().into_owned())),
        Some(other) => Err(wrong(&at, "a string", other)),
    }
}

fn size(at: &str, value: Option<&Value>) -> Result<Option<u64>, Fault> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match number.as_u64() {
            Some(size) => Ok(Some(size)),
            None => Err(fault(
                at,
                format!("expected a size in bytes, found {number}"),
            )),
        },
        Some(other) => Err(wrong(at, "a size in bytes", other)),
    }
}

/// A string, or an object of `algorithm` and `hash` as some versions of Nix write it.
fn hash(at: &str, value: Option<&Value>) -> Result<Option<String>, Fault> {
    let Some(object @ Value::Object(_)) = value else {
        return match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(hash)) => Ok(Some(hash.clone().into_owned())),
            Some(other) => Err(wrong(at, "a hash", other)),
        };
    };
    let algorithm = string(at, object, "algorithm")?.unwrap_or_else(|| "sha256".into());
    Ok(string(at, object, "hash")?.map(|hash| format!("{algorithm}:{hash}")))
}

fn wrong(at: &str, expected: &str, found: &Value) -> Fault {
    fault(at, unexpected(expected, found))
}

fn unexpected(expected: &str, found: &Value) -> String {
    format!("expected {expected}, found {}", found.kind())
}

fn fault(at: &str, reason: String) -> Fault {
    (Place::Pointer(at.to_owned()), reason)
}
