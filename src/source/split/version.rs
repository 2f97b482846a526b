//! Versions of what is installed, and the names by which everybody knows packages (package
//! URLs).

use std::collections::BTreeSet;

use super::resolve::Resolver;
use super::view::View;
use super::{Kind, Owner};
use crate::source::SourceError;
use crate::tree::TreePath;

/// Where distributions say who they are (os-release(5)).
const PLACES: [&[u8]; 2] = [b"etc/os-release", b"usr/lib/os-release"];

/// All versions in one text, if there are any.
pub(super) fn joined(versions: &BTreeSet<String>) -> Option<String> {
    // Where one part was built again, its version begins with the source's: that is enough.
    let rebuilt = |version: &&String| {
        let start = format!("{version}+b");
        let mut behind = versions.range(start.clone()..);
        behind.next().is_some_and(|next| next.starts_with(&start))
    };
    let all = versions.iter().filter(|version| !rebuilt(version));
    let all: Vec<&str> = all.map(String::as_str).collect();
    (!all.is_empty()).then(|| all.join(","))
}

/// The package URL of an owner of one version; of a distribution's package only if the tree
/// says which distribution it is.
pub(super) fn purl(kind: Kind, vendor: Option<&str>, owner: &Owner) -> Option<String> {
    let version = joined(&owner.versions).filter(|version| !version.contains(','))?;
    let (start, name, end) = match kind {
        Kind::Dpkg => (format!("deb/{}", vendor?), &*owner.name, "?arch=source"),
        Kind::Apk => (format!("apk/{}", vendor?), &*owner.name, ""),
        Kind::Rpm => (format!("rpm/{}", vendor?), &*owner.name, "?arch=src"),
        Kind::Pip => ("pypi".to_owned(), &*owner.name, ""),
        Kind::Node => ("npm".to_owned(), plain(&owner.name), ""),
        Kind::Xattr => return None,
    };
    let version = match kind {
        // The source was not changed when the package was built again.
        Kind::Dpkg => version.rsplit_once("+b").map_or(&*version, |(v, _)| v),
        _ => &version,
    };
    let name: Vec<String> = name.split('/').map(escaped).collect();
    Some(format!(
        "pkg:{start}/{}@{}{end}",
        name.join("/"),
        escaped(version)
    ))
}

/// An npm package's name without the major version that tells copies apart.
fn plain(name: &str) -> &str {
    match name.rsplit_once('@') {
        Some((name, _)) if !name.is_empty() => name,
        _ => name,
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                escaped.push(byte.into());
            }
            other => escaped += &format!("%{other:02X}"),
        }
    }
    escaped
}

/// Which distribution a tree says that it is: `debian`.
pub(super) fn vendor(view: &View, roots: &[TreePath]) -> Result<Option<String>, SourceError> {
    for root in roots {
        let mut resolver = Resolver::new(view, root);
        let found = PLACES.iter().find_map(|place| resolver.target(place));
        if let Some(at) = found.filter(|at| !view.is_dir(*at)) {
            return Ok(id(&String::from_utf8_lossy(&view.read(at)?)));
        }
    }
    Ok(None)
}

fn id(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("ID="))?;
    let id = line.trim().trim_matches(['"', '\'']);
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    (!id.is_empty() && id.bytes().all(fits)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str, versions: &[&str]) -> Owner {
        Owner {
            name: name.to_owned(),
            versions: versions.iter().map(|v| (*v).to_owned()).collect(),
            ..Owner::default()
        }
    }

    #[test]
    fn several_versions_are_one_text() {
        let joined = |versions: &[&str]| joined(&owner("a", versions).versions);
        assert_eq!(joined(&[]), None);
        assert_eq!(joined(&["1.2"]).as_deref(), Some("1.2"));
        assert_eq!(joined(&["2", "10"]).as_deref(), Some("10,2"));
        assert_eq!(joined(&["1.2-3", "1.2-3+b1"]).as_deref(), Some("1.2-3+b1"));
        assert_eq!(joined(&["1.2", "1.20"]).as_deref(), Some("1.2,1.20"));
    }

    #[test]
    fn package_urls() {
        let url = |kind, name, version| purl(kind, Some("debian"), &owner(name, &[version]));
        for (kind, name, version, expected) in [
            (
                Kind::Dpkg,
                "gtk+3.0",
                "1:3.24-1+b2",
                "pkg:deb/debian/gtk%2B3.0@1:3.24-1?arch=source",
            ),
            (
                Kind::Apk,
                "musl",
                "1.2.5-r0",
                "pkg:apk/debian/musl@1.2.5-r0",
            ),
            (
                Kind::Rpm,
                "bash",
                "5.2-1.fc40",
                "pkg:rpm/debian/bash@5.2-1.fc40?arch=src",
            ),
            (
                Kind::Pip,
                "numpy",
                "2.0+local",
                "pkg:pypi/numpy@2.0%2Blocal",
            ),
            (
                Kind::Node,
                "@types/node@18",
                "18.1.0",
                "pkg:npm/%40types/node@18.1.0",
            ),
            (
                Kind::Node,
                "@types/node",
                "20.1.0",
                "pkg:npm/%40types/node@20.1.0",
            ),
        ] {
            assert_eq!(url(kind, name, version).as_deref(), Some(expected));
        }
        assert_eq!(url(Kind::Xattr, "a", "1"), None);
        assert_eq!(purl(Kind::Dpkg, None, &owner("a", &["1"])), None);
        assert_eq!(purl(Kind::Pip, None, &owner("a", &["1", "2"])), None);
    }

    #[test]
    fn distributions_say_who_they_are() {
        assert_eq!(
            id("NAME=\"X\"\nID=\"opensuse-leap\"\n").as_deref(),
            Some("opensuse-leap")
        );
        assert_eq!(id("ID=debian").as_deref(), Some("debian"));
        assert_eq!(id("ID=a b\n"), None);
        assert_eq!(id("VERSION_ID=1\n"), None);
    }
}
