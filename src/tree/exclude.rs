//! [`Exclude`]: patterns of what is left out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use super::{TreeError, TreePath};

/// What is left out of plain trees: patterns in the usual glob syntax.
///
/// A pattern with a `/` is matched against the whole path in the image, another
/// against each name. What matches is left out with everything below it.
#[derive(Clone, Debug, Default)]
pub struct Exclude {
    patterns: Vec<String>,
    names: GlobSet,
    paths: GlobSet,
}

impl Exclude {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`TreeError::Pattern`] naming the one that is malformed.
    pub fn new(patterns: &[String]) -> Result<Self, TreeError> {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in patterns {
            let fail = |why: globset::Error| TreeError::Pattern {
                pattern: pattern.clone(),
                why: why.kind().to_string(),
            };
            let bare = pattern.trim_matches('/');
            let glob = GlobBuilder::new(bare)
                .literal_separator(true)
                .build()
                .map_err(fail)?;
            if pattern.contains('/') {
                paths.add(glob)
            } else {
                names.add(glob)
            };
        }
        let fail = |why: globset::Error| TreeError::Pattern {
            pattern: patterns.join(" "),
            why: why.to_string(),
        };
        Ok(Self {
            patterns: patterns.to_vec(),
            names: names.build().map_err(fail)?,
            paths: paths.build().map_err(fail)?,
        })
    }

    /// As they were given.
    pub(super) fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether an entry is left out, itself or with a directory above it.
    pub fn covers(&self, path: &TreePath) -> bool {
        let mut above = path.ancestors().chain([path.clone()]);
        above.any(|path| self.matches(&path.parent().unwrap_or_default(), path.name()))
    }

    pub(super) fn matches(&self, dir: &TreePath, name: &[u8]) -> bool {
        if self.names.is_empty() && self.paths.is_empty() {
            return false;
        }
        let candidate = |bytes: &[u8]| {
            self.paths
                .is_match_candidate(&Candidate::new(Path::new(OsStr::from_bytes(bytes))))
        };
        self.names.is_match(Path::new(OsStr::from_bytes(name)))
            || if dir.is_root() {
                candidate(name)
            } else {
                candidate(&[dir.as_bytes(), b"/", name].concat())
            }
    }
}
