//! What can go wrong on the way in.

use std::fmt;
use std::path::PathBuf;

use crate::error::ErrorKind;
use crate::graph::GraphError;

/// A source that could not be read or joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A document that is malformed or of no known form.
    #[error("{origin}: {place}{reason}")]
    Refused {
        /// File name, or what else the document is called.
        origin: String,
        /// Where in it.
        place: Place,
        /// What is wrong there.
        reason: String,
    },
    /// A document whose references lead out of it.
    #[error("{origin}: {source}")]
    Graph {
        /// File name, or what else the document is called.
        origin: String,
        /// Which references.
        source: GraphError,
    },
    /// A root that is no node of the graph.
    #[error("{path} is not in the graph")]
    UnknownRoot {
        /// As it was asked for.
        path: String,
    },
    /// Two sources put different things at one path.
    #[error("two different things at {path}: {} and {}", first.display(), second.display())]
    Clash {
        /// The path in the image.
        path: String,
        /// Where one of them is on this machine.
        first: PathBuf,
        /// Where the other one is.
        second: PathBuf,
    },
    /// A destination that is not absolute and normal.
    #[error("the destination `{dest}` of {} {reason}", host.display())]
    Destination {
        /// The file or directory on this machine.
        host: PathBuf,
        /// Where it should go.
        dest: String,
        /// What is wrong with that.
        reason: &'static str,
    },
    /// A file or directory that could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// On this machine.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A package database that is broken.
    #[error("{}: {}{reason}", path.display(), line.map(|n| format!("line {n}: ")).unwrap_or_default())]
    Database {
        /// The file, on this machine.
        path: PathBuf,
        /// The line in it, from 1, where it is known.
        line: Option<usize>,
        /// What is wrong there.
        reason: String,
    },
    /// No directory has a package database of the kind that was asked for.
    #[error("no directory has anything to split by {kind}")]
    NoDatabase {
        /// The kind.
        kind: &'static str,
    },
    /// No way of splitting has this name.
    #[error("no way to split by `{given}`; there are auto, dpkg, apk, rpm, pip, node, xattr, none")]
    UnknownSplit {
        /// As it was given.
        given: String,
    },
    /// A tree that cannot be listed.
    #[error(transparent)]
    Tree(#[from] crate::tree::TreeError),
    /// A program that could not be started.
    #[error("cannot run {program}")]
    Start {
        /// Its name.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A program that failed.
    #[error("{command} failed: {message}")]
    Failed {
        /// Its name and first arguments.
        command: String,
        /// What it said, or its exit status.
        message: String,
    },
}

/// Where in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The document as a whole.
    Whole,
    /// A line, from 1.
    Line(usize),
    /// A line and a column in bytes, from 1.
    Column(usize, usize),
    /// A JSON pointer; empty for the document as a whole.
    Pointer(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Pointer(pointer) if pointer.is_empty() => Ok(()),
            Self::Line(line) => write!(f, "line {line}: "),
            Self::Column(line, column) => write!(f, "line {line}, column {column}: "),
            Self::Pointer(pointer) => write!(f, "{pointer}: "),
        }
    }
}

impl SourceError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { .. }
            | Self::Graph { .. }
            | Self::Database { .. }
            | Self::NoDatabase { .. } => ErrorKind::Input,
            Self::UnknownRoot { .. } | Self::Destination { .. } | Self::UnknownSplit { .. } => {
                ErrorKind::Usage
            }
            Self::Tree(error) => error.kind(),
            Self::Clash { .. } => ErrorKind::Conflict,
            Self::Read { .. } | Self::Start { .. } | Self::Failed { .. } => ErrorKind::Io,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Graph { source, .. } => source.hint(),
            Self::UnknownRoot { .. } => {
                Some("export the graph with this path among its roots".into())
            }
            Self::Database { .. } => {
                Some("repair it, or take the directory whole with --split none".into())
            }
            Self::NoDatabase { .. } => Some(
                "--split auto takes what there is; what --exclude leaves out is not read".into(),
            ),
            Self::Tree(error) => error.hint(),
            Self::Start { program, .. } if program == "rpm" => {
                Some("install rpm, or take the directory whole with --split none".into())
            }
            Self::Start { program, .. } => Some(format!(
                "install {program}, or give the closure as a file with --graph"
            )),
            _ => None,
        }
    }
}
