//! The image-layout chapter, and what plywood promises of a layout beyond it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plywood::blob::{
    BlobError, BlobStore, Descriptor, DirStore, Ledger, MemoryStore, SyncMode, Trust, read_all,
};
use plywood::image::{IndexEntry, Platform, canonical, media};
use plywood::layout::{GcOptions, Layout, LayoutError, WriteOptions};
use plywood::target::{
    ArchiveStore, DockerArchive, LayoutTarget, OciArchive, Output, Target as _, closure, copy_graph,
};
use serde_json::{Value, json};

pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Writes a small image of three blobs; other content for each seed.
pub fn image(store: &dyn BlobStore, seed: &str, tag: &str) -> IndexEntry {
    let mut layer = Vec::new();
    let mut header = tar::Header::new_ustar();
    header.set_path("file").unwrap();
    header.set_size(seed.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1);
    header.set_cksum();
    layer.extend_from_slice(header.as_bytes());
    layer.extend_from_slice(seed.as_bytes());
    layer.resize(layer.len().next_multiple_of(512) + 1024, 0);
    let layer = put(store, media::LAYER, &layer);
    let config = canonical(&json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest.to_string()]},
    }));
    let config = put(store, media::CONFIG, &config);
    let manifest = canonical(&json!({
        "schemaVersion": 2, "mediaType": media::MANIFEST,
        "config": IndexEntry::from(config).to_json(),
        "layers": [IndexEntry::from(layer).to_json()],
    }));
    let mut entry = IndexEntry::from(put(store, media::MANIFEST, &manifest));
    entry.platform = Platform::parse("linux/amd64").ok();
    entry.annotations.insert(REF_NAME.into(), tag.into());
    let name = format!("localhost/app:{tag}");
    entry
        .annotations
        .insert("io.containerd.image.name".into(), name);
    entry
}

fn put(store: &dyn BlobStore, media_type: &str, bytes: &[u8]) -> Descriptor {
    let mut writer = store.create().unwrap();
    writer.write(bytes).unwrap();
    writer.finish(media_type).unwrap()
}

/// No fsync: these tests do not cut the power.
fn quick() -> WriteOptions {
    WriteOptions {
        sync: SyncMode::None,
        ..WriteOptions::default()
    }
}

fn open(path: &Path) -> Layout {
    Layout::create_or_open(path, &quick()).unwrap()
}

fn build(path: &Path, seed: &str, tag: &str) -> Result<IndexEntry, LayoutError> {
    let layout = Layout::create_or_open(path, &quick())?;
    let entry = image(layout.blobs(), seed, tag);
    layout.publish(std::slice::from_ref(&entry))?;
    Ok(entry)
}

/// Every name of a layout leads to whole blobs, and nothing lies about.
fn assert_whole(path: &Path, tags: &[&str]) {
    let layout = Layout::open(path).unwrap();
    for tag in tags {
        let entry = layout.resolve(Some(tag)).unwrap();
        for blob in closure(layout.blobs(), &[entry.descriptor]).unwrap() {
            read_all(layout.blobs(), &blob, u64::MAX).unwrap();
        }
    }
    assert_no_litter(path);
}

pub fn assert_no_litter(path: &Path) {
    for name in names(path) {
        assert!(
            ["blobs", "index.json", "oci-layout"].contains(&&*name),
            "{name}"
        );
    }
    for name in names(&path.join("blobs")) {
        assert!(name == "sha256" || name == "sha512", "{name}");
    }
    for name in names(&path.join("blobs/sha256")) {
        assert_eq!(name.len(), 64, "{name}");
    }
}

fn names(path: &Path) -> Vec<String> {
    let list = fs::read_dir(path).unwrap();
    let mut names: Vec<_> = list
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn blobs(path: &Path) -> Vec<PathBuf> {
    let home = path.join("blobs/sha256");
    names(&home)
        .into_iter()
        .map(|name| home.join(name))
        .collect()
}

fn snapshot(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
        let entry = entry.unwrap();
        let bytes = match entry.file_type().is_file() {
            true => fs::read(entry.path()).unwrap(),
            false => Vec::new(),
        };
        all.push((entry.path().to_owned(), bytes));
    }
    all
}

/// Rules 1 to 5, 9.
#[test]
fn a_new_layout_has_exactly_what_it_must() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("deep/out");
    build(&path, "one", "v1").unwrap();
    assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"]);
    assert_eq!(names(&path.join("blobs")), ["sha256"]);
    assert_eq!(blobs(&path).len(), 3);
    let marker = fs::read(path.join("oci-layout")).unwrap();
    assert_eq!(marker, br#"{"imageLayoutVersion":"1.0.0"}"#);
    for entry in walkdir::WalkDir::new(&path) {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let world = if entry.file_type().is_dir() {
            0o005
        } else {
            0o004
        };
        assert_eq!(mode & world, world, "{}", entry.path().display());
        assert_eq!(
            entry.metadata().unwrap().mode() & 0o111 == 0,
            entry.file_type().is_file()
        );
    }
    assert_whole(&path, &["v1"]);
}

#[test]
fn what_is_not_a_layout_is_not_touched() {
    let cases: [(&str, &[(&str, &str)]); 6] = [
        (
            "there is no file oci-layout, but notes.txt",
            &[("notes.txt", "x")],
        ),
        (
            "there is no file oci-layout, but a and more",
            &[("a", ""), ("b", "")],
        ),
        (
            "there is index.json, but no file oci-layout",
            &[("index.json", "{}")],
        ),
        (
            "not valid JSON",
            &[("oci-layout", "{"), ("index.json", "{}")],
        ),
        ("has no member imageLayoutVersion", &[("oci-layout", "{}")]),
        (
            "version is \"2.0.0\"",
            &[("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#)],
        ),
    ];
    for (fault, files) in cases {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(home.path().join(name), text).unwrap();
        }
        let before = snapshot(home.path());
        let error = build(home.path(), "one", "v1").unwrap_err();
        assert!(matches!(error, LayoutError::Occupied { .. }), "{error}");
        assert!(error.to_string().contains(fault), "{error}");
        assert_eq!(snapshot(home.path()), before);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = build(file.path(), "one", "v1").unwrap_err();
    assert!(
        error.to_string().contains("could not open the directory"),
        "{error}"
    );
}

#[test]
fn a_first_run_cut_short_anywhere_is_completed() {
    type Step = fn(&Path);
    let steps: [Step; 5] = [
        |path| fs::write(path.join(".plywood-17-0"), "half").unwrap(),
        |path| fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap(),
        |path| fs::create_dir(path.join("blobs")).unwrap(),
        |path| fs::create_dir(path.join("blobs/sha256")).unwrap(),
        |path| fs::write(path.join(".plywood-17-1"), "half an index").unwrap(),
    ];
    for count in 0..=steps.len() {
        let home = tempfile::tempdir().unwrap();
        steps.iter().take(count).for_each(|step| step(home.path()));
        build(home.path(), "one", "v1").unwrap();
        assert_whole(home.path(), &["v1"]);
    }
}

/// Rules 3, 13, 14, 48.
#[test]
fn a_damaged_index_is_refused_and_never_overwritten() {
    let home = tempfile::tempdir().unwrap();
    build(home.path(), "one", "v1").unwrap();
    let index = home.path().join("index.json");
    let good = fs::read(&index).unwrap();
    let bad: [&[u8]; 7] = [
        b"",
        &good[..good.len() / 2],
        b"{}",
        b"null",
        b"\0\0\0\0",
        br#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#,
        br#"{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:../..","size":1}]}"#,
    ];
    for bytes in bad {
        fs::write(&index, bytes).unwrap();
        let before = snapshot(home.path());
        for error in [
            build(home.path(), "two", "v2").unwrap_err(),
            Layout::open(home.path()).err().unwrap(),
        ] {
            assert!(matches!(error, LayoutError::Index { .. }), "{error}");
        }
        assert_eq!(snapshot(home.path()), before);
    }
    // Also if it is cut while a build is under way.
    fs::write(&index, &good).unwrap();
    let layout = open(home.path());
    let entry = image(layout.blobs(), "two", "v2");
    fs::write(&index, b"").unwrap();
    assert!(layout.publish(&[entry]).is_err());
    assert_eq!(fs::read(&index).unwrap(), b"");
    drop(layout);

    fs::remove_file(&index).unwrap();
    symlink("oci-layout", &index).unwrap();
    let error = build(home.path(), "two", "v2").unwrap_err();
    assert!(
        error.to_string().contains("is a symbolic link, not a file"),
        "{error}"
    );
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    let error = build(home.path(), "two", "v2").unwrap_err();
    assert!(
        error.to_string().contains("is a directory, not a file"),
        "{error}"
    );
}

/// Rules 8, 10, 19.
#[test]
fn what_plywood_does_not_know_is_kept() {
    let home = tempfile::tempdir().unwrap();
    build(home.path(), "one", "v1").unwrap();
    fs::write(home.path().join("manifest.json"), "docker's").unwrap();
    let index = home.path().join("index.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    value["annotations"] = json!({"com.example.a": "b"});
    value["x"] = json!({"deep": [1, {"y": null}]});
    let strange = json!({
        "mediaType": "application/vnd.example.strange", "size": 3, "z": [true],
        "digest": format!("sha256:{}", "0".repeat(64)),
        "platform": {"os": "plan9", "architecture": "mips", "os.version": "4", "w": 1},
    });
    value["manifests"]
        .as_array_mut()
        .unwrap()
        .push(strange.clone());
    fs::write(&index, value.to_string()).unwrap();
    build(home.path(), "two", "v2").unwrap();
    build(home.path(), "three", "v1").unwrap();
    let after: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    assert_eq!(after["annotations"], value["annotations"]);
    assert_eq!(after["x"], value["x"]);
    assert_eq!(after["manifests"][1], strange);
    assert_eq!(
        fs::read(home.path().join("manifest.json")).unwrap(),
        b"docker's"
    );
}

/// Rules 55, 56.
#[test]
fn a_name_has_one_descriptor() {
    let home = tempfile::tempdir().unwrap();
    build(home.path(), "one", "v1").unwrap();
    let other = build(home.path(), "two", "v2").unwrap();
    let newer = build(home.path(), "three", "v1").unwrap();
    let layout = Layout::open(home.path()).unwrap();
    assert_eq!(
        layout.index().unwrap().value.manifests,
        [newer.clone(), other.clone()]
    );
    assert_eq!(layout.resolve(Some("v1")).unwrap(), newer);
    let by_digest = format!("@{}", other.descriptor.digest);
    assert_eq!(layout.resolve(Some(&by_digest)).unwrap(), other);
    let error = layout.resolve(Some("v3")).unwrap_err().to_string();
    assert!(
        error.ends_with("has no image `v3`: its tags are v1, v2"),
        "{error}"
    );
    let error = layout.resolve(None).unwrap_err().to_string();
    assert!(
        error.ends_with("holds 2 images: its tags are v1, v2"),
        "{error}"
    );
}

#[test]
fn a_damaged_blob_is_noticed_and_rewritten() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 9] = [
        ("truncated", |p| {
            File::options()
                .write(true)
                .open(p)
                .unwrap()
                .set_len(5)
                .unwrap();
        }),
        ("empty", |p| fs::write(p, b"").unwrap()),
        ("longer", |p| {
            File::options()
                .append(true)
                .open(p)
                .unwrap()
                .write_all(b"x")
                .unwrap();
        }),
        ("one bit", |p| {
            let mut bytes = fs::read(p).unwrap();
            bytes[3] ^= 1;
            fs::write(p, bytes).unwrap();
        }),
        ("one bit, time restored", |p| {
            let modified = fs::metadata(p).unwrap().modified().unwrap();
            let mut bytes = fs::read(p).unwrap();
            bytes[3] ^= 1;
            fs::write(p, bytes).unwrap();
            File::options()
                .write(true)
                .open(p)
                .unwrap()
                .set_modified(modified)
                .unwrap();
        }),
        ("a directory", |p| {
            fs::remove_file(p).unwrap();
            fs::create_dir_all(p.join("full/of")).unwrap();
            fs::write(p.join("full/of/things"), "x").unwrap();
        }),
        ("a link", |p| {
            let copy = p.with_extension("copy");
            fs::rename(p, &copy).unwrap();
            let target = p
                .ancestors()
                .nth(3)
                .unwrap()
                .parent()
                .unwrap()
                .join("elsewhere");
            fs::rename(&copy, &target).unwrap();
            symlink(target, p).unwrap();
        }),
        ("a dangling link", |p| {
            fs::remove_file(p).unwrap();
            symlink("/nowhere", p).unwrap();
        }),
        ("a FIFO", |p| {
            fs::remove_file(p).unwrap();
            rustix::fs::mknodat(
                rustix::fs::CWD,
                p,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::from_raw_mode(0o644),
                0,
            )
            .unwrap();
        }),
    ];
    let home = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::load(&home.path().join("ledger")));
    let path = home.path().join("layout");
    let options = WriteOptions {
        ledger,
        ..WriteOptions::default()
    };
    let build = || {
        let layout = Layout::create_or_open(&path, &options).unwrap();
        layout
            .publish(&[image(layout.blobs(), "one", "v1")])
            .unwrap();
    };
    build();
    let clean = snapshot(&path);
    for blob in blobs(&path) {
        for (name, damage) in damages {
            damage(&blob);
            build();
            assert_eq!(snapshot(&path), clean, "{name} {}", blob.display());
            assert!(!fs::symlink_metadata(&blob).unwrap().file_type().is_fifo());
        }
    }
    assert_whole(&path, &["v1"]);
}

#[test]
fn a_recorded_blob_is_not_read_again_until_it_is_touched() {
    let home = tempfile::tempdir().unwrap();
    let records = home.path().join("ledger");
    let root = home.path().join("store");
    let store = |ledger| DirStore::create_or_open(&root, SyncMode::Full, ledger).unwrap();
    let first = store(Arc::new(Ledger::load(&records)));
    let descriptor = put(&first, "a/b", &vec![7; 100_000]);
    // Nothing is recorded in the tick of the file system's clock in which it was written.
    std::thread::sleep(Duration::from_millis(30));
    first.remember();
    assert!(
        fs::read_to_string(&records)
            .unwrap()
            .contains(&descriptor.digest.to_string())
    );

    // Whether it is read again shows in its time of access.
    let blob = first.path_of(&descriptor.digest);
    let second = store(Arc::new(Ledger::load(&records)));
    assert!(second.contains(&descriptor).unwrap());
    let modified = fs::metadata(&blob).unwrap().modified().unwrap();
    let mut bytes = fs::read(&blob).unwrap();
    bytes[50_000] ^= 1;
    fs::write(&blob, &bytes).unwrap();
    File::options()
        .write(true)
        .open(&blob)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    assert!(!second.contains(&descriptor).unwrap());
    // A file of records that was damaged is no records.
    fs::write(&records, "sha256:x 1 2\n\0\0").unwrap();
    let third = store(Arc::new(Ledger::load(&records)));
    assert!(!third.contains(&descriptor).unwrap());
}

#[test]
fn rivals_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("layout");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for round in 0..5 {
                    // Half of the content is the same for all.
                    let seed = if round % 2 == 0 {
                        "same".into()
                    } else {
                        format!("{writer} {round}")
                    };
                    build(path, &seed, &format!("w{writer}-{round}")).unwrap();
                    build(path, &seed, "shared").unwrap();
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    match Layout::open(&path) {
                        Ok(layout) => {
                            layout.index().unwrap();
                        }
                        Err(LayoutError::NotALayout { .. } | LayoutError::Blob(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    let tags: Vec<_> = (0..8)
        .flat_map(|w| (0..5).map(move |r| format!("w{w}-{r}")))
        .collect();
    let mut tags: Vec<_> = tags.iter().map(String::as_str).collect();
    tags.push("shared");
    assert_whole(&path, &tags);
    let layout = Layout::open(&path).unwrap();
    assert_eq!(layout.index().unwrap().value.manifests.len(), 41);
}

#[test]
fn the_dead_are_swept_but_not_the_living() {
    let home = tempfile::tempdir().unwrap();
    let living = open(home.path());
    let dead = home.path().join(".plywood-99-3");
    fs::write(&dead, "half a blob").unwrap();
    fs::create_dir_all(home.path().join(".plywood-99-4/x")).unwrap();
    build(home.path(), "one", "v1").unwrap();
    assert!(dead.exists(), "another writer is about");
    drop(living);
    build(home.path(), "two", "v2").unwrap();
    assert_whole(home.path(), &["v1", "v2"]);
}

#[test]
fn a_blob_that_is_dropped_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let layout = open(home.path());
    let mut writer = layout.blobs().create().unwrap();
    writer.write(&vec![0; 1_000_000]).unwrap();
    drop(writer);
    assert_eq!(names(home.path()), ["blobs", "oci-layout"]);
    assert!(blobs(home.path()).is_empty());
}

#[test]
fn garbage_is_what_no_name_leads_to() {
    let home = tempfile::tempdir().unwrap();
    build(home.path(), "one", "v1").unwrap();
    build(home.path(), "two", "v1").unwrap();
    build(home.path(), "three", "v3").unwrap();
    assert_eq!(blobs(home.path()).len(), 9);
    let mut layout = Layout::open_to_change(home.path(), &quick()).unwrap();
    let dry = GcOptions {
        dry_run: true,
        ..GcOptions::default()
    };
    let garbage = layout.gc(dry).unwrap();
    assert_eq!(garbage.len(), 3);
    assert_eq!(blobs(home.path()).len(), 9);
    let young = GcOptions {
        older_than: Some(std::time::SystemTime::UNIX_EPOCH),
        ..GcOptions::default()
    };
    assert_eq!(layout.gc(young).unwrap(), []);
    assert_eq!(layout.gc(GcOptions::default()).unwrap(), garbage);
    assert_whole(home.path(), &["v1", "v3"]);
    let error = layout.untag(&["v1".into(), "v9".into()]).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("no image `v9`: its tags are v1, v3"),
        "{error}"
    );
    layout.untag(&["v1".into()]).unwrap();
    assert_eq!(layout.gc(GcOptions::default()).unwrap().len(), 3);
    assert_whole(home.path(), &["v3"]);
    // What cannot be followed is not guessed at.
    let manifest = layout.resolve(Some("v3")).unwrap().descriptor.digest;
    fs::write(layout.blobs().path_of(&manifest), "{}").unwrap();
    assert!(matches!(
        layout.gc(GcOptions::default()),
        Err(LayoutError::Graph { .. })
    ));
    assert_eq!(blobs(home.path()).len(), 3);
}

#[test]
fn waiting_ends() {
    let home = tempfile::tempdir().unwrap();
    build(home.path(), "one", "v1").unwrap();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = told.clone();
    let options = WriteOptions {
        lock_timeout: Some(Duration::from_millis(700)),
        on_wait: Some(Arc::new(move |text: &str| {
            sink.lock().unwrap().push(text.to_owned());
        })),
        ..quick()
    };
    let _writer = open(home.path());
    let mut layout = Layout::open_to_change(home.path(), &options).unwrap();
    let error = layout.gc(GcOptions::default()).unwrap_err();
    assert!(matches!(error, LayoutError::Locked { .. }), "{error}");
    assert_eq!(told.lock().unwrap().len(), 1);
    let handle = File::open(home.path().join("blobs")).unwrap();
    rustix::fs::flock(&handle, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let entry = image(layout.blobs(), "two", "v2");
    assert!(matches!(
        layout.publish(&[entry]),
        Err(LayoutError::Locked { .. })
    ));
}

#[test]
fn a_missing_layout_is_not_made_by_reading_or_changing() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("none");
    assert!(Layout::open(&path).is_err());
    assert!(Layout::open_to_change(&path, &quick()).is_err());
    assert!(!path.exists());
    let error = Layout::open(home.path()).err().unwrap().to_string();
    assert!(
        error.ends_with("is not an image layout: there is no file oci-layout"),
        "{error}"
    );
}

#[test]
fn copies_verify_and_skip_what_is_there() {
    let home = tempfile::tempdir().unwrap();
    let memory = MemoryStore::default();
    let entry = image(&memory, "one", "v1");
    let (a, b) = (open(&home.path().join("a")), open(&home.path().join("b")));
    LayoutTarget::new(&a)
        .send(&memory, std::slice::from_ref(&entry))
        .unwrap();
    LayoutTarget::new(&b)
        .send(a.blobs(), std::slice::from_ref(&entry))
        .unwrap();
    assert_eq!(snapshot(a.path()).len(), snapshot(b.path()).len());
    assert_whole(b.path(), &["v1"]);

    let blob = a.blobs().path_of(&entry.descriptor.digest);
    let inode = fs::metadata(&blob).unwrap().ino();
    copy_graph(b.blobs(), a.blobs(), &entry.descriptor).unwrap();
    assert_eq!(fs::metadata(&blob).unwrap().ino(), inode);

    let c = open(&home.path().join("c"));
    let layer = closure(b.blobs(), std::slice::from_ref(&entry.descriptor))
        .unwrap()
        .remove(0);
    let path = b.blobs().path_of(&layer.digest);
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(LayoutTarget::new(&c).send(b.blobs(), &[entry]).is_err());
    assert!(c.index().unwrap().value.manifests.is_empty());
    assert!(!c.blobs().path_of(&layer.digest).exists());
}

#[test]
fn adopted_files_are_held_against_their_digest() {
    let home = tempfile::tempdir().unwrap();
    let layout = open(&home.path().join("layout"));
    let good = MemoryStore::default().put("a/b", b"some bytes");
    let file = home.path().join("file");
    for (bytes, trust, fine) in [
        (&b"some bytes"[..], Trust::Hash, true),
        (b"some bytes", Trust::Vouched, true),
        (b"other byte", Trust::Hash, false),
        (b"other", Trust::Vouched, false),
    ] {
        fs::write(&file, bytes).unwrap();
        let adopted = layout
            .blobs()
            .adopt(&File::open(&file).unwrap(), &good, trust);
        assert_eq!(adopted.is_ok(), fine, "{adopted:?}");
        if let Err(error) = adopted {
            assert!(matches!(error, BlobError::Damaged { .. }), "{error}");
        }
    }
    assert_eq!(read_all(layout.blobs(), &good, 100).unwrap(), b"some bytes");
}

fn file_output(path: &Path) -> Output {
    Output::File {
        path: path.to_owned(),
        sync: SyncMode::None,
    }
}

fn members(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(File::open(path).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mtime().unwrap(), 1);
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    });
    entries.collect()
}

/// Rules 11, 12, 113, 117.
#[test]
fn a_hybrid_archive_is_a_layout_and_dockers() {
    let home = tempfile::tempdir().unwrap();
    let memory = MemoryStore::default();
    let v1 = image(&memory, "one", "v1");
    let v2 = IndexEntry {
        annotations: [
            (REF_NAME.to_owned(), "v2".to_owned()),
            (
                "io.containerd.image.name".to_owned(),
                "docker.io/library/app:v2".to_owned(),
            ),
        ]
        .into(),
        ..v1.clone()
    };
    let out = home.path().join("a.tar");
    OciArchive::new(file_output(&out))
        .send(&memory, &[v1.clone(), v2])
        .unwrap();
    let list = members(&out);
    let names: Vec<_> = list.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["oci-layout", "blobs/", "blobs/sha256/"]);
    assert_eq!(names[6..], ["index.json", "manifest.json"]);
    assert!(names[3..6].is_sorted());
    let docker: Value = serde_json::from_slice(&list[7].1).unwrap();
    assert_eq!(docker[0]["RepoTags"], json!(["localhost/app:v1", "app:v2"]));
    for layer in [&docker[0]["Config"], &docker[0]["Layers"][0]] {
        assert!(names.contains(&layer.as_str().unwrap()));
    }
    let index: Value = serde_json::from_slice(&list[6].1).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);

    // Over an existing file, and the same bytes again.
    let first = fs::read(&out).unwrap();
    fs::write(home.path().join(".plywood-archive-1-1"), "dead").unwrap();
    let two = [v1.clone()];
    OciArchive::without_docker_manifest(file_output(&out))
        .send(&memory, &two)
        .unwrap();
    assert_ne!(fs::read(&out).unwrap(), first);
    assert_eq!(self::names(home.path()), ["a.tar"]);
    let shared = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    OciArchive::without_docker_manifest(Output::Stream {
        name: "stdout".into(),
        writer: Box::new(Sink(shared.clone())),
    })
    .send(&memory, &two)
    .unwrap();
    assert_eq!(*shared.borrow(), fs::read(&out).unwrap());
}

struct Sink(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Rules 113 to 116.
#[test]
fn a_docker_archive_holds_plain_layers_under_their_diff_ids() {
    use std::io::Write as _;
    let home = tempfile::tempdir().unwrap();
    let memory = MemoryStore::default();
    let tar = vec![0; 10_240];
    let plain = put(&memory, media::LAYER, &tar);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let gzip = put(&memory, media::LAYER_GZIP, &gzip.finish().unwrap());
    let zstd = put(
        &memory,
        media::LAYER_ZSTD,
        &zstd::encode_all(&tar[..], 3).unwrap(),
    );
    let archive = |diff_ids: Value| {
        let config = canonical(&json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }));
        let config = put(&memory, media::CONFIG, &config);
        let layers = [&plain, &gzip, &zstd].map(|d| IndexEntry::from(d.clone()).to_json());
        let manifest = canonical(&json!({
            "schemaVersion": 2, "mediaType": media::MANIFEST, "layers": layers,
            "config": IndexEntry::from(config.clone()).to_json(),
        }));
        let entry = IndexEntry::from(put(&memory, media::MANIFEST, &manifest));
        let out = home.path().join("d.tar");
        let sent = DockerArchive::new(file_output(&out)).send(&memory, &[entry]);
        sent.map(|()| (members(&out), config))
    };
    let id = plain.digest.to_string();
    let (list, config) = archive(json!([id, id, id])).unwrap();
    let names: Vec<_> = list.iter().map(|(name, _)| name.as_str()).collect();
    let layer = format!("{}.tar", plain.digest.hex());
    let json_name = format!("{}.json", config.digest.hex());
    assert_eq!(names, [json_name.as_str(), layer.as_str(), "manifest.json"]);
    assert_eq!(list[1].1, tar);
    let docker: Value = serde_json::from_slice(&list[2].1).unwrap();
    assert_eq!(
        docker,
        json!([{"Config": json_name, "RepoTags": null, "Layers": [layer, layer, layer]}])
    );
    let wrong = config.digest.to_string();
    let error = archive(json!([id, wrong, id])).err().unwrap();
    assert!(error.to_string().contains("but the config says"), "{error}");
    assert_eq!(self::names(home.path()), ["d.tar"]);
}

#[test]
fn devices_and_links_are_written_through() {
    let home = tempfile::tempdir().unwrap();
    let memory = MemoryStore::default();
    let entry = image(&memory, "one", "v1");
    let real = home.path().join("real.tar");
    let link = home.path().join("link.tar");
    fs::write(&real, "old").unwrap();
    symlink("real.tar", &link).unwrap();
    OciArchive::new(file_output(&link))
        .send(&memory, std::slice::from_ref(&entry))
        .unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(members(&real).len(), 8);
    OciArchive::new(file_output(Path::new("/dev/null")))
        .send(&memory, &[entry])
        .unwrap();
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
}

#[test]
fn archives_are_read_where_they_are() {
    let home = tempfile::tempdir().unwrap();
    let memory = MemoryStore::default();
    let entry = image(&memory, "one", "v1");
    let sent = std::slice::from_ref(&entry);
    let (oci, docker) = (home.path().join("o.tar"), home.path().join("d.tar"));
    OciArchive::new(file_output(&oci))
        .send(&memory, sent)
        .unwrap();
    DockerArchive::new(file_output(&docker))
        .send(&memory, sent)
        .unwrap();

    let store = ArchiveStore::open(&oci).unwrap();
    assert_eq!(store.entries(), sent);
    let layout = open(&home.path().join("a"));
    LayoutTarget::new(&layout)
        .send(&store, store.entries())
        .unwrap();
    assert_whole(layout.path(), &["v1"]);

    let store = ArchiveStore::open(&docker).unwrap();
    assert_eq!(store.entries()[0].annotations, entry.annotations);
    let layout = open(&home.path().join("b"));
    LayoutTarget::new(&layout)
        .send(&store, store.entries())
        .unwrap();
    assert_whole(layout.path(), &["v1"]);
    // Config and layer are the same, and the manifest that is made for them says as much.
    let names = |name| names(&home.path().join(name).join("blobs/sha256"));
    assert_eq!(names("a"), names("b"));

    let whole = fs::read(&oci).unwrap();
    let mut flipped = whole.clone();
    let place = whole.windows(3).position(|w| w == b"one").unwrap();
    flipped[place] ^= 1;
    for cut in (0..whole.len() - 4096).step_by(300) {
        fs::write(&oci, &whole[..cut]).unwrap();
        assert!(ArchiveStore::open(&oci).is_err(), "cut at {cut}");
    }
    let cases: [(&[u8], &str); 5] = [
        (b"", "there is neither index.json nor manifest.json in it"),
        (b"\x1f\x8b\x08", "it is compressed with gzip"),
        (&whole[..1200], "cannot be read as an archive"),
        (&[b'x'; 2000], "cannot be read as an archive of images"),
        (&flipped, "is damaged: its bytes have the digest"),
    ];
    for (bytes, fault) in cases {
        fs::write(&oci, bytes).unwrap();
        let layout = open(&home.path().join("c"));
        let read = ArchiveStore::open(&oci)
            .and_then(|store| LayoutTarget::new(&layout).send(&store, store.entries()));
        let error = read.unwrap_err().to_string();
        assert!(error.contains(fault), "{error}");
    }
}
