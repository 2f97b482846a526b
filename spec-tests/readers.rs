//! What the encoder writes, other programs read the same: Python's tarfile to the byte,
//! GNU tar without complaint. Rules 86 to 106.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;

use plywood::layer::tar;
use plywood::tree::{Device, Entry, Kind, Meta, Mtime, TreePath, Xattrs};
use serde_json::Value;

use crate::kit::{Tree, skipped};

fn entry(path: impl AsRef<[u8]>, kind: Kind) -> Entry {
    let mtime = Mtime { secs: 1, nanos: 0 };
    let meta = Meta {
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime,
    };
    Entry {
        path: TreePath::new(path).unwrap(),
        kind,
        meta,
        xattrs: Xattrs::new(),
    }
}

fn file(path: impl AsRef<[u8]>) -> Entry {
    entry(path, Kind::File { size: 0 })
}

/// One of everything that wants more than a plain header.
fn odd_entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for length in [1, 99, 100, 101, 154, 155, 156, 255] {
        entries.push(file("n".repeat(length)));
        entries.push(entry(
            format!("d{length}/{}", "s".repeat(length)),
            Kind::Dir,
        ));
        entries.push(file(format!(
            "{}/{}",
            "p".repeat(length),
            "q".repeat(length)
        )));
        let target = vec![b't'; length];
        entries.push(entry(format!("link{length}"), Kind::Symlink { target }));
        let target = TreePath::new("n".repeat(length)).unwrap();
        entries.push(entry(format!("twin{length}"), Kind::HardLink { target }));
    }
    entries.push(file(vec!["deep"; 800].join("/")));
    for name in [
        &b"not \xff text"[..],
        b"new\nline",
        "ünï".as_bytes(),
        b" spaces ",
        b"=",
        b"a=b c",
    ] {
        entries.push(file(name));
        entries.push(file([name, &[b'x'; 150]].concat()));
    }
    for (number, size) in [8 << 30, (8 << 30) - 1, 9 << 30].into_iter().enumerate() {
        entries.push(entry(format!("huge{number}"), Kind::File { size }));
    }
    for (number, id) in [2_097_151, 2_097_152, u32::MAX].into_iter().enumerate() {
        let mut owned = file(format!("owned{number}"));
        (owned.meta.uid, owned.meta.gid) = (id, id - 1);
        entries.push(owned);
    }
    let times = [
        (0, 0),
        (-1, 0),
        (-1, 500_000_000),
        (5, 125_000_000),
        (1 << 33, 0),
        (1 << 34, 250_000_000),
    ];
    for (number, (secs, nanos)) in times.into_iter().enumerate() {
        let mut dated = file(format!("dated{number}"));
        dated.meta.mtime = Mtime { secs, nanos };
        entries.push(dated);
    }
    let mut noted = file("noted");
    noted
        .xattrs
        .insert(b"user.text".to_vec(), b"plain".to_vec());
    noted
        .xattrs
        .insert(b"user.lines".to_vec(), b"one\ntwo\n".to_vec());
    noted.xattrs.insert(b"user.long".to_vec(), vec![b'v'; 990]);
    entries.push(noted);
    entries.push(entry(
        "char",
        Kind::Char(Device {
            major: 4095,
            minor: 1_048_575,
        }),
    ));
    entries.push(entry("block", Kind::Block(Device { major: 7, minor: 0 })));
    entries.push(entry("pipe", Kind::Fifo));
    let mut modes = file("modes");
    modes.meta.mode = 0o7777;
    entries.push(modes);
    entries
}

/// Writes an archive whose files are holes.
fn archive(entries: &[Entry], place: &Path) {
    let mut out = File::create(place).unwrap();
    for entry in entries {
        out.write_all(&tar::header(entry)).unwrap();
        if let Kind::File { size } = entry.kind {
            let body = i64::try_from(size + tar::padding(size)).unwrap();
            out.seek(SeekFrom::Current(body)).unwrap();
        }
    }
    let end = out.stream_position().unwrap() + tar::END as u64;
    out.set_len(end).unwrap();
}

const READ: &str = r#"
import json, sys, tarfile
raw = lambda text: text.encode("utf-8", "surrogateescape").hex()
told = []
for e in tarfile.open(sys.argv[1], "r:", encoding="utf-8"):
    told.append({"path": raw(e.name), "type": e.type.decode(), "size": e.size, "mode": e.mode, "uid": e.uid,
        "gid": e.gid, "mtime": e.mtime, "link": raw(e.linkname), "device": [e.devmajor, e.devminor],
        "xattrs": {k: v for k, v in e.pax_headers.items() if k.startswith("SCHILY.xattr.")}})
print(json.dumps(told))
"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[allow(clippy::cast_precision_loss)]
fn expected(entry: &Entry) -> Value {
    let (kind, size, link, device) = match &entry.kind {
        Kind::File { size } => ("0", *size, &b""[..], (0, 0)),
        Kind::HardLink { target } => ("1", 0, target.as_bytes(), (0, 0)),
        Kind::Symlink { target } => ("2", 0, target.as_slice(), (0, 0)),
        Kind::Char(device) => ("3", 0, &b""[..], (device.major, device.minor)),
        Kind::Block(device) => ("4", 0, &b""[..], (device.major, device.minor)),
        Kind::Dir => ("5", 0, &b""[..], (0, 0)),
        Kind::Fifo => ("6", 0, &b""[..], (0, 0)),
    };
    let Meta {
        mode,
        uid,
        gid,
        mtime,
    } = entry.meta;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let xattrs = entry
        .xattrs
        .iter()
        .map(|(name, value)| (format!("SCHILY.xattr.{}", text(name)), text(value).into()));
    serde_json::json!({
        "path": hex(entry.path.as_bytes()), "type": kind, "size": size, "mode": mode, "uid": uid, "gid": gid,
        "mtime": mtime.secs as f64 + f64::from(mtime.nanos) / 1e9, "link": hex(link),
        "device": [device.0, device.1], "xattrs": xattrs.collect::<serde_json::Map<_, _>>(),
    })
}

#[test]
fn pythons_tarfile_reads_every_entry_as_it_was() {
    let (place, entries) = (Tree::new(), odd_entries());
    archive(&entries, &place.at("odd.tar"));
    let Ok(read) = Command::new("python3")
        .args(["-c", READ])
        .arg(place.at("odd.tar"))
        .output()
    else {
        return skipped("python3 is missing");
    };
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    let told: Vec<Value> = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(told.len(), entries.len());
    for (mut told, entry) in told.into_iter().zip(&entries) {
        // A time that is whole comes as an integer.
        told["mtime"] = told["mtime"].as_f64().into();
        assert_eq!(told, expected(entry), "{entry:?}");
    }
}

#[test]
fn gnu_tar_reads_every_entry_without_a_word() {
    let (place, entries) = (Tree::new(), odd_entries());
    archive(&entries, &place.at("odd.tar"));
    let mut list = Command::new("tar");
    // The one keyword that it does not know says that a name is bytes, which it takes it for anyway.
    list.args(["--warning=no-unknown-keyword", "--quoting-style=c", "-tf"])
        .arg(place.at("odd.tar"));
    let listed = list.env("LC_ALL", "C.UTF-8").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stderr), "");
    assert!(listed.status.success());
    assert_eq!(
        String::from_utf8_lossy(&listed.stdout).lines().count(),
        entries.len()
    );
}
