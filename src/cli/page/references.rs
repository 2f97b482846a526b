//! Who refers to whom, where somebody says it: a graph file, or a document attached to the image.

use std::path::Path;

use plywood::blob::read_all;
use plywood::graph::{Graph, NodeSpec};
use plywood::image::{DOCUMENT_LIMIT, Image, Manifest, referrers};
use plywood::rank::{Ranking, popularity};
use plywood::source::{GraphSource, Source, sbom::CYCLONEDX_TYPE};
use serde_json::Value;

use crate::cli::config::read;
use crate::cli::exit::Failure;
use crate::cli::reference::Opened;

/// The most that is read of an attached document.
const BILL_LIMIT: u64 = 256 << 20;

/// Paths by number, what they refer to, and how popular they are.
#[derive(Default)]
pub struct References {
    /// Sorted.
    pub paths: Vec<String>,
    pub to: Vec<Vec<usize>>,
    from: Vec<usize>,
    popularity: Vec<String>,
}

impl References {
    /// Those of a graph file, else of a bill of materials that is attached to the image.
    pub fn find(graph: Option<&Path>, opened: &Opened, image: &Image) -> Result<Self, Failure> {
        if let Some(path) = graph {
            let source = GraphSource {
                text: read(path)?,
                origin: path.display().to_string(),
                store_prefix: None,
            };
            let closure = source.load().map_err(plywood::Error::from)?;
            return Ok(Self::of(&closure.graph));
        }
        let nodes = attached(opened, image)?;
        let graph = Graph::new(nodes).map_err(plywood::Error::from)?;
        Ok(Self::of(&graph))
    }

    fn of(graph: &Graph) -> Self {
        let ranking: Ranking = popularity(graph);
        let to: Vec<Vec<usize>> = graph
            .nodes()
            .map(|node| graph.references(node).iter().map(|to| to.index()).collect())
            .collect();
        let mut from = vec![0; to.len()];
        for &number in to.iter().flatten() {
            if let Some(count) = from.get_mut(number) {
                *count += 1;
            }
        }
        let score = |node| ranking.score(node).to_string();
        Self {
            paths: graph.paths().to_vec(),
            to,
            from,
            popularity: graph.nodes().map(score).collect(),
        }
    }

    pub fn number(&self, path: &str) -> Option<usize> {
        self.paths
            .binary_search_by(|known| known.as_str().cmp(path))
            .ok()
    }

    /// Popularity, and how many it refers to and is referred to by.
    pub fn counts(&self, number: usize) -> (String, String, String) {
        let popularity = self.popularity.get(number).cloned();
        let to = self.to.get(number).map(Vec::len);
        let text = |count: Option<usize>| count.map(|n| n.to_string()).unwrap_or_default();
        (
            popularity.unwrap_or_default(),
            text(to),
            text(self.from.get(number).copied()),
        )
    }

    /// The same in words.
    pub fn says(&self, number: usize) -> String {
        let (popularity, to, from) = self.counts(number);
        format!("\npopularity {popularity}, refers to {to}, referred to by {from}")
    }
}

/// The graph that a `CycloneDX` document about the image tells; no nodes if there is none.
fn attached(opened: &Opened, image: &Image) -> Result<Vec<NodeSpec>, Failure> {
    let subject = &image.manifest.descriptor.digest;
    let found = referrers(opened.store(), &opened.index()?, subject)?;
    let bill =
        { found.iter() }.find(|entry| entry.artifact_type.as_deref() == Some(CYCLONEDX_TYPE));
    let Some(bill) = bill else {
        return Ok(Vec::new());
    };
    let manifest = read_all(opened.store(), &bill.descriptor, DOCUMENT_LIMIT)?;
    let manifest = Manifest::parse(manifest)?.value;
    let Some(layer) = manifest.layers.first() else {
        return Ok(Vec::new());
    };
    let document = read_all(opened.store(), &layer.descriptor, BILL_LIMIT)?;
    // What somebody else attached may say anything; the page then knows no references.
    let document: Value = serde_json::from_slice(&document).unwrap_or_default();
    Ok(nodes(&document))
}

fn nodes(document: &Value) -> Vec<NodeSpec> {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned();
    let components = list(document, "components").unwrap_or_default();
    let names = components.iter().filter_map(|c| c.get("bom-ref")?.as_str());
    let names = names.filter(|name| !name.is_empty() && !name.contains('\0'));
    let names: std::collections::BTreeSet<String> = names.map(str::to_owned).collect();
    let dependencies = list(document, "dependencies").unwrap_or_default();
    let mut nodes: std::collections::BTreeMap<String, Vec<String>> = names
        .iter()
        .map(|name| (name.clone(), Vec::new()))
        .collect();
    for dependency in &dependencies {
        let of = dependency
            .get("ref")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let on = list(dependency, "dependsOn").unwrap_or_default();
        if let Some(known) = nodes.get_mut(of) {
            let on = on
                .iter()
                .filter_map(Value::as_str)
                .filter(|on| names.contains(*on));
            known.extend(on.map(str::to_owned));
        }
    }
    nodes
        .into_iter()
        .map(|(path, references)| NodeSpec { path, references })
        .collect()
}
