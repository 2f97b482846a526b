//! Calls that fail: an error that names the path, or no difference at all.

use std::path::Path;
use std::process::Output;

use super::{
    Scene, Start, assert_clean_failure, injected, long, set_cache, told, tool, was_injected,
};
use crate::kit::skipped;

const CALLS: [&str; 10] = [
    "openat", "openat2", "mkdirat", "flock", "write", "fsync", "linkat", "renameat", "read",
    "preadv2",
];

#[test]
fn at_the_nth_call() {
    if !tool("strace", &["-V"]) {
        return skipped("no strace");
    }
    let scene = Scene::new();
    let layout = scene.at("layout");
    let errors: &[&str] = if long() {
        &["EIO", "ENOSPC", "EMFILE", "EDQUOT"]
    } else {
        &["EIO", "ENOSPC"]
    };
    for error in errors {
        let mut runs = 0;
        // The second time each call meets the other start.
        let calls = CALLS.iter().flat_map(|call| [(0, *call), (1, *call)]);
        for (turn, call) in calls.filter(|(turn, _)| *turn == 0 || long()) {
            let mut number = 1;
            loop {
                let start = if (number + turn) % 2 == 0 {
                    Start::Nothing
                } else {
                    Start::Old
                };
                // By turns without a cache, with an empty one and with a full one.
                if number % 3 != 2 {
                    set_cache(&layout, number % 3 == 1);
                }
                let (ran, hit) = fail_at(&scene, &layout, start, call, error, number);
                runs += 1;
                // Before main the loader speaks, and it speaks otherwise; and what cannot be
                // written cannot be told.
                let speechless = call == "write" && ran.stderr.is_empty();
                if !ran.status.success() && ran.status.code() != Some(127) && !speechless {
                    assert_clean_failure(&ran);
                }
                scene.assert_recovers(&layout, start);
                if !hit {
                    break;
                }
                number += if long() { 1 } else { 1 + number };
            }
        }
        eprintln!("{error}: {runs} runs");
        assert!(!long() || runs >= 200, "only {runs} runs of {error}");
    }
}

/// An interrupted call is repeated: nobody notices.
#[test]
fn interrupted() {
    if !tool("strace", &["-V"]) {
        return skipped("no strace");
    }
    let scene = Scene::new();
    let layout = scene.at("layout");
    let mut runs = 0;
    for call in [
        "openat",
        "openat2",
        "flock",
        "write",
        "fsync",
        "read",
        "pread64",
        "linkat",
        "renameat",
        "mkdirat",
        "unlinkat",
        "getdents64",
        "statx",
        "close",
    ] {
        let mut number = 1;
        loop {
            runs += 1;
            let (ran, hit) = fail_at(&scene, &layout, Start::Old, call, "EINTR", number);
            if ran.status.code() == Some(127) {
                number += 1;
                continue;
            }
            assert!(ran.status.success(), "{call} {number}: {}", told(&ran));
            scene.assert_both(&layout);
            if !hit {
                break;
            }
            number += if long() { 1 } else { 2 + number };
        }
    }
    eprintln!("EINTR: {runs} runs");
    assert!(!long() || runs >= 200, "only {runs} runs");
}

/// Runs with one call failing: what came of it, and whether there was such a call.
fn fail_at(
    scene: &Scene,
    layout: &Path,
    start: Start,
    call: &str,
    error: &str,
    number: usize,
) -> (Output, bool) {
    scene.prepare(layout, start);
    let log = scene.at("trace").display().to_string();
    let words = injected(call, &format!("error={error}"), number, &log);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let ran = scene.run(&words, layout, "new");
    (ran, was_injected(&log))
}
