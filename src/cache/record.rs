//! One record: a small JSON file under its key, written whole or not at all.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::{CacheError, HALF, Key};
use crate::blob::folder::read_small;
use crate::blob::{Descriptor, DiffId, Digest};
use crate::image::{canonical, parse_strict};
use crate::layer::LayerBlob;

/// No record is nearly as long.
const LIMIT: u64 = 1 << 16;

/// The layer of a record; `None` if it is missing, cut, foreign or says anything odd.
pub(super) fn read(path: &Path, key: &Key) -> Option<LayerBlob> {
    let bytes = read_small(path, LIMIT)?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let (sum, body) = text.split_once('\n')?;
    // A record that was damaged in a digit would still parse.
    if sum != Digest::of(body.as_bytes()).hex() {
        return None;
    }
    let value = parse_strict(body.as_bytes()).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    if text("key")? != key.as_str() {
        return None;
    }
    let descriptor = Descriptor {
        media_type: text("mediaType")?.to_owned(),
        digest: text("digest")?.parse().ok()?,
        size: number("size")?,
    };
    let diff_id = DiffId(text("diffId")?.parse().ok()?);
    Some(LayerBlob {
        descriptor,
        diff_id,
        tar_size: number("tarSize")?,
        cached: true,
    })
}

/// Writes the record of a layer.
pub(super) fn write(directory: &Path, key: &Key, blob: &LayerBlob) -> Result<(), CacheError> {
    let body = canonical(&json!({
        "key": key.as_str(),
        "mediaType": blob.descriptor.media_type,
        "digest": blob.descriptor.digest.to_string(),
        "size": blob.descriptor.size,
        "diffId": blob.diff_id.to_string(),
        "tarSize": blob.tar_size,
    }));
    let path = directory.join(key.as_str());
    let fail = |e| CacheError::io("write the record", &path, e);
    let mut file = tempfile::Builder::new()
        .prefix(HALF)
        .tempfile_in(directory)
        .map_err(fail)?;
    let whole = [Digest::of(&body).hex().as_bytes(), b"\n", &body].concat();
    file.write_all(&whole).map_err(fail)?;
    file.persist(&path).map_err(|e| fail(e.error))?;
    Ok(())
}

/// The blob of a record, whichever key it is under.
pub(super) fn blob_of(path: &Path) -> Option<Descriptor> {
    let text = String::from_utf8(read_small(path, LIMIT)?).ok()?;
    let value = parse_strict(text.split_once('\n')?.1.as_bytes()).ok()?;
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    Some(Descriptor {
        media_type: field("mediaType")?.to_owned(),
        digest: field("digest")?.parse().ok()?,
        size: value.get("size")?.as_u64()?,
    })
}
