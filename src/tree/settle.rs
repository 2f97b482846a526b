//! Trees that lie over each other: one order, and one entry at each place.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::TreeError;
use super::node::{Dir, MADE, Node, Span, Tag};
use super::part::Part;

/// Moves all children of a directory into another.
pub(super) fn pour(into: &mut Dir, from: Dir) {
    if into.children.is_empty() {
        let path = std::mem::take(&mut into.path);
        *into = Dir { path, ..from };
        return;
    }
    let mut from = from;
    for node in std::mem::take(&mut from.children) {
        into.adopt(node, &from);
    }
}

/// One place that two things want.
pub(super) struct Claim {
    path: Vec<u8>,
    first: u32,
    second: u32,
}

/// Sorts every directory and lays equal names over each other, from the root down.
pub(super) fn settle(dirs: &mut [Dir], parts: &[Part]) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut open = vec![0_usize];
    while let Some(at) = open.pop() {
        let mut dir = std::mem::take(&mut dirs[at]);
        if is_settled(&dir) {
            open.extend(subdirectories(&dir));
            dirs[at] = dir;
            continue;
        }
        let mut children = std::mem::take(&mut dir.children);
        children.sort_by(|a, b| place(dir.name(a)).cmp(&place(dir.name(b))));
        dir.children.reserve_exact(children.len());
        for node in children {
            match dir
                .children
                .last()
                .filter(|last| dir.name(last) == dir.name(&node))
            {
                None => dir.children.push(node),
                Some(last) if last.tag == Tag::Dir && node.tag == Tag::Dir => {
                    let (into, from) = (last.data as usize, node.data as usize);
                    let taken = std::mem::take(&mut dirs[from]);
                    pour(&mut dirs[into], taken);
                    prefer_found(&mut dir.children, node);
                }
                Some(last) if same(&dir, last, &node, parts) => {}
                Some(last) => {
                    let path = [dir.path.as_bytes(), b"/", dir.name(last)].concat();
                    claims.push(Claim {
                        path,
                        first: last.part,
                        second: node.part,
                    });
                }
            }
        }
        open.extend(subdirectories(&dir));
        dirs[at] = dir;
    }
    claims.sort_by(|a, b| a.path.cmp(&b.path));
    claims
}

/// Whether a directory's children stand in their order and no name is there twice.
fn is_settled(dir: &Dir) -> bool {
    dir.children
        .is_sorted_by(|a, b| place(dir.name(a)) < place(dir.name(b)))
}

fn subdirectories(dir: &Dir) -> impl Iterator<Item = usize> {
    let dirs = dir.children.iter().filter(|node| node.tag == Tag::Dir);
    dirs.map(|node| node.data as usize)
}

/// Siblings stand by name, whiteouts before all others (layer chapter, whiteouts).
fn place(name: &[u8]) -> (bool, &[u8]) {
    (!name.starts_with(b".wh."), name)
}

/// Of two directories at one place the one that a disk has gives the attributes.
fn prefer_found(children: &mut [Node], node: Node) {
    if let Some(last) = children
        .last_mut()
        .filter(|last| last.part == MADE && node.part != MADE)
    {
        *last = Node {
            data: last.data,
            name: last.name,
            ..node
        };
    }
}

/// Whether two entries that are no directories would look the same in the image.
fn same(dir: &Dir, a: &Node, b: &Node, parts: &[Part]) -> bool {
    let attributes = |n: &Node| (n.tag, n.mode, n.uid, n.gid);
    match (a.tag, b.tag) {
        (Tag::Symlink, Tag::Symlink) => {
            dir.text(Span::unpack(a.data)) == dir.text(Span::unpack(b.data))
        }
        (Tag::File, Tag::File) => {
            attributes(a) == attributes(b)
                && a.data == b.data
                && dir.xattrs_of(a) == dir.xattrs_of(b)
                && ((a.ino, a.dev) == (b.ino, b.dev) || same_bytes(dir, a, b, parts))
        }
        (Tag::Fifo, Tag::Fifo) => attributes(a) == attributes(b),
        (Tag::Char, Tag::Char) | (Tag::Block, Tag::Block) => {
            a.data == b.data && attributes(a) == attributes(b)
        }
        _ => false,
    }
}

fn same_bytes(dir: &Dir, a: &Node, b: &Node, parts: &[Part]) -> bool {
    let path = |n: &Node| [dir.path.as_bytes(), b"/", dir.name(n)].concat();
    let open = |n: &Node| {
        let part = parts.get(n.part as usize)?;
        let full = path(n);
        part.root
            .open_file(&part.source_of(full.strip_prefix(b"/").unwrap_or(&full)))
            .ok()
    };
    let (Some(a_file), Some(b_file)) = (open(a), open(b)) else {
        return false;
    };
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut at = 0;
    while at < a.data {
        let len = usize::try_from(a.data - at)
            .unwrap_or(usize::MAX)
            .min(left.len());
        let read = a_file
            .read_exact_at(&mut left[..len], at)
            .and_then(|()| b_file.read_exact_at(&mut right[..len], at));
        if read.is_err() || left[..len] != right[..len] {
            return false;
        }
        at += len as u64;
    }
    true
}

/// The first of several claims as an error, with the count of the others.
pub(super) fn report(claims: Vec<Claim>, parts: &[Part]) -> Result<(), TreeError> {
    let more = claims.len().saturating_sub(1);
    let Some(claim) = claims.into_iter().next() else {
        return Ok(());
    };
    let path = claim.path.strip_prefix(b"/").unwrap_or(&claim.path);
    let host = |part: u32| match parts.get(part as usize) {
        Some(part) => part.host_of(path),
        None => PathBuf::from("a link made by plywood"),
    };
    let place = format!("/{}", path.escape_ascii());
    Err(TreeError::Conflict {
        place,
        first: host(claim.first),
        second: host(claim.second),
        more,
    })
}
