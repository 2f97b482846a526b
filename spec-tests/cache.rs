//! A rebuild costs what changed, and a cache is never believed when in doubt.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::kit::{Case, Tree};

/// Three directories, of which each becomes a layer of its own.
fn tree() -> Tree {
    let tree = Tree::new();
    let tree = (0..40).fold(tree, |tree, i| {
        tree.file(format!("a/{i}"), format!("a {i}"))
            .file(format!("b/{i}"), format!("b {i}"))
    });
    let tree = tree
        .file("c/big", vec![7; 3 << 20])
        .file("c/attributed", "x");
    // Files that changed this instant are not believed: these look older.
    std::thread::sleep(std::time::Duration::from_millis(250));
    tree
}

fn build(tree: &Tree, cache: &Path, out: &str) -> Case {
    let mount = |name: &str| format!("{}:/{name}", tree.at(name).display());
    Case::build(["-o", out, "--metadata-file", "facts.json", "--cache"])
        .arg(cache)
        .args(["a", "b", "c"].map(mount))
}

fn known(case: &Case) -> usize {
    case.cached().into_iter().filter(|known| *known).count()
}

/// Every file below a directory.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn nothing_changed_means_nothing_is_made() {
    let (tree, cache) = (tree(), Tree::new());
    let case = build(&tree, cache.path(), "oci:out");
    let first = case.success().digest();
    assert_eq!(case.cached(), [false; 3]);
    assert_eq!(case.success().digest(), first);
    assert_eq!(case.cached(), [true; 3]);
    fs::remove_dir_all(case.at("out")).unwrap();
    assert_eq!(case.success().digest(), first, "with the output gone");
    assert_eq!(case.cached(), [true; 3]);
    let without = build(&tree, cache.path(), "oci:other");
    assert_eq!(
        without
            .arg("--compression")
            .arg("zstd:3")
            .success()
            .digest(),
        first
    );
}

#[test]
fn no_source_byte_is_read_again() {
    let (tree, cache) = (tree(), Tree::new());
    let case = build(&tree, cache.path(), "oci:out");
    case.success();
    let Some(trace) = case.traced("open,openat,openat2") else {
        return;
    };
    let opened = trace
        .lines()
        .filter(|line| line.contains("openat2(") && !line.contains("O_DIRECTORY"));
    assert_eq!(opened.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn one_change_costs_one_layer() {
    let (tree, cache) = (tree(), Tree::new());
    let case = build(&tree, cache.path(), "oci:out");
    let first = case.success().digest();
    fs::write(tree.at("b/7"), "c 7").unwrap();
    let second = case.success().digest();
    assert_ne!(first, second);
    assert_eq!(known(&case), 2);
    let anew = Case::build(["-o", "oci:out", "--no-cache"]);
    let mount = |name: &str| format!("{}:/{name}", tree.at(name).display());
    assert_eq!(
        anew.args(["a", "b", "c"].map(mount)).success().digest(),
        second
    );
}

#[test]
fn every_kind_of_change_is_seen() {
    let (tree, cache) = (tree(), Tree::new());
    let case = build(&tree, cache.path(), "oci:out");
    case.success();
    let mut seen = vec![case.success().digest()];
    let changes: [&dyn Fn(); 6] = [
        &|| fs::set_permissions(tree.at("a/1"), Permissions::from_mode(0o755)).unwrap(),
        &|| fs::write(tree.at("a/new"), "").unwrap(),
        &|| fs::remove_file(tree.at("a/new")).unwrap(),
        &|| fs::rename(tree.at("a/2"), tree.at("a/two")).unwrap(),
        &|| {
            // Same size and the old time of modification: only the time of change tells.
            let file = tree.at("c/attributed");
            let before = fs::metadata(&file).unwrap().modified().unwrap();
            fs::write(&file, "y").unwrap();
            fs::File::options()
                .write(true)
                .open(&file)
                .unwrap()
                .set_modified(before)
                .unwrap();
        },
        &|| {
            tree.xattr("c/attributed", "user.note", b"kept");
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        change();
        std::thread::sleep(std::time::Duration::from_millis(250));
        let digest = case.success().digest();
        let fresh = Case::build(["-o", "oci:out", "--no-cache"]);
        let mount = |name: &str| format!("{}:/{name}", tree.at(name).display());
        let anew = fresh.args(["a", "b", "c"].map(mount)).success().digest();
        assert_eq!(digest, anew, "change {number}");
        seen.push(digest);
    }
    seen.dedup();
    assert_eq!(seen.len(), 7, "{seen:?}");
}

#[test]
fn a_poisoned_cache_is_not_believed() {
    type Poison<'a> = &'a dyn Fn(&Path);
    let poisons: [(&str, Poison); 5] = [
        ("cut", &|path| {
            fs::write(path, &fs::read(path).unwrap()[..10]).unwrap();
        }),
        ("empty", &|path| fs::write(path, "").unwrap()),
        ("one bit", &|path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("a directory", &|path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("gone", &|path| fs::remove_file(path).unwrap()),
    ];
    let tree = tree();
    for (name, poison) in poisons {
        for part in ["blobs", "layers", "trees"] {
            let cache = Tree::new();
            let case = build(&tree, cache.path(), "oci:out");
            let first = case.success().digest();
            fs::remove_dir_all(case.at("out")).unwrap();
            for path in files(&cache.at(part)) {
                poison(&path);
            }
            assert_eq!(case.success().digest(), first, "{part}: {name}");
        }
    }
}

#[test]
fn a_cache_that_cannot_be_used_is_done_without() {
    let tree = tree();
    let newer = Tree::new()
        .file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)
        .dir("blobs")
        .dir("layers/v99");
    let foreign = Tree::new().file("precious", "x");
    for cache in [
        newer.path(),
        foreign.path(),
        Path::new("/dev/null"),
        Path::new("/proc/nowhere"),
    ] {
        let case = build(&tree, cache, "oci:out");
        case.success().stderr_has("building without the cache");
    }
    assert_eq!(fs::read_dir(foreign.path()).unwrap().count(), 1);
}

#[test]
fn an_archive_is_made_from_the_cache_too() {
    let (tree, cache) = (tree(), Tree::new());
    let case = build(&tree, cache.path(), "oci-archive:out.tar");
    let first = case.success().digest();
    let bytes = fs::read(case.at("out.tar")).unwrap();
    assert_eq!(case.success().digest(), first);
    assert_eq!(known(&case), 3);
    assert!(fs::read(case.at("out.tar")).unwrap() == bytes);
}

#[test]
fn builds_share_a_cache_at_once() {
    let (tree, cache) = (tree(), Tree::new());
    let cases: Vec<_> = (0..6)
        .map(|_| build(&tree, cache.path(), "oci:out"))
        .collect();
    let children: Vec<_> = cases
        .iter()
        .map(|case| case.command().stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let digests: Vec<_> = children
        .into_iter()
        .map(|child| child.wait_with_output().unwrap().stdout)
        .collect();
    assert!(
        digests
            .iter()
            .all(|digest| *digest == digests[0] && !digest.is_empty())
    );
}

#[test]
fn the_cache_is_told_and_emptied() {
    let (tree, cache) = (tree(), Tree::new());
    build(&tree, cache.path(), "oci:out").success();
    let verb = |words: &[&str]| {
        Case::new()
            .arg("cache")
            .args(words)
            .arg("--cache")
            .arg(cache.path())
    };
    let told = verb(&["info", "--json"]).success().json();
    // What was found in each of three, and that nothing splits it.
    assert_eq!((&told["layers"], &told["trees"]), (&3.into(), &6.into()));
    let bytes = told["bytes"].as_u64().unwrap();
    verb(&["prune", "--cache-size", &(bytes - 1).to_string()]).success();
    assert_eq!(verb(&["info", "--json"]).success().json()["layers"], 2);
    verb(&["clear"]).success();
    let told = verb(&["info", "--json"]).success().json();
    assert_eq!(
        (told["layers"].as_u64(), told["bytes"].as_u64()),
        (Some(0), Some(0))
    );
}
