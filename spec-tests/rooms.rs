//! The rooms of ARCHITECTURE.md, held against the source: who may know whom, and who may touch the outside world.

use std::fs;
use std::path::Path;

/// What every room may speak of.
const COMMON: &[&str] = &["error", "fault", "json"];

/// Each room and the rooms that it may name beside the common ones.
const ALLOWED: &[(&str, &[&str])] = &[
    ("graph", &[]),
    ("rank", &["graph"]),
    ("plan", &["graph", "rank"]),
    ("source", &["graph", "tree"]),
    ("tree", &[]),
    ("blob", &[]),
    ("layer", &["tree", "blob"]),
    ("image", &["blob", "layer"]),
    ("layout", &["blob", "image"]),
    ("target", &["blob", "layer", "image", "layout"]),
    ("cache", &["tree", "blob", "layer", "image", "layout"]),
    (
        "check",
        &["tree", "blob", "layer", "image", "layout", "target"],
    ),
];

/// Words that reach outside the process, and the rooms that may use them.
const OUTSIDE: &[(&[&str], &[&str])] = &[
    (
        &[
            "println!",
            "print!(",
            "eprint",
            "std::env",
            "SystemTime::now",
            "Instant::now",
            "libc::",
        ],
        &[],
    ),
    (
        &["std::fs", "rustix::fs"],
        &[
            "source", "tree", "blob", "layout", "target", "cache", "check", "build",
        ],
    ),
    (&["std::process::Command", "process::Command"], &["source"]),
    (&["TcpStream", "TcpListener", "UdpSocket", "unix::net"], &[]),
];

struct SourceFile {
    room: String,
    name: String,
    /// Without the tests at its end, and without comments.
    code: String,
}

/// The library's own files; `cli` and `main.rs` are the program, which may know everything.
fn library() -> Vec<SourceFile> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let entries = walkdir::WalkDir::new(&src)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap);
    let files = entries.filter(|e| e.path().extension().is_some_and(|e| e == "rs"));
    let files = files.map(|entry| {
        let name = entry
            .path()
            .strip_prefix(&src)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let text = fs::read_to_string(entry.path()).unwrap();
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n");
        let room = name.split(['/', '.']).next().unwrap().to_owned();
        SourceFile { room, name, code }
    });
    files
        .filter(|f| !["cli", "main", "lib"].contains(&&*f.room) && !is_test(&f.name))
        .collect()
}

fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let after = code.split(prefix).skip(1);
    let names = after.map(|rest| {
        rest.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap()
    });
    names.map(ToOwned::to_owned).collect()
}

#[test]
fn rooms_know_only_rooms_to_their_left() {
    for file in library() {
        if file.room == "build" || COMMON.contains(&&*file.room) {
            continue;
        }
        let entry = ALLOWED.iter().find(|(room, _)| *room == file.room);
        let (_, allowed) = entry.unwrap_or_else(|| panic!("{} is in no room", file.name));
        for named in names_after(&file.code, "crate::") {
            let known =
                named == file.room || COMMON.contains(&&*named) || allowed.contains(&&*named);
            assert!(known, "src/{} names the room `{named}`", file.name);
        }
    }
}

#[test]
fn the_outside_world_is_reached_from_few_rooms() {
    for file in library() {
        for (words, rooms) in OUTSIDE {
            for word in *words {
                let used = file.code.contains(word);
                assert!(
                    !used || rooms.contains(&&*file.room),
                    "src/{} uses {word}",
                    file.name
                );
            }
        }
    }
}

#[test]
fn nothing_is_left_behind() {
    for file in library() {
        for word in ["todo!", "unimplemented!", "dbg!", "TODO", "FIXME"] {
            assert!(!file.code.contains(word), "src/{} has {word}", file.name);
        }
    }
}
