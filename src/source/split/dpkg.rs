//! Debian's packages: `status` or `status.d`, the file lists, diversions and conffiles.
//!
//! A component is a *source* package: its binary packages are built, and therefore
//! updated, together. A package's own record below `info` belongs to it, because it
//! changes with it and never else; the rest of the database is volatile.

use std::collections::HashMap;

use super::catalogue::Catalogue;
use super::control::{Stanza, stanzas};
use super::resolve::Resolver;
use super::view::View;
use super::{Claims, Ownership, Site};
use crate::source::SourceError;
use crate::tree::TreePath;

pub(super) struct Dpkg;

const DATABASE: &[u8] = b"var/lib/dpkg";

const FIELDS: [&str; 9] = [
    "Package",
    "Version",
    "Status",
    "Source",
    "Architecture",
    "Depends",
    "Pre-Depends",
    "Provides",
    "Conffiles",
];

impl Ownership for Dpkg {
    fn claims(&self, site: &Site<'_>) -> Result<Option<Claims>, SourceError> {
        let mut all = Claims::default();
        let mut catalogue = Catalogue::default();
        for root in site.roots {
            let mut resolver = Resolver::new(site.view, root);
            if let Some(database) = resolver.target(DATABASE) {
                Reader {
                    view: site.view,
                    resolver,
                    database,
                    catalogue: &mut catalogue,
                    claims: &mut all,
                }
                .read()?;
            }
        }
        all.owners = catalogue.into_owners();
        Ok((!all.owners.is_empty()).then_some(all))
    }
}

/// One installed binary package.
struct Package {
    stanza: Stanza,
    /// The document that the stanza is from.
    origin: u32,
    name: String,
    owner: u32,
    /// `status.d` has lists of checksums in the place of file lists.
    sums: Option<u32>,
}

struct Reader<'a> {
    view: &'a View,
    resolver: Resolver<'a>,
    /// The directory `var/lib/dpkg`.
    database: u32,
    catalogue: &'a mut Catalogue,
    claims: &'a mut Claims,
}

impl Reader<'_> {
    fn read(mut self) -> Result<(), SourceError> {
        let mut packages = Vec::new();
        if let Some(status) = self.find("status") {
            self.document(status, None, &mut packages)?;
        }
        if let Some(dir) = self.find("status.d") {
            for at in self.view.children(dir).collect::<Vec<_>>() {
                let sums = [self.view.base_name(at), b".md5sums"].concat();
                let sums = self.view.child(dir, &sums);
                if !self.view.base_name(at).ends_with(b".md5sums") {
                    self.document(at, sums, &mut packages)?;
                }
            }
        }
        if packages.is_empty() {
            return Ok(());
        }
        self.claims.databases.push(self.database);
        // The order in which two owners of one file are asked.
        let key = |p: &Package| (p.name.clone(), p.stanza.get("Architecture").to_owned());
        packages.sort_by_cached_key(key);
        let diversions = self.diversions()?;
        for package in &packages {
            self.files(package, &diversions)?;
        }
        self.records(&packages);
        self.references(&packages);
        Ok(())
    }

    fn find(&mut self, name: &str) -> Option<u32> {
        let at = self.view.child(self.database, name.as_bytes())?;
        self.resolver.follow(at)
    }

    fn document(
        &mut self,
        origin: u32,
        sums: Option<u32>,
        packages: &mut Vec<Package>,
    ) -> Result<(), SourceError> {
        if self.view.is_dir(origin) {
            return Ok(());
        }
        let bytes = self.view.read(origin)?;
        let text = String::from_utf8_lossy(&bytes);
        let refuse = |(line, reason): (usize, String)| self.view.refuse(origin, Some(line), reason);
        for stanza in stanzas(&text, &FIELDS).map_err(refuse)? {
            let name = self.package_name(origin, &stanza, stanza.get("Package"))?;
            if stanza.get("Status").ends_with("not-installed") {
                continue;
            }
            let source = stanza.get("Source").split([' ', '(']).next();
            let source = source.filter(|source| !source.is_empty()).unwrap_or(&name);
            let source = self.package_name(origin, &stanza, source)?;
            let owner = self.catalogue.owner(&source);
            self.catalogue.version(owner, version(&stanza));
            packages.push(Package {
                stanza,
                origin,
                name,
                owner,
                sums,
            });
        }
        Ok(())
    }

    fn package_name(
        &self,
        origin: u32,
        stanza: &Stanza,
        name: &str,
    ) -> Result<String, SourceError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"+-._".contains(&b);
        if name.is_empty() {
            let reason = "a stanza without `Package`";
            return Err(self.view.refuse(origin, Some(stanza.line), reason));
        }
        if !name.bytes().all(fits) || name.starts_with('.') {
            let reason = format!("`{}` is no name for a package", super::view::shorten(name));
            return Err(self.view.refuse(origin, Some(stanza.line), reason));
        }
        self.view.name(origin, Some(stanza.line), name)
    }

    fn files(&mut self, package: &Package, diversions: &Diversions) -> Result<(), SourceError> {
        let arch = package.stanza.get("Architecture");
        let list = |name: String| self.view.child(self.database, name.as_bytes());
        let found = list(format!("info/{}:{arch}.list", package.name));
        let found = found.or_else(|| list(format!("info/{}.list", package.name)));
        if let Some(at) = found {
            let bytes = self.view.read(at)?;
            let mut lines = lines(&bytes).peekable();
            while let Some((line, path)) = lines.next() {
                let path = self.path(at, line, path)?;
                // Of a directory, which the merge of /usr may have made a link, the content
                // follows. It is everybody's.
                let next = lines.peek().and_then(|(_, next)| next.strip_prefix(b"/"));
                let inside = next.and_then(|next| next.strip_prefix(path));
                if inside.is_none_or(|rest| rest.first() != Some(&b'/')) {
                    self.claim(&diversions.real(path, &package.name), package.owner);
                }
            }
        }
        if let Some(at) = package.sums {
            for (line, text) in lines(&self.view.read(at)?) {
                let path = match text.iter().position(|&b| b == b' ') {
                    Some(space) => text[space..].trim_ascii_start(),
                    None => b"",
                };
                let path = [b"/", path.strip_prefix(b"./").unwrap_or(path)].concat();
                let path = self.path(at, line, &path)?.to_vec();
                self.claim(&path, package.owner);
            }
            self.claims.files.push((at, package.owner));
            self.claims.files.push((package.origin, package.owner));
        }
        for conffile in package.stanza.get("Conffiles").lines() {
            let path = conffile.split(' ').next().unwrap_or_default();
            if !path.is_empty() {
                let line = package.stanza.line;
                let path = self.path(package.origin, line, path.as_bytes())?;
                self.claim(&diversions.real(path, &package.name), package.owner);
            }
        }
        Ok(())
    }

    /// Checks a path as a list has it; relative to the root, empty for the root itself.
    fn path<'p>(&self, at: u32, line: usize, path: &'p [u8]) -> Result<&'p [u8], SourceError> {
        let shown = || super::view::shorten(&String::from_utf8_lossy(path));
        let refuse = |reason: String| Err(self.view.refuse(at, Some(line), reason));
        let Some(relative) = path.strip_prefix(b"/") else {
            return refuse(format!("`{}` is no absolute path", shown()));
        };
        let relative = relative.strip_suffix(b"/").unwrap_or(relative);
        if matches!(relative, b"." | b"") {
            return Ok(b"");
        }
        match TreePath::new(relative) {
            Ok(_) => Ok(relative),
            Err(_) if relative.split(|&b| b == b'/').any(|part| part == b"..") => {
                refuse(format!("`{}` leads out of the tree", shown()))
            }
            Err(fault) => refuse(format!("`{}` {fault}", shown())),
        }
    }

    fn claim(&mut self, path: &[u8], owner: u32) {
        if let Some(at) = self.resolver.entry(path) {
            self.claims.files.push((at, owner));
        }
    }

    fn diversions(&mut self) -> Result<Diversions, SourceError> {
        let mut found = Diversions::default();
        let Some(at) = self.find("diversions") else {
            return Ok(found);
        };
        let bytes = self.view.read(at)?;
        let lines: Vec<(usize, &[u8])> = lines(&bytes).collect();
        for three in lines.chunks(3) {
            let [(first, from), (second, to), (_, by)] = three else {
                let line = three.first().map(|(line, _)| *line);
                let reason = "a diversion has three lines: from, to, package";
                return Err(self.view.refuse(at, line, reason));
            };
            let from = self.path(at, *first, from)?.to_vec();
            let to = self.path(at, *second, to)?.to_vec();
            found.0.insert(from, (to, by.to_vec()));
        }
        Ok(found)
    }

    /// Gives `info/PACKAGE.*` to the package.
    fn records(&mut self, packages: &[Package]) {
        let owners: HashMap<&[u8], u32> = packages
            .iter()
            .map(|p| (p.name.as_bytes(), p.owner))
            .collect();
        let Some(info) = self.find("info") else {
            return;
        };
        for at in self.view.children(info) {
            let name = self.view.base_name(at);
            let dot = name.iter().rposition(|&b| b == b'.').unwrap_or(0);
            let package = name[..dot].split(|&b| b == b':').next().unwrap_or_default();
            if let Some(&owner) = owners.get(package) {
                self.claims.files.push((at, owner));
            }
        }
    }

    fn references(&mut self, packages: &[Package]) {
        for package in packages {
            self.catalogue.provide(&package.name, package.owner);
        }
        for package in packages {
            for name in package.stanza.get("Provides").split(',').map(bare) {
                self.catalogue.provide(name, package.owner);
            }
        }
        for package in packages {
            for field in ["Pre-Depends", "Depends"] {
                for group in package.stanza.get(field).split(',') {
                    self.catalogue
                        .refer(package.owner, group.split('|').map(bare));
                }
            }
        }
    }
}

/// The source's version, unless the package was built again without a change of it.
fn version(stanza: &Stanza) -> &str {
    let own = stanza.get("Version");
    let source = { stanza.get("Source").split_once('(') }
        .map_or(own, |(_, version)| version.trim_end_matches(')').trim());
    match own.strip_prefix(source) {
        Some(rest) if rest.starts_with("+b") => own,
        _ => source,
    }
}

/// The name in a relation: without version, architecture and profile.
fn bare(relation: &str) -> &str {
    let relation = relation.trim();
    let end = relation.find(|c: char| " \n\t(:[<".contains(c));
    end.map_or(relation, |end| &relation[..end])
}

/// Lines with their numbers, without their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines = bytes.split(|&b| b == b'\n').zip(1..);
    lines
        .map(|(line, number)| (number, line))
        .filter(move |_| !bytes.is_empty())
}

/// By the path that is diverted: where to, and for which package (or `:` for all).
#[derive(Default)]
struct Diversions(HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)>);

impl Diversions {
    /// Where a package's file really is.
    fn real(&self, path: &[u8], package: &str) -> Vec<u8> {
        match self.0.get(path) {
            Some((to, by)) if by != package.as_bytes() => to.clone(),
            _ => path.to_vec(),
        }
    }
}
