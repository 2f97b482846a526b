//! [`Resolver`]: paths as a process inside the image would follow them.

use std::collections::HashMap;

use super::view::{View, split};
use crate::tree::TreePath;

/// Links that lead to links, before they are taken for a circle.
const HOPS: usize = 40;

/// Follows links the way a process inside the image would.
pub(super) struct Resolver<'a> {
    view: &'a View,
    root: &'a TreePath,
    /// Directories by the path that was asked for.
    known: HashMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Resolver<'a> {
    /// For paths below `root`, which `..` and absolute links do not leave.
    pub(super) fn new(view: &'a View, root: &'a TreePath) -> Self {
        Self {
            view,
            root,
            known: HashMap::new(),
        }
    }

    /// The entry at a normal path relative to the root; a link as the last part is not followed.
    pub(super) fn entry(&mut self, path: &[u8]) -> Option<u32> {
        let whole = self.below_root(path);
        if let Some(found) = self.view.find(&whole) {
            return Some(found);
        }
        let (dir, name) = split(path);
        if dir.is_empty() {
            return None;
        }
        let real = match self.known.get(dir) {
            Some(known) => known.clone(),
            None => {
                let found = self.walk(&self.below_root(dir));
                self.known.insert(dir.to_owned(), found.clone());
                found
            }
        };
        self.view.find(&[&real?[..], b"/", name].concat())
    }

    /// The entry that a path leads to, links followed to their end.
    pub(super) fn target(&mut self, path: &[u8]) -> Option<u32> {
        let at = self.entry(path)?;
        self.follow(at)
    }

    /// The entry that a link leads to, if it is one.
    pub(super) fn follow(&self, at: u32) -> Option<u32> {
        if !self.view.is_symlink(at) {
            return Some(at);
        }
        let real = self.walk(self.view.path(at).as_bytes())?;
        self.view.find(&real)
    }

    fn below_root(&self, path: &[u8]) -> Vec<u8> {
        match (self.root.is_root(), path.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => self.root.as_bytes().to_owned(),
            (false, false) => [self.root.as_bytes(), b"/", path].concat(),
        }
    }

    /// Where a path of the image really is.
    fn walk(&self, path: &[u8]) -> Option<Vec<u8>> {
        let base = self.root.as_bytes().to_vec();
        let mut open: Vec<Vec<u8>> = Vec::new();
        push_parts(&mut open, path.get(base.len()..).unwrap_or_default());
        let mut real = base.clone();
        let mut hops = 0;
        while let Some(part) = open.pop() {
            if part == b".." {
                if real.len() > base.len() {
                    let end = real.iter().rposition(|&b| b == b'/').unwrap_or(0);
                    real.truncate(end.max(base.len()));
                }
                continue;
            }
            let mut next = real.clone();
            if !next.is_empty() {
                next.push(b'/');
            }
            next.extend_from_slice(&part);
            let at = self.view.find(&next)?;
            match self.view.target(at) {
                Some(target) => {
                    hops += 1;
                    if hops > HOPS {
                        return None;
                    }
                    if target.first() == Some(&b'/') {
                        real.clone_from(&base);
                    }
                    push_parts(&mut open, target);
                }
                None if !self.view.is_dir(at) && !open.is_empty() => return None,
                None => real = next,
            }
        }
        Some(real)
    }
}

/// Puts a path's parts on a stack, the first on top.
fn push_parts(open: &mut Vec<Vec<u8>>, path: &[u8]) {
    let parts = path.split(|&b| b == b'/').rev();
    let named = parts.filter(|part| !part.is_empty() && *part != b".");
    open.extend(named.map(<[u8]>::to_vec));
}
