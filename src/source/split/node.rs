//! npm packages: whatever has a `package.json` directly in a `node_modules`.
//!
//! A component is a package by its name. Where a tree has several major versions of one,
//! the copy nearest to the root bears the plain name and the others theirs with the major
//! version, because they are updated apart from each other.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::catalogue::Catalogue;
use super::resolve::Resolver;
use super::view::{NONE, Shape, View};
use super::{Claims, Ownership, Site};
use crate::source::SourceError;

pub(super) struct Node;

impl Ownership for Node {
    fn claims(&self, site: &Site<'_>) -> Result<Option<Claims>, SourceError> {
        let mut places = Places::of(site.view);
        let packages = packages(site.view, &places)?;
        if packages.is_empty() {
            return Ok(None);
        }
        let mut catalogue = Catalogue::default();
        let names = identities(&packages);
        let owners: Vec<u32> = names.iter().map(|name| catalogue.owner(name)).collect();
        for (package, &owner) in packages.iter().zip(&owners) {
            catalogue.version(owner, &package.version);
        }
        let by_dir: HashMap<u32, u32> = packages
            .iter()
            .zip(&owners)
            .map(|(package, &owner)| (package.dir, owner))
            .collect();
        let mut claims = Claims::default();
        places.inherit(site.view, &by_dir);
        for (at, &owner) in (0..).zip(&places.owner) {
            if owner != NONE {
                claims.files.push((at, owner));
            }
        }
        links(site, &places, &mut claims);
        for (package, &owner) in packages.iter().zip(&owners) {
            for name in &package.requires {
                if let Some(to) = required(site.view, package.dir, name, &by_dir) {
                    catalogue.refer_to(owner, to);
                }
            }
        }
        claims.owners = catalogue.into_owners();
        Ok(Some(claims))
    }
}

/// Which directories hold packages, and who owns what.
struct Places {
    /// `node_modules`, and `@scope` directories in one.
    holders: Vec<u32>,
    /// Directories with a `package.json` in a holder, in the order of the tree.
    packages: Vec<u32>,
    /// By entry; [`NONE`] where nobody does.
    owner: Vec<u32>,
}

impl Places {
    /// A `node_modules` that is inside a package, but not at its top, is no installation
    /// but content of the package: an example, a test.
    fn of(view: &View) -> Self {
        let mut found = Self {
            holders: Vec::new(),
            packages: Vec::new(),
            owner: vec![NONE; view.len() as usize],
        };
        let mut known: HashSet<u32> = HashSet::new();
        let mut around: Vec<u32> = Vec::new();
        for at in view.entries() {
            while around
                .last()
                .is_some_and(|&package| view.end(package) <= at)
            {
                around.pop();
            }
            let installed = around
                .last()
                .is_none_or(|&package| package == view.parent(at));
            if installed && view.base_name(at) == b"node_modules" && view.is_dir(at) {
                known.extend(found.hold(view, at));
            }
            if known.contains(&at) {
                around.push(at);
                found.packages.push(at);
            }
        }
        found
    }

    fn hold(&mut self, view: &View, dir: u32) -> Vec<u32> {
        self.holders.push(dir);
        let mut packages = Vec::new();
        for child in view.children(dir).filter(|at| view.is_dir(*at)) {
            if view.base_name(child).starts_with(b"@") {
                self.holders.push(child);
                packages.extend(view.children(child).filter(|at| is_package(view, *at)));
            } else if is_package(view, child) {
                packages.push(child);
            }
        }
        packages
    }

    fn inherit(&mut self, view: &View, by_dir: &HashMap<u32, u32>) {
        for at in view.entries() {
            let above = self.owner.get(view.parent(at) as usize).copied();
            let own = by_dir.get(&at).copied().or(above).unwrap_or(NONE);
            self.owner[at as usize] = own;
        }
    }
}

fn is_package(view: &View, dir: u32) -> bool {
    view.is_dir(dir) && view.child(dir, b"package.json").is_some()
}

/// What `package.json` says of one package.
struct Package {
    dir: u32,
    /// How many directories are above it.
    depth: usize,
    name: String,
    version: String,
    /// Major version; with the minor one while that is 0.
    major: String,
    requires: Vec<String>,
}

fn packages(view: &View, places: &Places) -> Result<Vec<Package>, SourceError> {
    let read = |&dir: &u32| {
        let Some(at) = view.child(dir, b"package.json") else {
            return Ok(None);
        };
        package(view, dir, at).map(Some)
    };
    let read = places.packages.iter().map(read);
    Ok(read
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect())
}

fn package(view: &View, dir: u32, at: u32) -> Result<Package, SourceError> {
    let bytes = match view.shape(at) {
        Shape::Symlink | Shape::Dir => Vec::new(),
        _ => view.read(at)?,
    };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let value: Value = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(text)
            .map_err(|e| view.refuse(at, Some(e.line()), format!("is no JSON: {e}")))?
    };
    let text = |member: &str| value.get(member).and_then(Value::as_str);
    let name = match text("name") {
        Some(name) => name.to_owned(),
        None => name_of_place(view, dir),
    };
    let keys = |member: &str| {
        let members = value.get(member).and_then(Value::as_object);
        members
            .into_iter()
            .flat_map(|m| m.keys().cloned())
            .collect::<Vec<_>>()
    };
    let kinds = ["dependencies", "optionalDependencies", "peerDependencies"];
    Ok(Package {
        dir,
        depth: view.path(dir).parts().count(),
        name: view.name(at, None, &name)?,
        version: text("version").unwrap_or_default().to_owned(),
        major: major(text("version").unwrap_or_default()),
        requires: kinds.into_iter().flat_map(keys).collect(),
    })
}

/// The path within `node_modules`.
fn name_of_place(view: &View, dir: u32) -> String {
    let path = &view.path(dir);
    let name = String::from_utf8_lossy(path.name()).into_owned();
    let scope = path.parent().unwrap_or_default();
    match scope.name().starts_with(b"@") {
        true => format!("{}/{name}", String::from_utf8_lossy(scope.name())),
        false => name,
    }
}

fn major(version: &str) -> String {
    let mut parts = version.split(['.', '-', '+']);
    let major = parts.next().unwrap_or_default();
    let text = match (major, parts.next()) {
        ("0", Some(minor)) => format!("0.{minor}"),
        _ => major.to_owned(),
    };
    text.chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
        .take(20)
        .collect()
}

/// The component of every package: packages come in the order of the tree.
fn identities(packages: &[Package]) -> Vec<String> {
    let mut nearest: BTreeMap<&str, (usize, u32, &str)> = BTreeMap::new();
    for package in packages {
        let here = (package.depth, package.dir, package.major.as_str());
        let known = nearest.entry(&package.name).or_insert(here);
        *known = (*known).min(here);
    }
    let plain = |p: &Package| {
        nearest
            .get(p.name.as_str())
            .is_none_or(|near| near.2 == p.major)
    };
    packages
        .iter()
        .map(|p| match plain(p) {
            true => p.name.clone(),
            false => format!("{}@{}", p.name, p.major),
        })
        .collect()
}

/// Where a package finds another, as node does: beside itself and beside all above it.
fn required(view: &View, dir: u32, name: &str, by_dir: &HashMap<u32, u32>) -> Option<u32> {
    let mut from = dir;
    loop {
        let at = match view.base_name(from) {
            b"node_modules" => view.child(from, name.as_bytes()),
            _ => view.child(from, format!("node_modules/{name}").as_bytes()),
        };
        let real = at.and_then(|at| Resolver::new(view, &view.root_of(at)).follow(at));
        if let Some(&owner) = real.and_then(|at| by_dir.get(&at)) {
            return Some(owner);
        }
        from = view.parent(from);
        if from == NONE {
            return None;
        }
    }
}

/// Links in `node_modules`, `.bin` or a scope belong to whose they lead to.
fn links(site: &Site<'_>, places: &Places, claims: &mut Claims) {
    for &holder in &places.holders {
        let bin = site.view.child(holder, b".bin");
        for dir in [Some(holder), bin].into_iter().flatten() {
            for at in site.view.children(dir) {
                if !site.view.is_symlink(at) {
                    continue;
                }
                let root = site.view.root_of(at);
                let real = Resolver::new(site.view, &root).follow(at);
                let owner = real.and_then(|at| places.owner.get(at as usize));
                if let Some(&owner) = owner.filter(|owner| **owner != NONE) {
                    claims.files.push((at, owner));
                }
            }
        }
    }
}
