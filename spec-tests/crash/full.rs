//! No room, no right to write, no descriptors.

use std::fs;
use std::path::Path;

use super::{Mount, Scene, Start, assert_clean_failure, copy, long, told, tool};
use crate::kit::skipped;

/// Sizes and inode counts from too small for anything to enough.
#[test]
fn a_small_disk() {
    let scene = Scene::new();
    let disk = scene.at("disk");
    let layout = disk.join("layout");
    let most = if long() { 400 } else { 240 };
    let sizes = (4..most).step_by(if long() { 4 } else { 40 });
    let inodes = (12..26).step_by(if long() { 1 } else { 3 });
    let cases = sizes
        .map(|kib| format!("size={}k", 600 + kib))
        .chain(inodes.map(|count| format!("nr_inodes={count}")));
    let mut failed = 0;
    for options in cases {
        let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", &options, "none"], &disk) else {
            return skipped("no right to mount");
        };
        if !tool(
            "cp",
            &["-a", scene.base.to_str().unwrap(), layout.to_str().unwrap()],
        ) {
            continue;
        }
        let ran = scene.run(&[], &layout, "new");
        if !ran.status.success() {
            failed += 1;
            assert_clean_failure(&ran);
            let text = String::from_utf8_lossy(&ran.stderr);
            assert!(text.contains("No space left on device"), "{text}");
            assert!(text.contains(disk.to_str().unwrap()), "{text}");
        }
        scene.assert_whole(&layout, &["old"]);
        mount.remount("size=64m,nr_inodes=1000");
        scene.assert_recovers(&layout, Start::Old);
    }
    assert!(failed > 2, "only {failed} runs found the disk full");
}

/// The same on a disk with a journal, filled up to the last few blocks.
#[test]
fn a_full_disk() {
    let scene = Scene::new();
    let (image, disk) = (scene.at("image"), scene.at("disk"));
    let (layout, ballast) = (disk.join("layout"), disk.join("ballast"));
    fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
    if !tool("mkfs.ext4", &["-q", "-m", "0", image.to_str().unwrap()]) {
        return skipped("no mkfs.ext4");
    }
    let Some(_mount) = Mount::new(&["-o", "loop", image.to_str().unwrap()], &disk) else {
        return skipped("no right to mount");
    };
    let steps = if long() { 60 } else { 6 };
    for step in 0..steps {
        scene.prepare(&layout, Start::Old);
        let left = step * 480 / steps;
        let _ = fs::remove_file(&ballast);
        fill(&ballast, left * 1024);
        let ran = scene.run(&[], &layout, "new");
        if !ran.status.success() {
            assert_clean_failure(&ran);
        }
        scene.assert_whole(&layout, &["old"]);
        fs::remove_file(&ballast).unwrap();
        scene.assert_recovers(&layout, Start::Old);
    }
}

/// Writes until nothing goes, and then gives some bytes back.
fn fill(ballast: &Path, back: u64) {
    use std::io::Write as _;
    let mut file = fs::File::create(ballast).unwrap();
    let mut size = 1 << 16;
    while size > 0 {
        if file.write_all(&vec![1; size]).is_err() {
            size /= 2;
        }
    }
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(back)).unwrap();
    let _ = file.sync_all();
}

#[test]
fn a_read_only_disk() {
    let scene = Scene::new();
    let disk = scene.at("disk");
    let layout = disk.join("layout");
    let Some(mount) = Mount::new(&["-t", "tmpfs", "none"], &disk) else {
        return skipped("no right to mount");
    };
    copy(&scene.base, &layout);
    mount.remount("ro");
    for place in [&layout, &disk.join("new")] {
        let ran = scene.run(&[], place, "new");
        assert_clean_failure(&ran);
        let text = String::from_utf8_lossy(&ran.stderr);
        assert!(text.contains("Read-only file system"), "{text}");
        assert!(text.contains(disk.to_str().unwrap()), "{text}");
    }
    scene.assert_whole(&layout, &["old"]);
    mount.remount("rw");
    scene.assert_recovers(&layout, Start::Old);
}

#[test]
fn limits_of_the_process() {
    let scene = Scene::new();
    let layout = scene.at("layout");
    let limits = [
        ("-f 0", true),
        ("-f 20", true),
        ("-n 16", false),
        ("-n 12", false),
        ("-n 9", false),
        ("-n 7", false),
        ("-n 5", true),
    ];
    for (limit, must_fail) in limits {
        for start in [Start::Nothing, Start::Old] {
            scene.prepare(&layout, start);
            let script = format!("ulimit {limit}; exec \"$@\"");
            let ran = scene.run(&["bash", "-c", &script, "bash"], &layout, "new");
            if must_fail || !ran.status.success() {
                // With too few even the loader gives up.
                if ran.status.code() != Some(127) {
                    assert_clean_failure(&ran);
                }
            }
            assert!(limit != "-n 16" || ran.status.success(), "{}", told(&ran));
            scene.assert_recovers(&layout, start);
        }
    }
}
