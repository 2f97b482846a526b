//! What can go wrong between the rooms.

use std::path::PathBuf;

use crate::error::ErrorKind;
use crate::tree::PathFault;

/// A request that cannot be carried out, although each room could do its part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Nothing says where the image is to go.
    #[error("the image has nowhere to go: no output was given")]
    NoOutput,
    /// A path of the graph is no place in an image.
    #[error("the graph's path `{}` {fault}", path.escape_debug())]
    Path {
        /// As the graph has it.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// A path of the graph lies inside another one, which would put its files into two layers.
    #[error("the graph's path {inner} lies inside {outer}, which is a path of its own")]
    Nested {
        /// The path that holds the other.
        outer: String,
        /// The path inside it.
        inner: String,
    },
    /// Files that the plan needs are not on this machine.
    #[error("{}", missing_text(paths, *count))]
    Missing {
        /// The first ten.
        paths: Vec<PathBuf>,
        /// How many in all.
        count: usize,
    },
    /// What is written would become part of what is read.
    #[error("the output {} lies inside the source {}", output.display(), input.display())]
    OutputInside {
        /// Where the image is to go.
        output: PathBuf,
        /// What it is made of.
        input: PathBuf,
    },
    /// The image to build on cannot be used.
    #[error("the base image {base} cannot be used")]
    Base {
        /// How it was named.
        base: String,
        /// Why not.
        source: Box<crate::Error>,
    },
    /// A path that cannot be taken away from the base.
    #[error("--remove `{}` {why}", path.escape_debug())]
    Remove {
        /// As given.
        path: String,
        /// Why not.
        why: String,
    },
    /// Something is taken away although the image puts something there.
    #[error("{removed} is removed from the base image, and {added} is added")]
    RemoveAdded {
        /// What is taken away.
        removed: String,
        /// What comes there.
        added: String,
    },
    /// Two images for one platform cannot be told apart.
    #[error("the platform {platform} is given twice")]
    PlatformTwice {
        /// Which.
        platform: String,
    },
    /// Docker's own archive knows no indexes.
    #[error("a docker-archive holds an image for one platform, and {count} are given")]
    OnePlatform {
        /// How many.
        count: usize,
    },
    /// Something is asked of a base image, and there is none.
    #[error("--{flag} is about a base image, and none is given")]
    NoBase {
        /// The flag.
        flag: &'static str,
    },
    /// An output's or input's place cannot be examined.
    #[error("could not examine {}", path.display())]
    Examine {
        /// The place.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

fn missing_text(paths: &[PathBuf], count: usize) -> String {
    let shown: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let more = count.saturating_sub(shown.len());
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    let noun = if count == 1 { "path does" } else { "paths do" };
    format!(
        "{count} {noun} not exist on this machine: {}{more}",
        shown.join(", ")
    )
}

impl BuildError {
    pub(super) fn base(base: String, error: impl Into<crate::Error>) -> Self {
        let source = Box::new(error.into());
        Self::Base { base, source }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NoOutput
            | Self::Remove { .. }
            | Self::NoBase { .. }
            | Self::PlatformTwice { .. }
            | Self::OnePlatform { .. } => ErrorKind::Usage,
            Self::Base { source, .. } => source.kind(),
            Self::Path { .. } | Self::Missing { .. } => ErrorKind::Input,
            Self::Nested { .. } | Self::OutputInside { .. } | Self::RemoveAdded { .. } => {
                ErrorKind::Conflict
            }
            Self::Examine { .. } => ErrorKind::Io,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoOutput => "write a layout with -o oci:DIR",
            Self::Path { .. } => "only `plan` takes graphs whose paths are not absolute and normal",
            Self::Nested { .. } => "leave one of the two out of the graph",
            Self::Missing { .. } => {
                "if the store lies elsewhere on this disk, name its directory with --store-prefix"
            }
            Self::OutputInside { .. } => {
                "write it elsewhere, or leave it out of the source with --exclude"
            }
            Self::Base { source, .. } => return source.hint(),
            Self::PlatformTwice { .. } => return None,
            Self::OnePlatform { .. } => {
                "write an oci-archive: `docker load` takes it since version 25"
            }
            Self::NoBase { .. } => "name one with --base oci:DIR:TAG",
            Self::Remove { .. } => "`plywood ls` shows what is in an image",
            Self::RemoveAdded { .. } => {
                "what replaces something of the base needs no --remove: leave one of them out"
            }
            Self::Examine { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
