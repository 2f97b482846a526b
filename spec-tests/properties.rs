//! Properties of reading and writing: what is written reads back the same, and no input panics.

use std::collections::BTreeMap;

use plywood::image::{ImageConfig, Index, Manifest, canonical, parse_strict};
use plywood::layer::read::{Audit, RawEntry, TarReader, decompress};
use plywood::layer::tar;
use plywood::tree::{Device, Entry, Kind, Meta, Mtime, TreePath};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;

use crate::images::descriptions;

fn json() -> impl Strategy<Value = Value> {
    let text = "[a-c\"\\\\\u{0}-\u{20}é\u{1f600}\u{fb33}]{0,6}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-9e15..9e15f64).prop_map(Value::from),
        (-1e-3..1e-3f64).prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(text, inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn bytes(text: &'static str, length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    let from: Vec<u8> = text.bytes().chain([0xff, 0xc3, 0x0a]).collect();
    vec(proptest::sample::select(from), length)
}

fn path() -> impl Strategy<Value = TreePath> {
    let parts = vec(bytes("ab.-_ =", 1..130), 1..9);
    let path = parts.prop_filter_map("normal", |parts| TreePath::new(parts.join(&b'/')).ok());
    path.prop_filter("no whiteout", |path| !path.name().starts_with(b".wh."))
}

fn entry() -> impl Strategy<Value = Entry> {
    let size = prop_oneof![0..5000_u64, Just(1 << 33), Just((1 << 33) - 1)];
    let device =
        || (1..4096_u32, 0..1_u32 << 20).prop_map(|(major, minor)| Device { major, minor });
    let kind = prop_oneof![
        Just(Kind::Dir),
        size.prop_map(|size| Kind::File { size }),
        bytes("ab/.", 1..300).prop_map(|target| Kind::Symlink { target }),
        path().prop_map(|target| Kind::HardLink { target }),
        device().prop_map(Kind::Char),
        device().prop_map(Kind::Block),
        Just(Kind::Fifo),
    ];
    let time = (
        prop_oneof![0..10_i64, -9..9_i64, any::<i32>().prop_map(i64::from)],
        0..1_000_000_000_u32,
        any::<bool>(),
    );
    let mtime = time.prop_map(|(secs, nanos, whole)| Mtime {
        secs,
        nanos: if whole { 0 } else { nanos },
    });
    let meta = (0..0o10000_u32, any::<u32>(), 0..3_000_000_u32, mtime);
    let meta = meta.prop_map(|(mode, uid, gid, mtime)| Meta {
        mode,
        uid,
        gid,
        mtime,
    });
    let xattrs = btree_map("user\\.[a-z]{1,9}", vec(any::<u8>(), 1..40), 0..3);
    let xattrs = xattrs.prop_map(|map| -> BTreeMap<_, _> {
        map.into_iter()
            .map(|(name, value)| (name.into_bytes(), value))
            .collect()
    });
    (path(), kind, meta, xattrs).prop_map(|(path, kind, meta, xattrs)| Entry {
        path,
        kind,
        meta,
        xattrs,
    })
}

/// Reads everything there is; what it says does not matter.
fn drain(archive: &[u8]) {
    let mut reader = TarReader::new(archive);
    let mut audit = Audit::default();
    while let Ok(Some(entry)) = reader.next_entry() {
        audit.entry(&entry);
        entry.to_entry();
    }
    audit.finish();
    reader.take_faults();
}

/// All archives of the described images: the seeds that are bent.
fn seeds() -> Vec<Vec<u8>> {
    let cases = [descriptions("bad"), descriptions("good")].concat();
    let layers = cases
        .into_iter()
        .flat_map(|case| case.layers.unwrap_or_default());
    layers
        .filter_map(|layer| Some(crate::tarball::archive(&layer.tar?)))
        .collect()
}

proptest! {
    #[test]
    fn canonical_json_reads_back(value in json()) {
        let written = canonical(&value);
        let read = parse_strict(&written).unwrap();
        prop_assert_eq!(canonical(&read), written.clone());
        let others: Value = serde_json::from_slice(&written).unwrap();
        prop_assert_eq!(canonical(&others), written);
    }

    #[test]
    fn strict_reading_accepts_only_what_others_read_alike(
        text in "[\\[\\]{}:,\"a\\\\u0-9. eE+-]{0,24}",
    ) {
        if let Ok(value) = parse_strict(text.as_bytes()) {
            let theirs: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(value, theirs);
        }
    }

    #[test]
    fn documents_of_any_shape_are_answered(value in json(), noise in vec(any::<u8>(), 0..64)) {
        for bytes in [canonical(&value), noise] {
            drop(Manifest::parse(bytes.clone()));
            drop(Index::parse(bytes.clone()));
            drop(ImageConfig::parse(bytes));
        }
    }

    #[test]
    fn entries_read_back_the_same(entry in entry()) {
        let archive = tar::header(&entry);
        let mut reader = TarReader::new(&*archive);
        let raw: RawEntry = reader.next_entry().unwrap().unwrap();
        let faults = reader.take_faults();
        prop_assert!(faults.is_empty(), "{faults:?}");
        prop_assert_eq!(raw.to_entry(), Some(entry));
    }

    #[test]
    fn bent_archives_are_answered(
        pick in any::<proptest::sample::Index>(),
        bends in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<proptest::sample::Index>(),
        checksums in any::<bool>(),
    ) {
        thread_local!(static SEEDS: Vec<Vec<u8>> = seeds());
        let mut archive = SEEDS.with(|seeds| pick.get(seeds).clone());
        for (place, byte) in bends {
            let place = place.index(archive.len());
            archive[place] = byte;
            if checksums {
                mend(&mut archive, place / 512 * 512);
            }
        }
        drain(&archive);
        drain(&archive[..cut.index(archive.len())]);
    }

    #[test]
    fn bent_compressed_bytes_are_answered(
        zstd in any::<bool>(),
        bends in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let plain: Vec<u8> = (0..5000_u32).flat_map(u32::to_le_bytes).collect();
        let (codec, mut bytes) = if zstd {
            ("zstd", zstd::bulk::compress(&plain, 3).unwrap())
        } else {
            use std::io::Write;
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            writer.write_all(&plain).unwrap();
            ("gzip", writer.finish().unwrap())
        };
        for (place, byte) in bends {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let copied = std::io::copy(&mut decompress(codec, &*bytes, 1 << 20), &mut std::io::sink());
        prop_assert!(copied.is_err() || copied.unwrap() <= 1 << 20);
    }
}

/// Makes the checksum of the header at `start` right again.
fn mend(archive: &mut [u8], start: usize) {
    let Some(block) = archive.get_mut(start..start + 512) else {
        return;
    };
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
