//! How runs end that are not let finish: signals, closed pipes, full devices. Nothing is left half-written.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::kit::{Case, Tree};

/// A tree that takes an unoptimised build many seconds, and no space.
fn slow() -> Tree {
    Tree::new().sparse("giant", 60 << 30)
}

fn signalled(mut child: Child, signal: Signal, after: Duration) -> (Output, Duration) {
    std::thread::sleep(after);
    assert!(
        child.try_wait().unwrap().is_none(),
        "ended before the signal came"
    );
    let start = Instant::now();
    kill_process(Pid::from_child(&child), signal).unwrap();
    let output = child.wait_with_output().unwrap();
    (output, start.elapsed())
}

/// Names of all files below, those of blobs included.
fn files(root: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|file| {
            file.path()
                .strip_prefix(root)
                .unwrap()
                .display()
                .to_string()
        })
        .collect()
}

#[test]
fn signals_stop_a_build_and_leave_nothing() {
    let tree = slow();
    let mut signals = vec![(Signal::INT, 130), (Signal::TERM, 143)];
    // Whoever was started by nohup(1) hands that down, and plywood keeps to it.
    if !hangups_are_ignored() {
        signals.push((Signal::HUP, 129));
    }
    for (signal, code) in signals {
        for output in ["oci:out", "oci-archive:out.tar"] {
            let case = Case::build(["-o", output, "-t", "app:1"]).arg(tree.path());
            let child = case.command().spawn().unwrap();
            let (ended, took) = signalled(child, signal, Duration::from_millis(700));
            assert_eq!(ended.status.code(), Some(code), "{output}");
            assert!(took < Duration::from_millis(1500), "{output} took {took:?}");
            assert_eq!(
                String::from_utf8_lossy(&ended.stderr),
                "error: interrupted\n",
                "{output}"
            );
            let left = files(&case.at("."));
            assert!(
                left.iter().all(|name| name == "out/oci-layout"),
                "{output} left {left:?}"
            );
        }
    }
}

fn hangups_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    u64::from_str_radix(mask.unwrap().trim(), 16).unwrap() & 1 == 1
}

#[test]
fn earlier_tags_outlive_an_interrupted_build() {
    let small = Tree::new().file("f", "x");
    let case = Case::build(["-o", "oci:out:one"]).arg(small.path());
    let digest = case.success().digest();
    let before = files(&case.at("out"));
    let slow = slow();
    let rival = Case::build(["-o", "oci:out:two"])
        .arg(slow.path())
        .cwd(case.at("."));
    signalled(
        rival.command().spawn().unwrap(),
        Signal::TERM,
        Duration::from_millis(500),
    );
    assert_eq!(files(&case.at("out")), before);
    let again = Case::build(["-o", "oci:out:one"])
        .arg(small.path())
        .cwd(case.at("."));
    assert_eq!(again.success().digest(), digest);
}

#[test]
fn a_wait_for_input_ends_with_the_signal() {
    let tree = Tree::new().fifo("graph.json");
    let case = Case::build(["-o", "oci:out", "--graph"]).arg(tree.at("graph.json"));
    let (ended, took) = signalled(
        case.command().spawn().unwrap(),
        Signal::INT,
        Duration::from_millis(300),
    );
    assert_eq!(ended.status.code(), Some(130));
    assert!(took < Duration::from_millis(1500), "{took:?}");
    assert!(!case.at("out").exists());
}

#[test]
fn nobody_reading_is_a_quiet_end() {
    let tree = Tree::new().file("f", vec![7; 1 << 20]);
    let case = Case::build(["--compression", "none", "-q"]).arg(tree.path());
    let mut child = case.command().spawn().unwrap();
    let mut first = [0; 512];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        ended.status.code(),
        Some(141),
        "{:?}",
        ended.status.signal()
    );
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[test]
fn a_full_device_is_told() {
    let tree = Tree::new().file("f", vec![7; 1 << 20]);
    for args in [
        &["-o", "oci-archive:/dev/full"][..],
        &["-o", "oci:out", "--metadata-file", "/dev/full"],
    ] {
        let case = Case::build(args).arg(tree.path());
        case.run()
            .code(1)
            .stderr_has("error: could not write /dev/full\n")
            .stderr_has("No space left on device");
    }
    let case = Case::build(["-o", "oci:out"]).arg(tree.path());
    let mut command = case.command();
    command.stdout(fs::File::create("/dev/full").unwrap());
    let ended = command.output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = "error: could not write to standard output\ncaused by: No space left on device (os error 28)\n";
    assert!(String::from_utf8_lossy(&ended.stderr).ends_with(said));
}

#[test]
fn a_lock_is_waited_for_with_a_message_and_not_for_ever() {
    let tree = Tree::new().file("f", "x");
    let case = Case::build(["-o", "oci:out", "-t", "app:1"]).arg(tree.path());
    case.success();
    let held = fs::File::open(case.at("out/blobs")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let index = fs::read(case.at("out/index.json")).unwrap();
    let words = ["tag", "out", "app:2", "--lock-timeout", "1"];
    let tag = Case::new().args(words).cwd(case.at("."));
    let start = Instant::now();
    tag.run().code(1).stderr(
        "waiting for another process to finish with out/blobs\n\
         error: out/blobs is still in use by another process after 1 s\n\
         hint: wait longer with --lock-timeout\n",
    );
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(fs::read(case.at("out/index.json")).unwrap(), index);
    drop(held);
    tag.run().code(0);
}
