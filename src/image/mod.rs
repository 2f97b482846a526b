//! Values of the image specification, and their one serialisation. Pure: no I/O.

mod json;

pub use json::{Raw, canonical};

use crate::blob::Descriptor;
use crate::error::ErrorKind;
use crate::layer::LayerBlob;
use std::collections::BTreeMap;

/// Operating system and processor of an image (image-index chapter).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Platform {
    /// GOOS value.
    pub os: String,
    /// GOARCH value.
    pub architecture: String,
    /// `v8`, `v3`, … where the specification has a table for the architecture.
    pub variant: Option<String>,
}

/// One descriptor in an index: what `index.json` lists and what a [`Target`](crate::target::Target) is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Of a manifest or a nested index.
    pub descriptor: Descriptor,
    /// Equal to the config's.
    pub platform: Option<Platform>,
    /// Names and whatever else.
    pub annotations: BTreeMap<String, String>,
    /// Of an artifact.
    pub artifact_type: Option<String>,
    /// Members that plywood does not know, kept as they were read.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// A finished layer together with what the image says about it.
#[derive(Clone, Debug)]
pub struct ImageLayer {
    /// The bytes.
    pub blob: LayerBlob,
    /// `created_by` of its history entry: what is in it, in words.
    pub created_by: String,
    /// Annotations of its descriptor.
    pub annotations: BTreeMap<String, String>,
}

/// An image that breaks the specification, or a wish that would.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {}

impl ImageError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    pub(crate) fn hint(&self) -> Option<String> {
        None
    }
}
