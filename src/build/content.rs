//! Plan → what each layer is made of on this disk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::base::Ground;
use super::recall::{Ingredient, Known};
use super::resolve::Resolver;
use super::{BuildError, BuildRequest};
use crate::Error;
use crate::source::{Closure, Component, Content, Mount, Picked};
use crate::tree::{
    Entry, Exclude, Flavour, Kind, ListRequest, Listing, Memory, Opener, Parents, Part,
    SymlinkJoin, TreeError, TreePath, list, symlink_join,
};

/// The opened trees of an image.
pub(super) struct Trees<'r> {
    pub(super) request: &'r BuildRequest,
    memory: Option<&'r dyn Memory>,
    exclude: Exclude,
    /// By component path.
    pub(super) parts: BTreeMap<String, Vec<Ingredient>>,
    /// By where they land.
    stores: BTreeMap<TreePath, PathBuf>,
    pub(super) top: Vec<Part>,
    pub(super) parents: Parents,
    pub(super) ground: Option<Ground>,
    /// What is taken away from the base, and the entries that say so.
    removed: Vec<(TreePath, Entry)>,
}

impl<'r> Trees<'r> {
    /// Opens everything that the closure names, before anything is written.
    pub(super) fn open(
        request: &'r BuildRequest,
        closure: &Closure,
        ground: Option<Ground>,
        memory: Option<&'r dyn Memory>,
    ) -> Result<Self, Error> {
        check_present(closure)?;
        let place = |part: Part| match &ground {
            Some(ground) => ground.place(part),
            None => Ok(vec![part]),
        };
        let mut opener = Opener::default();
        let mut plain = Plain::default();
        let (mut parts, mut stores) = (BTreeMap::new(), BTreeMap::new());
        for component in &closure.components {
            let mut placed = Vec::new();
            for part in open(&mut opener, &mut plain, component)? {
                placed.extend(place(part)?);
            }
            if let (Content::Store { host }, [part]) = (&component.content, placed.as_slice()) {
                stores.insert(part.dest.clone(), host.clone());
            }
            let ingredient = |part| Ingredient {
                path: component.path.clone(),
                known: known(component),
                part,
            };
            let placed: Vec<_> = placed.into_iter().map(ingredient).collect();
            parts.insert(component.path.clone(), placed);
        }
        check_nested(&stores)?;
        let mut top = Vec::new();
        for host in &request.top {
            top.extend(place(opener.open(
                host,
                TreePath::root(),
                Flavour::Plain,
            )?)?);
        }
        let exclude = Exclude::new(&request.exclude)?;
        let mut trees = Vec::new();
        for part in plain.parts {
            trees.extend(place(part)?);
        }
        let mut parents = Parents::of(&trees, request.policy);
        let mut removed = Vec::new();
        if let Some(ground) = &ground {
            let stores = parts.values().flatten().map(|i: &Ingredient| &i.part);
            ground.check_parts(trees.iter().chain(stores).chain(&top))?;
            parents = parents.with_given(ground.directories());
            for path in &request.remove {
                removed.push(ground.whiteout(path, request.policy.epoch)?);
            }
        }
        let trees = Self {
            ground,
            removed,
            request,
            memory,
            exclude,
            parts,
            stores,
            top,
            parents,
        };
        trees.check_stores_apart()?;
        trees.check_removed()?;
        Ok(trees)
    }

    /// A whiteout is in the topmost layer and would take away what the others bring.
    fn check_removed(&self) -> Result<(), Error> {
        for (gone, _) in &self.removed {
            let store = self.stores.keys().find(|dest| gone.contains(dest));
            if let Some(dest) = store {
                return Err(both(gone, dest).into());
            }
            if self.parents.claim(gone)?.is_some() {
                return Err(both(gone, gone).into());
            }
        }
        Ok(())
    }

    /// A store path must not also lie inside a plain tree: both layers would have it.
    fn check_stores_apart(&self) -> Result<(), Error> {
        for (dest, host) in &self.stores {
            if let Some((other, _)) = self.parents.claim(dest)? {
                let (place, first, second) = (dest.display(), host.clone(), other);
                return Err(TreeError::Conflict {
                    place,
                    first,
                    second,
                    more: 0,
                }
                .into());
            }
        }
        Ok(())
    }

    fn ask(&self, parts: Vec<Part>, made: Vec<Entry>, yielding: bool) -> ListRequest<'_> {
        ListRequest {
            parts,
            made,
            policy: &self.request.policy,
            exclude: &self.exclude,
            parents: &self.parents,
            yielding,
            threads: self.request.jobs,
            memory: self.memory,
        }
    }

    pub(super) fn list(
        &self,
        parts: Vec<Part>,
        made: Vec<Entry>,
        yielding: bool,
    ) -> Result<Listing, TreeError> {
        let listing = list(self.ask(parts, made, yielding))?;
        if let Some(ground) = &self.ground {
            ground.check(&listing)?;
        }
        Ok(listing)
    }

    /// The last layer: links to all contents, and the top directories.
    pub(super) fn customisation(&self) -> Result<Listing, TreeError> {
        let mut trees = Vec::new();
        let contents: BTreeSet<&String> = self.request.contents.iter().collect();
        for path in contents {
            let wanted = TreePath::from_absolute(path).unwrap_or_default();
            let tree = self.follow(&wanted, TreePath::root())?;
            trees.push(tree.ok_or_else(|| TreeError::Refused {
                path: PathBuf::from(path),
                why: "it is no directory, so it cannot be joined at /".to_owned(),
            })?);
        }
        let follow = |path: &TreePath, place| self.follow(path, place);
        let mut made = symlink_join(trees, &self.request.policy, &follow)?;
        if let Some(ground) = &self.ground {
            let placed = made.into_iter().map(|entry| ground.place_made(entry));
            made = placed.collect::<Result<_, _>>()?;
        }
        made.extend(self.removed.iter().map(|(_, whiteout)| whiteout.clone()));
        let listing = self.list(self.top.clone(), made, true)?;
        self.check_apart(&listing)?;
        Ok(listing)
    }

    /// Lists the directory in a store path that `path` leads to, to be seen at `place`.
    fn follow(&self, path: &TreePath, place: TreePath) -> Result<Option<SymlinkJoin>, TreeError> {
        let resolver = Resolver {
            stores: &self.stores,
        };
        let Some((path, host)) = resolver.directory(path) else {
            return Ok(None);
        };
        let part = Opener::default().open(&host, path.clone(), Flavour::Store)?;
        let listing = self.list(vec![part], Vec::new(), false)?;
        Ok(Some(SymlinkJoin {
            place,
            path,
            listing,
        }))
    }

    /// What the last layer holds must not lie in a layer below it as well.
    fn check_apart(&self, listing: &Listing) -> Result<(), TreeError> {
        for entry in listing.entries() {
            let gone = self
                .removed
                .iter()
                .find(|(gone, _)| gone.contains(&entry.path));
            if let Some((gone, _)) = gone {
                return Err(TreeError::Conflict {
                    place: gone.display(),
                    first: entry.path.display().into(),
                    second: "--remove".into(),
                    more: 0,
                });
            }
            let below = match self.store_above(&entry.path) {
                Some(host) => Some(host.clone()),
                None if entry.kind == Kind::Dir => None,
                None => self.parents.claim(&entry.path)?.map(|(host, _)| host),
            };
            if let Some(first) = below {
                let second = PathBuf::from("the last layer");
                return Err(TreeError::Conflict {
                    place: entry.path.display(),
                    first,
                    second,
                    more: 0,
                });
            }
        }
        Ok(())
    }

    fn store_above(&self, path: &TreePath) -> Option<&PathBuf> {
        let mut above = path.ancestors().chain([path.clone()]);
        above.find_map(|path| self.stores.get(&path))
    }
}

fn both(removed: &TreePath, added: &TreePath) -> BuildError {
    BuildError::RemoveAdded {
        removed: removed.display(),
        added: added.display(),
    }
}

/// Plain trees, each opened once, in the order of their first use.
#[derive(Default)]
struct Plain {
    parts: Vec<Part>,
    known: HashMap<(PathBuf, String), usize>,
}

impl Plain {
    fn open(&mut self, opener: &mut Opener, mount: &Mount) -> Result<Part, Error> {
        let key = (mount.host.clone(), mount.dest.clone());
        if let Some(part) = self.known.get(&key).and_then(|at| self.parts.get(*at)) {
            return Ok(part.clone());
        }
        let part = opener.open(&mount.host, dest(&mount.dest)?, Flavour::Plain)?;
        self.known.insert(key, self.parts.len());
        self.parts.push(part.clone());
        Ok(part)
    }
}

fn open(opener: &mut Opener, plain: &mut Plain, component: &Component) -> Result<Vec<Part>, Error> {
    Ok(match &component.content {
        Content::Store { host } => {
            vec![opener.open(host, dest(&component.path)?, Flavour::Store)?]
        }
        Content::Trees { mounts } => {
            let open = |mount| plain.open(opener, mount);
            mounts.iter().map(open).collect::<Result<_, Error>>()?
        }
        Content::Members { picked, .. } => {
            let mut parts = Vec::new();
            for Picked { mount, seen } in picked {
                let part = plain.open(opener, mount)?;
                if !seen.is_empty() {
                    parts.push(part.as_seen(seen.clone()));
                }
            }
            parts
        }
    })
}

/// How the files of a component are told from others without a look at them.
fn known(component: &Component) -> Known {
    match (&component.content, &component.hash) {
        (Content::Members { identity, .. }, _) => identity.map_or(Known::Not, Known::Seen),
        (Content::Store { .. }, Some(hash)) => Known::Hashed(hash.clone()),
        _ => Known::Not,
    }
}

/// In their order a path stands right before what lies inside it.
fn check_nested(stores: &BTreeMap<TreePath, PathBuf>) -> Result<(), BuildError> {
    let mut pairs = stores.keys().zip(stores.keys().skip(1));
    match pairs.find(|(outer, inner)| outer.contains(inner)) {
        None => Ok(()),
        Some((outer, inner)) => Err(BuildError::Nested {
            outer: outer.display(),
            inner: inner.display(),
        }),
    }
}

fn dest(path: &str) -> Result<TreePath, BuildError> {
    TreePath::from_absolute(path).map_err(|fault| BuildError::Path {
        path: path.to_owned(),
        fault,
    })
}

/// Everything that is missing is told at once.
fn check_present(closure: &Closure) -> Result<(), BuildError> {
    let hosts = hosts(closure).into_iter().map(|(host, _)| host);
    let missing: Vec<&Path> = hosts
        .filter(|host| host.symlink_metadata().is_err_and(|e| absent(&e)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let paths = missing
        .iter()
        .take(10)
        .map(|path| (*path).to_owned())
        .collect();
    Err(BuildError::Missing {
        paths,
        count: missing.len(),
    })
}

fn absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

/// What is read on this machine, each once: (where it is, where it lands).
pub(super) fn hosts(closure: &Closure) -> BTreeSet<(&Path, &str)> {
    closure.components.iter().flat_map(hosts_of).collect()
}

fn hosts_of(component: &Component) -> Vec<(&Path, &str)> {
    match &component.content {
        Content::Store { host } => vec![(host.as_path(), component.path.as_str())],
        Content::Trees { mounts } => mounts.iter().map(place).collect(),
        Content::Members { picked, .. } => picked.iter().map(|p| place(&p.mount)).collect(),
    }
}

fn place(mount: &Mount) -> (&Path, &str) {
    (&mount.host, &mount.dest)
}
