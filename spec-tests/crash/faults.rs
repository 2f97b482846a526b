//! Calls that fail: an error that names the path, or no difference at all.

use std::path::Path;
use std::process::Output;

use super::{Scene, Start, assert_clean_failure, long, told, tool};
use crate::kit::skipped;

const CALLS: [&str; 8] = [
    "openat", "mkdirat", "flock", "write", "fsync", "linkat", "renameat", "read",
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
        for call in CALLS {
            let mut number = 1;
            loop {
                let start = if number % 2 == 0 {
                    Start::Nothing
                } else {
                    Start::Old
                };
                let (ran, hit) = fail_at(&scene, &layout, start, call, error, number);
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
    for call in [
        "openat", "flock", "write", "fsync", "read", "linkat", "renameat", "mkdirat",
    ] {
        let mut number = 1;
        loop {
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
    let log = scene.at("trace");
    let inject = format!("inject={call}:error={error}:when={number}");
    let trace = format!("trace={call}");
    let words = [
        "strace",
        "-f",
        "-qqq",
        "-o",
        log.to_str().unwrap(),
        "-e",
        &trace,
        "-e",
        &inject,
    ];
    let ran = scene.run(&words, layout, "new");
    let log = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    (ran, log.contains("(INJECTED)"))
}
