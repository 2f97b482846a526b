//! What layers are for: updates of real images are small (`scripts/layering` prints all numbers).

// One half of what it can measure is enough here.
#[allow(
    dead_code,
    unreachable_pub,
    clippy::cast_precision_loss,
    clippy::cast_lossless
)]
#[path = "../scripts/layering.d/replay.rs"]
mod replay;

use std::collections::BTreeMap;

use plywood::plan::Strategy;
use replay::{History, Image, Way, apart, disturbances, families, together, updates};
use serde_json::{Value, json};

use crate::kit::{Case, Tree};

/// The strategy that directories get.
const OURS: Way = Way::Fresh(Strategy::FOR_TREES);

fn histories() -> [(&'static str, History, f64); 2] {
    let read = |name: &str| {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/histories");
        let text = std::fs::read_to_string(format!("{place}/{name}.tsv")).unwrap();
        History::parse(&text).unwrap()
    };
    // Percent of an image that an update may cost beyond what really changed.
    [
        ("python", read("python"), 3.0),
        ("debian", read("debian"), 6.0),
    ]
}

#[test]
fn updates_are_near_the_floor_at_64_layers() {
    for (name, history, points) in histories() {
        let floor = updates(&history, Way::Each, 64).bytes;
        for way in [OURS, Way::Following(Strategy::FOR_TREES)] {
            let cost = updates(&history, way, 64).bytes;
            assert!(cost <= floor + points, "{name}: {cost} over {floor}");
        }
        let popularity = updates(&history, Way::Fresh(Strategy::Popularity1), 64).bytes;
        assert!(popularity > floor + 40.0, "{name}: {popularity}");
    }
}

#[test]
fn one_component_more_or_less_disturbs_little_at_64_layers() {
    for (name, history, _) in histories() {
        let (added, removed) = disturbances(&history.last(), OURS, 64);
        for change in [added, removed] {
            assert!(
                change.mean <= 0.6 && change.max <= 1.0,
                "{name}: {change:?}"
            );
        }
    }
}

#[test]
fn few_layers_are_no_worse_than_the_largest_alone() {
    for (name, history, _) in histories() {
        let ours = updates(&history, OURS, 16).bytes;
        let size = updates(&history, Way::Fresh(Strategy::Size1), 16).bytes;
        assert!(ours <= size + 0.05, "{name}: {ours} and {size}");
    }
}

#[test]
fn fleets_store_what_they_share_once_at_8_layers() {
    for (name, history, _) in histories() {
        for family in families(&history.last()) {
            let ratio = together(&family.images, 8);
            assert!(ratio <= 1.01, "{name}, {}: {ratio}", family.name);
        }
    }
}

#[test]
fn images_with_programs_of_their_own_share_the_rest_at_8_layers() {
    for (name, history, _) in histories() {
        let [programs, services, halves] = families(&history.last());
        let ratio = apart(&programs.images, OURS, 8);
        assert!(ratio <= 1.001, "{name}: {ratio}");
        // What is in packages looks like what others have: nothing in one image tells.
        for family in [services, halves] {
            let ours = apart(&family.images, OURS, 8);
            let size = apart(&family.images, Way::Fresh(Strategy::Size1), 8);
            assert!(ours <= size + 0.001, "{name}, {}: {ours}", family.name);
        }
    }
}

#[test]
fn stores_of_chains_keep_the_largest_layers() {
    for (name, history, _) in histories() {
        let ours = updates(&history, OURS, 64).chain;
        let by_name = updates(&history, Way::Fresh(Strategy::Balanced1), 64).chain;
        assert!(ours <= by_name - 15.0, "{name}: {ours} and {by_name}");
    }
}

#[test]
fn an_earlier_image_never_makes_updates_much_dearer() {
    for (name, history, _) in histories() {
        for layers in [8, 16, 32] {
            let fresh = updates(&history, OURS, layers).bytes;
            let following = updates(&history, Way::Following(Strategy::FOR_TREES), layers).bytes;
            assert!(
                following <= fresh + 1.0,
                "{name}, {layers}: {following} and {fresh}"
            );
        }
    }
}

#[test]
fn histories_are_read_strictly() {
    for (text, refused) in [
        ("+\ta\t1\t2\t", "line 1: +\ta\t1\t2\t"),
        ("@\t1\n-\ta", "line 2: -\ta"),
        ("@\t1\n+\ta\t1\tx\t", "line 2: +\ta\t1\tx\t"),
        ("@\t1\n?", "line 2: ?"),
    ] {
        assert_eq!(History::parse(text).err().as_deref(), Some(refused));
    }
    let history = History::parse("# x\n@\t1\n+\ta\t1\t2\tb\n@\t2\n-\ta\n").unwrap();
    assert_eq!((history.images[0].1.len(), history.last().len()), (1, 0));
}

/// The components of an image as files of a hundredth of their size, which nothing can compress.
fn on_disk(image: &Image) -> (Tree, String) {
    let path = |name: &str| format!("/c/{name}");
    let mut tree = Tree::new();
    let mut graph = Vec::new();
    for (name, component) in image {
        let seed = format!("{name} {}", component.version);
        let mut state = { seed.bytes() }.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let noise = (0..component.bytes / 100).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        });
        tree = tree.file(&path(name)[1..], noise.collect::<Vec<u8>>());
        let needs = component
            .needs
            .iter()
            .filter(|name| image.contains_key(*name));
        graph.push(json!({
            "path": path(name),
            "name": name,
            "narSize": component.bytes,
            "references": needs.map(|name| path(name)).collect::<Vec<_>>(),
            "source": tree.at(&path(name)[1..]),
        }));
    }
    (tree, Value::from(graph).to_string())
}

/// The blobs of a layout with their bytes.
fn blobs(case: &Case) -> BTreeMap<std::ffi::OsString, u64> {
    let files = std::fs::read_dir(case.at("out/blobs/sha256")).unwrap();
    let files = files.map(|file| file.unwrap());
    { files.map(|file| (file.file_name(), file.metadata().unwrap().len())) }.collect()
}

/// Bytes of new blobs when the last image is built beside the one before, in percent of the image.
fn update_on_disk(images: &[(Tree, String); 2], strategy: &str) -> f64 {
    let case = Case::new();
    let build = |graph: &str| {
        case.clone()
            .args(["build", "--graph", "-", "--no-cache", "-o", "oci:out:1"])
            .args(["--strategy", strategy, "--max-layers", "64"])
            .stdin(graph)
            .success();
        blobs(&case)
    };
    let before = build(&images[0].1);
    std::fs::remove_dir_all(case.at("out")).unwrap();
    let after = build(&images[1].1);
    let fresh = after.iter().filter(|(name, _)| !before.contains_key(*name));
    let fresh: u64 = fresh.map(|(_, bytes)| bytes).sum();
    100.0 * fresh as f64 / after.values().sum::<u64>() as f64
}

/// Real blobs, not only the simulator: it says what is downloaded to a point.
#[test]
fn blobs_on_disk_are_what_replays_say() {
    for (name, history, points) in histories() {
        let last_two = &history.images[history.images.len() - 2..];
        let trees = [on_disk(&last_two[0].1), on_disk(&last_two[1].1)];
        let short = History {
            images: last_two.to_vec(),
        };
        let mut costs = Vec::new();
        for strategy in [Strategy::FOR_TREES, Strategy::Popularity1] {
            let said = updates(&short, Way::Fresh(strategy), 64).bytes;
            let real = update_on_disk(&trees, strategy.name());
            println!("{name}, {strategy}: {real:.1} % on disk, {said:.1} % in the replay");
            assert!(
                (real - said).abs() < 4.0,
                "{name}, {strategy}: {real}, not {said}"
            );
            costs.push(real);
        }
        let floor = updates(&short, Way::Each, 64).bytes;
        assert!(
            costs[0] <= floor + points + 4.0 && costs[0] < costs[1] - 25.0,
            "{name}: {costs:?}"
        );
    }
}
