//! The outside world → [`Closure`]: what goes into an image, and who refers to whom.
//!
//! Every source (a reference-graph file, the local Nix, a directory) is one file here
//! that makes a [`Closure`]; several are joined into one.

mod closure;
mod dir;
mod error;
mod forms;
mod graph;
mod json;
mod mention;
mod name;
mod nest;
mod nix;
pub mod sbom;
mod split;
mod text;

use std::path::PathBuf;

use crate::graph::Graph;
use crate::tree::{Identity, Seen};

pub use dir::DirSource;
pub use error::{Place, SourceError};
pub use graph::GraphSource;
pub use name::store_name;
pub use nix::NixSource;
pub use split::{Kind as SplitKind, Split, SplitRequest, split};

/// One thing that is never split over layers: a store path, a package, a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name in the graph: where it stands in the image, absolute; or, of what was split
    /// off a tree, a name that no path can be (`dpkg:openssl`).
    pub path: String,
    /// Identity without version and hash, where the source knows one.
    pub name: Option<String>,
    /// Its version, where a package database has one; several that it is made of with commas.
    pub version: Option<String>,
    /// Its package URL, if it is one package of one version.
    pub purl: Option<String>,
    /// Size in bytes as the source states it (`narSize`), before anything is walked.
    pub size: Option<u64>,
    /// Hash of its content as the source states it (`narHash`); with the path it
    /// identifies an immutable store path.
    pub hash: Option<String>,
    /// Whether every build rewrites it: package databases, caches, what nobody owns.
    pub volatile: bool,
    /// Whether it is the image's own: a large file of no package, in a tree of packages.
    pub own: bool,
    /// Where its files are on this machine. Nothing of this reaches the image.
    pub content: Content,
}

impl Component {
    /// What it is called over all its versions: its name, or its path if it has none.
    pub fn identity(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.path)
    }
}

/// Where a component's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An immutable path of a content-addressed store; hard links in it are an
    /// accident of store optimisation and become full files.
    Store {
        /// The file or directory on this machine.
        host: PathBuf,
    },
    /// Files and directories laid over each other at the component's path or below.
    Trees {
        /// In the order of the command line.
        mounts: Vec<Mount>,
    },
    /// Entries of plain trees as they were seen when the trees were split: the other
    /// entries, if there are any, are other components.
    Members {
        /// From all trees that were split together, in the order of the command line.
        picked: Vec<Picked>,
        /// What tells these entries from all others, if that is known.
        identity: Option<Identity>,
    },
}

/// Entries of a plain tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picked {
    /// The tree.
    pub mount: Mount,
    /// Which entries; may be none.
    pub seen: Seen,
}

/// A plain directory or file and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// On this machine.
    pub host: PathBuf,
    /// Where it lands in the image, absolute.
    pub dest: String,
}

/// Components and their references; the graph's paths are exactly the components'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    /// In the order of the graph's nodes.
    pub components: Vec<Component>,
    /// Who refers to whom.
    pub graph: Graph,
    /// Paths that were asked for by name; empty if the source names none.
    pub roots: Vec<String>,
}

/// Anything that a closure can be made of.
pub trait Source {
    /// Reads the source.
    ///
    /// # Errors
    /// [`SourceError`], naming the document and the place in it.
    fn load(&self) -> Result<Closure, SourceError>;
}

#[cfg(test)]
mod tests;
