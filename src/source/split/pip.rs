//! Python distributions: `*.dist-info` and `*.egg-info` in whatever directory they are.
//!
//! A component is a distribution by its normalised name, wherever it is installed.

use super::catalogue::Catalogue;
use super::python::{Metadata, joined, metadata, normalised, record};
use super::resolve::Resolver;
use super::view::{View, shorten};
use super::{Claims, Ownership, Site};
use crate::source::SourceError;
use crate::tree::TreePath;

pub(super) struct Pip;

impl Ownership for Pip {
    fn claims(&self, site: &Site<'_>) -> Result<Option<Claims>, SourceError> {
        let mut catalogue = Catalogue::default();
        let mut claims = Claims::default();
        let mut requires = Vec::new();
        // Paths in lists start at the image's root, wherever the directory lands that has them.
        let root = TreePath::root();
        let mut reader = Reader {
            view: site.view,
            resolver: Resolver::new(site.view, &root),
            claims: &mut claims,
        };
        for info in distributions(site.view) {
            let metadata = reader.metadata(info)?;
            let Some(name) = metadata.name else {
                continue;
            };
            let owner = catalogue.owner(&name);
            catalogue.version(owner, &metadata.version);
            catalogue.provide(&name, owner);
            requires.push((owner, metadata.requires));
            reader.files(info, owner)?;
        }
        for (owner, names) in requires {
            names
                .iter()
                .for_each(|name| catalogue.refer(owner, [name.as_str()]));
        }
        claims.owners = catalogue.into_owners();
        Ok((!claims.owners.is_empty()).then_some(claims))
    }
}

/// Directories and files that describe a distribution, the shallowest first: what one
/// distribution carries of others inside itself is its own.
fn distributions(view: &View) -> Vec<u32> {
    let describes = |at: u32| {
        let name = view.base_name(at);
        if !view.is_dir(at) {
            return name.ends_with(b".egg-info");
        }
        let has = |name: &str| view.child(at, name.as_bytes()).is_some();
        name.ends_with(b".dist-info") && (has("RECORD") || has("METADATA"))
            || name.ends_with(b".egg-info") && has("PKG-INFO")
    };
    let mut found: Vec<u32> = view.entries().filter(|at| describes(*at)).collect();
    found.sort_by_key(|at| view.path(*at).parts().count());
    found
}

struct Reader<'a> {
    view: &'a View,
    resolver: Resolver<'a>,
    claims: &'a mut Claims,
}

impl Reader<'_> {
    fn metadata(&self, info: u32) -> Result<Metadata, SourceError> {
        let file = |name: &str| self.view.child(info, name.as_bytes());
        let at = match self.view.is_dir(info) {
            true => file("METADATA").or_else(|| file("PKG-INFO")),
            false => Some(info),
        };
        let mut found = match at {
            Some(at) => metadata(&String::from_utf8_lossy(&self.view.read(at)?)),
            None => Metadata::default(),
        };
        if found.name.is_none() {
            found.name = self.name_of_place(info);
        }
        if let Some(name) = &found.name {
            self.view.name(at.unwrap_or(info), None, name)?;
        }
        Ok(found)
    }

    /// `Foo_Bar` of `Foo_Bar-1.0.dist-info`.
    fn name_of_place(&self, info: u32) -> Option<String> {
        let place = String::from_utf8_lossy(self.view.base_name(info)).into_owned();
        let name = place.split('-').next().unwrap_or_default();
        let name = name.strip_suffix(".egg").unwrap_or(name);
        Some(normalised(name)).filter(|name| !name.is_empty())
    }

    fn files(&mut self, info: u32, owner: u32) -> Result<(), SourceError> {
        let file = |name: &str| self.view.child(info, name.as_bytes());
        let (records, installed) = (file("RECORD"), file("installed-files.txt"));
        if let Some(at) = records {
            let bytes = self.view.read(at)?;
            let paths =
                record(&bytes).map_err(|(line, why)| self.view.refuse(at, Some(line), why))?;
            let base = self.path(self.view.parent(info));
            self.listed(at, &base, paths, owner)?;
        } else if let Some(at) = installed {
            let bytes = self.view.read(at)?;
            let text = String::from_utf8_lossy(&bytes);
            let lines = (1..).zip(text.lines().map(str::to_owned));
            let paths = lines.filter(|(_, line)| !line.is_empty()).collect();
            self.listed(at, &self.path(info), paths, owner)?;
        } else if let Some(at) = file("top_level.txt") {
            let bytes = self.view.read(at)?;
            self.modules(info, &String::from_utf8_lossy(&bytes), owner);
        }
        self.below(info, owner);
        Ok(())
    }

    /// An entry's path from the root of the image.
    fn path(&self, at: u32) -> Vec<u8> {
        match at {
            super::view::NONE => Vec::new(),
            at => self.view.path(at).as_bytes().to_vec(),
        }
    }

    fn listed(
        &mut self,
        at: u32,
        base: &[u8],
        paths: Vec<(usize, String)>,
        owner: u32,
    ) -> Result<(), SourceError> {
        for (line, path) in paths {
            let whole = joined(base, path.as_bytes());
            let moved = moved(base, &path);
            if whole.is_none() && moved.is_none() {
                let reason = format!("`{}` leads out of the tree", shorten(&path));
                return Err(self.view.refuse(at, Some(line), reason));
            }
            let mut places = [whole, moved].into_iter().flatten();
            if let Some(found) = places.find_map(|path| self.resolver.entry(&path)) {
                self.claims.files.push((found, owner));
            }
        }
        Ok(())
    }

    /// Without a list of files: the top-level modules.
    fn modules(&mut self, info: u32, names: &str, owner: u32) {
        let dir = self.view.parent(info);
        if dir == super::view::NONE {
            return;
        }
        for name in names.split_whitespace().filter(|name| !name.contains('/')) {
            for file in [name.to_owned(), format!("{name}.py")] {
                if let Some(at) = self.view.child(dir, file.as_bytes()) {
                    self.below(at, owner);
                }
            }
        }
    }

    fn below(&mut self, at: u32, owner: u32) {
        let all = at..self.view.end(at);
        self.claims.files.extend(all.map(|at| (at, owner)));
    }
}

/// Where `pip install --target` really puts what it lists as `../../bin/x`: it installs
/// into `lib/python` of some directory, and then moves `bin` and all else beside the modules.
fn moved(base: &[u8], path: &str) -> Option<Vec<u8>> {
    let beside = path.strip_prefix("../../")?;
    let normal = TreePath::new(beside).is_ok_and(|path| !path.is_root());
    joined(base, beside.as_bytes()).filter(|_| normal)
}
