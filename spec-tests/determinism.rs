//! Promise 5: the same input gives the same bytes, whatever the machine, user, threads or file system.

use std::path::Path;
use std::process::Command;

use crate::kit::{Case, Tree};

const CODECS: [&str; 3] = ["none", "gzip", "zstd"];

/// Bytes that compress a little: many pieces of a layer, all different.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&(state & 0x0f0f_0f0f_ffff_ffff).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A tree with all that could vary: several pieces, many small files, links, odd modes and times.
fn tree() -> Tree {
    let tree = Tree::new()
        .file("big", noise(9 << 20))
        .file("bin/tool", "#!/bin/sh\n")
        .mode("bin/tool", 0o755)
        .hardlink("bin/again", "bin/tool")
        .symlink("lib", "usr/lib")
        .file("usr/lib/empty", "")
        .dir("var/empty")
        .mode("var/empty", 0o1777)
        .fifo("run/pipe");
    (0..200).rev().fold(tree, |tree, i| {
        tree.file(format!("many/{i:03}/f"), format!("{i}"))
    })
}

fn digest_of(case: &Case) -> String {
    let digest = case.success().digest();
    assert!(digest.starts_with("sha256:"), "{digest}");
    digest
}

fn build(codec: &str, input: &Path) -> Case {
    Case::build(["-o", "oci:out", "--compression", codec]).arg(input)
}

#[test]
fn threads_and_surroundings_do_not_matter() {
    let tree = tree();
    for codec in CODECS {
        let plain = digest_of(&build(codec, tree.path()));
        for jobs in ["1", "2", "7"] {
            assert_eq!(
                digest_of(&build(codec, tree.path()).args(["-j", jobs])),
                plain,
                "{codec} -j {jobs}"
            );
        }
        let surroundings = [
            build(codec, tree.path()).umask(0o077),
            build(codec, tree.path()).umask(0o000),
            build(codec, tree.path()).env("TZ", "Asia/Kathmandu"),
            build(codec, tree.path())
                .env("LANG", "tr_TR.UTF-8")
                .env("LC_ALL", "tr_TR.UTF-8"),
            build(codec, tree.path())
                .env("HOME", "/nonexistent")
                .env("TMPDIR", "/dev/shm"),
        ];
        for case in surroundings {
            assert_eq!(digest_of(&case), plain, "{codec}");
        }
        let out = Tree::new();
        let out = format!("oci:{}", out.at("x").display());
        let inside = Case::build([".", "-o", &out, "--compression", codec]).cwd(tree.path());
        assert_eq!(digest_of(&inside), plain, "{codec} from inside");
    }
}

#[test]
fn a_copy_on_another_file_system_is_the_same() {
    let tree = tree();
    let copy = Tree::within(Path::new("/dev/shm"));
    let done = Command::new("cp")
        .arg("-a")
        .arg(tree.at("."))
        .arg(copy.path())
        .status()
        .unwrap();
    assert!(done.success());
    for keep in [&[][..], &["--mtime", "keep", "--owner", "keep"]] {
        let here = digest_of(&build("zstd", tree.path()).args(keep));
        assert_eq!(
            digest_of(&build("zstd", copy.path()).args(keep)),
            here,
            "{keep:?}"
        );
    }
}

#[test]
fn holes_are_zeros() {
    let zeros = Tree::new().file("f", vec![0; 6 << 20]);
    let holes = Tree::new().sparse("f", 6 << 20);
    for codec in CODECS {
        assert_eq!(
            digest_of(&build(codec, zeros.path())),
            digest_of(&build(codec, holes.path())),
            "{codec}"
        );
    }
}

#[test]
fn times_of_the_source_do_not_matter() {
    let early = Tree::new().file("a/f", "x").mtime("a/f", 1).mtime("a", 2);
    let late = Tree::new()
        .file("a/f", "x")
        .mtime("a/f", 2_000_000_000)
        .mtime("a", 3);
    assert_eq!(
        digest_of(&build("none", early.path())),
        digest_of(&build("none", late.path()))
    );
}

#[test]
fn order_of_inputs_does_not_matter() {
    let (one, two) = (Tree::new().file("a", "1"), Tree::new().file("b", "2"));
    let of = |inputs: [&Tree; 2]| {
        let inputs =
            inputs.map(|tree| format!("{}:/opt/{}", tree.path().display(), tree.at("a").exists()));
        digest_of(&Case::build(["-o", "oci:out"]).args(inputs))
    };
    assert_eq!(of([&one, &two]), of([&two, &one]));
}

#[test]
fn every_output_of_one_run_has_the_same_digest() {
    let tree = tree();
    let case = Case::build([
        "-t",
        "app:1",
        "-o",
        "oci:dir",
        "-o",
        "oci-archive:a.tar",
        "-o",
        "oci:again",
    ]);
    let digest = digest_of(&case.clone().arg(tree.path()));
    for place in ["dir", "again"] {
        let index = std::fs::read_to_string(case.at(place).join("index.json")).unwrap();
        assert!(index.contains(&digest), "{place}");
    }
    assert_eq!(digest_of(&build("zstd", tree.path())), digest);
}

/// A change here is a change of format: everybody downloads everything again. Say so in CHANGELOG.md.
#[test]
fn golden_digests() {
    let tree = Tree::new()
        .file("bin/hello", "#!/bin/sh\necho hello\n")
        .mode("bin/hello", 0o755)
        .mode("bin", 0o755)
        .symlink("bin/hi", "hello")
        .file("usr/share/text", "plywood ".repeat(1 << 20))
        .mode("usr", 0o755)
        .mode("usr/share", 0o755)
        .mode("usr/share/text", 0o644);
    let say = [
        "--platform",
        "linux/amd64",
        "--cmd",
        "/bin/hello",
        "-e",
        "A=b",
    ];
    let made = CODECS.map(|codec| (codec, digest_of(&build(codec, tree.path()).args(say))));
    let made = made
        .each_ref()
        .map(|(codec, digest)| (*codec, digest.as_str()));
    assert_eq!(made, GOLDEN);
}

const GOLDEN: [(&str, &str); 3] = [
    (
        "none",
        "sha256:38b7ae18cc1dc3e16b09bb0370f97305386b6ad4e02cbb82ec41eb9f165b7c1f",
    ),
    (
        "gzip",
        "sha256:511a20b72c0ef88fe1fc62169612b4a457d25614d203d0150c8752987ce7390e",
    ),
    (
        "zstd",
        "sha256:b31911052ec80841af1294d54c4bc45b11eea9bfc2916120902057a245c9dcb4",
    ),
];
