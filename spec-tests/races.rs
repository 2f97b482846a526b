//! Trees that change while they are read, and trees at the edge of what can be read.
//!
//! A race is made certain: the tree is changed right after it was listed, before any
//! byte of it is read.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use plywood::blob::MemoryStore;
use plywood::layer::{Codec, LayerBlob, LayerError, LayerJob, Silent, build_layers};
use plywood::tree::{Exclude, Flavour, ListRequest, Opener, Parents, Policy, TreePath, list};

use crate::crash::Mount;
use crate::kit::{Case, Layout, Tree, long, skipped};

/// Makes a layer of a tree that is changed between listing and reading.
fn layer(
    tree: &Tree,
    flavour: Flavour,
    change: impl FnOnce() + Send,
) -> Result<LayerBlob, LayerError> {
    let (policy, exclude, parents) = (Policy::default(), Exclude::default(), Parents::default());
    let dest = TreePath::new("x").unwrap();
    let part = Opener::default().open(tree.path(), dest, flavour).unwrap();
    let mut change = Some(change);
    let source = || {
        let listing = list(ListRequest {
            parts: vec![part.clone()],
            made: Vec::new(),
            policy: &policy,
            exclude: &exclude,
            parents: &parents,
            yielding: false,
            threads: 2,
            memory: None,
        });
        change.take().unwrap()();
        listing
    };
    let job = LayerJob {
        source: Box::new(source),
        expected: 0,
    };
    let made = build_layers(
        vec![job],
        Codec::Zstd(3),
        &MemoryStore::default(),
        2,
        &Silent,
    );
    made.map(|mut layers| layers.remove(0))
}

fn sample() -> Tree {
    Tree::new()
        .file("dir/file", vec![1; 5000])
        .mtime("dir/file", 1000)
        .file("other", "secret")
}

fn change(what: impl FnOnce(&Tree) + Send) -> String {
    let tree = sample();
    let failed = layer(&tree, Flavour::Plain, || what(&tree))
        .unwrap_err()
        .to_string();
    assert!(
        failed.contains("dir/file changed while it was read: "),
        "{failed}"
    );
    failed.split(": ").last().unwrap().to_owned()
}

#[test]
fn every_change_of_a_file_is_an_error_that_names_it() {
    let grown = change(|tree| {
        let file = fs::File::options()
            .append(true)
            .open(tree.at("dir/file"))
            .unwrap();
        file.write_all_at(b"more", 5000).unwrap();
    });
    assert_eq!(grown, "its size is another");
    let shrunk = change(|tree| {
        fs::File::options()
            .write(true)
            .open(tree.at("dir/file"))
            .unwrap()
            .set_len(10)
            .unwrap();
    });
    assert_eq!(shrunk, "it has become shorter");
    assert_eq!(
        change(|tree| fs::remove_file(tree.at("dir/file")).unwrap()),
        "it has vanished"
    );
    let written = change(|tree| fs::write(tree.at("dir/file"), vec![2; 5000]).unwrap());
    assert_eq!(written, "its modification time is another");
    let replaced = change(|tree| {
        fs::write(tree.at("new"), vec![2; 5000]).unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        fs::File::options()
            .write(true)
            .open(tree.at("new"))
            .unwrap()
            .set_modified(then)
            .unwrap();
        fs::rename(tree.at("new"), tree.at("dir/file")).unwrap();
    });
    assert_eq!(replaced, "another file has taken its place");
}

#[test]
fn a_link_in_place_of_a_file_or_directory_is_not_followed() {
    let file = change(|tree| {
        fs::remove_file(tree.at("dir/file")).unwrap();
        symlink("../other", tree.at("dir/file")).unwrap();
    });
    let directory = change(|tree| {
        fs::rename(tree.at("dir"), tree.at("moved")).unwrap();
        symlink("moved", tree.at("dir")).unwrap();
    });
    for text in [file, directory] {
        assert_eq!(
            text,
            "a link has taken its place, or that of a directory above"
        );
    }
}

#[test]
fn a_pipe_in_place_of_a_file_blocks_nothing() {
    let text = change(|tree| {
        fs::remove_file(tree.at("dir/file")).unwrap();
        let pipe = Command::new("mkfifo")
            .arg(tree.at("dir/file"))
            .status()
            .unwrap();
        assert!(pipe.success());
    });
    assert_eq!(text, "it is not a regular file any more");
}

#[test]
fn an_optimised_store_is_the_same_store() {
    let tree = sample();
    let swap = || {
        // What `nix-store --optimise` does: an equal file of another inode under the same name.
        fs::copy(tree.at("dir/file"), tree.at("links")).unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        fs::File::options()
            .write(true)
            .open(tree.at("links"))
            .unwrap()
            .set_modified(then)
            .unwrap();
        fs::hard_link(tree.at("links"), tree.at("dir/temporary")).unwrap();
        fs::rename(tree.at("dir/temporary"), tree.at("dir/file")).unwrap();
    };
    let before = layer(&tree, Flavour::Store, || ()).unwrap();
    assert_eq!(layer(&tree, Flavour::Store, swap).unwrap(), before);
}

#[test]
fn a_path_too_long_to_be_made_again_is_refused() {
    let deep = |levels: usize| {
        let tree = Tree::new();
        // No call takes so long a path: one level at a time, as mkdir -p does.
        let script = format!(
            "import os\nos.chdir({:?})\nfor _ in range({levels}):\n os.mkdir('d'); os.chdir('d')",
            tree.path()
        );
        assert!(
            Command::new("python3")
                .args(["-c", &script])
                .status()
                .unwrap()
                .success()
        );
        tree
    };
    let (fits, too_deep) = (deep(1500), deep(10_000));
    let build = |tree: &Tree| Case::build(["-o", "oci:out"]).arg(tree.path());
    build(&fits).success();
    build(&too_deep)
        .run()
        .code(3)
        .stderr_has("is longer than 4095 bytes");
}

#[test]
fn what_this_user_may_not_read_is_named() {
    if !rustix_is_root() {
        return skipped("only root can become somebody else");
    }
    let tree = Tree::new()
        .file("closed/file", "x")
        .file("sealed", "x")
        .mode("sealed", 0);
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let out = Tree::new().mode(".", 0o777);
    let build = |name: &str| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(copied_binary(&out));
        command
            .args(["build", "-o"])
            .arg(format!("oci:{}", out.at(name).display()))
            .arg(tree.path());
        command.env_clear().output().unwrap()
    };
    let sealed = build("a");
    assert_eq!(sealed.status.code(), Some(1));
    let told = String::from_utf8_lossy(&sealed.stderr).into_owned();
    assert!(
        told.contains("/sealed\ncaused by: Permission denied"),
        "{told}"
    );
    assert!(
        told.contains("hint: run as a user who may read it, or leave it out with --exclude"),
        "{told}"
    );
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The program where anybody may run it.
fn copied_binary(place: &Tree) -> std::path::PathBuf {
    let copy = place.at("plywood");
    if !copy.exists() {
        fs::copy(env!("CARGO_BIN_EXE_plywood"), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    }
    copy
}

/// Runs `build` of a tree under a limit of address space, in KiB.
fn build_within(limit: usize, tree: &Path, codec: &str) -> bool {
    let script = format!(
        "ulimit -v {limit}; exec \"$0\" build --no-cache -q -j 2 -o oci-archive:/dev/null --compression {codec} \"$1\""
    );
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &script, env!("CARGO_BIN_EXE_plywood")])
        .arg(tree);
    shell.status().unwrap().success()
}

#[test]
fn a_huge_file_needs_little_memory() {
    // Ten gigabytes are no different from a part of one but for the time.
    let size = if long() { 10 << 30 } else { 300 << 20 };
    let tree = Tree::new().sparse("huge", size);
    for codec in ["none", "zstd:1"] {
        assert!(build_within(256 << 10, tree.path(), codec), "{codec}");
    }
}

#[test]
fn a_million_files_in_one_directory_need_little_memory() {
    let count = if long() { 1_000_000 } else { 20_000 };
    let tree = Tree::new();
    for number in 0..count {
        File::create(tree.at(format!("file-number-{number:07}"))).unwrap();
    }
    // Address space, of which threads and allocator take most without using it.
    for codec in ["none", "zstd:1"] {
        assert!(build_within(512 << 10, tree.path(), codec), "{codec}");
    }
}

#[test]
fn a_worker_that_panics_fails_the_build() {
    let tree = sample();
    let failed = layer(&tree, Flavour::Plain, || panic!("of set purpose")).unwrap_err();
    assert!(matches!(failed, LayerError::Panicked { .. }), "{failed}");
    assert_eq!(
        failed.to_string(),
        "a worker panicked while it made layer 0: of set purpose"
    );
}

#[test]
fn what_is_mounted_inside_a_source_is_a_part_of_it() {
    let tree = Tree::new().file("beside", "x");
    let Some(_mounted) = Mount::new(&["-t", "tmpfs", "none"], &tree.at("inside")) else {
        return skipped("no right to mount");
    };
    fs::write(tree.at("inside/file"), "mounted").unwrap();
    let case = Case::build(["-o", "oci:out"]).arg(tree.path());
    case.success();
    let layer = Layout(case.at("out")).only_layer();
    let paths: Vec<_> = layer.iter().map(|entry| entry.path.clone()).collect();
    assert_eq!(paths, [&b"beside"[..], b"inside/", b"inside/file"]);
}
