//! The symlink join of the customisation layer: several trees seen at one place
//! through links (nixpkgs' `symlinkJoin`).

use std::collections::BTreeMap;

use super::{Entry, Kind, Listing, Meta, Mtime, Policy, TreeError, TreePath, Xattrs};

/// One tree to be joined.
pub struct SymlinkJoin {
    /// Where the tree itself stands in the image: links lead there.
    pub path: TreePath,
    /// Its entries.
    pub listing: Listing,
}

/// Makes, for every file of every tree, a link at the same place below the root;
/// directories are made anew and hold what all trees have there.
///
/// # Errors
/// [`TreeError::Conflict`] if two trees have different things at one place and
/// they are not both directories.
pub fn symlink_join(trees: &[SymlinkJoin], policy: &Policy) -> Result<Vec<Entry>, TreeError> {
    let mut joined: BTreeMap<TreePath, Kind> = BTreeMap::new();
    let mut claims = Vec::new();
    for tree in trees {
        for entry in tree
            .listing
            .entries()
            .filter(|entry| tree.path.contains(&entry.path))
        {
            let Some((place, kind)) = placed(tree, &entry) else {
                continue;
            };
            match joined.get(&place) {
                None => drop(joined.insert(place, kind)),
                Some(there) if agree(there, &kind) => {}
                Some(there) => claims.push((place, shown(there), shown(&kind))),
            }
        }
    }
    claims.sort();
    let more = claims.len().saturating_sub(1);
    if let Some((place, first, second)) = claims.into_iter().next() {
        let (first, second) = (first.into(), second.into());
        return Err(TreeError::Conflict {
            place: place.display(),
            first,
            second,
            more,
        });
    }
    Ok(joined
        .into_iter()
        .map(|(path, kind)| made(path, kind, policy))
        .collect())
}

/// Where an entry of a tree appears in the join, and as what.
fn placed(tree: &SymlinkJoin, entry: &Entry) -> Option<(TreePath, Kind)> {
    let below = entry
        .path
        .as_bytes()
        .get(tree.path.as_bytes().len() + 1..)?;
    let place = TreePath::new(below).ok()?;
    let kind = match &entry.kind {
        Kind::Dir => Kind::Dir,
        // One link less to follow, and two trees that link to one file agree.
        Kind::Symlink { target } if target.starts_with(b"/") => Kind::Symlink {
            target: target.clone(),
        },
        _ => Kind::Symlink {
            target: [b"/", entry.path.as_bytes()].concat(),
        },
    };
    Some((place, kind))
}

fn agree(there: &Kind, new: &Kind) -> bool {
    there == new
}

fn shown(kind: &Kind) -> String {
    match kind {
        Kind::Symlink { target } => target.escape_ascii().to_string(),
        _ => "a directory".to_owned(),
    }
}

fn made(path: TreePath, kind: Kind, policy: &Policy) -> Entry {
    let mode = if kind == Kind::Dir { 0o755 } else { 0o777 };
    let meta = Meta {
        mode,
        uid: 0,
        gid: 0,
        mtime: Mtime {
            secs: policy.epoch,
            nanos: 0,
        },
    };
    Entry {
        path,
        kind,
        meta,
        xattrs: Xattrs::new(),
    }
}
