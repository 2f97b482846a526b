//! The power goes: a file system on a loop device is stopped with nothing more written.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use super::{Mount, Scene, Start, copy, long, next, snapshot, tool};
use crate::kit::skipped;

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: not even the journal is flushed.
const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

fn cut(disk: &Path) -> bool {
    tool("python3", &["-c", CUT, disk.to_str().unwrap()])
}

#[test]
fn at_any_instant() {
    let scene = Scene::new();
    let (image, disk) = (scene.at("image"), scene.at("disk"));
    let (clean, layout) = (scene.at("clean"), disk.join("layout"));
    let image = image.to_str().unwrap();
    fs::File::create(&clean).unwrap().set_len(16 << 20).unwrap();
    if !tool("mkfs.ext4", &["-q", clean.to_str().unwrap()]) {
        return skipped("no mkfs.ext4");
    }
    {
        let Some(_mount) = Mount::new(&["-o", "loop", clean.to_str().unwrap()], &disk) else {
            return skipped("no right to mount");
        };
        copy(&scene.base, &layout);
        assert!(tool("sync", &["-f", disk.to_str().unwrap()]));
        if !cut(&disk) {
            return skipped("no shutdown ioctl");
        }
    }
    // Mounted once more, so that the journal is empty.
    drop(Mount::new(&["-o", "loop", clean.to_str().unwrap()], &disk));

    let mounts = [
        "loop",
        "loop,noauto_da_alloc",
        "loop,noauto_da_alloc,data=writeback",
    ];
    let rounds = if long() { 70 } else { 5 };
    let mut state = 7;
    for options in mounts {
        for round in 0..rounds {
            assert!(tool(
                "cp",
                &["--sparse=always", clean.to_str().unwrap(), image]
            ));
            let mount = Mount::new(&["-o", options, image], &disk).unwrap();
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
                assert!(cut(&disk));
                let _ = child.kill();
                child.wait().unwrap();
                done
            };
            cut(&disk);
            drop(mount);
            let _mount = Mount::new(&["-o", options, image], &disk).unwrap();
            scene.assert_whole(&layout, if done { &["old", "new"] } else { &["old"] });
            scene.assert_recovers(&layout, Start::Old);
        }
    }
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
    drop(mount);
    let _mount = Mount::new(&options, &disk).unwrap();
    super::assert_same(&snapshot(&layout), &made);
}
