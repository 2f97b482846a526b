//! A walked tree as bytes, and back: what is remembered of it from run to run.
//!
//! Fixed little-endian fields, directories numbered from the top down, devices by first use:
//! equal findings are equal bytes, and their hash is the tree's [`Identity`]. A hash over all
//! of it stands at the end, so that half a record, or one that was damaged, is none.

mod read;

use std::collections::HashMap;
use std::io::{self, Write};

use blake3::Hasher;

use super::memory::{Identity, Settled};
use super::node::{Dir, Node, Span, Tag};
use super::scan::Devices;
use super::walk::{Top, Walked};

pub(super) use read::read;

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
        hasher: Hasher::new(),
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
    pen.out.write_all(sum.as_bytes())?;
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
    hasher: Hasher,
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
