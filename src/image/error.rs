//! [`ImageError`]: documents that break the specification, and wishes that would.

use std::fmt::Write as _;

use super::{JsonFault, Platform};
use crate::blob::{BlobError, Digest};
use crate::error::ErrorKind;
use crate::fault::{Fault, printable};

/// An image that breaks the specification, or a wish that would.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A value for a new image that the specification does not allow.
    #[error("{what} `{value}` {fault}")]
    Wish {
        /// What the value was meant for.
        what: &'static str,
        /// The value as given, printable.
        value: String,
        /// What is wrong with it.
        fault: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A document is not strict JSON.
    #[error("{what} is not valid JSON")]
    Json {
        /// Which document.
        what: String,
        /// Where and why.
        source: JsonFault,
    },
    /// A document breaks a rule of the specification.
    #[error("{what} cannot be used{}: {}", at(&fault.where_), fault.text)]
    Document {
        /// Which document.
        what: String,
        /// The JSON pointer, the rule and what is wrong.
        fault: Fault,
    },
    /// A blob of an image is missing, damaged or too large.
    #[error("could not read {what}")]
    Blob {
        /// What the blob is.
        what: String,
        /// Why not.
        source: BlobError,
    },
    /// An index holds nothing for the wanted platform.
    #[error("no image for {wanted}: there is {}", list(choices))]
    NoPlatform {
        /// What was asked for.
        wanted: Platform,
        /// What there is.
        choices: Vec<String>,
    },
    /// An index holds several images, and which one is meant is not said.
    #[error("{} images to choose from: {}", choices.len(), list(choices))]
    ManyPlatforms {
        /// What there is.
        choices: Vec<String>,
    },
    /// Indexes within indexes beyond all need.
    #[error("index {digest} is nested more than {limit} deep, or in itself")]
    Nested {
        /// The innermost one looked at.
        digest: Digest,
        /// So many levels are followed.
        limit: usize,
    },
}

impl ImageError {
    pub(crate) fn wish(what: &'static str, value: &str, fault: impl Into<String>) -> Self {
        Self::Wish {
            what,
            value: printable(value),
            fault: fault.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Wish { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Wish { .. } | Self::NoPlatform { .. } | Self::ManyPlatforms { .. } => {
                ErrorKind::Usage
            }
            Self::Json { .. } | Self::Document { .. } | Self::Nested { .. } => ErrorKind::Invalid,
            Self::Blob { source, .. } => source.kind(),
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Wish { hint, .. } => hint.clone(),
            Self::Document { .. } => Some("`plywood verify` lists all faults of an image".into()),
            Self::ManyPlatforms { .. } | Self::NoPlatform { .. } => {
                Some("choose one with --platform".into())
            }
            Self::Blob { source, .. } => source.hint(),
            _ => None,
        }
    }
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() {
        return String::new();
    }
    format!(" because of {pointer}")
}

fn list(choices: &[String]) -> String {
    const TOLD: usize = 10;
    if choices.is_empty() {
        return "none at all".to_owned();
    }
    let told: Vec<_> = choices.iter().take(TOLD).map(|c| printable(c)).collect();
    let mut text = told.join(", ");
    if choices.len() > TOLD {
        let _ = write!(text, " and {} more", choices.len() - TOLD);
    }
    text
}
