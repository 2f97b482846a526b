//! What single rooms cost: the tar encoder, the count of popularity, canonical JSON.
//!
//!     cargo bench --bench parts
//!
//! Whole builds are measured by scripts/bench.
#![allow(clippy::unwrap_used, missing_docs)]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use serde_json::{Value, json};

use plywood::graph::{Graph, NodeSpec};
use plywood::image::{canonical, parse_strict};
use plywood::layer::tar;
use plywood::rank::popularity;
use plywood::tree::{Entry, Kind, Meta, Mtime, TreePath, Xattrs};

fn main() {
    divan::main();
}

fn entry(path: &str) -> Entry {
    Entry {
        path: TreePath::new(path).unwrap(),
        kind: Kind::File { size: 4711 },
        meta: Meta {
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Mtime { secs: 1, nanos: 0 },
        },
        xattrs: Xattrs::new(),
    }
}

/// A header that fits ustar.
#[divan::bench]
fn tar_header(bencher: Bencher) {
    let entry = entry("usr/share/doc/some-package/examples/readme.txt");
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench(|| tar::header(black_box(&entry)));
}

/// A header that needs PAX records: a long name and an attribute.
#[divan::bench]
fn tar_header_with_pax(bencher: Bencher) {
    let mut entry = entry(&"directory-of-some-length/".repeat(12).replace("//", "/")[..299]);
    let capability = (b"security.capability".to_vec(), vec![1; 20]);
    entry.xattrs.extend([capability]);
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench(|| tar::header(black_box(&entry)));
}

/// Each path refers to ten of those before it, by a fixed rule that looks random.
fn graph(paths: u64) -> Graph {
    let name = |n: u64| format!("/nix/store/{n:032}-package-{n}");
    let mut state = 1_u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below.max(1)
    };
    let spec = |n: u64| NodeSpec {
        path: name(n),
        references: (0..10.min(n)).map(|_| name(next(n))).collect(),
    };
    Graph::new((0..paths).map(spec).collect()).unwrap()
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 10)]
fn popularity_of_paths(bencher: Bencher, paths: u64) {
    let graph = graph(paths);
    bencher
        .counter(ItemsCount::new(paths))
        .bench_local(|| popularity(black_box(&graph)));
}

/// The configuration of an image with many layers and labels.
fn config() -> Value {
    let history =
        (0..100).map(|n| json!({"created_by": format!("layer {n}"), "comment": "ünïcode"}));
    let labels = (0..100).map(|n| {
        (
            format!("org.example.label-{n}"),
            json!("value\twith escapes\n"),
        )
    });
    json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": labels.collect::<serde_json::Map<_, _>>(), "Env": ["PATH=/bin"]},
        "history": history.collect::<Vec<_>>(),
    })
}

#[divan::bench]
fn canonical_json(bencher: Bencher) {
    let value = config();
    bencher
        .counter(BytesCount::new(canonical(&value).len()))
        .bench(|| canonical(black_box(&value)));
}

#[divan::bench]
fn strict_json(bencher: Bencher) {
    let bytes = canonical(&config());
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench(|| parse_strict(black_box(&bytes)).unwrap());
}
