//! Plain directories split by who owns each path: nothing lost, nothing doubled, everything where it belongs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tar::EntryType;

use crate::kit::{Case, Layout, TarEntry, Tree, long, skipped};

/// What each component holds, by the component's name in the plan: entries without parents made for them.
type Held = BTreeMap<String, Vec<String>>;

/// Builds a tree and reads back who holds what; every component has a layer of its own then.
fn held(root: &Path, args: &[&str]) -> Held {
    let layout = built(root, args);
    let manifest = layout.manifest();
    let mut held = Held::new();
    for (described, entries) in manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .zip(layout.layers())
    {
        let said = described["annotations"]["dev.plywood.layer.paths"]
            .as_str()
            .unwrap();
        let names: Vec<String> = serde_json::from_str(said).unwrap();
        assert_eq!(
            names.len(),
            1,
            "one component in a layer, to tell them apart"
        );
        let dirs: BTreeSet<Vec<u8>> = entries.iter().filter_map(|e| parent(&e.path)).collect();
        let own = entries.iter().filter(|e| !dirs.contains(&e.path));
        let own = own.map(|e| String::from_utf8_lossy(&e.path).into_owned());
        held.insert(names[0].clone(), own.collect());
    }
    held
}

fn parent(path: &[u8]) -> Option<Vec<u8>> {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let at = path.iter().rposition(|&b| b == b'/')?;
    Some(path[..=at].to_vec())
}

/// Builds a tree, which must come back whole.
fn built(root: &Path, args: &[&str]) -> Kept {
    let case = Case::build(["-o", "oci:out", "--compression", "none", "--sync", "none"]);
    let case = case.arg(root).args(args);
    case.success();
    let layout = Layout(case.at("out"));
    same_as_tree(&layout.layers(), root);
    Kept {
        _case: case,
        layout,
    }
}

struct Kept {
    _case: Case,
    layout: Layout,
}

impl std::ops::Deref for Kept {
    type Target = Layout;
    fn deref(&self) -> &Layout {
        &self.layout
    }
}

/// The merged view of all layers equals the tree: every entry once, directories alike wherever they are.
fn same_as_tree(layers: &[Vec<TarEntry>], root: &Path) {
    let mut merged: BTreeMap<Vec<u8>, &TarEntry> = BTreeMap::new();
    for layer in layers {
        for entry in layer {
            if entry.kind == EntryType::Link {
                let first = layer.iter().find(|e| e.path == entry.link);
                assert!(first.is_some(), "the two names of a link are in one layer");
            }
            let path = entry
                .path
                .strip_suffix(b"/")
                .unwrap_or(&entry.path)
                .to_vec();
            if let Some(before) = merged.insert(path, entry) {
                let shown = entry.path.escape_ascii();
                assert_eq!(
                    before.kind,
                    EntryType::Directory,
                    "{shown} is in two layers"
                );
                assert_eq!(before, entry, "{shown} looks different in two layers");
            }
        }
    }
    let mut expected = BTreeSet::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let path = entry
            .path()
            .strip_prefix(root)
            .unwrap()
            .as_os_str()
            .as_bytes();
        expected.insert(path.to_vec());
        let Some(found) = merged.get(path) else {
            panic!("{} is lost", path.escape_ascii());
        };
        let found = match found.kind {
            EntryType::Link => merged[&found.link],
            _ => found,
        };
        if entry.file_type().is_file() {
            assert_eq!(found.content, fs::read(entry.path()).unwrap());
        } else if entry.file_type().is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            assert_eq!(found.link, target.as_os_str().as_bytes());
        }
    }
    let made = merged
        .keys()
        .filter(|path| !expected.contains(*path))
        .count();
    assert_eq!(made, 0, "nothing is added");
}

fn plan(root: &Path, args: &[&str]) -> Value {
    let ran = Case::new()
        .args(["plan", "--json"])
        .arg(root)
        .args(args)
        .success();
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn holds(held: &Held, component: &str) -> String {
    let found = held.get(component);
    found
        .unwrap_or_else(|| panic!("no {component} in {held:?}"))
        .join(" ")
}

/// A Debian tree: a status stanza and a file list each.
struct Debian {
    tree: Tree,
    status: String,
}

impl Debian {
    fn new() -> Self {
        Self {
            tree: Tree::new(),
            status: String::new(),
        }
    }

    fn package(mut self, name: &str, fields: &str, paths: &[&str]) -> Self {
        write!(
            self.status,
            "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
        )
        .unwrap();
        writeln!(self.status, "Version: 1.0\n{fields}").unwrap();
        let list: String = ["/."]
            .iter()
            .chain(paths)
            .map(|p| format!("{p}\n"))
            .collect();
        self.tree = self
            .tree
            .file(format!("var/lib/dpkg/info/{name}.list"), list);
        self
    }

    fn done(self) -> Tree {
        self.tree.file("var/lib/dpkg/status", self.status)
    }
}

#[test]
fn debian_packages_by_their_sources() {
    let tree = Debian::new()
        .package(
            "libssl3",
            "Source: openssl (3.0-1)\n",
            &["/usr", "/usr/lib", "/usr/lib/libssl.so.3", "/lib/gone"],
        )
        .package(
            "openssl",
            "Depends: libc6 (>= 2.3), libssl3:any | x\n",
            &["/bin", "/bin/openssl", "/usr/share/shared"],
        )
        .package(
            "bash",
            "Conffiles:\n /etc/bash.bashrc 89269 obsolete\n",
            &["/bin/bash", "/usr/share/shared", "/var/lib/bash"],
        )
        .package("libc6", "Provides: libc\n", &["/lib/libc.so.6"])
        .done()
        .symlink("bin", "usr/bin")
        .symlink("lib", "/usr/lib")
        .file("usr/bin/openssl", "1")
        .file("usr/bin/bash", "2")
        .file("usr/lib/libssl.so.3", "3")
        .file("usr/lib/libc.so.6", "4")
        .file("usr/share/shared", "5")
        .file("etc/bash.bashrc", "6")
        .file("etc/passwd", "7")
        .dir("var/lib/bash/empty")
        .dir("srv")
        .file("opt/model", vec![1; 1 << 20])
        .file("opt/small", vec![1; (1 << 20) - 1])
        .file("var/lib/dpkg/large", vec![1; 1 << 20])
        .file("var/lib/dpkg/info/openssl.postinst", "#!/bin/sh\n");
    let held = held(tree.path(), &[]);
    let info = |name: &str| format!("var/lib/dpkg/info/{name}");
    for (component, expected) in [
        ("dpkg:bash", format!("etc/bash.bashrc usr/bin/bash usr/share/shared var/lib/bash/ {}", info("bash.list"))),
        ("dpkg:glibc", String::new()),
        (
            "dpkg:openssl",
            format!(
                "usr/bin/openssl usr/lib/libssl.so.3 {} {} {}",
                info("libssl3.list"),
                info("openssl.list"),
                info("openssl.postinst")
            ),
        ),
        ("dpkg:libc6", format!("usr/lib/libc.so.6 {}", info("libc6.list"))),
        ("file:/opt/model", "opt/model".into()),
        (
            "unowned:/",
            "bin etc/passwd lib opt/small srv/ var/lib/bash/empty/ var/lib/dpkg/large var/lib/dpkg/status".into(),
        ),
    ] {
        match held.contains_key(component) {
            true => assert_eq!(holds(&held, component), expected, "{component}"),
            false => assert!(expected.is_empty(), "{component}"),
        }
    }
    let json = plan(tree.path(), &[]);
    assert_eq!(json["strategy"], "balanced@2");
    let versions = json["layers"].as_array().unwrap().iter();
    let versions = versions.flat_map(|layer| layer["paths"].as_array().unwrap());
    let versions: BTreeMap<_, _> = versions
        .map(|m| (m["name"].as_str().unwrap(), m["version"].as_str()))
        .collect();
    assert_eq!(
        (versions["openssl"], versions["bash"], versions["unowned"]),
        (Some("1.0,3.0-1"), Some("1.0"), None)
    );
    let last = json["layers"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["kind"], &last["paths"][0]["name"]),
        (&"volatile".into(), &"unowned".into())
    );
    let ran = Case::new()
        .args(["plan", "--explain", "/usr/bin/openssl"])
        .arg(tree.path())
        .success();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(said.starts_with("dpkg:openssl\n"), "{said}");
    assert!(said.contains("refers to 1 path\n    dpkg:libc6"), "{said}");
}

/// A library whose new version is as long as the old one.
fn with_version(version: &str) -> Tree {
    Debian::new()
        .package("a", &format!("Source: liba ({version})\n"), &["/usr/a"])
        .package("b", "", &["/usr/b"])
        .done()
        .file("usr/a", version)
        .file("usr/b", "b")
        .file("etc/os-release", "ID=debian\n")
}

#[test]
fn another_version_of_the_same_size_is_a_change() {
    let (old, new) = (with_version("1.0-1"), with_version("1.0-2"));
    let case = Case::new();
    let build = [
        "build",
        "--no-cache",
        "-o",
        "oci:out:1",
        "--sbom",
        "cyclonedx",
    ];
    case.clone().args(build).arg(old.path()).success();
    let plan = Case::new().args(["plan", "--json"]).arg(old.path());
    std::fs::write(case.at("old.json"), plan.success().stdout).unwrap();
    let compare = |place: &str, tree: &Tree| {
        let args = ["plan", "--compare", place];
        case.clone().args(args).arg(tree.path()).success().stdout
    };
    let text = |out: Vec<u8>| String::from_utf8(out).unwrap();
    for place in ["old.json", "oci:out:1"] {
        let said = text(compare(place, &new));
        assert!(said.contains("  liba changed\n"), "{said}");
        assert!(!said.contains("  b "), "{said}");
        let said = text(compare(place, &old));
        assert!(!said.contains("changed"), "{said}");
    }
    // The images themselves say it, too.
    let build = ["build", "--no-cache", "-o", "oci:out:2"];
    case.clone().args(build).arg(new.path()).success();
    let diff = case.clone().args(["diff", "oci:out:1", "oci:out:2"]);
    let said = text(diff.run().code(1).stdout);
    assert!(said.contains("  dpkg:liba\n"), "{said}");
    assert!(!said.contains("dpkg:b"), "{said}");
    assert!(
        said.contains(" layers where layers are known by what lies below"),
        "{said}"
    );
    let layout = Layout(case.at("out"));
    let manifests = layout.index()["manifests"].clone();
    let bill = layout.document(manifests[1]["digest"].as_str().unwrap());
    let bill = layout.document(bill["layers"][0]["digest"].as_str().unwrap());
    let found = bill["components"].as_array().unwrap().iter();
    let found: Vec<_> = found
        .map(|c| (c["name"].as_str().unwrap(), c["purl"].as_str()))
        .collect();
    let url = "pkg:deb/debian/liba@1.0-1?arch=source";
    assert!(found.contains(&("liba", Some(url))), "{found:?}");
    assert!(found.contains(&("unowned", None)), "{found:?}");
}

/// Three packages, of which only one is large, and a program that is in none.
fn with_program(program: u8) -> Tree {
    Debian::new()
        .package("a", "", &["/usr/a"])
        .package("b", "", &["/usr/b"])
        .package("c", "", &["/usr/c"])
        .done()
        .file("usr/a", vec![1; 3 << 20])
        .file("usr/b", vec![1; 2 << 20])
        .file("usr/c", "c")
        .file("srv/program", vec![program; 1 << 20])
}

#[test]
fn a_program_of_its_own_parts_an_image_from_no_layer_of_packages() {
    let (one, other) = (with_program(1), with_program(2));
    let case = Case::new().args(["plan", "--max-layers", "5"]);
    case.arg(one.path()).success().stdout_has(
        "    1  single    3.1 MB  large                     dpkg:a\n    \
             2  bin       2.1 MB  small, by name            dpkg:b dpkg:c\n    \
             3  bin       1.0 MB  small, of no package      file:/srv/program\n    \
             4  volatile",
    );
    let layers = |tree: &Tree| stored(tree.path(), &["--max-layers", "5", "--no-cache"]);
    let (one, other) = (layers(&one), layers(&other));
    let new = other.keys().filter(|digest| !one.contains_key(*digest));
    assert_eq!((other.len(), new.count()), (4, 1));
}

#[test]
fn diversions_and_two_owners() {
    let tree = Debian::new()
        .package("dash", "", &["/bin/sh", "/usr/share/both"])
        .package("bash", "", &["/bin/sh", "/usr/share/both"])
        .package("a", "Pre-Depends: mta | b\n", &["/usr/share/both"])
        .package("b", "Provides: other, mta (= 1)\n", &["/usr/b"])
        .done()
        .file(
            "var/lib/dpkg/diversions",
            "/bin/sh\n/bin/sh.distrib\ndash\n",
        )
        .file("bin/sh", "dash")
        .file("bin/sh.distrib", "bash")
        .file("usr/share/both", "x")
        .file("usr/b", "x");
    let held = held(tree.path(), &["--split", "dpkg"]);
    assert!(holds(&held, "dpkg:dash").starts_with("bin/sh "));
    assert!(holds(&held, "dpkg:bash").starts_with("bin/sh.distrib "));
    assert!(holds(&held, "dpkg:a").starts_with("usr/share/both "));
    let ran = Case::new()
        .args(["plan", "--explain", "dpkg:a"])
        .arg(tree.path())
        .success();
    assert!(
        String::from_utf8(ran.stdout)
            .unwrap()
            .contains("refers to 1 path\n    dpkg:b")
    );
}

#[test]
fn distroless_databases() {
    let tree = Tree::new()
        .file(
            "var/lib/dpkg/status.d/base",
            "Package: base-files\nVersion: 12\n",
        )
        .file(
            "var/lib/dpkg/status.d/base.md5sums",
            "d41d8  etc/os-release\nd41d8  ./usr/x y\n",
        )
        .file("etc/os-release", "x")
        .file("usr/x y", "x")
        .file("etc/other", "x");
    let held = held(tree.path(), &[]);
    assert_eq!(
        holds(&held, "dpkg:base-files"),
        "etc/os-release usr/x y var/lib/dpkg/status.d/base var/lib/dpkg/status.d/base.md5sums"
    );
    assert_eq!(holds(&held, "unowned:/"), "etc/other");
}

#[test]
fn alpine_packages_by_their_origins() {
    let installed = "C:Q1=\nP:musl\nV:1.2\no:musl\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl.so.1\n\n\
        P:busybox\nV:1\no:busybox\nD:so:libc.musl-x86_64.so.1 !x\nF:bin\nR:busybox\n\n\
        P:busybox-binsh\no:busybox\nF:bin\nR:sh\n\n";
    let tree = Tree::new()
        .file("lib/apk/db/installed", installed)
        .file("lib/apk/db/triggers", "")
        .file("lib/ld-musl.so.1", "x")
        .file("bin/busybox", "x")
        .symlink("bin/sh", "/bin/busybox")
        .symlink("bin/ls", "/bin/busybox");
    let held = held(tree.path(), &["--strategy", "size"]);
    assert_eq!(holds(&held, "apk:busybox"), "bin/busybox bin/sh");
    assert_eq!(holds(&held, "apk:musl"), "lib/ld-musl.so.1");
    assert_eq!(
        holds(&held, "unowned:/"),
        "bin/ls lib/apk/db/installed lib/apk/db/triggers"
    );
}

#[test]
fn python_distributions() {
    let site = "usr/lib/python3/site-packages";
    let at = |path: &str| format!("{site}/{path}");
    let tree = Tree::new()
        .file(at("Foo_Bar-1.0.dist-info/METADATA"), "Name: Foo.Bar\nRequires-Dist: baz>1; python_version > '3'\n")
        .file(
            at("Foo_Bar-1.0.dist-info/RECORD"),
            "foo/__init__.py,sha256=x,1\n\"foo/a,b\",,\n../../../bin/foo,,\nFoo_Bar-1.0.dist-info/RECORD,,\ngone.py,,\n/etc/foo.conf,,\nfoo/_vendor/v-1.dist-info/RECORD,,\nfoo/_vendor/v.py,,\n",
        )
        .file(at("foo/__init__.py"), "x")
        .file(at("foo/a,b"), "x")
        .file(at("foo/__pycache__/__init__.cpython-313.pyc"), "x")
        .file(at("foo/_vendor/v-1.dist-info/RECORD"), "v.py,,\n")
        .file(at("foo/_vendor/v.py"), "x")
        .file("usr/bin/foo", "x")
        .file("etc/foo.conf", "x")
        .file(at("baz-2.egg-info/PKG-INFO"), "Name: BAZ\n")
        .file(at("baz-2.egg-info/top_level.txt"), "baz\nbaz_one\n")
        .file(at("baz/x/y.py"), "x")
        .file(at("baz_one.py"), "x")
        .file(at("own.py"), "x");
    let held = held(tree.path(), &[]);
    let foo = holds(&held, "pip:foo-bar");
    assert_eq!(foo.split(' ').count(), 9, "{foo}");
    assert!(foo.starts_with("etc/foo.conf usr/bin/foo "), "{foo}");
    let baz = [
        "baz/x/y.py",
        "baz-2.egg-info/PKG-INFO",
        "baz-2.egg-info/top_level.txt",
        "baz_one.py",
    ];
    assert_eq!(holds(&held, "pip:baz"), baz.map(at).join(" "));
    assert_eq!(holds(&held, "unowned:/"), at("own.py"));
    assert_eq!(held.len(), 3, "what is vendored is a part of its vendor");
    let ran = Case::new()
        .args(["plan", "--explain", "pip:foo-bar"])
        .arg(tree.path())
        .success();
    assert!(
        String::from_utf8(ran.stdout)
            .unwrap()
            .contains("refers to 1 path\n    pip:baz")
    );
}

#[test]
fn what_pip_moves_beside_its_target() {
    let tree = Tree::new()
        .file(
            "a-1.dist-info/RECORD",
            "a.py,,\n../../bin/a,,\n../../bin/gone,,\n",
        )
        .file("a.py", "x")
        .file("bin/a", "x");
    let held = held(tree.path(), &[]);
    assert_eq!(holds(&held, "pip:a"), "a-1.dist-info/RECORD a.py bin/a");
}

#[test]
fn node_packages() {
    let package = |name: &str, version: &str, more: &str| {
        format!(r#"{{"name":"{name}","version":"{version}"{more}}}"#)
    };
    let tree = Tree::new()
        .file("app/index.js", "x")
        .file("app/node_modules/.package-lock.json", "{}")
        .file(
            "app/node_modules/a/package.json",
            package(
                "a",
                "1.0.0",
                r#","dependencies":{"semver":"5","@s/b":"1","no":"1"}"#,
            ),
        )
        .file("app/node_modules/a/lib/x.js", "x")
        .file(
            "app/node_modules/a/lib/package.json",
            "{\"type\":\"module\"}",
        )
        .file(
            "app/node_modules/a/test/node_modules/t/package.json",
            "broken, but only a test's",
        )
        .file(
            "app/node_modules/a/node_modules/semver/package.json",
            package("semver", "5.7.0", ""),
        )
        .file(
            "app/node_modules/semver/package.json",
            package("semver", "7.1.0", ""),
        )
        .file(
            "app/node_modules/c/node_modules/semver/package.json",
            package("semver", "7.0.0", ""),
        )
        .file("app/node_modules/c/package.json", "{}")
        .file(
            "app/node_modules/@s/b/package.json",
            package("@s/b", "1.0.0", ""),
        )
        .symlink("app/node_modules/.bin/semver", "../semver/bin.js")
        .symlink("app/node_modules/.bin/dangling", "../gone/bin.js")
        .file("app/node_modules/semver/bin.js", "x")
        .file(
            "app/node_modules/.pnpm/p@1/node_modules/p/package.json",
            package("p", "1", ""),
        )
        .symlink("app/node_modules/p", ".pnpm/p@1/node_modules/p");
    let held = held(tree.path(), &[]);
    let at = |paths: &[&str]| {
        paths
            .iter()
            .map(|p| format!("app/node_modules/{p}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let names: Vec<&str> = held.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "node:@s/b",
            "node:a",
            "node:c",
            "node:p",
            "node:semver",
            "node:semver@5",
            "unowned:/"
        ]
    );
    assert_eq!(
        holds(&held, "node:a"),
        at(&[
            "a/lib/package.json",
            "a/lib/x.js",
            "a/package.json",
            "a/test/node_modules/t/package.json"
        ])
    );
    let semver = [
        ".bin/semver",
        "c/node_modules/semver/package.json",
        "semver/bin.js",
        "semver/package.json",
    ];
    assert_eq!(holds(&held, "node:semver"), at(&semver));
    assert_eq!(
        holds(&held, "node:semver@5"),
        at(&["a/node_modules/semver/package.json"])
    );
    assert_eq!(
        holds(&held, "node:p"),
        at(&[".pnpm/p@1/node_modules/p/package.json", "p"])
    );
    let rest = at(&[".bin/dangling", ".package-lock.json"]);
    assert_eq!(holds(&held, "unowned:/"), format!("app/index.js {rest}"));
    let ran = Case::new()
        .args(["plan", "--explain", "node:a"])
        .arg(tree.path())
        .success();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(
        said.contains("refers to 2 paths\n    node:@s/b\n    node:semver@5"),
        "{said}"
    );
}

#[test]
fn components_said_by_an_attribute() {
    let tree = Tree::new()
        .file("a/x", "x")
        .file("a/b/y", "y")
        .symlink("a/link", "x")
        .file("z", "z");
    if !tree.xattr("a", "user.component", b"one") || !tree.xattr("a/b", "user.component", b"two") {
        return skipped("no user attributes on this file system");
    }
    let held = held(tree.path(), &[]);
    assert_eq!(holds(&held, "xattr:one"), "a/link a/x");
    assert_eq!(holds(&held, "xattr:two"), "a/b/y");
    assert_eq!(holds(&held, "unowned:/"), "z");
    tree.xattr("a/b", "user.component", b"new\nline");
    let ran = Case::build(["-o", "oci:out", "--split", "xattr"])
        .arg(tree.path())
        .run()
        .code(3);
    assert!(
        ran.stderr
            .contains(r"/a/b: `new\nline` is no name for a package"),
        "{}",
        ran.stderr
    );
}

#[test]
fn several_databases_in_one_tree() {
    let site = "usr/lib/python3/dist-packages";
    let tree = Debian::new()
        .package(
            "python3-x",
            "",
            &[
                &format!("/{site}/x.py"),
                &format!("/{site}/x-1.dist-info/METADATA"),
            ],
        )
        .done()
        .file(format!("{site}/x.py"), "x")
        .file(format!("{site}/x-1.dist-info/METADATA"), "Name: x\n")
        .file("opt/y.py", "y")
        .file("opt/y-1.dist-info/RECORD", "y.py,,\n");
    let both = held(tree.path(), &[]);
    let names: Vec<&str> = both.keys().map(String::as_str).collect();
    assert_eq!(names, ["dpkg:python3-x", "pip:y", "unowned:/"]);
    let one = held(tree.path(), &["--split", "pip"]);
    assert!(one.contains_key("pip:x") && !one.contains_key("dpkg:python3-x"));
    assert_eq!(held(tree.path(), &["--split", "none"]).len(), 1);
}

#[test]
fn hard_links_are_never_parted() {
    let tree = Debian::new()
        .package("a", "", &["/usr/a"])
        .package("b", "", &["/usr/b"])
        .package("c", "", &["/usr/c"])
        .done()
        .file("usr/a", "shared")
        .hardlink("usr/b", "usr/a")
        .file("usr/c", "own")
        .hardlink("opt/follows", "usr/c")
        .hardlink("zzz", "usr/c");
    let held = held(tree.path(), &[]);
    assert!(holds(&held, "dpkg:a,dpkg:b").starts_with("usr/a usr/b "));
    assert!(holds(&held, "dpkg:c").starts_with("opt/follows usr/c "));
}

#[test]
fn trees_at_several_places() {
    let root = Debian::new()
        .package("a", "", &["/usr/a"])
        .done()
        .file("usr/a", "a")
        .file("etc/x", "x");
    let app = Tree::new()
        .file("main", "m")
        .file("node_modules/n/package.json", "{}");
    let chroot = Debian::new()
        .package("a", "", &["/a2"])
        .done()
        .file("a2", "a");
    let place = |tree: &Tree, dest: &str| format!("{}:{dest}", tree.path().display());
    let case = Case::build(["-o", "oci:out"]).arg(root.path());
    case.clone()
        .args([place(&app, "/app"), place(&chroot, "/chroot")])
        .success();
    let layers = Layout(case.at("out")).layers();
    let everything: Vec<String> = layers
        .iter()
        .flatten()
        .filter(|e| e.kind != EntryType::Directory)
        .map(|e| String::from_utf8_lossy(&e.path).into_owned())
        .collect();
    let once: BTreeSet<&String> = everything.iter().collect();
    assert_eq!((once.len(), everything.len()), (9, 9), "{everything:?}");
    let ran = Case::new().args(["plan", "--json"]).arg(root.path());
    let ran = ran
        .args([place(&app, "/app"), place(&chroot, "/chroot")])
        .success();
    let said = String::from_utf8(ran.stdout).unwrap();
    for name in ["dpkg:a", "node:n", "unowned:/"] {
        assert_eq!(said.matches(&format!("\"{name}\"")).count(), 1, "{said}");
    }
}

#[test]
fn excluded_paths_are_in_no_component() {
    let tree = Debian::new()
        .package("a", "", &["/usr/a", "/usr/doc/a"])
        .done()
        .file("usr/a", "a")
        .file("usr/doc/a", "d");
    let case = Case::build([
        "-o",
        "oci:out",
        "--exclude",
        "/usr/doc",
        "--exclude",
        "*.list",
    ])
    .arg(tree.path());
    case.success();
    let entries = Layout(case.at("out")).layers().concat();
    assert!(
        !entries
            .iter()
            .any(|e| e.path.starts_with(b"usr/doc") || e.path.ends_with(b".list"))
    );
}

#[test]
fn broken_databases_name_file_and_line() {
    let good = "Package: a\nVersion: 1\n\n";
    let list = "var/lib/dpkg/info/a.list";
    let status = "var/lib/dpkg/status";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[(status, "Package: a\nrubbish\n")],
            "var/lib/dpkg/status: line 2: `rubbish` is no `Field: value`",
        ),
        (
            &[(status, "\n\nVersion: 1\n")],
            "status: line 3: a stanza without `Package`",
        ),
        (
            &[(status, "Package: ../a\n")],
            "status: line 1: `../a` is no name for a package",
        ),
        (
            &[(status, good), (list, "/.\n/usr/../../x\n")],
            "info/a.list: line 2: `/usr/../../x` leads out of the tree",
        ),
        (
            &[(status, good), (list, "/.\nusr/x\n")],
            "info/a.list: line 2: `usr/x` is no absolute path",
        ),
        (
            &[(status, good), (list, "/a\0b\n")],
            "info/a.list: line 1: `/a\\0b` has a NUL byte",
        ),
        (
            &[(status, good), ("var/lib/dpkg/diversions", "/a\n/b\n")],
            "diversions: line 1: a diversion has three lines: from, to, package",
        ),
        (
            &[("lib/apk/db/installed", "P:a\nF:usr/../..\n")],
            "lib/apk/db/installed: line 2: `usr/../..` leads out of the tree",
        ),
        (
            &[("a-1.dist-info/RECORD", "a,,\nb\n")],
            "a-1.dist-info/RECORD: line 2: `b` is not `path,hash,size`",
        ),
        (
            &[("a-1.dist-info/RECORD", "../../../etc/passwd,,\n")],
            "a-1.dist-info/RECORD: line 1: `../../../etc/passwd` leads out of the tree",
        ),
        (
            &[("node_modules/a/package.json", "{\n \"name\": }")],
            "node_modules/a/package.json: line 2: is no JSON: expected value",
        ),
        (
            &[("node_modules/a/package.json", "{\"name\": \"\"}")],
            "node_modules/a/package.json: `` is no name for a package",
        ),
    ];
    for (files, expected) in cases {
        let tree = files
            .iter()
            .fold(Tree::new(), |tree, (path, text)| tree.file(path, text));
        for verb in ["build", "plan"] {
            let case = Case::new().arg(verb).arg(tree.path());
            let case = if verb == "build" {
                case.args(["-o", "oci:out"])
            } else {
                case
            };
            let ran = case.run().code(3);
            assert!(ran.stderr.contains(expected), "{expected}\n{}", ran.stderr);
            assert!(
                ran.stderr
                    .contains("hint: repair it, or take the directory whole with --split none")
            );
            assert!(!case.at("out").exists(), "nothing is written");
        }
        Case::build(["-o", "oci:out", "--split", "none"])
            .arg(tree.path())
            .success();
    }
}

#[test]
fn links_do_not_lead_a_database_out_of_the_tree() {
    let outside = Tree::new().file("status", "Package: secret\n");
    let tree = Tree::new()
        .symlink("var/lib/dpkg", outside.path())
        .file("x", "x");
    assert_eq!(held(tree.path(), &[]).len(), 1);
    let tree = Tree::new()
        .file("real/status", "Package: a\n")
        .symlink("var/lib/dpkg", "/real")
        .file("x", "x");
    assert!(held(tree.path(), &["--split", "dpkg"]).contains_key("unowned:/"));
}

#[test]
fn ways_to_split_that_do_not_fit() {
    let tree = Tree::new().file("x", "x");
    let ran = Case::new()
        .args(["plan", "--split", "apt"])
        .arg(tree.path())
        .run()
        .code(2);
    assert!(
        ran.stderr
            .contains("no way to split by `apt`; there are auto, dpkg,"),
        "{}",
        ran.stderr
    );
    for kind in ["dpkg", "apk", "rpm", "pip", "node", "xattr"] {
        let ran = Case::new()
            .args(["plan", "--split", kind])
            .arg(tree.path())
            .run()
            .code(3);
        let expected = format!("error: no directory has anything to split by {kind}\n");
        assert!(ran.stderr.starts_with(&expected), "{}", ran.stderr);
    }
    assert_eq!(held(tree.path(), &[]).keys().collect::<Vec<_>>(), ["/"]);
}

const SPEC: &str = "
Name: hello-tools
Version: 1.0
Release: 1
Summary: x
License: MIT
BuildArch: noarch
Requires: thing
%description
x
%package -n base
Summary: y
%description -n base
y
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc
echo hi > %{buildroot}/usr/bin/hello
echo base > %{buildroot}/etc/base.conf
%files
/usr/bin/hello
%files -n base
/etc/base.conf
";

#[test]
fn rpm_packages_by_their_sources() {
    let tree = Tree::new()
        .file("a.spec", SPEC)
        .dir("root/usr/bin")
        .file("root/own", "x");
    let root = tree.at("root");
    let run = |program: &str, args: &[&str]| {
        let mut run = Command::new(program);
        let made = run.args(args).current_dir(tree.path()).output();
        made.is_ok_and(|output| output.status.success())
    };
    let top = format!("_topdir {}", tree.at("top").display());
    if !run("rpmbuild", &["-bb", "--define", &top, "a.spec"]) {
        return skipped("no rpmbuild that works");
    }
    let rpms =
        "rpm --root $PWD/root --dbpath /var/lib/rpm -i --nodeps --nosignature top/RPMS/*/*.rpm";
    if !run("sh", &["-c", rpms]) {
        return skipped("rpm installed nothing");
    }
    let database = || -> BTreeMap<std::ffi::OsString, Vec<u8>> {
        let files = fs::read_dir(root.join("var/lib/rpm")).unwrap();
        let files = files.map(|file| file.unwrap());
        files
            .map(|file| (file.file_name(), fs::read(file.path()).unwrap()))
            .collect()
    };
    let before = database();
    let held = held(&root, &[]);
    assert_eq!(
        holds(&held, "rpm:hello-tools"),
        "etc/base.conf usr/bin/hello"
    );
    assert!(holds(&held, "unowned:/").contains("var/lib/rpm/rpmdb.sqlite"));
    assert!(database() == before, "the database is not touched");

    let case = Case::new()
        .args(["plan"])
        .arg(&root)
        .env("PATH", "/nowhere");
    let ran = case.success();
    assert!(
        ran.stderr
            .contains("var/lib/rpm is not split: there is no rpm on this machine")
    );
    let ran = case.args(["--split", "rpm"]).run().code(1);
    assert!(
        ran.stderr.contains("error: cannot run rpm\n") && ran.stderr.contains("hint: install rpm")
    );
    fs::write(root.join("var/lib/rpm/rpmdb.sqlite"), "rubbish").unwrap();
    let ran = Case::new().arg("plan").arg(&root).run().code(3);
    assert!(
        ran.stderr.contains("/var/lib/rpm: rpm cannot read it: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_real_virtual_environment() {
    let tree = Tree::new();
    let root = tree.at("venv");
    let made = Command::new("python3")
        .args(["-m", "venv"])
        .arg(&root)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return skipped("python3 made no virtual environment");
    }
    let held = held(&root, &["--split", "pip"]);
    assert!(holds(&held, "pip:pip").starts_with("bin/pip "));
    assert!(!holds(&held, "unowned:/").contains("site-packages/pip"));
}

/// Takes a network and a minute: `scripts/test --long`.
#[test]
fn a_real_debian_tree() {
    if !long() {
        return;
    }
    let tree = Tree::new();
    let root = tree.at("root");
    let made = Command::new("mmdebstrap")
        .args(["--variant=minbase", "--quiet", "bookworm"])
        .arg(&root)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return skipped("mmdebstrap made no tree");
    }
    let count = plan(&root, &[])["layers"].as_array().unwrap().len();
    assert!(count > 40, "{count}");
    built(&root, &[]);
}

/// Stored bytes of a tree's layers by their digests.
fn stored(root: &Path, args: &[&str]) -> BTreeMap<String, u64> {
    let case = Case::build(["-o", "oci:out", "--sync", "none"]);
    let case = case.arg(root).args(args);
    case.success();
    let manifest = Layout(case.at("out")).manifest();
    let layers = manifest["layers"].as_array().unwrap().iter();
    let facts = layers.map(|layer| {
        let digest = layer["digest"].as_str().unwrap().to_owned();
        (digest, layer["size"].as_u64().unwrap())
    });
    facts.collect()
}

/// What an update from one tree to another costs, in per mille of the newer image.
fn update(old: &Path, new: &Path, args: &[&str]) -> u64 {
    let (old, new) = (stored(old, args), stored(new, args));
    let fresh = new.iter().filter(|(digest, _)| !old.contains_key(*digest));
    fresh.map(|(_, size)| size).sum::<u64>() * 1000 / new.values().sum::<u64>()
}

/// Where this machine gets a suite of Debian from, as a line for apt.
fn source(suite: &str) -> Option<String> {
    let format = ["--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"];
    let told = Command::new("apt-get")
        .arg("indextargets")
        .args(format)
        .output()
        .ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let mut targets = told.lines().filter_map(|line| line.split_once(' '));
    let (uri, _) = targets.find(|(_, release)| *release == suite)?;
    Some(format!("deb {uri} {suite} main"))
}

/// Bytes of real blobs, not of a simulation: a release as it came out, and with all its
/// security updates. Takes a network and minutes: `scripts/test --long`.
#[test]
fn an_update_of_debian_costs_little_more_than_what_changed() {
    if !long() {
        return;
    }
    let tree = Tree::new();
    let (Some(release), Some(security)) = (source("bookworm"), source("bookworm-security")) else {
        return skipped("apt knows no bookworm with its security updates");
    };
    let make = |name: &str, sources: &[&str]| {
        let made = Command::new("mmdebstrap")
            .args([
                "--variant=minbase",
                "--quiet",
                "--include=perl,curl",
                "bookworm",
            ])
            .arg(tree.at(name))
            .args(sources)
            .status();
        made.is_ok_and(|status| status.success())
    };
    if !make("old", &[&release]) || !make("new", &[&release, &security]) {
        return skipped("mmdebstrap made no two trees");
    }
    let cost = |args: &[&str]| update(&tree.at("old"), &tree.at("new"), args);
    let floor = cost(&["--strategy", "size", "--max-layers", "1000"]);
    let balanced = cost(&["--max-layers", "64"]);
    let popularity = cost(&["--max-layers", "64", "--strategy", "popularity"]);
    let whole = cost(&["--split", "none"]);
    eprintln!(
        "per mille: floor {floor}, balanced {balanced}, popularity {popularity}, whole {whole}"
    );
    assert_eq!(whole, 1000);
    assert!(balanced <= floor + 60, "{balanced} is far above {floor}");
    assert!(balanced < popularity);
}

/// Takes a network: `scripts/test --long`.
#[test]
fn real_packages_from_the_registries() {
    if !long() {
        return;
    }
    let tree = Tree::new().dir("site").dir("app");
    let pip = Command::new("pip")
        .args(["install", "--quiet", "--target"])
        .arg(tree.at("site"))
        .args(["requests", "flask"])
        .status();
    match pip.is_ok_and(|status| status.success()) {
        true => drop(built(&tree.at("site"), &["--split", "pip"])),
        false => skipped("pip installed nothing"),
    }
    let npm = Command::new("npm")
        .args(["install", "--silent", "express@4", "semver@5"])
        .current_dir(tree.at("app"))
        .status();
    match npm.is_ok_and(|status| status.success()) {
        true => drop(built(&tree.at("app"), &["--split", "node"])),
        false => skipped("npm installed nothing"),
    }
}
