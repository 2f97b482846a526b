//! Everything that a file tree can hold, through the tar and back (layer chapter; rules 86–106).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::FileType;
use tar::EntryType;

use crate::kit::{Case, Layout, TarEntry, Tree, long, skipped};

/// Builds `tree` uncompressed with `args` and reads its one layer back.
fn layer_of(tree: &Tree, args: &[&str]) -> Vec<TarEntry> {
    let case = Case::build(["-o", "oci:out", "--compression", "none"])
        .arg(tree.path())
        .args(args);
    case.success();
    Layout(case.at("out")).only_layer()
}

fn find(entries: &[TarEntry], path: impl AsRef<[u8]>) -> &TarEntry {
    let path = path.as_ref();
    let found = entries.iter().find(|entry| entry.path == path);
    found.unwrap_or_else(|| panic!("no {} in the layer", path.escape_ascii()))
}

#[test]
fn every_kind_of_entry() {
    let tree = Tree::new()
        .file("file", "content")
        .mode("file", 0o640)
        .file("empty", "")
        .file("suid", "x")
        .mode("suid", 0o4755)
        .dir("dir/empty")
        .mode("dir", 0o2775)
        .dir("closed")
        .mode("closed", 0)
        .symlink("to-file", "file")
        .symlink("dangling", "no/such/file")
        .symlink("absolute", "/etc/passwd")
        .symlink("long", "x/".repeat(300))
        .fifo("pipe");
    let entries = layer_of(&tree, &[]);
    let paths: Vec<_> = entries
        .iter()
        .map(|e| String::from_utf8_lossy(&e.path).into_owned())
        .collect();
    assert_eq!(
        paths,
        [
            "absolute",
            "closed/",
            "dangling",
            "dir/",
            "dir/empty/",
            "empty",
            "file",
            "long",
            "pipe",
            "suid",
            "to-file"
        ]
    );
    for (path, kind, mode) in [
        ("file", EntryType::Regular, 0o640),
        ("empty", EntryType::Regular, 0o644),
        ("suid", EntryType::Regular, 0o4755),
        ("dir/", EntryType::Directory, 0o2775),
        ("closed/", EntryType::Directory, 0),
        ("pipe", EntryType::Fifo, 0o644),
        ("dangling", EntryType::Symlink, 0o777),
    ] {
        let entry = find(&entries, path);
        let facts = (entry.kind, entry.mode, entry.uid, entry.gid, &*entry.mtime);
        assert_eq!(facts, (kind, mode, 0, 0, "1"), "{path}");
    }
    assert_eq!(find(&entries, "file").content, b"content");
    assert_eq!(find(&entries, "absolute").link, b"/etc/passwd");
    assert_eq!(find(&entries, "long").link, "x/".repeat(300).as_bytes());
}

#[test]
fn hard_links_point_at_an_earlier_entry() {
    let tree = Tree::new()
        .file("b", "shared")
        .hardlink("a", "b")
        .hardlink("d/c", "b")
        .file("e", "shared");
    let entries = layer_of(&tree, &[]);
    assert_eq!(find(&entries, "a").content, b"shared");
    for path in ["b", "d/c"] {
        let entry = find(&entries, path);
        assert_eq!(
            (entry.kind, entry.size, &*entry.link),
            (EntryType::Link, 0, &b"a"[..]),
            "{path}"
        );
    }
    // Equal content is not a link.
    assert_eq!(find(&entries, "e").kind, EntryType::Regular);
}

#[test]
fn names_of_every_length() {
    let mut paths: Vec<PathBuf> = [1, 99, 100, 101, 155, 156, 254, 255]
        .map(|n| PathBuf::from("n".repeat(n)))
        .into();
    // Where ustar splits a path in prefix and name, and where it no longer can.
    for (prefix, name) in [
        (154, 100),
        (155, 100),
        (156, 100),
        (155, 101),
        (100, 100),
        (250, 250),
    ] {
        paths.push(PathBuf::from("p".repeat(prefix)).join("n".repeat(name)));
    }
    let mut deep = PathBuf::new();
    while deep.as_os_str().len() < 3_800 {
        deep.push("d".repeat(199));
    }
    paths.push(deep);
    let tree = paths.iter().fold(Tree::new(), |tree, path| {
        tree.file(path, path.as_os_str().as_bytes())
    });
    let entries = layer_of(&tree, &[]);
    for path in &paths {
        let path = path.as_os_str().as_bytes();
        assert_eq!(find(&entries, path).content, path);
    }
}

#[test]
fn names_that_are_no_text() {
    let names: [&[u8]; 6] = [
        b"\xff\xfe",
        b"caf\xe9",
        b"new\nline",
        b"tab\t",
        b"-dash",
        "é/ü".as_bytes(),
    ];
    let tree = names.iter().fold(Tree::new(), |tree, name| {
        tree.file(OsStr::from_bytes(name), name)
    });
    // Long and not UTF-8: a PAX record of raw bytes.
    let long = [&b"\xff"[..], &[b'n'; 200]].concat();
    let tree = tree.file(OsStr::from_bytes(&long), &long);
    let entries = layer_of(&tree, &[]);
    for name in names.iter().copied().chain([&long[..]]) {
        assert_eq!(find(&entries, name).content, name);
    }
}

#[test]
fn siblings_are_sorted_by_component() {
    let tree = Tree::new()
        .file("a-b", "")
        .file("a/x", "")
        .file("a.b", "")
        .file("a0", "");
    let paths: Vec<_> = layer_of(&tree, &[])
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    assert_eq!(paths, [&b"a/"[..], b"a/x", b"a-b", b"a.b", b"a0"]);
}

#[test]
fn owners_and_times_are_kept_on_request() {
    let tree = Tree::new()
        .file("old", "")
        .mtime("old", -1)
        .file("ancient", "")
        .mtime("ancient", -2_000_000_000)
        .file("future", "")
        .mtime("future", 10_000_000_000)
        .file("owned", "")
        .owner("owned", 1000, 1001)
        .file("far", "")
        .owner("far", 3_000_000, 4_294_967_294);
    let entries = layer_of(&tree, &["--mtime", "keep", "--owner", "keep"]);
    for (path, mtime) in [
        ("old", "-1"),
        ("ancient", "-2000000000"),
        ("future", "10000000000"),
    ] {
        assert_eq!(find(&entries, path).mtime, mtime, "{path}");
    }
    if rustix::process::geteuid().is_root() {
        for (path, uid, gid) in [("owned", 1000, 1001), ("far", 3_000_000, 4_294_967_294)] {
            let entry = find(&entries, path);
            assert_eq!((entry.uid, entry.gid), (uid, gid), "{path}");
        }
    } else {
        skipped("only root can give files away");
    }
    let case = |args: &[&str]| {
        let case = Case::build(["-o", "oci:out", "--compression", "none", "--mtime", "keep"])
            .arg(tree.path());
        let case = case.args(args).env("SOURCE_DATE_EPOCH", "5");
        case.success();
        Layout(case.at("out")).only_layer()
    };
    let clamped = case(&[]);
    assert_eq!(find(&clamped, "future").mtime, "5");
    assert_eq!(find(&clamped, "old").mtime, "-1");
}

#[test]
fn epoch_reaches_layers_and_config() {
    let tree = Tree::new().file("f", "");
    let case = Case::build(["-o", "oci:out", "--compression", "none"]).arg(tree.path());
    case.clone().env("SOURCE_DATE_EPOCH", "86400").success();
    let layout = Layout(case.at("out"));
    assert_eq!(layout.only_layer()[0].mtime, "86400");
    assert_eq!(layout.config()["created"], "1970-01-02T00:00:00Z");
    let plain = Case::build(["-o", "oci:out"]).arg(tree.path());
    plain.success();
    assert!(Layout(plain.at("out")).config().get("created").is_none());
}

#[test]
fn extended_attributes_are_kept_to_the_byte() {
    let tree = Tree::new().file("f", "x").dir("d");
    let capability =
        b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let attributes: [(&str, &[u8]); 3] = [
        ("user.text", b"plain"),
        ("user.odd", b"a\0b\nc=\xff"),
        ("security.capability", capability),
    ];
    if !attributes
        .iter()
        .all(|(name, value)| tree.xattr("f", name, value))
    {
        return skipped("no user or security attributes on this file system, or not root");
    }
    tree.xattr("d", "user.dir", b"1");
    let entries = layer_of(&tree, &[]);
    let mut kept = find(&entries, "f").xattrs.clone();
    kept.sort();
    let mut given = attributes.map(|(name, value)| (name.to_owned(), value.to_vec()));
    given.sort();
    assert_eq!(kept, given);
    assert_eq!(
        find(&entries, "d/").xattrs,
        [("user.dir".to_owned(), b"1".to_vec())]
    );
    assert!(
        find(&layer_of(&tree, &["--xattrs", "none"]), "f")
            .xattrs
            .is_empty()
    );
}

#[test]
fn attributes_that_no_tar_holds_are_refused() {
    for (name, value) in [("user.a=b", &b"x"[..]), ("user.empty", b"")] {
        let tree = Tree::new().file("the-file", "x");
        if !tree.xattr("the-file", name, value) {
            return skipped("no user attributes on this file system");
        }
        let case = Case::build(["-o", "oci:out"]).arg(tree.path());
        case.run().code(3).stderr_has("the-file").stderr_has(name);
    }
}

#[test]
fn devices_keep_their_numbers() {
    let tree = Tree::new();
    let made = tree.device("null", FileType::CharacterDevice, 1, 3)
        && tree.device("disk", FileType::BlockDevice, 259, 70_000);
    if !made {
        return skipped("only root can make devices");
    }
    let entries = layer_of(&tree, &[]);
    let null = find(&entries, "null");
    assert_eq!(
        (null.kind, null.device),
        (EntryType::Char, (Some(1), Some(3)))
    );
    let disk = find(&entries, "disk");
    assert_eq!(
        (disk.kind, disk.device),
        (EntryType::Block, (Some(259), Some(70_000)))
    );
}

#[test]
fn sockets_are_left_out_aloud() {
    let tree = Tree::new().file("f", "x").socket("the-socket");
    let case = Case::build(["-o", "oci:out"]).arg(tree.path());
    case.success()
        .stderr_has("warning: ")
        .stderr_has("the-socket");
    let quiet = Case::build(["-q", "-o", "oci:out"]).arg(tree.path());
    quiet.success().stderr("");
    assert_eq!(Layout(quiet.at("out")).only_layer().len(), 1);
}

#[test]
fn whiteout_names_are_refused() {
    for name in [".wh.gone", "dir/.wh..wh..opq", ".wh."] {
        let tree = Tree::new().file(name, "");
        let case = Case::build(["-o", "oci:out"]).arg(tree.path());
        case.run()
            .code(3)
            .stderr_has(name.rsplit('/').next().unwrap());
    }
}

#[test]
fn sizes_around_what_ustar_holds() {
    let sizes: &[u64] = if long() {
        &[(8 << 30) - 1, 8 << 30]
    } else {
        &[511, 512, 513, (4 << 20) - 512, 4 << 20]
    };
    let names: Vec<_> = sizes.iter().map(ToString::to_string).collect();
    let tree = sizes
        .iter()
        .zip(&names)
        .fold(Tree::new(), |tree, (size, name)| tree.sparse(name, *size));
    let case = Case::build(["-o", "oci:out", "--compression", "zstd:1"]).arg(tree.path());
    case.success();
    if !long() {
        let entries = Layout(case.at("out")).only_layer();
        for (size, name) in sizes.iter().zip(&names) {
            assert_eq!(find(&entries, name).size, *size);
        }
    }
}

#[test]
fn several_inputs_meet_in_one_tree() {
    let first = Tree::new().file("etc/a", "1").mode("etc", 0o755);
    let second = Tree::new().file("b", "2");
    let file = Tree::new().file("app.conf", "3");
    let dest = |tree: &Tree, path: &str| format!("{}:{path}", tree.path().display());
    let case = Case::build(["-o", "oci:out", "--compression", "none"])
        .arg(first.path())
        .arg(dest(&second, "/etc"))
        .arg(format!("{}:/etc/conf/", file.at("app.conf").display()));
    case.success();
    let layers = Layout(case.at("out")).layers();
    let mut files: Vec<_> = layers
        .iter()
        .flatten()
        .filter(|e| e.kind == EntryType::Regular)
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let found: Vec<_> = files.iter().map(|e| (&*e.path, &*e.content)).collect();
    assert_eq!(
        found,
        [
            (&b"etc/a"[..], &b"1"[..]),
            (b"etc/b", b"2"),
            (b"etc/conf/app.conf", b"3")
        ]
    );
}

#[test]
fn two_files_at_one_place_are_refused_by_name() {
    let (one, two) = (
        Tree::new().file("etc/f", "1"),
        Tree::new().file("etc/f", "2"),
    );
    let case = Case::build(["-o", "oci:out"]).args([one.path(), two.path()]);
    let ran = case.run().code(3).stderr_has("/etc/f");
    ran.stderr_has(one.path().to_str().unwrap())
        .stderr_has(two.path().to_str().unwrap());
}

#[test]
fn parents_stand_in_every_layer_alike() {
    let tree = Tree::new()
        .file("nix/store/aaa-one/bin/x", "1")
        .file("nix/store/bbb-two/lib/y", "2")
        .mode("nix/store", 0o1775);
    let graph = r#"[{"path": "/nix/store/aaa-one", "references": ["/nix/store/bbb-two"]},
                    {"path": "/nix/store/bbb-two", "references": []}]"#;
    let case = Case::build([
        "--graph",
        "-",
        "-o",
        "oci:out",
        "--compression",
        "none",
        "--store-prefix",
    ])
    .arg(tree.path())
    .stdin(graph);
    case.success();
    let layers = Layout(case.at("out")).layers();
    let parents: Vec<Vec<_>> = layers
        .iter()
        .filter(|layer| {
            layer
                .iter()
                .any(|entry| entry.path.starts_with(b"nix/store/"))
        })
        .map(|layer| {
            layer
                .iter()
                .take(2)
                .map(|e| (e.path.clone(), e.mode, e.uid, e.mtime.clone()))
                .collect()
        })
        .collect();
    assert!(parents.len() >= 2);
    for own in &parents {
        assert_eq!(own, &parents[0]);
        assert_eq!(own[0].0, b"nix/");
        assert_eq!(own[1].0, b"nix/store/");
    }
}
