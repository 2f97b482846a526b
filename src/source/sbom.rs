//! Bills of materials: a closure said in the words of SPDX and `CycloneDX`.
//!
//! Pure functions of their arguments: the same closure gives the same document.

mod cyclonedx;
mod hash;
mod name;
mod spdx;

use serde_json::Value;
use sha2::Digest as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Closure, Component};

pub use cyclonedx::cyclonedx;
pub use spdx::spdx;

/// Media type of an SPDX document, and of the artifact that it is.
pub const SPDX_TYPE: &str = "application/spdx+json";
/// Media type of a `CycloneDX` document, and of the artifact that it is.
pub const CYCLONEDX_TYPE: &str = "application/vnd.cyclonedx+json";

/// What a bill of materials is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The image's name.
    pub name: String,
    /// Its tag, or whatever tells it from others of the name.
    pub version: Option<String>,
    /// Its manifest's digest as `sha256:HEX`, if it is known.
    pub digest: Option<String>,
    /// Seconds since the epoch that the document is dated.
    pub created: i64,
}

impl Subject {
    /// The date in UTC and whole seconds, as both formats want it.
    fn date(&self) -> String {
        let moment = OffsetDateTime::from_unix_timestamp(self.created);
        let moment = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let text = moment.format(&Rfc3339);
        text.unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned())
    }

    fn sha256(&self) -> Option<&str> {
        self.digest.as_deref()?.strip_prefix("sha256:")
    }
}

/// A component as both formats see it.
struct Item<'c> {
    path: &'c str,
    name: String,
    version: Option<String>,
    purl: Option<&'c str>,
    sha256: Option<String>,
    /// Numbers of other components, ascending, not its own.
    references: Vec<usize>,
}

fn items(closure: &Closure) -> Vec<Item<'_>> {
    let nodes = closure.graph.nodes().zip(&closure.components);
    let items = nodes.map(|(node, component)| {
        let (name, version) = name::split(component);
        let references = closure.graph.references(node).iter();
        let references = references.filter(|&&other| other != node);
        Item {
            path: &component.path,
            name,
            version,
            purl: component.purl.as_deref(),
            sha256: component.hash.as_deref().and_then(hash::sha256),
            references: references.map(|other| other.index()).collect(),
        }
    });
    items.collect()
}

/// The components that the image is made for: asked for by name, or referred to by no other.
fn tops(closure: &Closure, items: &[Item]) -> Vec<usize> {
    let numbers = 0..items.len();
    let asked: Vec<_> = { numbers.clone() }
        .filter(|&i| {
            items
                .get(i)
                .is_some_and(|item| closure.roots.iter().any(|r| r == item.path))
        })
        .collect();
    if !asked.is_empty() {
        return asked;
    }
    let mut referred = vec![false; items.len()];
    for &other in items.iter().flat_map(|item| &item.references) {
        if let Some(mark) = referred.get_mut(other) {
            *mark = true;
        }
    }
    numbers
        .filter(|&i| referred.get(i) == Some(&false))
        .collect()
}

/// Hexadecimal digits that tell this document from all others.
fn fingerprint(content: &Value, subject: &Subject) -> String {
    let text = format!(
        "{subject:?}{}",
        String::from_utf8_lossy(&crate::json::canonical(content))
    );
    let hash = sha2::Sha256::digest(text.as_bytes());
    hash::hex(&hash)
}

#[cfg(test)]
mod tests;
