//! [`TreePath`]: where an entry stands in an image.

use std::cmp::Ordering;
use std::fmt;

/// A relative path of bytes without `.`, `..`, empty parts or NUL.
///
/// The empty path is the root of the tree. Order is component by component
/// (`a/x` before `a-b`), which puts a directory right before its content.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct TreePath(Box<[u8]>);

/// Why bytes are not a [`TreePath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// Starts with `/` where a relative path is wanted.
    #[error("is absolute")]
    Absolute,
    /// Does not start with `/` where an absolute path is wanted.
    #[error("is not absolute")]
    Relative,
    /// Has a `.` or `..` part.
    #[error("has a `.` or `..` part")]
    Dots,
    /// Has an empty part (`//`, or a `/` at the end).
    #[error("has an empty part")]
    Empty,
    /// Has a NUL byte.
    #[error("has a NUL byte")]
    Nul,
    /// Longer than 4,095 bytes: no unpacker could create it.
    #[error("is longer than 4095 bytes")]
    TooLong,
}

/// The longest path that a Linux system call takes.
pub const PATH_LIMIT: usize = 4095;

impl TreePath {
    /// The root of the tree.
    pub fn root() -> Self {
        Self::default()
    }

    /// Takes a relative, normal path as it is.
    ///
    /// # Errors
    /// [`PathFault`] for whatever is not relative and normal.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, PathFault> {
        let bytes = bytes.as_ref();
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        if bytes[0] == b'/' {
            return Err(PathFault::Absolute);
        }
        if bytes.contains(&0) {
            return Err(PathFault::Nul);
        }
        if bytes.len() > PATH_LIMIT {
            return Err(PathFault::TooLong);
        }
        for part in bytes.split(|&b| b == b'/') {
            match part {
                b"" => return Err(PathFault::Empty),
                b"." | b".." => return Err(PathFault::Dots),
                _ => {}
            }
        }
        Ok(Self(bytes.into()))
    }

    /// Takes an absolute, normal path (`/nix/store/x`); `/` is the root.
    ///
    /// # Errors
    /// [`PathFault`] for whatever is not absolute and normal.
    pub fn from_absolute(bytes: impl AsRef<[u8]>) -> Result<Self, PathFault> {
        match bytes.as_ref().split_first() {
            Some((b'/', b"")) => Ok(Self::root()),
            Some((b'/', [b'/', ..])) => Err(PathFault::Empty),
            Some((b'/', rest)) => Self::new(rest),
            _ => Err(PathFault::Relative),
        }
    }

    /// The bytes, without `/` at either end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root of the tree.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts, from the root down.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|p| !p.is_empty())
    }

    /// The last part; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or_default()
    }

    /// The path one level up; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        Some(Self(self.0[..end].into()))
    }

    /// All paths above this one, from the top down, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        let cuts = self.0.iter().enumerate().filter(|&(_, &b)| b == b'/');
        cuts.map(|(i, _)| Self(self.0[..i].into()))
    }

    /// This path with one more part, or several.
    ///
    /// # Errors
    /// [`PathFault`] if `rest` is not relative and normal, or the whole too long.
    pub fn join(&self, rest: impl AsRef<[u8]>) -> Result<Self, PathFault> {
        let rest = rest.as_ref();
        if self.is_root() || rest.is_empty() {
            return if self.is_root() {
                Self::new(rest)
            } else {
                Ok(self.clone())
            };
        }
        Self::new([self.as_bytes(), b"/", rest].concat())
    }

    /// The same for one part that was checked before, and so was the length of the whole.
    pub(super) fn child(&self, name: &[u8]) -> Self {
        if self.is_root() {
            return Self(name.into());
        }
        Self([self.as_bytes(), b"/", name].concat().into())
    }

    /// Whether `self` is `other` or stands above it.
    pub fn contains(&self, other: &Self) -> bool {
        self.is_root()
            || (other.0.starts_with(&self.0)
                && matches!(other.0.get(self.0.len()), None | Some(b'/')))
    }

    /// The path with a `/` in front, unprintable bytes escaped: for messages.
    pub fn display(&self) -> String {
        format!("/{}", self.0.escape_ascii())
    }
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(other.parts())
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_by_component() {
        let mut paths: Vec<_> = ["a-b", "a/x", "a", "a.b"]
            .map(|p| TreePath::new(p).unwrap())
            .into();
        paths.sort();
        let sorted: Vec<_> = paths.iter().map(TreePath::as_bytes).collect();
        assert_eq!(sorted, [&b"a"[..], b"a/x", b"a-b", b"a.b"]);
    }

    #[test]
    fn refuses_what_is_not_normal() {
        for (text, fault) in [
            ("/a", PathFault::Absolute),
            ("a/../b", PathFault::Dots),
            ("./a", PathFault::Dots),
            ("a//b", PathFault::Empty),
            ("a/", PathFault::Empty),
            ("a\0", PathFault::Nul),
        ] {
            assert_eq!(TreePath::new(text), Err(fault), "{text:?}");
        }
        assert_eq!(TreePath::from_absolute("a"), Err(PathFault::Relative));
        assert_eq!(TreePath::from_absolute("//a"), Err(PathFault::Empty));
        assert!(TreePath::from_absolute("/").unwrap().is_root());
    }

    #[test]
    fn walks_up() {
        let path = TreePath::new("nix/store/x").unwrap();
        let above: Vec<_> = path.ancestors().map(|p| p.display()).collect();
        assert_eq!(above, ["/nix", "/nix/store"]);
        assert_eq!(path.parent().unwrap().name(), b"store");
        assert!(path.parent().unwrap().contains(&path));
        assert!(!TreePath::new("nix/sto").unwrap().contains(&path));
    }
}
