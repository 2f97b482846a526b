//! Canonical JSON, and documents that remember their bytes.

pub use crate::json::{JsonFault, canonical, parse_strict};

use crate::blob::{Descriptor, Digest};

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

impl<T> Raw<T> {
    /// Joins a value to the bytes that say it.
    pub(crate) fn new(value: T, bytes: Vec<u8>, media_type: &str) -> Self {
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
        };
        Self {
            value,
            bytes,
            descriptor,
        }
    }
}
