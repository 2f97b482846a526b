//! Many at once: nobody loses anything, readers never see half an index.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use plywood::layout::{Layout, LayoutError};

use super::{Scene, Start, long, set_cache, tool};

#[test]
fn sixteen_writers() {
    let scene = Scene::new();
    let rounds = if long() { 20 } else { 2 };
    for start in [Start::Nothing, Start::Old] {
        let layout = scene.at("layout");
        scene.prepare(&layout, start);
        set_cache(&layout, start == Start::Old);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| read_on(&layout, start, &done));
            let writers: Vec<_> = (0..16)
                .map(|writer| {
                    let (scene, layout) = (&scene, &layout);
                    scope.spawn(move || write_on(scene, layout, writer, rounds))
                })
                .collect();
            for writer in writers {
                writer.join().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        let read = Layout::open(&layout).unwrap();
        for writer in 0..16 {
            for round in 0..rounds {
                let tag = format!("w{writer}r{round}");
                let entry = read.resolve(Some(&tag)).unwrap();
                assert_eq!(entry.descriptor.digest.to_string(), scene.digests["new"]);
            }
        }
        let count = read.index().unwrap().value.manifests.len();
        assert_eq!(count, 16 * rounds + 1 + usize::from(start == Start::Old));
        drop(read);
        // All the tags aside, the layout is as if there had been one writer.
        let names: Vec<_> = (0..16)
            .flat_map(|w| (0..rounds).map(move |r| format!("w{w}r{r}")))
            .collect();
        let options = plywood::layout::WriteOptions::default();
        let change = Layout::open_to_change(&layout, &options).unwrap();
        change.untag(&names).unwrap();
        drop(change);
        scene.assert_recovers(&layout, start);
    }
}

/// Builds under a tag of one's own, and under one that all share.
fn write_on(scene: &Scene, layout: &Path, writer: usize, rounds: usize) {
    for round in 0..rounds {
        for tag in [format!("w{writer}r{round}"), "new".to_owned()] {
            let words = scene.arguments(layout, "new");
            let named = words
                .iter()
                .map(|word| word.replace("app:new", &format!("app:{tag}")));
            let words: Vec<_> = named.collect();
            let mut command = std::process::Command::new(&words[0]);
            let ran = command
                .args(&words[1..])
                .stdin(Stdio::null())
                .output()
                .unwrap();
            assert!(ran.status.success(), "{}", super::told(&ran));
        }
    }
}

/// Reads while others write; skopeo too, if it is there.
fn read_on(layout: &Path, start: Start, done: &AtomicBool) {
    let place = format!("oci:{}:old", layout.display());
    let skopeo = start == Start::Old && tool("skopeo", &["inspect", &place]);
    let mut turns = 0;
    while !done.load(Ordering::Relaxed) {
        match Layout::open(layout) {
            Ok(layout) => {
                layout.index().unwrap();
            }
            Err(LayoutError::NotALayout { .. } | LayoutError::Blob(_))
                if start == Start::Nothing => {}
            Err(error) => panic!("{error}"),
        }
        turns += 1;
        if skopeo && turns % 50 == 0 {
            assert!(tool("skopeo", &["inspect", &place]));
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
