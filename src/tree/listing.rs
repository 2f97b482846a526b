//! [`Listing`]: all entries of one layer, sorted, each with the way back to its bytes.

use std::collections::HashMap;
use std::ops::Range;

use super::memory::Identity;
use super::node::{Dir, GIVEN, MADE, Node, Span, Tag};
use super::part::Part;
use super::reader::Reader;
use super::scan::Devices;
use super::{Device, Entry, Facts, Kind, Policy, TreePath};

/// The entries of one layer: parents before children, siblings by name as bytes,
/// no path twice, names of one inode joined.
///
/// Holds about 70 bytes an entry and no file content.
#[derive(Debug)]
pub struct Listing {
    pub(super) dirs: Vec<Dir>,
    /// (directory, child) in the order of the archive.
    pub(super) order: Vec<(u32, u32)>,
    /// (entry, first entry of its inode), for all but the first; sorted.
    links: Vec<(u32, u32)>,
    pub(super) parts: Vec<Part>,
    pub(super) devices: Devices,
    /// By part.
    pub(super) identities: Vec<Option<Identity>>,
    policy: Policy,
    pub(super) warnings: Vec<String>,
}

impl Listing {
    /// Of settled directories: those that the root, number 0, leads to.
    pub(super) fn new(
        dirs: Vec<Dir>,
        parts: Vec<Part>,
        devices: Devices,
        identities: Vec<Option<Identity>>,
        policy: Policy,
        mut warnings: Vec<String>,
    ) -> Self {
        let order = flatten(&dirs);
        let links = links(&dirs, &order);
        warnings.sort();
        Self {
            dirs,
            order,
            links,
            parts,
            devices,
            identities,
            policy,
            warnings,
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What was left out and why, in words; sorted.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn at(&self, index: usize) -> (&Dir, &Node) {
        let (_, dir, node) = self.place(index);
        (dir, node)
    }

    /// An entry with the number of its directory.
    pub(super) fn place(&self, index: usize) -> (u32, &Dir, &Node) {
        let (number, child) = self.order[index];
        let dir = &self.dirs[number as usize];
        (number, dir, &dir.children[child as usize])
    }

    /// The tree that an entry with bytes comes from.
    pub(super) fn home(&self, node: &Node) -> &Part {
        &self.parts[node.part as usize]
    }

    /// The entry at a position, with the policy applied.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn entry(&self, index: usize) -> Entry {
        let (dir, node) = self.at(index);
        let first = self.link_of(index);
        // A second name has the attributes of the first: they are one inode.
        let (source_dir, source) = first.map_or((dir, node), |first| self.at(first));
        let found = kind(source_dir, source);
        let meta = match source.part {
            GIVEN => source.meta(),
            _ => self.policy.apply(&found, source.meta()),
        };
        Entry {
            path: dir.path.child(dir.name(node)),
            kind: first.map_or(found, |first| Kind::HardLink {
                target: self.path(first),
            }),
            meta,
            xattrs: source_dir.xattrs_of(source),
        }
    }

    /// The first name of an entry's inode in this layer, if the entry is a further one.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn link_of(&self, index: usize) -> Option<usize> {
        let (_, node) = self.at(index);
        if !node.linked {
            return None;
        }
        let found = self.links.binary_search_by_key(&(index as u32), |l| l.0);
        found.ok().map(|at| self.links[at].1 as usize)
    }

    /// What tells the state of the entry's file from others.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn facts(&self, index: usize) -> Facts {
        let (_, node) = self.at(index);
        Facts {
            inode: node.ino,
            modified: node.meta().mtime,
            changed: node.changed,
        }
    }

    /// What tells each part's entries from all others, in the order of the parts; `None` if
    /// one of them is not known or cannot be relied on.
    pub fn identities(&self) -> Option<Vec<Identity>> {
        self.identities.iter().copied().collect()
    }

    /// Whether an entry is no part's own: it, or what it looks like, was made.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn is_made(&self, index: usize) -> bool {
        let (_, node) = self.at(index);
        matches!(node.part, MADE | GIVEN)
    }

    /// Which of the parts an entry is from; none for what was made.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn part(&self, index: usize) -> Option<usize> {
        let (_, node) = self.at(index);
        (node.part != MADE).then_some(node.part as usize)
    }

    /// Length of the entry's content in bytes; 0 for all but files.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn content_size(&self, index: usize) -> u64 {
        let (_, node) = self.at(index);
        match node.tag {
            Tag::File if self.link_of(index).is_none() => node.data,
            _ => 0,
        }
    }

    /// Whether an entry is a directory.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn is_dir(&self, index: usize) -> bool {
        self.at(index).1.tag == Tag::Dir
    }

    /// Whether an entry is a regular file: the first name of its inode.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn is_file(&self, index: usize) -> bool {
        self.at(index).1.tag == Tag::File && self.link_of(index).is_none()
    }

    /// Where a symbolic link leads; none for whatever is not one.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn target(&self, index: usize) -> Option<&[u8]> {
        let (dir, node) = self.at(index);
        let is_link = node.tag == Tag::Symlink && self.link_of(index).is_none();
        is_link.then(|| dir.text(Span::unpack(node.data)))
    }

    /// An entry's name in its directory.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn name(&self, index: usize) -> &[u8] {
        let (dir, node) = self.at(index);
        dir.name(node)
    }

    /// An entry's path in the image.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn path(&self, index: usize) -> TreePath {
        let (dir, node) = self.at(index);
        dir.path.child(dir.name(node))
    }

    /// The path of the directory that an entry is in.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn directory(&self, index: usize) -> &TreePath {
        &self.at(index).0.path
    }

    /// Whether an entry stands at a path.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn path_is(&self, index: usize, path: &TreePath) -> bool {
        let (dir, node) = self.at(index);
        let (above, name) = (dir.path.as_bytes(), dir.name(node));
        let rest = path.as_bytes().strip_suffix(name);
        rest.is_some_and(|rest| match above {
            b"" => rest.is_empty(),
            above => rest.strip_suffix(b"/") == Some(above),
        })
    }

    /// An extended attribute as it was found.
    ///
    /// # Panics
    /// If `index` is not below [`Listing::len`].
    pub fn xattr(&self, index: usize, name: &[u8]) -> Option<&[u8]> {
        let (dir, node) = self.at(index);
        let found = dir.xattrs.get((node.xattrs as usize).checked_sub(1)?)?;
        found.get(name).map(Vec::as_slice)
    }

    /// The entries at a path and below it.
    pub fn range(&self, path: &TreePath) -> Range<usize> {
        let first = self.first(|other| other < path);
        let end = self.first(|other| other < path || path.contains(other));
        first..end
    }

    /// The first entry whose path is not `before`, which must hold for a first run of them.
    fn first(&self, before: impl Fn(&TreePath) -> bool) -> usize {
        self.order.partition_point(|&(dir, child)| {
            let dir = &self.dirs[dir as usize];
            before(&dir.path.child(dir.name(&dir.children[child as usize])))
        })
    }

    /// All entries in the order of the archive.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.len()).map(|index| self.entry(index))
    }

    /// The way to the files' bytes.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(self)
    }
}

fn kind(dir: &Dir, node: &Node) -> Kind {
    let device = Device {
        major: (node.data >> 32) as u32,
        minor: node.data as u32,
    };
    match node.tag {
        Tag::Dir => Kind::Dir,
        Tag::File => Kind::File { size: node.data },
        Tag::Symlink => Kind::Symlink {
            target: dir.text(Span::unpack(node.data)).to_owned(),
        },
        Tag::Char => Kind::Char(device),
        Tag::Block => Kind::Block(device),
        Tag::Fifo => Kind::Fifo,
    }
}

/// Depth first, without recursion.
fn flatten(dirs: &[Dir]) -> Vec<(u32, u32)> {
    let mut order = Vec::with_capacity(dirs.iter().map(|dir| dir.children.len()).sum());
    let mut open = vec![(0_u32, 0_u32)];
    while let Some((dir, child)) = open.pop() {
        let Some(node) = dirs[dir as usize].children.get(child as usize) else {
            continue;
        };
        order.push((dir, child));
        open.push((dir, child + 1));
        if node.tag == Tag::Dir {
            open.push((node.data as u32, 0));
        }
    }
    order
}

/// Which entries are further names of the inodes of others.
fn links(dirs: &[Dir], order: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut first: HashMap<(u64, u16), u32> = HashMap::new();
    let mut links = Vec::new();
    for (at, &(dir, child)) in (0..).zip(order) {
        let node = &dirs[dir as usize].children[child as usize];
        if node.linked {
            match first.get(&(node.ino, node.dev)) {
                Some(&target) => links.push((at, target)),
                None => drop(first.insert((node.ino, node.dev), at)),
            }
        }
    }
    links
}
