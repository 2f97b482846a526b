//! Groups of entries → components of a closure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assign::{Assignment, Group};
use super::view::View;
use super::{Claims, Kind, Owner, version};
use crate::graph::{Graph, NodeSpec};
use crate::source::{Closure, Component, Content, Mount, Picked, SourceError};
use crate::tree::Seen;

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
}

/// How many owners' names a merged component bears.
const NAMED: usize = 4;

impl Components {
    pub(super) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    pub(super) fn warn(&mut self, texts: &mut Vec<String>) {
        self.warnings.append(texts);
    }

    /// Keeps the component at `path` in one piece, and what is known of its tree.
    pub(super) fn keep(&mut self, path: &str, mounts: &[Mount], view: View) {
        // Of several trees that lie over each other, none is what was listed.
        if let [mount] = mounts {
            let (mount, seen) = (mount.clone(), Seen::whole(view.into_listing()));
            self.whole.insert(path.to_owned(), Picked { mount, seen });
        }
    }

    /// Adds all groups of one tree, the component at `path` before.
    pub(super) fn add(
        &mut self,
        path: &str,
        mounts: &[Mount],
        view: View,
        found: &[(Kind, Claims)],
        assignment: &Assignment,
        vendor: Option<&str>,
    ) {
        let groups = &assignment.groups;
        let titles: Vec<Title> = groups
            .iter()
            .map(|group| Title::of(group, path, &view, found, vendor))
            .collect();
        let mut picked: Vec<Vec<Vec<u32>>> = vec![Vec::new(); groups.len()];
        let mut sizes = vec![0_u64; groups.len()];
        for at in view.entries() {
            let group = assignment.of[at as usize] as usize;
            if let Some(lists) = picked.get_mut(group) {
                lists.resize(mounts.len(), Vec::new());
                lists[view.mount(at) as usize].push(at);
                sizes[group] += view.size(at);
            }
        }
        self.warnings.extend_from_slice(view.warnings());
        let listing = Arc::new(view.into_listing());
        let exists: Vec<bool> = picked.iter().map(|lists| !lists.is_empty()).collect();
        for (number, lists) in picked.into_iter().enumerate().filter(|(n, _)| exists[*n]) {
            let title = &titles[number];
            let growing = self.by_path.entry(title.path.clone()).or_default();
            growing.name.clone_from(&title.name);
            growing.versions.extend(title.version.clone());
            growing.purl.clone_from(&title.purl);
            growing.size += sizes[number];
            growing.volatile |= groups[number] == Group::Unowned;
            growing.own |= matches!(groups[number], Group::Large(_));
            let seen = lists.into_iter().map(|list| Seen::some(&listing, list));
            let picked = mounts.iter().cloned().zip(seen);
            growing
                .picked
                .extend(picked.map(|(mount, seen)| Picked { mount, seen }));
        }
        self.refer(found, groups, &titles, &exists);
        self.replaced.insert(path.to_owned());
    }

    fn refer(
        &mut self,
        found: &[(Kind, Claims)],
        groups: &[Group],
        titles: &[Title],
        exists: &[bool],
    ) {
        let mut of_owner: BTreeMap<(usize, u32), usize> = BTreeMap::new();
        for (number, group) in groups.iter().enumerate().filter(|(n, _)| exists[*n]) {
            if let Group::Owned(owners) = group {
                of_owner.extend(owners.iter().map(|owner| (*owner, number)));
            }
        }
        for (&(database, owner), &from) in &of_owner {
            let Some(owner) = found[database].1.owners.get(owner as usize) else {
                continue;
            };
            let to = owner.requires.iter();
            let to = to.filter_map(|to| of_owner.get(&(database, *to)));
            let to: Vec<String> = to.map(|to| titles[*to].path.clone()).collect();
            if let Some(growing) = self.by_path.get_mut(&titles[from].path) {
                growing.requires.extend(to);
            }
        }
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

/// What a group's component is called.
struct Title {
    /// Its name in the graph, which no real path can be: `dpkg:openssl`.
    path: String,
    /// Its identity over versions.
    name: String,
    version: Option<String>,
    purl: Option<String>,
}

impl Title {
    fn of(
        group: &Group,
        path: &str,
        view: &View,
        found: &[(Kind, Claims)],
        vendor: Option<&str>,
    ) -> Self {
        match group {
            Group::Unowned => Self {
                path: format!("unowned:{path}"),
                name: match path {
                    "/" => "unowned".to_owned(),
                    _ => format!("unowned:{path}"),
                },
                version: None,
                purl: None,
            },
            Group::Large(at) => {
                let name = view.path(*at).display();
                Self {
                    path: format!("file:{name}"),
                    name,
                    version: None,
                    purl: None,
                }
            }
            Group::Owned(owners) => Self::joined(owners, found, vendor),
        }
    }

    fn joined(owners: &[(usize, u32)], found: &[(Kind, Claims)], vendor: Option<&str>) -> Self {
        let mut all: Vec<(String, Kind, &Owner)> = Vec::new();
        for &(database, owner) in owners {
            let (kind, claims) = &found[database];
            if let Some(owner) = claims.owners.get(owner as usize) {
                all.push((format!("{}:{}", kind.name(), owner.name), *kind, owner));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let versions = all
            .iter()
            .filter_map(|(.., o)| version::joined(&o.versions));
        let version = versions.collect::<Vec<_>>().join(",");
        let purl = match all.as_slice() {
            [(_, kind, owner)] => version::purl(*kind, vendor, owner),
            _ => None,
        };
        let more = all.len().saturating_sub(NAMED);
        let more = match more {
            0 => String::new(),
            more => format!(",…{more}"),
        };
        let named = &all[..all.len().min(NAMED)];
        let paths: Vec<&str> = named.iter().map(|(path, ..)| path.as_str()).collect();
        let names: Vec<&str> = named.iter().map(|(.., owner)| &*owner.name).collect();
        Self {
            path: paths.join(",") + &more,
            name: names.join(",") + &more,
            version: Some(version).filter(|version| !version.is_empty()),
            purl,
        }
    }
}
