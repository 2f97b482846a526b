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

use plywood::plan::Strategy;
use replay::{History, Way, disturbances, siblings, together, updates};

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
        let ratio = together(&siblings(&history.last()), 8);
        assert!(ratio <= 1.01, "{name}: {ratio}");
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
