//! Whatever databases claim, every entry of a tree is in exactly one component.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use proptest::prelude::*;

use super::{Split, SplitRequest, split};
use crate::source::{Closure, Content, DirSource, Source};
use crate::tree::{Exclude, Policy, TreePath};

/// What stands at a path of a made tree.
#[derive(Clone, Debug)]
enum Thing {
    File(usize),
    Dir,
    Link(&'static str),
    HardLink,
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Thing::File),
        1 => Just(Thing::Dir),
        1 => prop_oneof![Just("a"), Just("/b"), Just("../a"), Just("node_modules")].prop_map(Thing::Link),
        1 => Just(Thing::HardLink),
    ]
}

const PARTS: &str =
    r"(a|b|node_modules|x-1\.dist-info|__pycache__|package\.json|RECORD|a\.py|a\.1\.pyc|@s)";

/// Makes the things in their order; what does not fit is left out.
fn make(root: &Path, things: &[(Vec<String>, Thing)]) {
    let mut last = None;
    for (parts, thing) in things {
        let path = parts
            .iter()
            .fold(root.to_path_buf(), |path, part| path.join(part));
        let real = path.parent().is_some_and(|dir| {
            fs::create_dir_all(dir).is_ok()
                && fs::canonicalize(dir).is_ok_and(|dir| dir.starts_with(root))
        });
        if !real || path.symlink_metadata().is_ok() {
            continue;
        }
        // What is read must be what it is meant to be.
        let read = ["package.json", "RECORD"]
            .iter()
            .any(|name| path.ends_with(name));
        let made = match (thing, &last) {
            (Thing::Dir, _) => fs::create_dir(&path),
            (Thing::Link(to), _) => symlink(to, &path),
            (Thing::HardLink, Some(last)) if !read => fs::hard_link(last, &path),
            (Thing::HardLink, _) => continue,
            (Thing::File(size), _) => fs::write(&path, content(&path, *size)),
        };
        made.unwrap();
        if matches!(thing, Thing::File(_)) && !read {
            last = Some(path);
        }
    }
}

fn content(path: &Path, size: usize) -> Vec<u8> {
    let name = path.file_name().unwrap().to_string_lossy();
    match &*name {
        "package.json" => b"{}".to_vec(),
        "RECORD" => b"a.py,,\n../../b,,\na,,\n".to_vec(),
        _ if size == 2 => vec![0; 1 << 20],
        _ => vec![b'x'; size],
    }
}

fn split_at(root: &Path, by: Split) -> Closure {
    let source = DirSource {
        host: root.to_owned(),
        dest: None,
    };
    let closure = source.load().unwrap();
    let request = SplitRequest {
        split: by,
        exclude: &Exclude::default(),
        policy: &Policy::default(),
        threads: 1,
        temporary: root,
        memory: None,
    };
    split(closure, &request).unwrap().0
}

/// How often each path is dealt out.
fn dealt(closure: &Closure) -> BTreeMap<Vec<u8>, usize> {
    let mut counts = BTreeMap::new();
    for component in &closure.components {
        let Content::Members { picked, .. } = &component.content else {
            panic!("not split");
        };
        for path in picked
            .iter()
            .flat_map(|picked| picked.seen.paths().expect("split"))
        {
            *counts.entry(path.as_bytes().to_vec()).or_default() += 1;
        }
    }
    counts
}

/// What must be dealt out: all but directories that something stands in.
fn expected(root: &Path) -> BTreeMap<Vec<u8>, usize> {
    use std::os::unix::ffi::OsStrExt;
    let holds_nothing = |dir: &Path| {
        let below = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
        below.into_iter().all(|entry| entry.file_type().is_dir())
    };
    let all = walkdir::WalkDir::new(root)
        .min_depth(1)
        .into_iter()
        .map(Result::unwrap);
    let own = all.filter(|entry| !entry.file_type().is_dir() || holds_nothing(entry.path()));
    let path = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(root).unwrap();
        path.as_os_str().as_bytes().to_vec()
    };
    own.map(|entry| (path(entry), 1)).collect()
}

/// Which component a path is in.
fn home(closure: &Closure, path: &str) -> Option<String> {
    let holds = |content: &Content| match content {
        Content::Members { picked, .. } => picked
            .iter()
            .any(|picked| picked.seen.contains(&TreePath::new(path).unwrap())),
        _ => false,
    };
    let found = closure
        .components
        .iter()
        .find(|component| holds(&component.content));
    found.map(|component| component.path.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_is_lost_or_doubled(
        things in proptest::collection::vec((proptest::collection::vec(PARTS, 1..5), thing()), 1..30),
        claims in proptest::collection::vec((0..3_usize, proptest::collection::vec(PARTS, 1..4)), 0..20),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let info = root.join("var/lib/dpkg/info");
        fs::create_dir_all(&info).unwrap();
        fs::write(root.join("var/lib/dpkg/status"), "Package: p0\n\nPackage: p1\nDepends: p0\n\nPackage: p2\n").unwrap();
        for package in 0..3 {
            let own = claims.iter().filter(|(owner, _)| *owner == package);
            let list: String = own.map(|(_, parts)| format!("/{}\n", parts.join("/"))).collect();
            fs::write(info.join(format!("p{package}.list")), list).unwrap();
        }
        make(&root, &things);
        let closure = split_at(&root, Split::Auto);
        prop_assert_eq!(dealt(&closure), expected(&root));
        let sizes: u64 = closure.components.iter().filter_map(|c| c.size).sum();
        prop_assert!(sizes > 0);
        prop_assert_eq!(closure.components.iter().filter(|c| c.volatile).count(), 1);
        prop_assert_eq!(&closure.roots, closure.graph.paths());
    }
}

#[test]
fn links_are_followed_within_the_root_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for path in ["var/lib/dpkg/info", "usr/bin", "usr/loop"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    symlink("/usr/bin", root.join("bin")).unwrap();
    symlink("../../../bin", root.join("usr/up")).unwrap();
    symlink("b", root.join("usr/loop/a")).unwrap();
    symlink("a", root.join("usr/loop/b")).unwrap();
    for name in ["one", "two", "three"] {
        fs::write(root.join("usr/bin").join(name), "x").unwrap();
    }
    fs::write(root.join("var/lib/dpkg/status"), "Package: p\n").unwrap();
    let list = "/bin/one\n/usr/up/two\n/usr/loop/a/x\n";
    fs::write(root.join("var/lib/dpkg/info/p.list"), list).unwrap();
    let closure = split_at(&root, Split::Auto);
    for (path, expected) in [
        ("usr/bin/one", "dpkg:p"),
        ("usr/bin/two", "dpkg:p"),
        ("usr/bin/three", "unowned:/"),
    ] {
        assert_eq!(home(&closure, path).as_deref(), Some(expected), "{path}");
    }
}

/// Run by itself to see the time.
#[test]
#[ignore = "a measurement"]
fn large_tree() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let info = root.join("var/lib/dpkg/info");
    fs::create_dir_all(&info).unwrap();
    let mut status = String::new();
    for package in 0..1000 {
        writeln!(status, "Package: p{package}\nDepends: p{}\n", package / 2).unwrap();
        let place = format!("usr/share/p{package}");
        fs::create_dir_all(root.join(&place)).unwrap();
        let mut list = format!("/.\n/{place}\n");
        for file in 0..100 {
            fs::write(root.join(&place).join(file.to_string()), "").unwrap();
            writeln!(list, "/{place}/{file}").unwrap();
        }
        fs::write(info.join(format!("p{package}.list")), list).unwrap();
    }
    fs::write(root.join("var/lib/dpkg/status"), status).unwrap();
    for by in [Split::Auto, Split::None, Split::Auto] {
        let clock = std::time::Instant::now();
        let closure = split_at(&root, by);
        println!(
            "{by:?}: {} components, {:?}",
            closure.components.len(),
            clock.elapsed()
        );
    }
}
