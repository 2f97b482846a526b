//! A flat root file system → a component for every package in it, by who owns each path.
//!
//! Every kind of package database is one file here behind [`Ownership`]. They are asked in
//! the order of [`KINDS`]; the first claim to a path counts, so that a Python module that
//! came as a Debian package is a part of that package. What nobody owns goes into one
//! volatile component, but for large files, which are components of their own.
//!
//! Nothing is lost or doubled by construction: the trees are listed once, and every entry
//! of the listing is dealt to exactly one component.

mod apk;
mod assign;
mod catalogue;
mod components;
mod control;
mod dpkg;
mod memo;
mod node;
mod pip;
mod python;
mod resolve;
mod rpm;
mod shares;
mod version;
mod view;
mod xattr;

use std::collections::BTreeSet;
use std::path::Path;

use super::{Closure, Component, Content, Mount, SourceError};
use crate::tree::{Exclude, Memory, Policy, TreePath, XattrRule};

use assign::assign;
use components::Components;
use memo::Memo;
use shares::{Shares, Tree, deal};
use view::View;

/// By which package databases plain directories are split into components.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// By all that are found; a directory without any stays one component.
    #[default]
    Auto,
    /// Not at all: every directory is one component.
    None,
    /// By one kind only; it is an error if no directory has it.
    Only(Kind),
}

/// A kind of package database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The extended attribute `user.component` of files and directories.
    Xattr,
    /// Debian's and Ubuntu's packages.
    Dpkg,
    /// Alpine's packages.
    Apk,
    /// Packages of Fedora, openSUSE and their kin, read by running `rpm`.
    Rpm,
    /// Python distributions in `site-packages`.
    Pip,
    /// npm packages in `node_modules`.
    Node,
}

/// In the order in which they are asked.
const KINDS: [Kind; 6] = [
    Kind::Xattr,
    Kind::Dpkg,
    Kind::Apk,
    Kind::Rpm,
    Kind::Pip,
    Kind::Node,
];

impl Kind {
    /// Its name, which also stands before the names of its components.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xattr => "xattr",
            Self::Dpkg => "dpkg",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Pip => "pip",
            Self::Node => "node",
        }
    }

    fn ownership(self) -> &'static dyn Ownership {
        match self {
            Self::Xattr => &xattr::Xattr,
            Self::Dpkg => &dpkg::Dpkg,
            Self::Apk => &apk::Apk,
            Self::Rpm => &rpm::Rpm,
            Self::Pip => &pip::Pip,
            Self::Node => &node::Node,
        }
    }
}

impl Split {
    /// Reads `auto`, `none` or the name of a [`Kind`].
    ///
    /// # Errors
    /// [`SourceError::UnknownSplit`], which lists all.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            name => KINDS
                .into_iter()
                .find(|kind| kind.name() == name)
                .map(Self::Only)
                .ok_or_else(|| SourceError::UnknownSplit {
                    given: text.to_owned(),
                }),
        }
    }

    fn kinds(self) -> Vec<Kind> {
        match self {
            Self::Auto => KINDS.to_vec(),
            Self::None => Vec::new(),
            Self::Only(kind) => vec![kind],
        }
    }
}

/// How plain directories are split.
#[derive(Clone, Copy)]
pub struct SplitRequest<'a> {
    /// By what.
    pub split: Split,
    /// What is left out; a package database that is left out is not read either.
    pub exclude: &'a Exclude,
    /// How attributes will be recorded.
    pub policy: &'a Policy,
    /// Threads that may list at once.
    pub threads: usize,
    /// A directory for what another program must read.
    pub temporary: &'a Path,
    /// What earlier runs found.
    pub memory: Option<&'a dyn Memory>,
}

/// Whose files are whose, as one kind of package database has it.
trait Ownership: Sync {
    /// What the databases in a tree say; none where there is none.
    fn claims(&self, site: &Site<'_>) -> Result<Option<Claims>, SourceError>;
}

/// The trees that are asked about.
struct Site<'a> {
    view: &'a View,
    /// Where file systems start that may have a database: where mounts land.
    roots: &'a [TreePath],
    temporary: &'a Path,
    /// Whether this kind was asked for by name, so that it must not be passed over.
    wanted: bool,
}

/// What the databases of one kind say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Claims {
    owners: Vec<Owner>,
    /// (entry, index of its owner); of several claims to an entry the first counts.
    files: Vec<(u32, u32)>,
    /// Entries that every installation rewrites, with what is below them.
    databases: Vec<u32>,
    /// What was passed over and why, in words.
    warnings: Vec<String>,
    /// Whether something outside the tree had a part in this: another program.
    outside: bool,
}

/// One package, whatever its version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Owner {
    /// Its identity, each once in a [`Claims`].
    name: String,
    /// Of everything that is installed of it.
    versions: BTreeSet<String>,
    /// Indices of those that it needs, in any order, with repetitions and itself allowed.
    requires: Vec<u32>,
}

/// Splits every plain directory of a closure; says in words what was passed over.
///
/// Components of store paths stay as they are. References between packages become
/// references of the graph.
///
/// # Errors
/// [`SourceError::Database`] for a broken database, naming file and line;
/// [`SourceError::NoDatabase`] if there is none of the kind that was asked for;
/// [`SourceError::Tree`] for trees that cannot be listed.
pub fn split(
    closure: Closure,
    request: &SplitRequest<'_>,
) -> Result<(Closure, Vec<String>), SourceError> {
    let any = closure.components.iter().any(is_plain);
    if request.split == Split::None || !any {
        return Ok((closure, Vec::new()));
    }
    let mut components = Components::default();
    for component in closure.components.iter().filter(|c| is_plain(c)) {
        if let Content::Trees { mounts } = &component.content {
            split_one(&component.path, mounts, request, &mut components)?;
        }
    }
    if let (Split::Only(kind), true) = (request.split, components.is_empty()) {
        return Err(SourceError::NoDatabase { kind: kind.name() });
    }
    components.replace_in(closure)
}

fn is_plain(component: &Component) -> bool {
    matches!(component.content, Content::Trees { .. })
}

fn split_one(
    path: &str,
    mounts: &[Mount],
    request: &SplitRequest<'_>,
    components: &mut Components,
) -> Result<(), SourceError> {
    let mut policy = *request.policy;
    if request.split == Split::Only(Kind::Xattr) {
        policy.xattrs = XattrRule::Keep;
    }
    let listing = view::list_mounts(mounts, request, &policy)?;
    let memo = Memo::of(path, mounts, &listing, request);
    let known = memo.as_ref().and_then(|memo| memo.recall(&listing));
    let (listing, shares) = match known {
        Some(shares) => (listing, shares),
        None => {
            let view = View::new(listing, mounts)?;
            let shares = shares_of(path, mounts, &view, request)?;
            // A program may be another one next time, or be there at all.
            if let Some(memo) = memo.filter(|_| !shares.outside) {
                memo.keep(&shares);
            }
            (view.into_listing(), shares)
        }
    };
    if shares.all.is_empty() {
        components.warn(shares.warnings);
        components.keep(path, mounts, listing);
    } else {
        components.add(path, mounts, listing, shares);
    }
    Ok(())
}

fn shares_of(
    path: &str,
    mounts: &[Mount],
    view: &View,
    request: &SplitRequest<'_>,
) -> Result<Shares, SourceError> {
    let roots = view.roots();
    let mut found = Vec::new();
    let mut shares = Shares::default();
    for kind in request.split.kinds() {
        let site = Site {
            view,
            roots: &roots,
            temporary: request.temporary,
            wanted: request.split == Split::Only(kind),
        };
        if let Some(mut claims) = kind.ownership().claims(&site)? {
            shares.warnings.append(&mut claims.warnings);
            shares.outside |= claims.outside;
            found.push((kind, claims));
        }
    }
    found.retain(|(_, claims)| !claims.owners.is_empty() || !claims.databases.is_empty());
    if !found.is_empty() {
        let assignment = assign(view, &found);
        let vendor = version::vendor(view, &roots)?;
        let tree = Tree {
            path,
            view,
            mounts: mounts.len(),
            found: &found,
            vendor: vendor.as_deref(),
            settled: request.memory.map(Memory::settled),
        };
        shares.all = deal(&tree, &assignment);
    }
    Ok(shares)
}

#[cfg(test)]
mod tests;
