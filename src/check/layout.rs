//! The image-layout chapter: rules 1 to 12, and what hangs on `index.json`.

use serde_json::Value;

use super::place::{FileInfo, FileKind, Place};
use super::{blobs, docker, documents::Walk};
use crate::blob::Digest;
use crate::fault::{Fault, Faults};
use crate::image::{DOCUMENT_LIMIT, parse_strict};

/// All faults of a layout, unsorted.
pub(super) fn verify(place: &dyn Place) -> Vec<Fault> {
    let mut faults = Faults::default();
    check_skeleton(place, &mut faults);
    let mut walk = Walk::new(place);
    walk.index_json();
    check_names(place, &walk, &mut faults);
    let mut list = faults.into_vec();
    if place.files().contains_key("manifest.json") {
        list.extend(docker::verify_beside_layout(place));
    }
    list.extend(blobs::verify(place, walk));
    list
}

fn check_skeleton(place: &dyn Place, faults: &mut Faults) {
    match place.files().get("blobs") {
        Some(info) if info.kind == FileKind::Dir => {}
        Some(info) => faults.must(1, "blobs", format!("is {}", info.kind.name())),
        // Archives need no entries for directories.
        None if place.is_archive() && place.files().keys().any(|k| k.starts_with("blobs/")) => {}
        None => faults.must(1, "blobs", "is missing"),
    }
    if let Some(marker) = read_json(place, "oci-layout", 2, faults) {
        match marker.get("imageLayoutVersion") {
            Some(version) if version == "1.0.0" => {}
            Some(version) => {
                let text = format!("imageLayoutVersion is {version}, not \"1.0.0\"");
                faults.must(2, "oci-layout", text);
            }
            None => faults.must(2, "oci-layout", "imageLayoutVersion is missing"),
        }
    }
}

/// Reads a JSON file at the top of the place.
pub(super) fn read_json(
    place: &dyn Place,
    name: &str,
    rule: u16,
    faults: &mut Faults,
) -> Option<Value> {
    let bytes = read_file(place, name, rule, faults)?;
    match parse_strict(&bytes) {
        Ok(value) => Some(value),
        Err(fault) => {
            faults.must(fault.rule, name, fault.to_string());
            None
        }
    }
}

/// The bytes of a small file.
pub(super) fn read_file(
    place: &dyn Place,
    name: &str,
    rule: u16,
    faults: &mut Faults,
) -> Option<Vec<u8>> {
    let Some(info) = place.files().get(name) else {
        faults.must(rule, name, "is missing");
        return None;
    };
    if info.kind != FileKind::File {
        faults.must(
            rule,
            name,
            format!("is {}, not a regular file", info.kind.name()),
        );
        return None;
    }
    if info.size > DOCUMENT_LIMIT {
        let text = format!("has {} bytes, more than readers take", info.size);
        faults.must(28, name, text);
        return None;
    }
    let mut bytes = Vec::new();
    let read = place.open(name).and_then(|reader| {
        let mut reader = std::io::Read::take(reader, DOCUMENT_LIMIT + 1);
        std::io::Read::read_to_end(&mut reader, &mut bytes)
    });
    match read {
        Ok(_) => Some(bytes),
        Err(error) => {
            faults.must(rule, name, format!("cannot be read: {error}"));
            None
        }
    }
}

/// Everything below `blobs` is a blob under its digest.
fn check_names(place: &dyn Place, walk: &Walk, faults: &mut Faults) {
    for (name, info) in place.files() {
        if !matches!(info.kind, FileKind::File | FileKind::Dir) && !name.starts_with("blobs/") {
            faults.should(9, name, format!("is {}", info.kind.name()));
        }
        let Some(below) = name.strip_prefix("blobs/") else {
            continue;
        };
        if info.kind == FileKind::Dir && is_algorithm(below) {
            continue;
        }
        match digest_of(below) {
            None => faults.must(5, name, "is not named by a digest"),
            Some(_) => check_blob_file(name, info, walk, faults),
        }
    }
}

fn check_blob_file(name: &str, info: &FileInfo, walk: &Walk, faults: &mut Faults) {
    if info.kind != FileKind::File {
        return faults.field(
            9,
            name,
            format!("is {}, not a regular file", info.kind.name()),
        );
    }
    if info.mode & 0o004 == 0 {
        faults.should(
            9,
            name,
            format!("has the mode {:o}: others cannot read it", info.mode),
        );
    }
    if !walk.reaches(name) {
        faults.should(7, name, "is referred to by nothing");
    }
}

fn is_algorithm(name: &str) -> bool {
    let component = |part: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        !part.is_empty() && part.bytes().all(plain)
    };
    name.split(['+', '.', '_', '-']).all(component)
}

/// The digest that `ALGORITHM/ENCODED` stands for.
pub(super) fn digest_of(below: &str) -> Option<Digest> {
    let (algorithm, encoded) = below.split_once('/')?;
    format!("{algorithm}:{encoded}").parse().ok()
}

/// The file of a blob.
pub(super) fn file_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}
