//! Layouts survive: kills, failing calls, full disks, power cuts, rivals and damage.
//!
//! Every test runs the program itself. After each disaster the earlier tag still leads to the very
//! same whole image, and the same run repeated, without any repair, makes the layout exactly what it
//! would be if nothing had happened: every file, every byte, no litter.
//!
//! A short selection runs by default; `PLYWOOD_CRASH=long` runs all of it, see `scripts/crash`.

mod damage;
mod faults;
mod full;
mod kill;
mod order;
mod power;
mod rivals;
mod verbs;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use plywood::blob::read_all;
use plywood::layout::Layout;
use plywood::target::closure;
use tempfile::TempDir;

use crate::kit::skipped;

/// Whether everything is to be tried, whatever time it takes.
pub fn long() -> bool {
    std::env::var_os("PLYWOOD_CRASH").is_some_and(|value| value == "long")
}

/// Every file of a directory with its bytes; directories and links by what they are.
pub type Snapshot = BTreeMap<PathBuf, Vec<u8>>;

pub fn snapshot(root: &Path) -> Snapshot {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let described = entries.map(|entry| {
        let kind = entry.file_type();
        let bytes = if kind.is_file() {
            fs::read(entry.path()).unwrap()
        } else {
            format!("{kind:?}").into_bytes()
        };
        (entry.path().strip_prefix(root).unwrap().to_owned(), bytes)
    });
    described.collect()
}

/// Sources of two images that share a layer, and what comes of them if nothing goes wrong.
pub struct Scene {
    home: TempDir,
    /// A layout with the tag `old` alone.
    base: PathBuf,
    /// What a layout is after both images were built into it.
    both: Snapshot,
    /// What it is after `new` alone was.
    alone: Snapshot,
    digests: BTreeMap<&'static str, String>,
}

/// What a layout holds before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It does not exist.
    Nothing,
    /// The image `old`.
    Old,
}

impl Scene {
    pub fn new() -> Self {
        let home = TempDir::with_prefix("plycrash").unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for name in ["a", "b", "c", "d"] {
            let dir = home.path().join("store/s").join(name);
            fs::create_dir_all(&dir).unwrap();
            for (number, size) in [70_000, 300, 150_000].into_iter().enumerate() {
                fs::write(dir.join(number.to_string()), noise(&mut state, size)).unwrap();
            }
        }
        for (tag, paths) in [("old", ["a", "b"]), ("new", ["b", "c"])] {
            let list = paths.map(|path| format!(r#"{{"path":"/s/{path}","references":[]}}"#));
            fs::write(home.path().join(tag), format!("[{}]", list.join(","))).unwrap();
        }
        let base = home.path().join("base");
        let mut scene = Self {
            base: base.clone(),
            both: Snapshot::new(),
            alone: Snapshot::new(),
            digests: BTreeMap::new(),
            home,
        };
        let old = scene.must(&base, "old");
        let (both, alone) = (scene.at("both"), scene.at("alone"));
        copy(&base, &both);
        let new = scene.must(&both, "new");
        assert_eq!(new, scene.must(&alone, "new"));
        scene.both = snapshot(&both);
        scene.alone = snapshot(&alone);
        scene.digests = [("old", old), ("new", new)].into();
        scene
    }

    /// A place of one's own.
    pub fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Puts a layout into the state that a run starts from.
    pub fn prepare(&self, layout: &Path, start: Start) {
        if layout.exists() {
            fs::remove_dir_all(layout).unwrap();
        }
        if start == Start::Old {
            copy(&self.base, layout);
        }
    }

    /// The arguments that build an image into a layout.
    ///
    /// With a cache if a directory of that name lies beside the layout, else without.
    pub fn arguments(&self, layout: &Path, tag: &str) -> Vec<String> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut list = vec![env!("CARGO_BIN_EXE_plywood").to_owned(), "build".to_owned()];
        let flags = [
            ("--graph", text(&self.at(tag))),
            ("--store-prefix", text(&self.at("store"))),
            ("--tag", format!("app:{tag}")),
            ("--output", format!("oci:{}", text(layout))),
            ("--jobs", "2".to_owned()),
        ];
        for (flag, value) in flags {
            list.extend([flag.to_owned(), value]);
        }
        let cache = layout.with_file_name("cache");
        if cache.exists() {
            list.extend(["--cache".to_owned(), text(&cache)]);
        } else {
            list.push("--no-cache".to_owned());
        }
        list
    }

    /// The program under another one, such as a shell or a tracer: those words come first.
    pub fn command(&self, before: &[&str], layout: &Path, tag: &str) -> Command {
        let mut words: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        words.extend(self.arguments(layout, tag));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.stdin(Stdio::null()).env_remove("PLYWOOD_CRASH");
        command.env("RUST_BACKTRACE", "0");
        command
    }

    pub fn run(&self, before: &[&str], layout: &Path, tag: &str) -> Output {
        self.command(before, layout, tag).output().unwrap()
    }

    /// Builds, which must go well: the digest.
    pub fn must(&self, layout: &Path, tag: &str) -> String {
        let ran = self.run(&[], layout, tag);
        assert!(ran.status.success(), "{}", told(&ran));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Every tag that should be there leads to its whole image, as does any other.
    pub fn assert_whole(&self, layout: &Path, tags: &[&str]) {
        if tags.is_empty() && !layout.join("index.json").exists() {
            return;
        }
        let layout = Layout::open(layout).unwrap();
        let entries = layout.index().unwrap().value.manifests;
        let there: Vec<_> = entries
            .iter()
            .filter_map(|entry| entry.ref_name())
            .collect();
        assert!(
            tags.iter().all(|tag| there.contains(tag)),
            "{tags:?} of {there:?}"
        );
        for entry in &entries {
            // What is attached has no name.
            let name = entry.ref_name().unwrap_or_default();
            if let Some(wanted) = self.digests.get(name) {
                assert_eq!(entry.descriptor.digest.to_string(), *wanted);
            }
            for blob in closure(layout.blobs(), std::slice::from_ref(&entry.descriptor)).unwrap() {
                read_all(layout.blobs(), &blob, u64::MAX).unwrap();
            }
        }
    }

    /// After a disaster: what was there is there, and the same run puts everything right.
    pub fn assert_recovers(&self, layout: &Path, start: Start) {
        let (tags, clean): (&[&str], _) = match start {
            Start::Nothing => (&[], &self.alone),
            Start::Old => (&["old"], &self.both),
        };
        self.assert_whole(layout, tags);
        assert_eq!(self.must(layout, "new"), self.digests["new"]);
        assert_same(&snapshot(layout), clean);
        self.ask_skopeo(layout, tags);
    }

    /// Another program finds the images as well: now and then, because it takes its time.
    fn ask_skopeo(&self, layout: &Path, tags: &[&str]) {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        if !TURN.fetch_add(1, Ordering::Relaxed).is_multiple_of(20) {
            return;
        }
        if !tool("skopeo", &["--version"]) {
            return skipped("no skopeo");
        }
        for tag in tags.iter().copied().chain(["new"]) {
            let place = format!("oci:{}:{tag}", layout.display());
            let out = format!("dir:{}", self.at("skopeo").display());
            assert!(tool("skopeo", &["copy", &place, &out]), "{place}");
        }
    }

    /// The layout is what it should be with both images.
    pub fn assert_both(&self, layout: &Path) {
        assert_same(&snapshot(layout), &self.both);
    }
}

pub fn assert_same(found: &Snapshot, clean: &Snapshot) {
    let litter: Vec<_> = found
        .keys()
        .filter(|path| !clean.contains_key(*path))
        .collect();
    assert!(litter.is_empty(), "litter: {litter:?}");
    let missing: Vec<_> = clean
        .keys()
        .filter(|path| !found.contains_key(*path))
        .collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    let other: Vec<_> = clean
        .iter()
        .filter(|(path, bytes)| found[*path] != **bytes)
        .collect();
    assert!(
        other.is_empty(),
        "other bytes: {:?}",
        other.iter().map(|o| o.0).collect::<Vec<_>>()
    );
}

/// A run that failed, failed well: with an error, not with a panic or a signal of its own.
pub fn assert_clean_failure(ran: &Output) {
    let text = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{}", told(ran));
    assert!(text.contains("error: "), "{}", told(ran));
    assert!(!text.contains("panicked"), "{}", told(ran));
    assert!(ran.stdout.is_empty(), "{}", told(ran));
}

/// What a run did, for the message of a test.
pub fn told(ran: &Output) -> String {
    let (out, err) = (&ran.stdout, &ran.stderr);
    format!(
        "{:?} signal {:?}\n{}{}",
        ran.status.code(),
        ran.status.signal(),
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// The words before a program that make its calls of a kind end badly: from the Nth on, once.
pub fn injected(call: &str, how: &str, number: usize, log: &str) -> Vec<String> {
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:{how}:when={number}");
    let words = [
        "strace", "-f", "-qqq", "-o", log, "-e", &trace, "-e", &inject,
    ];
    words.map(str::to_owned).to_vec()
}

/// Whether there was such a call.
pub fn was_injected(log: &str) -> bool {
    let log = fs::read(log).unwrap();
    String::from_utf8_lossy(&log).contains("(INJECTED)")
}

/// From now on there is a cache beside the layout, or there is not; an empty one.
pub fn set_cache(layout: &Path, wanted: bool) {
    let cache = layout.with_file_name("cache");
    let _ = fs::remove_dir_all(&cache);
    if wanted {
        fs::create_dir(&cache).unwrap();
    }
}

pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(copied.success());
}

/// Bytes that do not compress, the same in every run.
fn noise(state: &mut u64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&next(state).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// The next of a fixed series of numbers (xorshift).
pub fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Runs a program that has to do with the test and not with what is tested.
pub fn tool(program: &str, arguments: &[&str]) -> bool {
    let ran = Command::new(program).args(arguments).output();
    ran.is_ok_and(|ran| ran.status.success())
}

/// A file system that is unmounted again.
pub struct Mount(PathBuf);

impl Mount {
    /// `mount ARGUMENTS DIRECTORY`, or `None` where this machine does not let us.
    pub fn new(arguments: &[&str], directory: &Path) -> Option<Self> {
        fs::create_dir_all(directory).unwrap();
        let mut words = arguments.to_vec();
        words.push(directory.to_str().unwrap());
        tool("mount", &words).then(|| Self(directory.to_owned()))
    }

    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(tool("mount", &["-o", &options, self.0.to_str().unwrap()]));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let place = self.0.to_str().unwrap();
        if !tool("umount", &[place]) {
            tool("umount", &["-l", place]);
        }
    }
}
