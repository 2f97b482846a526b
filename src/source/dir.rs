//! A plain directory or file.

use std::path::{Path, PathBuf};

use super::{Closure, Component, Content, Mount, Source, SourceError};
use crate::graph::{Graph, NodeSpec};
use crate::tree::retry_std;

/// A directory whose content lands at a place in the image, or a single file.
#[derive(Clone, Debug)]
pub struct DirSource {
    /// On this machine; a symbolic link is followed.
    pub host: PathBuf,
    /// Where it goes: absolute. For a directory, where its content goes, `/` if nothing is
    /// said. For a file its full name, or the directory that it goes into if this ends
    /// in `/`; `/` with its own name if nothing is said.
    pub dest: Option<String>,
}

impl Source for DirSource {
    fn load(&self) -> Result<Closure, SourceError> {
        let metadata =
            retry_std(|| std::fs::metadata(&self.host)).map_err(|source| SourceError::Read {
                path: self.host.clone(),
                source,
            })?;
        let path = if metadata.is_dir() {
            self.place_of_directory()
        } else {
            self.place_of_file()
        }?;
        let graph = Graph::new(vec![NodeSpec {
            path: path.clone(),
            references: Vec::new(),
        }])
        .map_err(|source| SourceError::Graph {
            origin: path.clone(),
            source,
        })?;
        let content = Content::Trees {
            mounts: vec![Mount {
                host: self.host.clone(),
                dest: path.clone(),
            }],
        };
        let component = Component {
            path: path.clone(),
            name: None,
            version: None,
            purl: None,
            size: None,
            hash: None,
            volatile: false,
            own: false,
            content,
        };
        Ok(Closure {
            components: vec![component],
            graph,
            roots: vec![path],
        })
    }
}

impl DirSource {
    fn place_of_directory(&self) -> Result<String, SourceError> {
        let dest = self.dest.as_deref().unwrap_or("/");
        self.normal(if dest == "/" {
            dest
        } else {
            dest.strip_suffix('/').unwrap_or(dest)
        })
    }

    fn place_of_file(&self) -> Result<String, SourceError> {
        match self.dest.as_deref().unwrap_or("/") {
            directory if directory.ends_with('/') => {
                self.normal(&format!("{directory}{}", self.file_name()?))
            }
            file => self.normal(file),
        }
    }

    fn file_name(&self) -> Result<&str, SourceError> {
        let name = self.host.file_name().map(Path::new).and_then(Path::to_str);
        name.ok_or_else(|| self.refuse("", "needs a name: the file's own is not UTF-8"))
    }

    /// An absolute path without `.`, `..`, empty parts and NUL.
    fn normal(&self, dest: &str) -> Result<String, SourceError> {
        let Some(relative) = dest.strip_prefix('/') else {
            return Err(self.refuse(dest, "is not absolute"));
        };
        if dest.contains('\0') {
            return Err(self.refuse(dest, "contains NUL"));
        }
        let bad = |part: &str| matches!(part, "" | "." | "..");
        if !relative.is_empty() && relative.split('/').any(bad) {
            return Err(self.refuse(dest, "has an empty, `.` or `..` part"));
        }
        Ok(dest.to_owned())
    }

    fn refuse(&self, dest: &str, reason: &'static str) -> SourceError {
        SourceError::Destination {
            host: self.host.clone(),
            dest: dest.to_owned(),
            reason,
        }
    }
}
