//! Blobs that are not what they were: noticed by the next run, and put right.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Scene, Start, long, set_cache, tool};

type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 12] = [
    ("cut", |blob| {
        let file = fs::File::options().write(true).open(blob).unwrap();
        file.set_len(fs::metadata(blob).unwrap().len() / 2).unwrap();
    }),
    ("empty", |blob| fs::write(blob, b"").unwrap()),
    ("longer", |blob| {
        let mut file = fs::File::options().append(true).open(blob).unwrap();
        file.write_all(b"x").unwrap();
    }),
    ("one bit", |blob| flip(blob)),
    ("one bit, with its old time", |blob| {
        let modified = fs::metadata(blob).unwrap().modified().unwrap();
        flip(blob);
        let file = fs::File::options().write(true).open(blob).unwrap();
        file.set_modified(modified).unwrap();
    }),
    ("zeros", |blob| {
        let size = fs::metadata(blob).unwrap().len();
        fs::write(blob, vec![0; usize::try_from(size).unwrap()]).unwrap();
    }),
    ("another blob", |blob| {
        let others = fs::read_dir(blob.parent().unwrap()).unwrap();
        let other = others.map(|e| e.unwrap().path()).find(|path| path != blob);
        fs::copy(other.unwrap(), blob).unwrap();
    }),
    ("gone", |blob| fs::remove_file(blob).unwrap()),
    ("a directory", |blob| {
        fs::remove_file(blob).unwrap();
        fs::create_dir(blob).unwrap();
        fs::write(blob.join("x"), "y").unwrap();
    }),
    ("a link", |blob| {
        fs::remove_file(blob).unwrap();
        symlink("/etc/passwd", blob).unwrap();
    }),
    ("another name of something else", |blob| {
        fs::remove_file(blob).unwrap();
        let index = blob.ancestors().nth(3).unwrap().join("index.json");
        fs::hard_link(index, blob).unwrap();
    }),
    ("a FIFO", |blob| {
        fs::remove_file(blob).unwrap();
        assert!(tool("mkfifo", &[blob.to_str().unwrap()]));
    }),
];

fn flip(blob: &Path) {
    let mut bytes = fs::read(blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(blob, bytes).unwrap();
}

#[test]
fn of_every_kind_to_every_blob() {
    let scene = Scene::new();
    let layout = scene.at("layout");
    let count = blobs(&{
        scene.prepare(&layout, Start::Old);
        scene.must(&layout, "new");
        layout.clone()
    })
    .len();
    for number in 0..count {
        for (turn, (name, damage)) in DAMAGES.iter().enumerate() {
            // In the short run every blob meets some, and every kind some blob.
            if !long() && (turn + number) % 3 != 0 {
                continue;
            }
            // With a cache, the records of what was hashed are about as well.
            set_cache(&layout, turn % 2 == 0);
            scene.prepare(&layout, Start::Old);
            scene.must(&layout, "new");
            let blob = &blobs(&layout)[number];
            damage(blob);
            for tag in ["old", "new"] {
                scene.must(&layout, tag);
            }
            scene.assert_whole(&layout, &["old", "new"]);
            scene.assert_both(&layout);
            eprintln!("{name}: {}", blob.display());
        }
    }
}

fn blobs(layout: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let mut list: Vec<_> = list.map(|entry| entry.unwrap().path()).collect();
    list.sort();
    list
}

#[test]
fn to_the_cache_is_no_matter() {
    let scene = Scene::new();
    let layout = scene.at("layout");
    let fill = || {
        set_cache(&layout, true);
        scene.prepare(&layout, Start::Old);
        scene.must(&layout, "new");
        let files = walkdir::WalkDir::new(scene.at("cache")).sort_by_file_name();
        let files = files.into_iter().map(Result::unwrap);
        let files = files.filter(|entry| entry.file_type().is_file());
        files.map(walkdir::DirEntry::into_path).collect::<Vec<_>>()
    };
    let count = fill().len();
    let mut runs = 0;
    for number in 0..count {
        for (turn, (name, damage)) in DAMAGES.iter().enumerate() {
            if !long() && (turn + 5 * number) % 7 != 0 {
                continue;
            }
            let files = fill();
            match *name {
                // Whole, and of another layer: as a fault of the cache itself would leave it.
                "another blob" | "another name of something else" => {
                    fs::copy(&files[(number + 1) % count], &files[number]).unwrap();
                }
                _ => damage(&files[number]),
            }
            for start in [Start::Old, Start::Nothing] {
                scene.prepare(&layout, start);
                scene.assert_recovers(&layout, start);
            }
            runs += 1;
        }
    }
    eprintln!("damage to the cache: {runs} runs of {count} files");
}

#[test]
fn to_the_index_is_refused_and_left_alone() {
    let scene = Scene::new();
    let layout = scene.at("layout");
    for keep in [0, 1, 50] {
        scene.prepare(&layout, Start::Old);
        let index = layout.join("index.json");
        let cut = fs::read(&index).unwrap()[..keep].to_vec();
        fs::write(&index, &cut).unwrap();
        let before = super::snapshot(&layout);
        let ran = scene.run(&[], &layout, "new");
        assert_eq!(ran.status.code(), Some(3), "{}", super::told(&ran));
        let text = String::from_utf8_lossy(&ran.stderr);
        assert!(text.contains("index.json cannot be used"), "{text}");
        assert_eq!(super::snapshot(&layout), before);
    }
}
