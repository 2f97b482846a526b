//! What a directory is: a layout, the beginning of one, or something that is not ours to touch.

use std::path::Path;

use serde_json::Value;

use crate::blob::BlobError;
use crate::blob::folder::{Folder, Found, failed};
use crate::blob::temporary::Kind;

/// The file that says that a directory is a layout.
pub(super) const MARKER: &str = "oci-layout";
pub(super) const INDEX: &str = "index.json";
pub(crate) const MARKER_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Larger files of these names are not read.
const MARKER_LIMIT: u64 = 1 << 16;
const INDEX_LIMIT: u64 = 64 << 20;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Survey {
    /// Nothing, or a layout's beginning that lacks its marker.
    Begin,
    /// The marker is there, the rest may be.
    Layout,
    /// Not a layout: why.
    Foreign(String),
}

/// Looks at the names of a directory and at its marker.
pub(super) fn survey(folder: &Folder) -> Result<Survey, BlobError> {
    let mut names = folder.names()?;
    names.retain(|name| !Kind::Layout.owns(name));
    if !names.iter().any(|name| name == MARKER) {
        let fault = match names.first() {
            None => return Ok(Survey::Begin),
            Some(_) if names.iter().any(|name| name == INDEX) => {
                "there is index.json, but no file oci-layout".to_owned()
            }
            Some(name) => format!(
                "there is no file oci-layout, but {}{}",
                name.escape_debug(),
                if names.len() > 1 { " and more" } else { "" }
            ),
        };
        return Ok(Survey::Foreign(fault));
    }
    let text = match read(folder, MARKER, MARKER_LIMIT)? {
        Ok(text) => text,
        Err(fault) => return Ok(Survey::Foreign(format!("{MARKER} {fault}"))),
    };
    // Cut by a crash of the first run, before anything relied on it.
    let ours = |name: &String| name == MARKER || name == "blobs";
    if text.is_empty() && names.iter().all(ours) {
        return Ok(Survey::Begin);
    }
    Ok(match marker_fault(&text) {
        None => Survey::Layout,
        Some(fault) => Survey::Foreign(fault),
    })
}

fn marker_fault(text: &[u8]) -> Option<String> {
    let value: Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => return Some(format!("{MARKER} is not valid JSON: {error}")),
    };
    match value.get("imageLayoutVersion") {
        Some(Value::String(version)) if version == "1.0.0" => None,
        Some(version) => Some(format!("its layout version is {version}, not \"1.0.0\"")),
        None => Some(format!("{MARKER} has no member imageLayoutVersion")),
    }
}

/// The bytes of `index.json`, `None` without one; the inner error says what is wrong with it.
pub(super) fn read_index(folder: &Folder) -> Result<Option<Result<Vec<u8>, String>>, BlobError> {
    match folder.find(INDEX)? {
        Found::Nothing => Ok(None),
        _ => read(folder, INDEX, INDEX_LIMIT).map(Some),
    }
}

fn read(folder: &Folder, name: &str, limit: u64) -> Result<Result<Vec<u8>, String>, BlobError> {
    use std::io::Read as _;
    let file = match folder.find(name)? {
        Found::File(file, _) => file,
        Found::Other(kind) => return Ok(Err(format!("is {kind}, not a file"))),
        Found::Nothing => return Ok(Err("is missing".to_owned())),
    };
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|source| failed("read", folder.path_of(name), source))?;
    if bytes.len() as u64 > limit {
        return Ok(Err(format!("has more than {limit} bytes")));
    }
    Ok(Ok(bytes))
}

/// A path as its owner would type it, for messages about a directory that is not there.
pub(super) fn missing(path: &Path) -> BlobError {
    let source = std::io::ErrorKind::NotFound.into();
    failed("open the directory", path.to_owned(), source)
}
