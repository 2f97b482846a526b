//! Bytes → a walked tree.

use std::io::Read;

use blake3::Hasher;

use super::{MAGIC, NODE, Recorded};
use crate::tree::memory::{Identity, Settled};
use crate::tree::node::{Dir, Node, Span, Tag};
use crate::tree::scan::Devices;
use crate::tree::walk::{Top, Walked};
use crate::tree::{PATH_LIMIT, TreePath, Xattrs};

/// Reads what [`write`](super::write) wrote, as part `part` of a listing with these devices.
///
/// `None` if it is cut, damaged, of another version, or could not be what a walk finds.
pub(in crate::tree) fn read(
    input: &mut dyn Read,
    part: u32,
    devices: &Devices,
) -> Option<Recorded> {
    let mut eye = Eye {
        input,
        hasher: Hasher::new(),
        chunk: Vec::new(),
    };
    let mut magic = [0; MAGIC.len()];
    eye.fill(&mut magic)?;
    if magic != *MAGIC {
        return None;
    }
    let known = eye.devices(devices)?;
    let top = eye.top(&known)?;
    let loose = eye.count()?;
    let mut warnings = Vec::new();
    for _ in 0..eye.count()? {
        warnings.push(String::from_utf8(eye.text()?).ok()?);
    }
    let mut dirs = Vec::new();
    for _ in 0..eye.count()? {
        dirs.push(eye.dir(part, &known)?);
    }
    let identity = Identity::finish(eye.hasher.clone());
    let settled = Settled::from_nanos(i64::from_le_bytes(eye.array()?));
    let sum = eye.hasher.clone().finalize();
    if eye.array()? != *sum.as_bytes() || !hangs_together(&dirs, loose) {
        return None;
    }
    Some(Recorded {
        walked: Walked {
            dirs,
            loose: (0..loose).collect(),
            warnings,
            top,
            identity: None,
        },
        settled,
        identity,
    })
}

/// Whether every directory but the loose ones, which come first, hangs on exactly one node,
/// in a directory before it.
fn hangs_together(dirs: &[Dir], loose: u32) -> bool {
    let mut next = loose as usize;
    for (at, dir) in dirs.iter().enumerate() {
        for node in dir.children.iter().filter(|node| node.tag == Tag::Dir) {
            if node.data as usize != next || next <= at {
                return false;
            }
            next += 1;
        }
    }
    next == dirs.len()
}

struct Eye<'i> {
    input: &'i mut dyn Read,
    hasher: Hasher,
    chunk: Vec<u8>,
}

impl Eye<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Option<()> {
        self.input.read_exact(bytes).ok()?;
        self.hasher.update(bytes);
        Some(())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Some(bytes)
    }

    fn count(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    /// A text of any length, read piece by piece: its length may be a lie.
    fn text(&mut self) -> Option<Vec<u8>> {
        let mut left = self.count()? as usize;
        let mut text = Vec::new();
        while left > 0 {
            let from = text.len();
            text.resize(from + left.min(1 << 20), 0);
            self.fill(&mut text[from..])?;
            left -= text.len() - from;
        }
        Some(text)
    }

    fn devices(&mut self, devices: &Devices) -> Option<Vec<u16>> {
        let mut known = Vec::new();
        for _ in 0..self.count()? {
            let number = (self.count()?, self.count()?);
            known.push(devices.index(number));
            if known.len() > usize::from(u16::MAX) {
                return None;
            }
        }
        Some(known)
    }

    /// Twice `Option`: one is whether it could be read.
    #[allow(clippy::option_option)]
    fn top(&mut self, known: &[u16]) -> Option<Option<Top>> {
        match self.array()? {
            [0] => Some(None),
            [1] => {
                let dev = u16::from_le_bytes(self.array()?);
                Some(Some(Top {
                    dev: *known.get(usize::from(dev))?,
                    ino: u64::from_le_bytes(self.array()?),
                    changed: i64::from_le_bytes(self.array()?),
                }))
            }
            _ => None,
        }
    }

    fn dir(&mut self, part: u32, known: &[u16]) -> Option<Dir> {
        let path = self.text()?;
        if path.len() > PATH_LIMIT {
            return None;
        }
        let mut dir = Dir {
            path: TreePath::new(path).ok()?,
            names: self.text()?,
            ..Dir::default()
        };
        self.children(&mut dir, part, known)?;
        for _ in 0..self.count()? {
            let xattrs = self.xattrs()?;
            dir.xattrs.push(xattrs);
        }
        let fits = |span: Span| span.at as usize + usize::from(span.len) <= dir.names.len();
        let sound = |node: &Node| {
            fits(node.name)
                && (node.tag != Tag::Symlink || fits(Span::unpack(node.data)))
                && node.xattrs as usize <= dir.xattrs.len()
        };
        dir.children.iter().all(sound).then_some(dir)
    }

    fn children(&mut self, dir: &mut Dir, part: u32, known: &[u16]) -> Option<()> {
        let mut left = self.count()? as usize;
        dir.children.reserve_exact(left.min(1 << 16));
        while left > 0 {
            let now = left.min(1 << 12);
            let mut chunk = std::mem::take(&mut self.chunk);
            chunk.resize(now * NODE, 0);
            self.fill(&mut chunk)?;
            for bytes in chunk.chunks_exact(NODE) {
                dir.children.push(decode(bytes, part, known)?);
            }
            self.chunk = chunk;
            left -= now;
        }
        Some(())
    }

    fn xattrs(&mut self) -> Option<Xattrs> {
        let mut xattrs = Xattrs::new();
        for _ in 0..self.count()? {
            xattrs.insert(self.text()?, self.text()?);
        }
        Some(xattrs)
    }
}

fn decode(mut bytes: &[u8], part: u32, known: &[u16]) -> Option<Node> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (first, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*first)
    }
    let from = &mut bytes;
    let data = u64::from_le_bytes(take(from)?);
    let secs = i64::from_le_bytes(take(from)?);
    let changed = i64::from_le_bytes(take(from)?);
    let ino = u64::from_le_bytes(take(from)?);
    let at = u32::from_le_bytes(take(from)?);
    let nanos = u32::from_le_bytes(take(from)?);
    let uid = u32::from_le_bytes(take(from)?);
    let gid = u32::from_le_bytes(take(from)?);
    let xattrs = u32::from_le_bytes(take(from)?);
    let len = u16::from_le_bytes(take(from)?);
    let mode = u16::from_le_bytes(take(from)?);
    let dev = u16::from_le_bytes(take(from)?);
    let [tag, linked] = take(from)?;
    Some(Node {
        data,
        secs,
        changed,
        ino,
        name: Span { at, len },
        nanos,
        uid,
        gid,
        xattrs,
        part,
        mode,
        dev: *known.get(usize::from(dev))?,
        tag: Tag::from_number(tag)?,
        linked: linked == 1,
    })
}
