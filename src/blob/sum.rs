//! [`Sum`]: a second hash of a blob, to tell quickly that its bytes are still those.
//!
//! A digest can only be computed from the first byte to the last on one core. This one is that
//! of the pieces' hashes (BLAKE3), so that all cores can check it, each several times as fast.
//! It is kept with the record of a blob that was hashed, and never leaves the machine.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::store::COPY_BUFFER;

/// Bytes of a piece.
const PIECE: u64 = 4 << 20;

/// The hash of the hashes of a blob's pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum(blake3::Hash);

impl Sum {
    fn of_pieces(pieces: &[blake3::Hash]) -> Self {
        let mut all = blake3::Hasher::new();
        for piece in pieces {
            all.update(piece.as_bytes());
        }
        Self(all.finalize())
    }

    /// Of a file's first `size` bytes, by several threads if there are many.
    pub(crate) fn of_file(file: &File, size: u64) -> io::Result<Self> {
        const MOST: usize = 4;
        let count = size.div_ceil(PIECE);
        let pieces = Mutex::new(vec![blake3::Hash::from([0; 32]); count as usize]);
        let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
        let work = || -> io::Result<()> {
            let mut buffer = vec![0; COPY_BUFFER];
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count || failed.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let piece = number * PIECE..size.min((number + 1) * PIECE);
                let hash = hash(file, piece, &mut buffer);
                let hash = hash.inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
                let mut pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
                pieces[number as usize] = hash;
            }
        };
        std::thread::scope(|scope| {
            let helpers = MOST.min(count as usize / 2);
            let helpers: Vec<_> = (1..helpers).map(|_| scope.spawn(work)).collect();
            let mine = work();
            let theirs = helpers.into_iter().map(|helper| {
                let panicked = |_| Err(io::Error::other("a thread that hashed has panicked"));
                helper.join().unwrap_or_else(panicked)
            });
            theirs.fold(mine, io::Result::and)
        })?;
        let pieces = pieces.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Self::of_pieces(&pieces))
    }
}

fn hash(file: &File, piece: std::ops::Range<u64>, buffer: &mut [u8]) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut at = piece.start;
    while at < piece.end {
        let now = (piece.end - at).min(buffer.len() as u64) as usize;
        file.read_exact_at(&mut buffer[..now], at)?;
        hasher.update(&buffer[..now]);
        at += now as u64;
    }
    Ok(hasher.finalize())
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl FromStr for Sum {
    type Err = blake3::HexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text).map(Self)
    }
}

/// The same of bytes that come one after another.
#[derive(Default)]
pub(crate) struct Summing {
    pieces: Vec<blake3::Hash>,
    hasher: blake3::Hasher,
}

impl Summing {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (PIECE - self.hasher.count()) as usize;
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.hasher.update(now);
            bytes = rest;
            if self.hasher.count() == PIECE {
                self.end_piece();
            }
        }
    }

    fn end_piece(&mut self) {
        self.pieces.push(self.hasher.finalize());
        self.hasher.reset();
    }

    pub(crate) fn finish(mut self) -> Sum {
        if self.hasher.count() > 0 {
            self.end_piece();
        }
        Sum::of_pieces(&self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_has_the_sum_of_the_bytes_written_to_it() {
        let piece = PIECE as usize;
        for size in [0, 1, piece - 1, piece, piece + 1, 5 * piece + 7] {
            let bytes: Vec<u8> = (0..size).map(|at| (at >> 4) as u8).collect();
            let mut summing = Summing::default();
            bytes
                .chunks(300_001)
                .for_each(|chunk| summing.update(chunk));
            let sum = summing.finish();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            assert_eq!(Sum::of_file(&file, size as u64).unwrap(), sum);
            assert_eq!(sum.to_string().parse::<Sum>().unwrap(), sum);
            if size > 0 {
                let last = size as u64 - 1;
                file.write_all_at(&[!bytes[size - 1]], last).unwrap();
                assert_ne!(Sum::of_file(&file, size as u64).unwrap(), sum, "{size}");
                file.set_len(last).unwrap();
                Sum::of_file(&file, size as u64).unwrap_err();
            }
        }
    }
}
