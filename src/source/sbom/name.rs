//! Names and versions from store paths.

use super::Component;

/// The name and version of a component, the way Nix splits the names of derivations:
/// the version starts after the first dash that no letter follows.
pub(super) fn split(component: &Component) -> (String, Option<String>) {
    if let (Some(name), Some(version)) = (&component.name, &component.version) {
        return (name.clone(), Some(version.clone()));
    }
    let base = component.path.rsplit('/').next().unwrap_or_default();
    let base = if base.is_empty() {
        &component.path
    } else {
        base
    };
    let full = component
        .name
        .as_deref()
        .unwrap_or_else(|| without_hash(base));
    let bytes = full.as_bytes();
    let cut = (1..bytes.len()).find(|&i| {
        let next = bytes.get(i + 1);
        bytes.get(i) == Some(&b'-') && next.is_some_and(|b| !b.is_ascii_alphabetic())
    });
    match cut.and_then(|cut| Some((full.get(..cut)?, full.get(cut + 1..)?))) {
        Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
        None => (full.to_owned(), None),
    }
}

/// A store path starts with 32 digits of Nix's base 32 and a dash.
fn without_hash(base: &str) -> &str {
    match base.split_at_checked(32) {
        Some((hash, rest)) if hash.bytes().all(super::hash::is_nix32) => rest
            .strip_prefix('-')
            .filter(|name| !name.is_empty())
            .unwrap_or(base),
        _ => base,
    }
}
