//! A walked tree as bytes, and back: what is remembered of it from run to run.
//!
//! Fixed little-endian fields, directories numbered from the top down, devices by first use:
//! equal findings are equal bytes, and their hash is the tree's [`Identity`]. A hash over all
//! of it stands at the end, so that half a record, or one that was damaged, is none.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use super::memory::{Identity, Settled};
use super::node::{Dir, Node, Span, Tag};
use super::scan::Devices;
use super::walk::{Top, Walked};
use super::{PATH_LIMIT, TreePath, Xattrs};

const MAGIC: &[u8; 16] = b"plywood tree 1\n\0";

/// Bytes of one node.
const NODE: usize = 60;

/// What was found by an earlier run.
pub(super) struct Recorded {
    pub walked: Walked,
    /// Which of its changes were over then.
    pub settled: Settled,
    pub identity: Identity,
}

/// Writes what a walk found, and tells its identity.
pub(super) fn write(
    walked: &Walked,
    devices: &Devices,
    settled: Settled,
    out: &mut dyn Write,
) -> io::Result<Identity> {
    let mut pen = Pen {
        out,
        hasher: Sha256::new(),
    };
    let ranks = Ranks::of(walked);
    pen.put(MAGIC)?;
    let mut numbers = Numbers::default();
    numbers.add(walked.top.map(|top| top.dev));
    let nodes = ranks.dirs(walked).flat_map(|dir| &dir.children);
    numbers.add(nodes.map(|node| node.dev));
    pen.devices(&numbers, devices)?;
    pen.top(walked.top, &numbers)?;
    pen.count(walked.loose.len())?;
    pen.count(walked.warnings.len())?;
    for text in &walked.warnings {
        pen.text(text.as_bytes())?;
    }
    pen.count(ranks.order.len())?;
    for dir in ranks.dirs(walked) {
        pen.dir(dir, &ranks, &numbers)?;
    }
    // When it was looked at is no part of what was found.
    let identity = Identity::finish(pen.hasher.clone());
    pen.put(&settled.nanos().to_le_bytes())?;
    let sum = pen.hasher.finalize();
    pen.out.write_all(&sum)?;
    Ok(identity)
}

/// Numbers of directories as they will be written: the loose ones first, then from the top
/// down. Those that hang on nothing are left out.
struct Ranks {
    order: Vec<u32>,
    rank: Vec<u32>,
}

impl Ranks {
    fn of(walked: &Walked) -> Self {
        let mut order = walked.loose.clone();
        let mut rank = vec![0; walked.dirs.len()];
        let mut at = 0;
        while let Some(&number) = order.get(at) {
            rank[number as usize] = at as u32;
            at += 1;
            let nodes = walked.dirs[number as usize].children.iter();
            let dirs = nodes.filter(|node| node.tag == Tag::Dir);
            order.extend(dirs.map(|node| node.data as u32));
        }
        Self { order, rank }
    }

    fn dirs<'w>(&self, walked: &'w Walked) -> impl Iterator<Item = &'w Dir> {
        self.order.iter().map(|at| &walked.dirs[*at as usize])
    }
}

/// Devices by first use.
#[derive(Default)]
struct Numbers {
    known: HashMap<u16, u16>,
    order: Vec<u16>,
}

impl Numbers {
    fn add(&mut self, devices: impl IntoIterator<Item = u16>) {
        let mut last = None;
        for device in devices {
            if last != Some(device) {
                last = Some(device);
                self.known.entry(device).or_insert_with(|| {
                    self.order.push(device);
                    self.order.len() as u16 - 1
                });
            }
        }
    }

    fn of(&self, device: u16) -> u16 {
        self.known.get(&device).copied().unwrap_or(0)
    }
}

struct Pen<'o> {
    out: &'o mut dyn Write,
    hasher: Sha256,
}

impl Pen<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }

    fn count(&mut self, count: usize) -> io::Result<()> {
        self.put(&(count as u32).to_le_bytes())
    }

    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.count(text.len())?;
        self.put(text)
    }

    fn devices(&mut self, numbers: &Numbers, devices: &Devices) -> io::Result<()> {
        self.count(numbers.order.len())?;
        for device in &numbers.order {
            let (major, minor) = devices.number(*device);
            self.count(major as usize)?;
            self.count(minor as usize)?;
        }
        Ok(())
    }

    fn top(&mut self, top: Option<Top>, numbers: &Numbers) -> io::Result<()> {
        let Some(top) = top else {
            return self.put(&[0]);
        };
        self.put(&[1])?;
        self.put(&numbers.of(top.dev).to_le_bytes())?;
        self.put(&top.ino.to_le_bytes())?;
        self.put(&top.changed.to_le_bytes())
    }

    fn dir(&mut self, dir: &Dir, ranks: &Ranks, numbers: &Numbers) -> io::Result<()> {
        self.text(dir.path.as_bytes())?;
        self.text(&dir.names)?;
        self.count(dir.children.len())?;
        let mut bytes = Vec::with_capacity(dir.children.len().min(1 << 12) * NODE);
        // A million in one directory must not stand in memory twice.
        for nodes in dir.children.chunks(1 << 12) {
            bytes.clear();
            nodes
                .iter()
                .for_each(|node| encode(node, ranks, numbers, &mut bytes));
            self.put(&bytes)?;
        }
        self.count(dir.xattrs.len())?;
        for xattrs in &dir.xattrs {
            self.count(xattrs.len())?;
            for (name, value) in xattrs {
                self.text(name)?;
                self.text(value)?;
            }
        }
        Ok(())
    }
}

fn encode(node: &Node, ranks: &Ranks, numbers: &Numbers, out: &mut Vec<u8>) {
    let data = match node.tag {
        Tag::Dir => u64::from(ranks.rank[node.data as usize]),
        _ => node.data,
    };
    let Span { at, len } = node.name;
    out.extend_from_slice(&data.to_le_bytes());
    out.extend_from_slice(&node.secs.to_le_bytes());
    out.extend_from_slice(&node.changed.to_le_bytes());
    out.extend_from_slice(&node.ino.to_le_bytes());
    for number in [at, node.nanos, node.uid, node.gid, node.xattrs] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in [len, node.mode, numbers.of(node.dev)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&[node.tag as u8, u8::from(node.linked)]);
}

/// Reads what [`write`] wrote, as part `part` of a listing with these devices.
///
/// `None` if it is cut, damaged, of another version, or could not be what a walk finds.
pub(super) fn read(input: &mut dyn Read, part: u32, devices: &Devices) -> Option<Recorded> {
    let mut eye = Eye {
        input,
        hasher: Sha256::new(),
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
    if eye.array::<32>()? != *sum || !hangs_together(&dirs, loose) {
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
    hasher: Sha256,
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
