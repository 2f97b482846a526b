//! Every verb that writes, killed, refused and crowded as builds are.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Instant;

use super::{
    Mount, Scene, Snapshot, Start, assert_clean_failure, assert_same, injected, long, next,
    snapshot, told, tool, was_injected,
};
use crate::kit::skipped;

const PROGRAM: &str = env!("CARGO_BIN_EXE_plywood");

/// `L` stands for the layout, `A` for another one, `N` for a file, `D` for a directory.
type Words = &'static [&'static str];

/// What is typed, and what is done before so that there is something to do.
const VERBS: [(Words, &[Words]); 11] = [
    (&["copy", "A:new", "oci:L:copied"], &[]),
    (&["copy", "--all", "A", "oci:L"], &[]),
    (
        &["index", "create", "-o", "oci:L:many", "A:new", "A:arm"],
        &[],
    ),
    (
        &[
            "artifact",
            "create",
            "--type",
            "a/b",
            "-o",
            "oci:L:art",
            "N",
        ],
        &[],
    ),
    (
        &[
            "artifact",
            "attach",
            "--type",
            "a/b",
            "--subject",
            "L:old",
            "N",
        ],
        &[],
    ),
    (
        &["build", "--no-cache", "-b", "A:new", "-o", "oci:L:top", "D"],
        &[],
    ),
    // From a layout into itself: the reader must not keep the dead from being swept.
    (&["copy", "L:old", "oci:L:twin"], &[]),
    (
        &[
            "build",
            "--no-cache",
            "-b",
            "L:old",
            "-o",
            "oci:L:higher",
            "D",
        ],
        &[],
    ),
    (&["tag", "L:old", "more"], &[]),
    (&["untag", "L", "new"], &[NEW]),
    (&["gc", "L"], &[NEW, &["untag", "L", "new"]]),
];

const NEW: Words = &["copy", "A:new", "oci:L:new"];

/// A layout to work on, and what the verbs work with.
struct Stage {
    scene: Scene,
    layout: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::new();
        let aside = scene.at("aside");
        scene.must(&aside, "new");
        let mut arm = scene.command(&[], &aside, "old");
        arm.args(["--platform", "linux/arm64"]);
        assert!(arm.output().unwrap().status.success());
        let layout = scene.at("layout");
        let stage = Self { scene, layout };
        let aside = stage.scene.at("aside").display().to_string();
        let rename: [&[&str]; 2] = [
            &["tag", &format!("{aside}:old"), "app:arm"],
            &["untag", &aside, "old"],
        ];
        assert!(rename.iter().all(|words| tool(PROGRAM, words)));
        fs::write(stage.scene.at("note"), "a note").unwrap();
        stage
    }

    fn words(&self, verb: Words) -> Vec<String> {
        let places = [
            ("L", self.layout.clone()),
            ("A", self.scene.at("aside")),
            ("N", self.scene.at("note")),
            ("D", self.scene.at("store/s/d")),
        ];
        let word = |word: &&str| {
            // The place is a part between colons.
            let parts = word.split(':').map(|part| {
                let place = places.iter().find(|(name, _)| *name == part);
                place.map_or(part.to_owned(), |(_, path)| path.display().to_string())
            });
            parts.collect::<Vec<_>>().join(":")
        };
        verb.iter().map(word).collect()
    }

    fn command(&self, before: &[String], verb: Words) -> Command {
        let program = [PROGRAM.to_owned()];
        let words = [before, &program, &self.words(verb)].concat();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command
    }

    fn run(&self, before: &[String], verb: Words) -> Output {
        self.command(before, verb).output().unwrap()
    }

    fn prepare(&self, before: &[Words]) {
        self.scene.prepare(&self.layout, Start::Old);
        self.before(before);
    }

    fn before(&self, before: &[Words]) {
        for words in before {
            let ran = self.run(&[], words);
            assert!(ran.status.success(), "{}", told(&ran));
        }
    }

    /// What the layout is if nothing goes wrong.
    fn clean(&self, verb: Words, before: &[Words]) -> Snapshot {
        self.prepare(before);
        let ran = self.run(&[], verb);
        assert!(ran.status.success(), "{verb:?}: {}", told(&ran));
        snapshot(&self.layout)
    }

    /// What was there is there, and the same words put everything right.
    fn assert_recovers(&self, verb: Words, clean: &Snapshot) {
        self.scene.assert_whole(&self.layout, &["old"]);
        let again = self.run(&[], verb);
        // A name that is gone already need not be taken away again.
        let done = again.status.success() || verb[0] == "untag";
        assert!(done, "{verb:?}: {}", told(&again));
        assert_same(&snapshot(&self.layout), clean);
    }
}

/// In the long run every call; in the short one the first, and fewer and fewer.
fn step(number: usize) -> usize {
    if long() { 1 } else { 1 + number * 4 }
}

/// In the short run a third of the calls for each verb, by turns.
fn some_of(turn: usize, calls: [&'static str; 7]) -> Vec<&'static str> {
    let wanted = |i: &usize| long() || (i + turn).is_multiple_of(3);
    let numbers = (0..calls.len()).filter(wanted);
    numbers.map(|i| calls[i]).collect()
}

#[test]
fn killed_at_the_nth_call() {
    if !tool("strace", &["-V"]) {
        return skipped("no strace");
    }
    let stage = Stage::new();
    let mut runs = 0;
    for (turn, (verb, before)) in VERBS.into_iter().enumerate() {
        let clean = stage.clean(verb, before);
        for call in some_of(
            turn,
            [
                "openat", "flock", "write", "fsync", "linkat", "renameat", "unlinkat",
            ],
        ) {
            let mut number = 1;
            loop {
                stage.prepare(before);
                let kill = injected(call, "signal=KILL", number, "/dev/null");
                let ended = stage.run(&kill, verb).status.success();
                stage.assert_recovers(verb, &clean);
                runs += 1;
                if ended {
                    break;
                }
                number += step(number);
            }
        }
    }
    eprintln!("verbs killed at the Nth call: {runs} runs");
}

#[test]
fn killed_at_random_instants() {
    let stage = Stage::new();
    let mut state = 77;
    let rounds = if long() { 60 } else { 2 };
    for (verb, before) in VERBS {
        let clean = stage.clean(verb, before);
        stage.prepare(before);
        let began = Instant::now();
        stage.run(&[], verb);
        let whole = began.elapsed();
        for _ in 0..rounds {
            stage.prepare(before);
            let mut command = stage.command(&[], verb);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            sleep(whole * u32::try_from(next(&mut state) % 1000).unwrap() / 900);
            let _ = child.kill();
            child.wait().unwrap();
            stage.assert_recovers(verb, &clean);
        }
    }
    eprintln!("verbs killed at random: {} runs", rounds * VERBS.len());
}

#[test]
fn with_calls_that_fail() {
    if !tool("strace", &["-V"]) {
        return skipped("no strace");
    }
    let stage = Stage::new();
    let log = stage.scene.at("trace").display().to_string();
    let mut errors = ["EIO", "ENOSPC", "EMFILE", "EDQUOT", "EINTR"]
        .iter()
        .cycle();
    let mut runs = 0;
    for (turn, (verb, before)) in VERBS.into_iter().enumerate() {
        let clean = stage.clean(verb, before);
        for call in some_of(
            turn,
            [
                "openat", "flock", "write", "fsync", "linkat", "renameat", "read",
            ],
        ) {
            // In the short run each call of each verb meets one error, by turns.
            for error in errors.by_ref().take(if long() { 5 } else { 1 }) {
                let mut number = if call == "openat" { 12 } else { 1 };
                loop {
                    stage.prepare(before);
                    let fail = injected(call, &format!("error={error}"), number, &log);
                    let ran = stage.run(&fail, verb);
                    let place = format!("{verb:?} {call} {error} {number}: {}", told(&ran));
                    let loader = ran.status.code() == Some(127);
                    if *error == "EINTR" && !loader {
                        assert!(ran.status.success(), "{place}");
                    }
                    // What cannot be written cannot be told.
                    if !ran.status.success() && !loader && call != "write" {
                        assert_clean_failure(&ran);
                    }
                    stage.assert_recovers(verb, &clean);
                    runs += 1;
                    if !was_injected(&log) {
                        break;
                    }
                    number += step(number);
                }
            }
        }
    }
    eprintln!("verbs with calls that fail: {runs} runs");
}

#[test]
fn on_a_full_disk() {
    let mut stage = Stage::new();
    let disk = stage.scene.at("disk");
    stage.layout = disk.join("layout");
    let mut failed = 0;
    for (verb, before) in VERBS {
        let mount = |options| Mount::new(&["-t", "tmpfs", "-o", options, "none"], &disk);
        let Some(room) = mount("size=64m") else {
            return skipped("no right to mount");
        };
        let clean = stage.clean(verb, before);
        drop(room);
        let sizes = (0..400).step_by(if long() { 8 } else { 90 });
        let inodes = (14..30).step_by(if long() { 1 } else { 6 });
        let limits = sizes
            .map(|kib| format!("size={}k", 8 + kib))
            .chain(inodes.map(|count| format!("nr_inodes={count}")));
        for limit in limits {
            let room = mount("size=64m,nr_inodes=1000").unwrap();
            stage.prepare(before);
            // So much beside what is there; a limit below that is none.
            let (kind, number) = limit.split_once('=').unwrap();
            let number: u64 = number.trim_end_matches('k').parse().unwrap();
            let full = match kind {
                "size" => format!("size={}k", used_kib(&disk) + number),
                _ => limit.clone(),
            };
            if !tool(
                "mount",
                &["-o", &format!("remount,{full}"), disk.to_str().unwrap()],
            ) {
                continue;
            }
            let ran = stage.run(&[], verb);
            if !ran.status.success() {
                failed += 1;
                assert_clean_failure(&ran);
                let text = String::from_utf8_lossy(&ran.stderr);
                assert!(text.contains("No space left on device"), "{text}");
            }
            stage.scene.assert_whole(&stage.layout, &["old"]);
            room.remount("size=64m,nr_inodes=1000");
            stage.assert_recovers(verb, &clean);
        }
    }
    assert!(failed > 2, "only {failed} runs found the disk full");
}

fn used_kib(disk: &std::path::Path) -> u64 {
    let told = Command::new("df")
        .args(["--output=used", "-k"])
        .arg(disk)
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    text.lines().nth(1).unwrap().trim().parse().unwrap()
}

/// All verbs at once, again and again: every name in the end, and nothing that is not whole.
#[test]
fn beside_each_other() {
    let stage = Stage::new();
    stage.prepare(&[]);
    let rounds = if long() { 20 } else { 2 };
    // `untag` and `gc` take away what the others of this table gave.
    let crowd = &VERBS[..9];
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let (stage, verb) = (&stage, crowd[writer % crowd.len()].0);
            scope.spawn(move || {
                for round in 0..rounds {
                    let own = format!("w{writer}r{round}");
                    let tag = stage.command(&[], &["tag", "L:old"]).arg(&own).output();
                    assert!(
                        tag.as_ref().unwrap().status.success(),
                        "{}",
                        told(&tag.unwrap())
                    );
                    let ran = stage.run(&[], verb);
                    assert!(ran.status.success(), "{verb:?}: {}", told(&ran));
                    let gc = stage.run(&[], &["gc", "L", "--lock-timeout", "0"]);
                    // Others are at work, mostly.
                    assert!(matches!(gc.status.code(), Some(0 | 1)), "{}", told(&gc));
                    if round % 2 == 1 {
                        let gone = stage.command(&[], &["untag", "L"]).arg(&own).output();
                        assert!(gone.unwrap().status.success());
                    }
                }
            });
        }
    });
    let kept = (0..16).flat_map(|w| (0..rounds).step_by(2).map(move |r| format!("w{w}r{r}")));
    let kept: Vec<_> = kept.collect();
    let made = [
        "old", "copied", "new", "arm", "many", "art", "top", "twin", "higher", "more",
    ];
    let all: Vec<_> = kept.iter().map(String::as_str).chain(made).collect();
    stage.scene.assert_whole(&stage.layout, &all);
    let names = plywood::layout::Layout::open(&stage.layout).unwrap();
    let names = names.index().unwrap().value.manifests.len();
    // One more is attached, and has no name.
    assert_eq!(names, all.len() + 1);
    assert!(tool(PROGRAM, &["verify", stage.layout.to_str().unwrap()]));
}
