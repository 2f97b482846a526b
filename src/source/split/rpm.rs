//! Packages of Fedora, openSUSE and their kin, as the `rpm` of this machine reads them.
//!
//! A component is a source package. The database is copied first, because reading one in
//! place may write beside it, and named by `--dbpath`, because `--root` needs a chroot and
//! therefore root.

use std::path::Path;
use std::process::Command;

use super::catalogue::Catalogue;
use super::resolve::Resolver;
use super::view::{Shape, View};
use super::{Claims, Ownership, Site};
use crate::source::SourceError;
use crate::tree::TreePath;

pub(super) struct Rpm;

const PLACES: [&[u8]; 3] = [b"usr/lib/sysimage/rpm", b"var/lib/rpm", b"usr/share/rpm"];

/// The database in each of its three forms.
const FILES: [&[u8]; 3] = [b"rpmdb.sqlite", b"Packages.db", b"Packages"];

const PROGRAM: &str = "rpm";

/// A package, then its files, what it provides and what it requires, one a line.
const FORMAT: &str =
    "P%{NAME}\\t%{SOURCERPM}\\t%{EVR}\\n[F%{FILENAMES}\\n][V%{PROVIDENAME}\\n][R%{REQUIRENAME}\\n]";

impl Ownership for Rpm {
    fn claims(&self, site: &Site<'_>) -> Result<Option<Claims>, SourceError> {
        let mut claims = Claims::default();
        let mut catalogue = Catalogue::default();
        for root in site.roots {
            let Some(database) = database(site.view, root) else {
                continue;
            };
            claims.outside = true;
            let text = match query(site, database) {
                Err(SourceError::Start { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && !site.wanted =>
                {
                    claims.warnings.push(format!(
                        "{} is not split: there is no rpm on this machine to read it",
                        site.view.host(database).display()
                    ));
                    continue;
                }
                text => text?,
            };
            claims.databases.push(database);
            let mut resolver = Resolver::new(site.view, root);
            enter(&packages(&text), &mut catalogue, &mut resolver, &mut claims);
        }
        claims.owners = catalogue.into_owners();
        Ok(Some(claims))
    }
}

/// The directory of the database below a root.
fn database(view: &View, root: &TreePath) -> Option<u32> {
    let mut resolver = Resolver::new(view, root);
    let dirs = PLACES.iter().filter_map(|place| resolver.target(place));
    let mut dirs = dirs.filter(|dir| view.is_dir(*dir));
    dirs.find(|dir| FILES.iter().any(|name| view.child(*dir, name).is_some()))
}

fn query(site: &Site<'_>, database: u32) -> Result<String, SourceError> {
    let copy = tempfile::Builder::new()
        .prefix("plywood-rpm")
        .tempdir_in(site.temporary)
        .map_err(|source| SourceError::Read {
            path: site.temporary.to_owned(),
            source,
        })?;
    for at in site.view.children(database) {
        let name = String::from_utf8_lossy(site.view.base_name(at)).into_owned();
        if site.view.shape(at) == Shape::File && !name.starts_with('.') {
            let to = copy.path().join(name);
            std::fs::write(&to, site.view.read(at)?)
                .map_err(|source| SourceError::Read { path: to, source })?;
        }
    }
    run(copy.path())?.map_err(|said| {
        let said = said.trim().lines().next().unwrap_or("it does not say why");
        let said = said.strip_prefix("error: ").unwrap_or(said);
        site.view
            .refuse(database, None, format!("rpm cannot read it: {said}"))
    })
}

/// What the query prints, or what rpm says instead.
fn run(database: &Path) -> Result<Result<String, String>, SourceError> {
    let output = Command::new(PROGRAM)
        .arg("--dbpath")
        .arg(database)
        .args([
            "--nosignature",
            "--nodigest",
            "-qa",
            "--queryformat",
            FORMAT,
        ])
        .env("LC_ALL", "C")
        .output()
        .map_err(|source| SourceError::Start {
            program: PROGRAM.into(),
            source,
        })?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    })
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Package<'t> {
    name: &'t str,
    source: &'t str,
    version: &'t str,
    files: Vec<&'t str>,
    provides: Vec<&'t str>,
    requires: Vec<&'t str>,
}

/// What the query printed, sorted; lines that it cannot have printed are ignored.
fn packages(text: &str) -> Vec<Package<'_>> {
    let mut packages: Vec<Package<'_>> = Vec::new();
    for line in text.lines() {
        let Some((letter, value)) = line.split_at_checked(1) else {
            continue;
        };
        if letter == "P" {
            let mut cells = value.split('\t');
            let mut cell = || cells.next().unwrap_or_default();
            let (name, file, own) = (cell(), cell(), cell());
            let (source, version) = source(file).unwrap_or((name, own));
            packages.push(Package {
                name,
                source,
                version,
                ..Package::default()
            });
        } else if let Some(package) = packages.last_mut() {
            match letter {
                "F" => package.files.push(value),
                "V" => package.provides.push(value),
                "R" => package.requires.push(value),
                _ => {}
            }
        }
    }
    packages.sort_by_key(|package| package.name);
    packages
}

/// `bash` and `5.2.15-3.fc38` of `bash-5.2.15-3.fc38.src.rpm`.
fn source(file: &str) -> Option<(&str, &str)> {
    let (stem, _arch) = file.strip_suffix(".rpm")?.rsplit_once('.')?;
    let (front, _release) = stem.rsplit_once('-')?;
    let (name, _version) = front.rsplit_once('-')?;
    Some((name, &stem[name.len() + 1..])).filter(|_| !name.is_empty())
}

fn enter(
    packages: &[Package<'_>],
    catalogue: &mut Catalogue,
    resolver: &mut Resolver<'_>,
    claims: &mut Claims,
) {
    let owners: Vec<u32> = packages
        .iter()
        .map(|package| catalogue.owner(package.source))
        .collect();
    for (package, &owner) in packages.iter().zip(&owners) {
        catalogue.version(owner, package.version);
        catalogue.provide(package.name, owner);
        for path in &package.files {
            let below = path.strip_prefix('/').unwrap_or(path).as_bytes();
            if let Some(at) = TreePath::new(below)
                .ok()
                .and_then(|_| resolver.entry(below))
            {
                claims.files.push((at, owner));
            }
        }
    }
    for (package, &owner) in packages.iter().zip(&owners) {
        for name in package.provides.iter().chain(&package.files) {
            catalogue.provide(name, owner);
        }
    }
    for (package, &owner) in packages.iter().zip(&owners) {
        for name in &package.requires {
            catalogue.refer(owner, [*name]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{packages, source};

    #[test]
    fn what_the_query_prints() {
        let text = "Pz\t(none)\t7-1\nPbash\tbash-5.2-1.fc40.src.rpm\t5.2-1\nF/bin/bash\nF/bin/sh\nV/bin/sh\nRglibc\nx\n";
        let found = packages(text);
        assert_eq!((found[0].name, found[0].source), ("bash", "bash"));
        assert_eq!(found[0].files, ["/bin/bash", "/bin/sh"]);
        assert_eq!(
            (found[0].provides[0], found[0].requires[0]),
            ("/bin/sh", "glibc")
        );
        assert_eq!(found[0].version, "5.2-1.fc40");
        assert_eq!(
            (found[1].name, found[1].source, found[1].version),
            ("z", "z", "7-1")
        );
    }

    #[test]
    fn sources_without_version_and_release() {
        for (file, name) in [
            (
                "python3.12-3.12.1-2.fc40.src.rpm",
                Some(("python3.12", "3.12.1-2.fc40")),
            ),
            ("a-b-1-2.nosrc.rpm", Some(("a-b", "1-2"))),
            ("(none)", None),
            ("x.rpm", None),
        ] {
            assert_eq!(source(file), name, "{file}");
        }
    }
}
