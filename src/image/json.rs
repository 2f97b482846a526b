//! Canonical JSON, and documents that remember their bytes.

use crate::blob::Descriptor;

/// A document with the bytes it was read from or written as; never serialised again.
#[derive(Clone, Debug)]
pub struct Raw<T> {
    /// What the bytes say.
    pub value: T,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their media type, digest and size.
    pub descriptor: Descriptor,
}

/// The canonical bytes of a JSON value: sorted keys, compact, UTF-8, no final newline.
pub fn canonical(value: &serde_json::Value) -> Vec<u8> {
    todo!("{value}")
}
