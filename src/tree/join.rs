//! The symlink join of the customisation layer: several trees seen at one place
//! through links (nixpkgs' `symlinkJoin` and `buildEnv`).

use std::collections::{BTreeMap, VecDeque};

use super::{Entry, Kind, Listing, Policy, TreeError, TreePath, Xattrs};

/// One directory to be joined.
pub struct SymlinkJoin {
    /// Where its content is to be seen; the root for a tree that was asked for.
    pub place: TreePath,
    /// Where the directory itself stands in the image: links lead there.
    pub path: TreePath,
    /// Its entries.
    pub listing: Listing,
}

/// Lists the directory that a path of the image leads to, as far as it leads to one.
pub type Follow<'f> = &'f dyn Fn(&TreePath, TreePath) -> Result<Option<SymlinkJoin>, TreeError>;

/// Makes, for every file of every tree, a link at the same place; directories are made
/// anew and hold what all trees have there. A link to a directory counts as one where
/// another tree has a directory too; `follow` (path, place) lists it.
///
/// # Errors
/// [`TreeError::Conflict`] if two trees have different things at one place and
/// they are not both directories.
pub fn symlink_join(
    trees: Vec<SymlinkJoin>,
    policy: &Policy,
    follow: Follow,
) -> Result<Vec<Entry>, TreeError> {
    let mut join = Join {
        joined: BTreeMap::new(),
        claims: Vec::new(),
        open: trees.into(),
    };
    while let Some(tree) = join.open.pop_front() {
        join.add(&tree, follow)?;
    }
    join.finish(policy)
}

struct Join {
    joined: BTreeMap<TreePath, Kind>,
    claims: Vec<(TreePath, String, String)>,
    open: VecDeque<SymlinkJoin>,
}

impl Join {
    fn add(&mut self, tree: &SymlinkJoin, follow: Follow) -> Result<(), TreeError> {
        for entry in tree.listing.entries() {
            let Some((place, kind)) = placed(tree, &entry) else {
                continue;
            };
            match self.joined.get(&place).cloned() {
                Some(there) if there == kind => {}
                Some(there) => self.merge(place, &there, &kind, follow)?,
                None => drop(self.joined.insert(place, kind)),
            }
        }
        Ok(())
    }

    /// Two different things at one place: directories, or they cannot both be there.
    fn merge(
        &mut self,
        place: TreePath,
        there: &Kind,
        new: &Kind,
        follow: Follow,
    ) -> Result<(), TreeError> {
        let mut followed = Vec::new();
        for link in [there, new] {
            if let Kind::Symlink { target } = link {
                let path = TreePath::from_absolute(target).unwrap_or_default();
                match follow(&path, place.clone())? {
                    Some(tree) => followed.push(tree),
                    None => {
                        self.claims.push((place, shown(there), shown(new)));
                        return Ok(());
                    }
                }
            }
        }
        self.joined.insert(place, Kind::Dir);
        self.open.extend(followed);
        Ok(())
    }

    fn finish(mut self, policy: &Policy) -> Result<Vec<Entry>, TreeError> {
        self.claims.sort();
        let more = self.claims.len().saturating_sub(1);
        match self.claims.into_iter().next() {
            None => Ok(self
                .joined
                .into_iter()
                .map(|(path, kind)| made(path, kind, policy))
                .collect()),
            Some((place, first, second)) => Err(TreeError::Conflict {
                place: place.display(),
                first: first.into(),
                second: second.into(),
                more,
            }),
        }
    }
}

/// Where an entry of a tree appears in the join, and as what.
fn placed(tree: &SymlinkJoin, entry: &Entry) -> Option<(TreePath, Kind)> {
    if !tree.path.contains(&entry.path) {
        return None;
    }
    let below = entry
        .path
        .as_bytes()
        .get(tree.path.as_bytes().len() + 1..)?;
    let place = tree.place.join(below).ok()?;
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

fn shown(kind: &Kind) -> String {
    match kind {
        Kind::Symlink { target } => target.escape_ascii().to_string(),
        _ => "a directory".to_owned(),
    }
}

fn made(path: TreePath, kind: Kind, policy: &Policy) -> Entry {
    let mode = if kind == Kind::Dir { 0o755 } else { 0o777 };
    Entry {
        path,
        kind,
        meta: policy.made(mode),
        xattrs: Xattrs::new(),
    }
}
