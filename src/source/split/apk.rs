//! Alpine's packages: `lib/apk/db/installed`, one letter a field.
//!
//! A component is an *origin*, what Debian calls a source package.

use std::collections::HashSet;

use super::catalogue::Catalogue;
use super::resolve::Resolver;
use super::view::{View, shorten};
use super::{Claims, Ownership, Site};
use crate::source::SourceError;
use crate::tree::TreePath;

pub(super) struct Apk;

/// Where the database is, and where it will be once the last Alpine is merged.
const PLACES: [&[u8]; 2] = [b"lib/apk/db/installed", b"usr/lib/apk/db/installed"];

impl Ownership for Apk {
    fn claims(&self, site: &Site<'_>) -> Result<Option<Claims>, SourceError> {
        let mut claims = Claims::default();
        let mut catalogue = Catalogue::default();
        for root in site.roots {
            let mut resolver = Resolver::new(site.view, root);
            let mut found: Vec<u32> = PLACES
                .iter()
                .filter_map(|path| resolver.target(path))
                .collect();
            found.dedup();
            for at in found {
                let packages = packages(site.view, at)?;
                claims.databases.push(site.view.parent(at));
                enter(&packages, &mut catalogue, &mut resolver, &mut claims);
            }
        }
        claims.owners = catalogue.into_owners();
        Ok((!claims.owners.is_empty()).then_some(claims))
    }
}

/// One installed package.
#[derive(Debug, Default, PartialEq, Eq)]
struct Package {
    /// Of its first field.
    line: usize,
    name: String,
    version: String,
    origin: String,
    depends: Vec<String>,
    provides: Vec<String>,
    /// Directories and files, relative to the root.
    paths: Vec<Vec<u8>>,
}

fn packages(view: &View, at: u32) -> Result<Vec<Package>, SourceError> {
    let bytes = view.read(at)?;
    let mut packages = parse(&bytes).map_err(|(line, why)| view.refuse(at, Some(line), why))?;
    for package in &packages {
        view.name(at, Some(package.line), &package.name)?;
        view.name(at, Some(package.line), package.identity())?;
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

impl Package {
    fn identity(&self) -> &str {
        if self.origin.is_empty() {
            &self.name
        } else {
            &self.origin
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Package>, (usize, String)> {
    let mut packages = Vec::new();
    let mut open = Package::default();
    let mut dir: Vec<u8> = Vec::new();
    for (line, number) in bytes.split(|&b| b == b'\n').zip(1..) {
        if line.is_empty() {
            close(&mut open, &mut packages)?;
            dir.clear();
            continue;
        }
        let [letter, b':', value @ ..] = line else {
            let shown = shorten(&String::from_utf8_lossy(line));
            return Err((number, format!("`{shown}` is no `X:value`")));
        };
        if open.line == 0 {
            open.line = number;
        }
        let text = || String::from_utf8_lossy(value).trim().to_owned();
        let words = || text().split(' ').map(bare).collect::<Vec<_>>();
        match letter {
            b'P' => open.name = text(),
            b'V' => open.version = text(),
            b'o' => open.origin = text(),
            b'D' => open.depends = words(),
            b'p' => open.provides = words(),
            b'F' => {
                dir = value.to_vec();
                open.paths.extend(path(number, b"", value)?);
            }
            b'R' => open.paths.extend(path(number, &dir, value)?),
            _ => {}
        }
    }
    close(&mut open, &mut packages)?;
    Ok(packages)
}

fn close(open: &mut Package, packages: &mut Vec<Package>) -> Result<(), (usize, String)> {
    let package = std::mem::take(open);
    match (package.line, package.name.as_str()) {
        (0, _) => Ok(()),
        (line, "") => Err((line, "a package without a name (`P:`)".to_owned())),
        _ => {
            packages.push(package);
            Ok(())
        }
    }
}

fn path(line: usize, dir: &[u8], name: &[u8]) -> Result<Option<Vec<u8>>, (usize, String)> {
    let path = if dir.is_empty() {
        name.to_vec()
    } else {
        [dir, b"/", name].concat()
    };
    if path.is_empty() {
        return Ok(None);
    }
    match TreePath::new(&path) {
        Ok(_) => Ok(Some(path)),
        Err(fault) => {
            let shown = shorten(&String::from_utf8_lossy(&path));
            let out = path.split(|&b| b == b'/').any(|part| part == b"..");
            let reason = if out || path.starts_with(b"/") {
                format!("`{shown}` leads out of the tree")
            } else {
                format!("`{shown}` {fault}")
            };
            Err((line, reason))
        }
    }
}

/// A name without the version that is asked for: `so:libc.musl-x86_64.so.1`, `busybox`.
fn bare(word: &str) -> String {
    let end = word.find(['<', '>', '=', '~', '@']);
    end.map_or(word, |end| &word[..end]).to_owned()
}

fn enter(
    packages: &[Package],
    catalogue: &mut Catalogue,
    resolver: &mut Resolver<'_>,
    claims: &mut Claims,
) {
    let owners: Vec<u32> = packages
        .iter()
        .map(|package| catalogue.owner(package.identity()))
        .collect();
    for (package, &owner) in packages.iter().zip(&owners) {
        catalogue.version(owner, &package.version);
        catalogue.provide(&package.name, owner);
        for path in &package.paths {
            if let Some(at) = resolver.entry(path) {
                claims.files.push((at, owner));
            }
        }
    }
    for (package, &owner) in packages.iter().zip(&owners) {
        for name in &package.provides {
            catalogue.provide(name, owner);
        }
    }
    // A dependency may be a file's path.
    let words = packages.iter().flat_map(|package| &package.depends);
    let asked: HashSet<&[u8]> = words
        .filter_map(|w| w.as_bytes().strip_prefix(b"/"))
        .collect();
    for (package, &owner) in packages.iter().zip(&owners) {
        for path in package
            .paths
            .iter()
            .filter(|p| asked.contains(p.as_slice()))
        {
            catalogue.provide(&format!("/{}", String::from_utf8_lossy(path)), owner);
        }
    }
    for (package, &owner) in packages.iter().zip(&owners) {
        for name in package.depends.iter().filter(|name| !name.starts_with('!')) {
            catalogue.refer(owner, [name.as_str()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    const TEXT: &str = "C:Q1abc=\nP:musl\nV:1.2.5-r0\no:musl\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:libc.so\na:0:0:755\nZ:Q1x=\nF:\nR:top\n\nP:busybox-binsh\no:busybox\nD:busybox=1.36 !x so:libc.musl-x86_64.so.1 /bin/sh>1\nF:bin\nM:0:0:1777\nR:sh\n";

    #[test]
    fn fields_and_paths() {
        let found = parse(TEXT.as_bytes()).unwrap();
        let paths = |at: usize| {
            let paths = found[at].paths.iter();
            paths
                .map(|p| String::from_utf8_lossy(p).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (found.len(), paths(0).join(" ")),
            (2, "lib lib/libc.so top".into())
        );
        assert_eq!(paths(1), ["bin", "bin/sh"]);
        assert_eq!(found[0].provides, ["so:libc.musl-x86_64.so.1"]);
        let depends = ["busybox", "!x", "so:libc.musl-x86_64.so.1", "/bin/sh"];
        assert_eq!(found[1].depends, depends);
        assert_eq!(found[0].version, "1.2.5-r0");
        assert_eq!((found[1].line, found[1].identity()), (13, "busybox"));
    }

    #[test]
    fn broken_databases() {
        let fault = |text: &str| parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            fault("P:a\nF:x\nrubbish"),
            (3, "`rubbish` is no `X:value`".into())
        );
        assert_eq!(
            fault("\nV:1\n\n"),
            (2, "a package without a name (`P:`)".into())
        );
        assert_eq!(
            fault("P:a\nF:../x"),
            (2, "`../x` leads out of the tree".into())
        );
        assert_eq!(
            fault("P:a\nF:/etc"),
            (2, "`/etc` leads out of the tree".into())
        );
        assert_eq!(
            fault("P:a\nF:x\nR:a//b"),
            (3, "`x/a//b` has an empty part".into())
        );
    }
}
