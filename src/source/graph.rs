//! A reference graph from a file, in any of its forms.

use std::path::{Path, PathBuf};

use super::error::{Place, SourceError};
use super::json::{self, Fault};
use super::text::{self, Form};
use super::{Closure, Component, Content, Source, forms, store_name};
use crate::graph::{Graph, NodeSpec};

/// A reference graph as a document: structured attributes, a list of paths, `nix path-info
/// --json`, `exportReferencesGraph` text or `nix-store --dump-db` text, told apart by shape.
///
/// ```
/// use plywood::source::{GraphSource, Source};
///
/// let text = br#"[{"path": "/a", "references": ["/b"]}, {"path": "/b", "references": []}]"#;
/// let source = GraphSource { text: text.to_vec(), origin: "two.json".into(), store_prefix: None };
/// assert_eq!(source.load()?.graph.paths(), ["/a", "/b"]);
/// # Ok::<(), plywood::source::SourceError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphSource {
    /// The document, UTF-8.
    pub text: Vec<u8>,
    /// What error texts call it: its file name, or `standard input`.
    pub origin: String,
    /// Where the paths lie on this machine, if not where they say: this comes before them.
    pub store_prefix: Option<PathBuf>,
}

/// What a document says.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) entries: Vec<Listed>,
    pub(super) roots: Vec<String>,
}

/// What a document says of one path.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) references: Vec<String>,
    pub(super) name: Option<String>,
    /// Where it is on this machine, if the document knows.
    pub(super) source: Option<PathBuf>,
    pub(super) size: Option<u64>,
    pub(super) hash: Option<String>,
}

impl Listed {
    pub(super) fn new(path: String, references: Vec<String>) -> Self {
        Self {
            path,
            references,
            name: None,
            source: None,
            size: None,
            hash: None,
        }
    }
}

impl Source for GraphSource {
    fn load(&self) -> Result<Closure, SourceError> {
        let refused = |(place, reason): Fault| {
            let origin = self.origin.clone();
            SourceError::Refused {
                origin,
                place,
                reason,
            }
        };
        let document = read(&self.text).map_err(refused)?;
        closure(document, &self.origin, self.store_prefix.as_deref())
    }
}

fn read(bytes: &[u8]) -> Result<Document, Fault> {
    let text = json::utf8(bytes)?;
    match text.trim_ascii_start().bytes().next() {
        None => Err((Place::Whole, "is empty".into())),
        Some(b'{' | b'[') => forms::read(&json::parse(text)?),
        Some(_) => match Form::of(text) {
            Some(form) => Ok(Document {
                entries: text::parse(form, text)?,
                roots: Vec::new(),
            }),
            None => Err((Place::Whole, forms::unknown_form())),
        },
    }
}

/// Checks a document's references and finds its paths on this machine.
pub(super) fn closure(
    document: Document,
    origin: &str,
    store_prefix: Option<&Path>,
) -> Result<Closure, SourceError> {
    let Document { entries, roots } = document;
    let mut nodes = Vec::with_capacity(entries.len());
    let mut components = Vec::with_capacity(entries.len());
    for Listed {
        path,
        references,
        name,
        source,
        size,
        hash,
    } in entries
    {
        let host = source.unwrap_or_else(|| on_disk(&path, store_prefix));
        let name = name.or_else(|| store_name(&path));
        let content = Content::Store { host };
        components.push(Component {
            path: path.clone(),
            name,
            version: None,
            purl: None,
            size,
            hash,
            volatile: false,
            own: false,
            content,
        });
        nodes.push(NodeSpec { path, references });
    }
    let origin = origin.to_owned();
    let graph = Graph::new(nodes).map_err(|source| SourceError::Graph {
        origin: origin.clone(),
        source,
    })?;
    if let Some(i) = roots.iter().position(|root| graph.find(root).is_none()) {
        let reason = format!("the root {} is not in the graph", roots[i]);
        return Err(SourceError::Refused {
            origin,
            place: Place::Whole,
            reason,
        });
    }
    Ok(Closure::of(graph, components, roots))
}

fn on_disk(path: &str, store_prefix: Option<&Path>) -> PathBuf {
    match store_prefix {
        Some(prefix) => prefix.join(path.trim_start_matches('/')),
        None => PathBuf::from(path),
    }
}
