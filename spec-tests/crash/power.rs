//! The power goes: a file system on a loop device is stopped with nothing more written.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use super::{Mount, Scene, Start, copy, long, next, set_cache, snapshot, tool};
use crate::kit::skipped;

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: not even the journal is flushed.
const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

fn cut(disk: &Path) -> bool {
    tool("python3", &["-c", CUT, disk.to_str().unwrap()])
}

/// A kind of file system: how it is made, how large, and how it is mounted.
type Kind = (&'static [&'static str], u64, &'static [&'static str]);

const KINDS: [Kind; 2] = [
    (
        &["mkfs.ext4", "-q"],
        16 << 20,
        &[
            "loop",
            "loop,noauto_da_alloc",
            "loop,noauto_da_alloc,data=writeback",
        ],
    ),
    (&["mkfs.xfs", "-q"], 320 << 20, &["loop"]),
];

#[test]
fn at_any_instant() {
    let scene = Scene::new();
    for (make, size, mounts) in KINDS {
        let clean = scene.at("clean");
        if let Err(why) = prepare(&scene, &clean, make, size) {
            skipped(&why);
            continue;
        }
        for options in mounts {
            if !cut_again_and_again(&scene, &clean, options) {
                return skipped("no shutdown ioctl");
            }
        }
    }
}

/// A file system with the image `old` on stable storage.
fn prepare(scene: &Scene, clean: &Path, make: &[&str], size: u64) -> Result<(), String> {
    let disk = scene.at("disk");
    let place = clean.to_str().unwrap();
    let _ = fs::remove_file(clean);
    fs::File::create(clean).unwrap().set_len(size).unwrap();
    let words: Vec<_> = make[1..].iter().copied().chain([place]).collect();
    if !tool(make[0], &words) {
        return Err(format!("no {}", make[0]));
    }
    let Some(mount) = Mount::new(&["-o", "loop", place], &disk) else {
        return Err("no right to mount".to_owned());
    };
    copy(&scene.base, &disk.join("layout"));
    assert!(tool("sync", &["-f", disk.to_str().unwrap()]));
    drop(mount);
    Ok(())
}

/// Mounts what is on the disk after the cut.
///
/// A copy of it, because the stopped file system lives on for as long as anybody, such as a
/// container that was started meanwhile, has it in a mount namespace.
fn power_returns(scene: &Scene, stopped: Mount, image: &str, options: &str) -> Mount {
    let after = scene.at("after");
    drop(stopped);
    let _ = fs::remove_file(&after);
    let after = after.to_str().unwrap();
    assert!(tool("cp", &["--sparse=always", image, after]));
    fs::remove_file(image).unwrap();
    Mount::new(&["-o", options, after], &scene.at("disk")).unwrap()
}

/// Whether the power could be cut at all.
fn cut_again_and_again(scene: &Scene, clean: &Path, options: &str) -> bool {
    let (image, disk) = (scene.at("image"), scene.at("disk"));
    let layout = disk.join("layout");
    let image = image.to_str().unwrap();
    let mut state = 7;
    for round in 0..if long() { 70 } else { 4 } {
        assert!(tool(
            "cp",
            &["--sparse=always", clean.to_str().unwrap(), image]
        ));
        let mount = Mount::new(&["-o", options, image], &disk).unwrap();
        // A cache on the same disk suffers with the layout.
        set_cache(&layout, round % 4 < 2);
        if round % 4 < 2 {
            scene.must(&disk.join("warm"), "new");
        }
        let done = if round % 2 == 0 {
            // Right after the program has said that it is done.
            scene.must(&layout, "new");
            true
        } else {
            let mut command = scene.command(&[], &layout, "new");
            let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            let mut child = child.unwrap();
            sleep(Duration::from_millis(next(&mut state) % 60));
            let done = child
                .try_wait()
                .unwrap()
                .is_some_and(|status| status.success());
            cut(&disk);
            let _ = child.kill();
            child.wait().unwrap();
            done
        };
        // A second time it says that there is nothing more to stop.
        if round % 2 == 0 && !cut(&disk) {
            return false;
        }
        let _mount = power_returns(scene, mount, image, options);
        scene.assert_whole(&layout, if done { &["old", "new"] } else { &["old"] });
        scene.assert_recovers(&layout, Start::Old);
    }
    true
}

/// A layout that did not exist is made whole by the run that is told done.
#[test]
fn after_the_first_image() {
    let scene = Scene::new();
    let (image, disk) = (scene.at("image"), scene.at("disk"));
    let layout = disk.join("deep/layout");
    fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
    if !tool("mkfs.ext4", &["-q", image.to_str().unwrap()]) {
        return skipped("no mkfs.ext4");
    }
    let options = ["-o", "loop,noauto_da_alloc", image.to_str().unwrap()];
    let Some(mount) = Mount::new(&options, &disk) else {
        return skipped("no right to mount");
    };
    scene.must(&layout, "new");
    let made = snapshot(&layout);
    if !cut(&disk) {
        return skipped("no shutdown ioctl");
    }
    let _mount = power_returns(&scene, mount, image.to_str().unwrap(), options[1]);
    super::assert_same(&snapshot(&layout), &made);
}
