//! What components get of trees → components of a closure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::shares::Shares;
use super::version;
use crate::graph::{Graph, NodeSpec};
use crate::source::{Closure, Component, Content, Mount, Picked, SourceError};
use crate::tree::{Identity, Listing, Seen};

/// Components of all trees that were split, while they grow.
#[derive(Default)]
pub(super) struct Components {
    by_path: BTreeMap<String, Growing>,
    /// Paths of the components that these stand for.
    replaced: BTreeSet<String>,
    /// Trees that nothing splits, as they were seen, by their components' paths.
    whole: BTreeMap<String, Picked>,
    warnings: Vec<String>,
}

#[derive(Default)]
struct Growing {
    name: String,
    versions: BTreeSet<String>,
    purl: Option<String>,
    size: u64,
    volatile: bool,
    own: bool,
    requires: BTreeSet<String>,
    picked: Vec<Picked>,
    /// By tree.
    identities: Vec<Option<String>>,
}

impl Components {
    pub(super) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    pub(super) fn warn(&mut self, texts: Vec<String>) {
        self.warnings.extend(texts);
    }

    /// Keeps the component at `path` in one piece, and what is known of its tree.
    pub(super) fn keep(&mut self, path: &str, mounts: &[Mount], listing: Listing) {
        // Of several trees that lie over each other, none is what was listed.
        if let [mount] = mounts {
            let (mount, seen) = (mount.clone(), Seen::whole(listing));
            self.whole.insert(path.to_owned(), Picked { mount, seen });
        }
    }

    /// Adds what the components of a tree get of it; it was the component at `path` before.
    pub(super) fn add(&mut self, path: &str, mounts: &[Mount], listing: Listing, shares: Shares) {
        self.warnings.extend(shares.warnings);
        self.warnings.extend_from_slice(listing.warnings());
        let listing = Arc::new(listing);
        for share in shares.all {
            let growing = self.by_path.entry(share.path).or_default();
            growing.name = share.name;
            growing.versions.extend(share.version);
            growing.purl = share.purl;
            growing.size += share.size;
            growing.volatile |= share.volatile;
            growing.own |= share.own;
            growing.requires.extend(share.requires);
            growing.identities.push(share.identity);
            let seen = share.picked.iter();
            let seen = seen.map(|runs| Seen::some(&listing, runs.numbers().collect()));
            let picked = mounts.iter().cloned().zip(seen);
            growing
                .picked
                .extend(picked.map(|(mount, seen)| Picked { mount, seen }));
        }
        self.replaced.insert(path.to_owned());
    }

    /// The closure with these components in the place of those that were split.
    pub(super) fn replace_in(
        mut self,
        mut closure: Closure,
    ) -> Result<(Closure, Vec<String>), SourceError> {
        for component in &mut closure.components {
            if let Some(picked) = self.whole.remove(&component.path) {
                component.content = Content::Members {
                    picked: vec![picked],
                    identity: None,
                };
            }
        }
        if self.replaced.is_empty() {
            return Ok((closure, self.warnings));
        }
        let Closure {
            components,
            graph,
            roots,
        } = closure;
        let kept = |path: &str| !self.replaced.contains(path);
        let mut nodes = Vec::new();
        for node in graph.nodes().filter(|node| kept(graph.path(*node))) {
            let to = graph.references(node).iter().map(|to| graph.path(*to));
            nodes.push(NodeSpec {
                path: graph.path(node).to_owned(),
                references: to.filter(|to| kept(to)).map(str::to_owned).collect(),
            });
        }
        let mut all: Vec<Component> = Vec::new();
        let mut roots: Vec<String> = roots.into_iter().filter(|root| kept(root)).collect();
        for component in components.into_iter().filter(|c| kept(&c.path)) {
            if let Some(growing) = self.by_path.get(&component.path) {
                return Err(clash(component, growing));
            }
            all.push(component);
        }
        for (path, growing) in self.by_path {
            roots.push(path.clone());
            nodes.push(NodeSpec {
                path: path.clone(),
                references: growing.requires.iter().cloned().collect(),
            });
            all.push(growing.finish(path));
        }
        let graph = Graph::new(nodes).map_err(|source| SourceError::Graph {
            origin: "the split directories".to_owned(),
            source,
        })?;
        Ok((Closure::of(graph, all, roots), self.warnings))
    }
}

impl Growing {
    fn finish(self, path: String) -> Component {
        let several = self.versions.len() > 1;
        let identities: Option<Vec<String>> = self.identities.into_iter().collect();
        let identity = identities.map(|all| Identity::of(all.iter().map(String::as_bytes)));
        Component {
            path,
            name: Some(self.name),
            version: version::joined(&self.versions),
            purl: self.purl.filter(|_| !several),
            size: Some(self.size),
            hash: None,
            volatile: self.volatile,
            own: self.own,
            content: Content::Members {
                picked: self.picked,
                identity,
            },
        }
    }
}

fn clash(component: Component, growing: &Growing) -> SourceError {
    let second = growing
        .picked
        .first()
        .map(|picked| picked.mount.host.clone());
    SourceError::Clash {
        path: component.path,
        first: component.content.into_host(),
        second: second.unwrap_or_default(),
    }
}
