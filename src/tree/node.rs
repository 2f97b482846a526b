//! [`Node`] and [`Dir`]: entries at rest, small enough for a million of them.

use super::{Meta, Mtime, TreePath, Xattrs};

/// What a [`Node`] is, and what its `data` therefore means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// `data` is the index of its [`Dir`].
    Dir,
    /// `data` is the length in bytes.
    File,
    /// `data` is [`Span::pack`]ed: the target in its directory's `names`.
    Symlink,
    /// `data` is major << 32 | minor.
    Char,
    /// `data` is major << 32 | minor.
    Block,
    /// `data` is nothing.
    Fifo,
}

impl Tag {
    /// The one whose number, by `as`, this is.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Dir,
            Self::File,
            Self::Symlink,
            Self::Char,
            Self::Block,
            Self::Fifo,
        ];
        all.into_iter().find(|tag| *tag as u8 == number)
    }
}

/// A piece of a directory's `names`.
// Packed to six bytes, which makes a `Node` 64 instead of 72.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(2))]
pub(super) struct Span {
    pub at: u32,
    pub len: u16,
}

impl Span {
    pub(super) fn pack(self) -> u64 {
        u64::from(self.at) << 16 | u64::from(self.len)
    }

    /// The piece of `bytes` that it is about.
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        let from = self.at as usize;
        &bytes[from..from + usize::from(self.len)]
    }

    pub(super) fn unpack(data: u64) -> Self {
        Self {
            at: (data >> 16) as u32,
            len: (data & 0xffff) as u16,
        }
    }
}

/// No part: made by plywood, without bytes on any disk.
pub(super) const MADE: u32 = u32::MAX;
/// Made as well, with attributes that are final: no policy is applied to them.
pub(super) const GIVEN: u32 = u32::MAX - 1;

/// One entry, as found on disk: [`Policy`](super::Policy) is applied when it is read out.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub data: u64,
    pub secs: i64,
    /// Last change of anything about it, in nanoseconds since the epoch.
    pub changed: i64,
    /// Identity on disk; 0 for what is made.
    pub ino: u64,
    pub name: Span,
    pub nanos: u32,
    pub uid: u32,
    pub gid: u32,
    /// 1 + index of its extended attributes in its directory; 0 = none.
    pub xattrs: u32,
    /// Index of the part that it comes from, or [`MADE`].
    pub part: u32,
    pub mode: u16,
    /// Interned device number; only compared.
    pub dev: u16,
    pub tag: Tag,
    /// Whether the inode has other names that count as links.
    pub linked: bool,
}

impl Node {
    /// A directory or link that no disk has.
    pub(super) fn made(tag: Tag, name: Span, data: u64, meta: Meta) -> Self {
        Self {
            data,
            secs: meta.mtime.secs,
            changed: 0,
            ino: 0,
            name,
            nanos: meta.mtime.nanos,
            uid: meta.uid,
            gid: meta.gid,
            xattrs: 0,
            part: MADE,
            mode: meta.mode as u16,
            dev: 0,
            tag,
            linked: false,
        }
    }

    pub(super) fn meta(&self) -> Meta {
        let mtime = Mtime {
            secs: self.secs,
            nanos: self.nanos,
        };
        Meta {
            mode: u32::from(self.mode),
            uid: self.uid,
            gid: self.gid,
            mtime,
        }
    }
}

/// One directory's content.
#[derive(Debug, Default)]
pub(super) struct Dir {
    pub path: TreePath,
    pub children: Vec<Node>,
    /// Names and link targets of the children.
    pub names: Vec<u8>,
    pub xattrs: Vec<Xattrs>,
}

impl Dir {
    pub(super) fn at(path: TreePath) -> Self {
        Self {
            path,
            ..Self::default()
        }
    }

    /// Gives back the room for entries that did not come: there may be a million here.
    pub(super) fn trim(&mut self) {
        self.children.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    pub(super) fn text(&self, span: Span) -> &[u8] {
        span.of(&self.names)
    }

    pub(super) fn store(&mut self, text: &[u8]) -> Span {
        let at = self.names.len() as u32;
        self.names.extend_from_slice(text);
        Span {
            at,
            len: text.len() as u16,
        }
    }

    pub(super) fn name(&self, node: &Node) -> &[u8] {
        self.text(node.name)
    }

    pub(super) fn xattrs_of(&self, node: &Node) -> Xattrs {
        let found = (node.xattrs as usize)
            .checked_sub(1)
            .and_then(|i| self.xattrs.get(i));
        found.cloned().unwrap_or_default()
    }

    /// The number of a child by its name, if it is the same directory on disk as `found`.
    pub(super) fn directory(&self, name: &[u8], found: &Node) -> Option<u32> {
        let at = self.children.binary_search_by(|n| self.name(n).cmp(name));
        let node = &self.children[at.ok()?];
        let same = (node.tag, node.ino, node.dev) == (Tag::Dir, found.ino, found.dev);
        same.then_some(node.data as u32)
    }

    /// Takes over a child of another directory.
    pub(super) fn adopt(&mut self, mut node: Node, from: &Self) {
        let name = self.store(from.name(&node));
        if node.tag == Tag::Symlink {
            node.data = self.store(from.text(Span::unpack(node.data))).pack();
        }
        if let Some(xattrs) = (node.xattrs as usize)
            .checked_sub(1)
            .and_then(|i| from.xattrs.get(i))
        {
            self.xattrs.push(xattrs.clone());
            node.xattrs = self.xattrs.len() as u32;
        }
        node.name = name;
        self.children.push(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_small() {
        assert_eq!(size_of::<Node>(), 64);
    }
}
