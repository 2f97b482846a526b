//! A tree that was split is known again: what did not change is neither listed nor read, and
//! what changed is never missed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use crate::kit::{Case, Tree};

/// Packages of npm, and files of nobody.
fn tree() -> Tree {
    let mut tree = Tree::new()
        .file("app/index.js", "require('p0')")
        .file("app/empty/nothing", "")
        .symlink("app/start", "index.js");
    for number in 0..30 {
        let package = format!("app/node_modules/p{number}");
        let says = format!(r#"{{"name":"p{number}","version":"1.0.{number}"}}"#);
        tree = tree
            .file(format!("{package}/package.json"), says)
            .file(format!("{package}/lib/deep/main.js"), [b'x'; 400])
            .file(format!("{package}/lib/other.js"), format!("{number}"))
            .hardlink(
                format!("{package}/lib/same.js"),
                format!("{package}/lib/other.js"),
            );
    }
    settle();
    tree
}

/// Files that changed this instant are not believed: after this they look older.
fn settle() {
    std::thread::sleep(Duration::from_millis(250));
}

fn build(tree: &Tree, cache: &Path) -> Case {
    Case::build(["-o", "oci:out", "--metadata-file", "facts.json", "--cache"])
        .arg(cache)
        .arg(tree.path())
        .args(["--max-layers", "12"])
}

fn anew(tree: &Tree) -> String {
    let case = Case::build(["-o", "oci:out", "--no-cache", "--max-layers", "12"]);
    case.arg(tree.path()).success().digest()
}

/// How many layers there are, and how many of them were made.
fn layers(case: &Case) -> (usize, usize) {
    let cached = case.cached();
    let made = cached.iter().filter(|cached| !**cached);
    (cached.len(), made.count())
}

#[test]
fn packages_are_not_read_to_be_known_again() {
    let (tree, cache) = (tree(), Tree::new());
    let case = build(&tree, cache.path());
    let first = case.success().digest();
    assert_eq!(first, anew(&tree));
    assert_eq!(case.success().digest(), first);
    let (all, made) = layers(&case);
    assert!(all > 10 && made == 0, "{made} of {all} layers were made");
    let Some(trace) = case.traced("openat2,llistxattr,lgetxattr,readlinkat") else {
        return;
    };
    // A directory that is only held can be neither listed nor read.
    let looked_inside = trace
        .lines()
        .filter(|line| line.contains('(') && !line.contains("O_PATH|O_DIRECTORY"));
    assert_eq!(looked_inside.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn one_package_costs_its_own_layer() {
    let (tree, cache) = (tree(), Tree::new());
    let case = build(&tree, cache.path());
    case.success();
    fs::write(tree.at("app/node_modules/p7/lib/other.js"), "!").unwrap();
    settle();
    assert_eq!(case.success().digest(), anew(&tree));
    assert_eq!(layers(&case).1, 1);
    assert_eq!(case.success().digest(), anew(&tree));
    assert_eq!(layers(&case).1, 0);
}

type Change<'t> = (&'t str, &'t dyn Fn());

#[test]
fn no_change_is_missed() {
    let (tree, cache) = (tree(), Tree::new());
    let at = |path: &str| tree.at(format!("app/node_modules/{path}"));
    let changes: [Change; 14] = [
        ("a file", &|| {
            fs::write(at("p1/lib/other.js"), "new").unwrap();
        }),
        ("a version", &|| {
            let says = r#"{"name":"p2","version":"2.0.0"}"#;
            fs::write(at("p2/package.json"), says).unwrap();
        }),
        ("a reference", &|| {
            let says = r#"{"name":"p3","version":"1.0.3","dependencies":{"p4":"1"}}"#;
            fs::write(at("p3/package.json"), says).unwrap();
        }),
        ("a new package", &|| {
            fs::create_dir(at("new")).unwrap();
            fs::write(at("new/package.json"), r#"{"name":"new"}"#).unwrap();
        }),
        ("a package gone", &|| fs::remove_dir_all(at("p5")).unwrap()),
        ("a package moved", &|| {
            fs::rename(at("p6"), at("q6")).unwrap();
        }),
        ("two swapped", &|| {
            fs::rename(at("p7"), at("tmp")).unwrap();
            fs::rename(at("p8"), at("p7")).unwrap();
            fs::rename(at("tmp"), at("p8")).unwrap();
        }),
        ("a deep file", &|| {
            fs::write(at("p9/lib/deep/x"), "").unwrap();
        }),
        ("a mode above", &|| {
            fs::set_permissions(at("p10/lib"), Permissions::from_mode(0o711)).unwrap();
        }),
        ("an attribute above", &|| {
            tree.xattr("app/node_modules/p11/lib", "user.note", b"kept");
        }),
        ("a link in the place of a directory", &|| {
            fs::rename(at("p12/lib/deep"), at("p12/deep")).unwrap();
            symlink("../deep", at("p12/lib/deep")).unwrap();
        }),
        ("another link", &|| {
            fs::remove_file(at("p12/lib/deep")).unwrap();
            symlink("../../p13", at("p12/lib/deep")).unwrap();
        }),
        ("a second name in another package", &|| {
            fs::hard_link(at("p14/lib/other.js"), at("p15/lib/theirs.js")).unwrap();
        }),
        ("no packages any more", &|| {
            fs::remove_dir_all(tree.at("app/node_modules")).unwrap();
        }),
    ];
    let case = build(&tree, cache.path());
    case.success();
    for (name, change) in changes {
        change();
        settle();
        let digest = case.success().digest();
        assert_eq!(digest, anew(&tree), "{name}");
        assert_eq!(case.success().digest(), digest, "{name}, again");
    }
}

#[test]
fn what_was_found_with_other_flags_is_not_believed() {
    let (tree, cache) = (tree(), Tree::new());
    let plain = build(&tree, cache.path());
    let fewer = build(&tree, cache.path()).args(["--exclude", "p1"]);
    let whole = build(&tree, cache.path()).args(["--split", "none"]);
    let cases = [&plain, &fewer, &whole];
    let digests = cases.map(|case| case.success().digest());
    let kept = || {
        let found = fs::read_dir(cache.at("trees/v1")).unwrap();
        let mut found: Vec<_> = found.map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    };
    let all = kept();
    for turn in 1..all.len() {
        let bytes: Vec<_> = all.iter().map(|path| fs::read(path).unwrap()).collect();
        for (number, path) in all.iter().enumerate() {
            fs::write(path, &bytes[(number + turn) % all.len()]).unwrap();
        }
        assert_eq!(cases.map(|case| case.success().digest()), digests, "{turn}");
        assert_eq!(kept(), all);
    }
}

#[test]
fn neither_threads_nor_what_is_known_are_seen() {
    let tree = tree();
    let expected = anew(&tree);
    for jobs in ["1", "2", "8"] {
        let cache = Tree::new();
        for _ in 0..3 {
            let case = build(&tree, cache.path()).args(["--jobs", jobs]);
            assert_eq!(case.success().digest(), expected, "{jobs}");
        }
    }
}

#[test]
fn what_another_program_says_is_asked_for_again() {
    let tree = Tree::new()
        .file("var/lib/rpm/rpmdb.sqlite", "only rpm reads it")
        .file("usr/bin/foo", "foo")
        .file("usr/bin/bar", "bar");
    settle();
    let script = "#!/bin/sh\nprintf 'Pfoo\\tfoo-1.src.rpm\\t1-1\\nF/usr/bin/foo\\n'\n";
    let tools = Tree::new().dir("none").file("some/rpm", script);
    let tools = tools.mode("some/rpm", 0o755);
    let cache = Tree::new();
    let mut digests = Vec::new();
    for path in ["none", "some", "none", "some"] {
        let known = build(&tree, cache.path()).env("PATH", tools.at(path));
        let fresh = Case::build(["-o", "oci:out", "--no-cache", "--max-layers", "12"]);
        let fresh = fresh.arg(tree.path()).env("PATH", tools.at(path));
        digests.push(known.success().digest());
        assert_eq!(digests.last(), Some(&fresh.success().digest()), "{path}");
    }
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn what_is_left_out_is_told_every_time() {
    let (tree, cache) = (tree().socket("app/talk"), Tree::new());
    settle();
    let case = build(&tree, cache.path());
    for _ in 0..2 {
        case.success().stderr_has("skipped the socket");
    }
    fs::write(tree.at("app/index.js"), "other").unwrap();
    case.success().stderr_has("skipped the socket");
}

#[test]
fn other_flags_are_other_trees() {
    let (tree, cache) = (tree(), Tree::new());
    tree.xattr("app/index.js", "user.note", b"kept");
    settle();
    let flags: [&[&str]; 5] = [
        &[],
        &["--exclude", "p1"],
        &["--xattrs", "none"],
        &["--split", "none"],
        &["--mode", "normalize"],
    ];
    for _ in 0..2 {
        for flags in flags {
            let plain = ["--max-layers", "12", "-o", "oci:out"];
            let with = |case: Case| case.arg(tree.path()).args(flags).args(plain);
            let known = Case::build(["--cache"]).arg(cache.path());
            let digest = with(known).success().digest();
            let anew = with(Case::build(["--no-cache"])).success().digest();
            assert_eq!(digest, anew, "{flags:?}");
        }
    }
}
