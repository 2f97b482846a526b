//! One layer, in one pass: both digests, the codec, the tar.

use std::io::{self, Read};

use super::entries;
use crate::blob::{Algorithm, Digest, Hasher};
use crate::fault::Fault;
use crate::layer::read::{LayerPaths, decompress, fault_of, tar_limit};

/// What a layer's bytes say.
pub(super) struct LayerReport {
    /// Digest of the bytes as stored.
    pub digest: Digest,
    /// Digests of the tar, one an algorithm asked for; none if it could not be decoded.
    pub diff_ids: Vec<Digest>,
    pub faults: Vec<Fault>,
    pub paths: LayerPaths,
}

/// Reads a layer to its end.
pub(super) fn read(
    reader: impl Read,
    algorithm: Algorithm,
    media_type: &str,
    size: u64,
    diff_algorithms: &[Algorithm],
) -> io::Result<LayerReport> {
    let mut stored = Hashing::new(reader, &[algorithm]);
    let mut decoder = decompress(media_type, &mut stored, tar_limit(size));
    let mut tar = Hashing::new(&mut decoder, diff_algorithms);
    let (mut faults, paths, stopped) = entries::read_all(&mut tar);
    if let Some(error) = stopped {
        return Err(error);
    }
    // The digests cover what comes after the tar, too, and after what ended its reading.
    let mut whole = !faults.iter().any(is_codec_fault);
    if whole {
        match ends_within(&mut tar, REST_LIMIT) {
            Ok(ended) => whole = ended,
            Err(error) => {
                whole = false;
                faults.push(fault_of(&error).cloned().ok_or(error)?);
            }
        }
    }
    let diff_ids = tar.finish();
    faults.extend(decoder.take_faults());
    drop(decoder);
    io::copy(&mut stored, &mut io::sink())?;
    let digest = stored.finish().swap_remove(0);
    Ok(LayerReport {
        digest,
        diff_ids: if whole { diff_ids } else { Vec::new() },
        faults,
        paths,
    })
}

/// More than this after what ended a tar is not unpacked: a fault has been found already, and
/// the rest may have been made to exhaust its reader.
const REST_LIMIT: u64 = 256 << 20;

/// Reads to the end, which must come soon; whether it came.
fn ends_within(reader: &mut impl Read, limit: u64) -> io::Result<bool> {
    io::copy(&mut reader.take(limit + 1), &mut io::sink()).map(|count| count <= limit)
}

/// Rules about compression: after these there is no tar to go on with.
fn is_codec_fault(fault: &Fault) -> bool {
    (80..=82).contains(&fault.rule)
}

/// Reads, and hashes what was read.
pub(super) struct Hashing<R> {
    inner: R,
    hashers: Vec<Hasher>,
}

impl<R: Read> Hashing<R> {
    pub fn new(inner: R, algorithms: &[Algorithm]) -> Self {
        let hashers = algorithms.iter().map(|&algorithm| Hasher::new(algorithm));
        let hashers = hashers.collect();
        Self { inner, hashers }
    }

    pub fn finish(self) -> Vec<Digest> {
        self.hashers.into_iter().map(Hasher::finish).collect()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        self.hashers
            .iter_mut()
            .for_each(|hasher| hasher.update(bytes));
        Ok(count)
    }
}
