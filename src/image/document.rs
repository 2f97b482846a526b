//! What manifests, indexes and configs have in common when they are read.

use super::node::Node;
use super::{ImageError, Raw, parse_strict};
use crate::fault::Faults;

/// The largest manifest, index or config that is read or written: 4 MiB, the most
/// that registries need to take.
pub const DOCUMENT_LIMIT: u64 = 4 << 20;

/// A document that can be read from JSON.
pub(crate) trait Document: Sized {
    /// What it is called in messages.
    const NAME: &'static str;

    /// The media type that it is stored under.
    fn media_type(&self) -> &str;

    /// Reads it, noting broken rules; `None` if too much is missing.
    fn read(node: &Node, faults: &mut Faults) -> Option<Self>;
}

/// Reads a document and refuses what breaks a MUST.
pub(crate) fn parse<T: Document>(bytes: Vec<u8>) -> Result<Raw<T>, ImageError> {
    parse_named(T::NAME.to_owned(), bytes)
}

/// The same, with a name of its own for messages.
pub(crate) fn parse_named<T: Document>(what: String, bytes: Vec<u8>) -> Result<Raw<T>, ImageError> {
    let mut faults = Faults::default();
    let value = match parse_strict(&bytes) {
        Ok(value) => value,
        Err(source) => return Err(ImageError::Json { what, source }),
    };
    let document = T::read(&Node::document(&value), &mut faults);
    if let Some(fault) = faults.refusal() {
        let fault = fault.clone();
        return Err(ImageError::Document { what, fault });
    }
    let Some(document) = document else {
        // Every reader notes a MUST before it gives up; this says so if one ever does not.
        faults.must(19, "", "is not understood");
        let fault = faults.into_vec().swap_remove(0);
        return Err(ImageError::Document { what, fault });
    };
    let media_type = document.media_type().to_owned();
    Ok(Raw::new(document, bytes, &media_type))
}

pub(crate) fn check_schema_version(node: &Node, rule: u16, faults: &mut Faults) {
    if let Some(version) = node.need("schemaVersion", rule, faults)
        && version.value.as_u64() != Some(2)
    {
        let text = format!("is {}, not the number 2", version.value);
        faults.must(rule, &version.pointer, text);
    }
}

/// Reads a document's own `mediaType`, which must be of the right kind.
pub(crate) fn read_own_media_type(
    node: &Node,
    rule: u16,
    is_right: fn(&str) -> bool,
    faults: &mut Faults,
) -> Option<String> {
    let Some(member) = node.get("mediaType") else {
        faults.should(rule, &node.pointer, "`mediaType` is missing");
        return None;
    };
    let text = member.text(rule, faults)?;
    if !is_right(text) {
        faults.must(
            rule,
            &member.pointer,
            format!("`{text}` is the type of something else"),
        );
    }
    Some(text.to_owned())
}

/// Notes members that make a document look like one of another kind.
pub(crate) fn refuse_members(node: &Node, names: &[&str], faults: &mut Faults) {
    for name in names {
        if let Some(member) = node.get(name) {
            let text = format!("`{name}` belongs to another kind of document");
            faults.must(33, &member.pointer, text);
        }
    }
}

/// Holds the artifact type of a new artifact against the grammar.
pub(crate) fn read_artifact_type(text: &str) -> Result<(), ImageError> {
    let hint = "such as application/vnd.example.thing.v1+json";
    if text.is_empty() {
        return Err(ImageError::wish("artifact type", "", "is missing").with_hint(hint));
    }
    if !super::media::is_media_type(text) {
        let fault = "is not a media type of RFC 6838";
        return Err(ImageError::wish("artifact type", text, fault).with_hint(hint));
    }
    Ok(())
}
