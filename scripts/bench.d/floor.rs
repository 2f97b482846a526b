//! What the hardware allows: every file is read once, hashed, and written, on all
//! cores, in no order and without any format. `scripts/bench` holds plywood against it.
//!
//!     floor TREE OUT none|zstd THREADS
//!
//! With zstd the bytes are hashed, compressed at level 3 in pieces of 4 MiB, and
//! hashed again: what an image cannot do without.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

const PIECE: u64 = 4 << 20;

/// A stretch of one file.
struct Stretch {
    path: PathBuf,
    from: u64,
    len: u64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [tree, out, codec, threads] = args.as_slice() else {
        panic!("usage: floor TREE OUT none|zstd THREADS");
    };
    let todo = list(Path::new(tree));
    let next = AtomicUsize::new(0);
    std::fs::create_dir(out).unwrap();
    std::thread::scope(|scope| {
        for number in 0..threads.parse().unwrap() {
            let (todo, next) = (&todo, &next);
            let out = File::create(Path::new(out).join(format!("{number}"))).unwrap();
            scope.spawn(move || Worker::new(out, codec == "zstd").run(todo, next));
        }
    });
}

/// All files, hard links once, large ones in pieces.
fn list(tree: &Path) -> Vec<Stretch> {
    let mut seen = HashSet::new();
    let mut todo = Vec::new();
    for entry in walkdir::WalkDir::new(tree).sort_by_file_name() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        if !meta.is_file() || meta.nlink() > 1 && !seen.insert((meta.dev(), meta.ino())) {
            continue;
        }
        for from in (0..meta.len()).step_by(PIECE as usize) {
            let len = (meta.len() - from).min(PIECE);
            let path = entry.path().to_owned();
            todo.push(Stretch { path, from, len });
        }
    }
    todo
}

struct Worker {
    out: File,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    hash: Sha256,
    hash_packed: Sha256,
    buffer: Vec<u8>,
    room: usize,
}

impl Worker {
    fn new(out: File, zstd: bool) -> Self {
        Self {
            out,
            zstd: zstd.then(|| zstd::bulk::Compressor::new(3).unwrap()),
            hash: Sha256::new(),
            hash_packed: Sha256::new(),
            buffer: Vec::new(),
            // As much as a core's cache holds, unless the compressor wants more.
            room: if zstd { PIECE as usize } else { 256 << 10 },
        }
    }

    fn run(mut self, todo: &[Stretch], next: &AtomicUsize) {
        while let Some(stretch) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut file = File::open(&stretch.path).unwrap();
            if stretch.from > 0 {
                std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(stretch.from)).unwrap();
            }
            let mut left = stretch.len;
            while left > 0 {
                let room = (self.room - self.buffer.len()) as u64;
                let now = left.min(room);
                let at = self.buffer.len();
                self.buffer.resize(at + now as usize, 0);
                file.read_exact(&mut self.buffer[at..]).unwrap();
                left -= now;
                if self.buffer.len() == self.room {
                    self.pass_on();
                }
            }
        }
        self.pass_on();
        let digests = (self.hash.finalize(), self.hash_packed.finalize());
        std::hint::black_box(digests);
    }

    fn pass_on(&mut self) {
        self.hash.update(&self.buffer);
        match &mut self.zstd {
            None => self.out.write_all(&self.buffer).unwrap(),
            Some(zstd) => {
                let packed = zstd.compress(&self.buffer).unwrap();
                self.hash_packed.update(&packed);
                self.out.write_all(&packed).unwrap();
            }
        }
        self.buffer.clear();
    }
}
