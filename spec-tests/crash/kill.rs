//! Killed, at any instant and at any call.

use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Scene, Start, assert_same, injected, long, next, set_cache, snapshot, tool};
use crate::kit::skipped;

#[test]
fn at_random_instants() {
    let scene = Scene::new();
    let layout = scene.at("layout");
    let whole = (0..5).map(|_| duration(&scene, &layout)).min().unwrap();
    let mut state = 42;
    let rounds = if long() { 600 } else { 30 };
    let mut killed = 0;
    for round in 0..rounds {
        let start = if round % 3 == 0 {
            Start::Nothing
        } else {
            Start::Old
        };
        scene.prepare(&layout, start);
        if round % 10 == 0 {
            set_cache(&layout, round % 20 == 0);
        }
        let delay = whole * u32::try_from(next(&mut state) % 1000).unwrap() / 900;
        killed += usize::from(kill_after(&scene, &layout, delay));
        scene.assert_recovers(&layout, start);
    }
    eprintln!("killed at random: {killed} of {rounds} runs");
    assert!(
        killed * 3 > rounds,
        "only {killed} of {rounds} runs were killed in time"
    );
}

/// How long a run takes that nobody kills.
fn duration(scene: &Scene, layout: &Path) -> Duration {
    scene.prepare(layout, Start::Old);
    let began = Instant::now();
    scene.must(layout, "new");
    began.elapsed()
}

/// Whether the run was killed before it ended.
fn kill_after(scene: &Scene, layout: &Path, delay: Duration) -> bool {
    let mut command = scene.command(&[], layout, "new");
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    sleep(delay);
    let ended = child.try_wait().unwrap().is_some();
    let _ = child.kill();
    child.wait().unwrap();
    !ended
}

/// A rival that goes on, and builds that come and go dead around it.
#[test]
fn beside_a_living_writer() {
    let scene = Scene::new();
    let layout = scene.at("layout");
    scene.prepare(&layout, Start::Old);
    let options = plywood::layout::WriteOptions::default();
    let living = plywood::layout::Layout::create_or_open(&layout, &options).unwrap();
    for delay in [3, 9, 15, 21] {
        kill_after(&scene, &layout, Duration::from_millis(delay));
        scene.assert_whole(&layout, &["old"]);
    }
    drop(living);
    scene.assert_recovers(&layout, Start::Old);
}

/// Signals that ask: gone within a second, with nothing left behind even before the next run.
#[test]
fn asked_to_stop() {
    let scene = Scene::new();
    let layout = scene.at("layout");
    for (round, signal) in ["-INT", "-TERM"].iter().cycle().take(6).enumerate() {
        scene.prepare(&layout, Start::Old);
        let mut command = scene.command(&[], &layout, "new");
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(4 * round as u64));
        tool("kill", &[signal, &child.id().to_string()]);
        let asked = Instant::now();
        child.wait().unwrap();
        assert!(asked.elapsed() < Duration::from_secs(2));
        let left = std::fs::read_dir(&layout).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "{left:?}");
        scene.assert_recovers(&layout, Start::Old);
    }
}

/// The calls that change something on disk, and those around them.
const CALLS: [&str; 9] = [
    "openat", "mkdirat", "flock", "write", "fsync", "linkat", "renameat", "unlinkat", "close",
];

#[test]
fn at_the_nth_call() {
    if !tool("strace", &["-V"]) {
        return skipped("no strace");
    }
    let scene = Scene::new();
    let layout = scene.at("layout");
    let mut killed = 0;
    for cache in [false, true] {
        // With a cache there is more to write, and more to find half-written.
        for start in [Start::Nothing, Start::Old] {
            for call in CALLS {
                set_cache(&layout, cache);
                let mut number = 1;
                while kill_at(&scene, &layout, start, call, number, &[]) {
                    scene.assert_recovers(&layout, start);
                    // Else the next would find all its layers made.
                    set_cache(&layout, cache && number % 3 != 0);
                    number += step(number) + usize::from(cache && !long()) * number;
                    killed += 1;
                }
                scene.assert_recovers(&layout, start);
            }
        }
    }
    eprintln!("killed at the Nth call: {killed} runs");
    assert!(!long() || killed >= 300, "only {killed} runs");
}

/// In the long run every call; in the short one the first few, and then fewer and fewer.
fn step(number: usize) -> usize {
    if long() { 1 } else { 1 + number * 2 }
}

fn kill_at(
    scene: &Scene,
    layout: &Path,
    start: Start,
    call: &str,
    number: usize,
    before: &[&str],
) -> bool {
    scene.prepare(layout, start);
    let kill = injected(call, "signal=KILL", number, "/dev/null");
    let mut words: Vec<&str> = kill.iter().map(String::as_str).collect();
    words.extend(before);
    let ran = scene.run(&words, layout, "new");
    assert_ne!(ran.status.code(), Some(101), "{}", super::told(&ran));
    !ran.status.success()
}

/// Where no file can be without a name, temporaries have one, and are swept.
#[test]
fn with_named_temporaries() {
    // A slave, or the file systems that other tests unmount would live on in it.
    let apart = ["unshare", "-m", "--propagation", "slave", "sh", "-c"];
    let hide = [&apart[..], &["umount -l /proc && exec \"$@\"", "sh"]].concat();
    if !tool(hide[0], &[&hide[1..], &["true"]].concat()) {
        return skipped("no mount namespaces");
    }
    let scene = Scene::new();
    let layout = scene.at("layout");
    scene.prepare(&layout, Start::Old);
    let ran = scene.run(&hide, &layout, "new");
    assert!(ran.status.success(), "{}", super::told(&ran));
    scene.assert_both(&layout);
    // /proc goes after strace has started, which needs it.
    for call in ["write", "fsync", "renameat"] {
        for number in (1..).step_by(if long() { 1 } else { 4 }) {
            let go_on = kill_at(&scene, &layout, Start::Old, call, number, &hide);
            scene.assert_recovers(&layout, Start::Old);
            if !go_on {
                break;
            }
        }
    }
}

/// An archive that is replaced is the old one or the new one, whenever the run dies.
#[test]
fn while_an_archive_is_replaced() {
    if !tool("strace", &["-V"]) {
        return skipped("no strace");
    }
    let scene = Scene::new();
    let home = scene.at("archives");
    std::fs::create_dir(&home).unwrap();
    let out = home.join("out.tar");
    let archive = |before: &[&str], tag| {
        let mut words: Vec<_> = before.iter().map(|word| (*word).to_owned()).collect();
        let arguments = scene.arguments(Path::new("X"), tag);
        let place = format!("oci-archive:{}", out.display());
        words.extend(
            arguments
                .into_iter()
                .map(|w| if w == "oci:X" { place.clone() } else { w }),
        );
        let ran = std::process::Command::new(&words[0])
            .args(&words[1..])
            .output()
            .unwrap();
        ran.status.success()
    };
    assert!(archive(&[], "old"));
    let old = snapshot(&home);
    assert!(archive(&[], "new"));
    let new = snapshot(&home);
    for call in ["openat", "write", "fsync", "linkat", "renameat"] {
        let mut number = 1;
        loop {
            assert!(archive(&[], "old"));
            assert_same(&snapshot(&home), &old);
            let words = injected(call, "signal=KILL", number, "/dev/null");
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let ended = archive(&words, "new");
            let bytes = std::fs::read(&out).unwrap();
            let whole = [&old, &new]
                .iter()
                .any(|s| s[Path::new("out.tar")] == bytes);
            assert!(whole, "{call} {number}");
            assert!(archive(&[], "new"));
            assert_same(&snapshot(&home), &new);
            if ended {
                break;
            }
            number += step(number);
        }
    }
}
