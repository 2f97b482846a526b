//! Several images planned together.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

use super::super::*;
use super::{closure_of, items, limits};
use crate::source::Closure;

/// A component is `size` bytes; its name says which.
fn image(components: &[(u32, u64)]) -> Closure {
    closure_of(
        components
            .iter()
            .map(|(id, size)| (format!("/c/{id}"), Vec::new(), *size)),
    )
}

fn plans(images: &[Closure], max: usize) -> Vec<LayerPlan> {
    let pins = Pins::default();
    let images = images
        .iter()
        .map(|image| (items(image), limits(max), &pins));
    fleet(images.collect()).unwrap()
}

/// Bytes of all different layers, and of all different components.
fn stored(plans: &[LayerPlan]) -> (u64, u64) {
    let layers: BTreeMap<Vec<&str>, u64> = plans
        .iter()
        .flat_map(|plan| &plan.layers)
        .map(|layer| {
            (
                layer.members.iter().map(|m| m.path.as_str()).collect(),
                layer.size().unwrap(),
            )
        })
        .collect();
    let components: BTreeSet<(&str, u64)> = plans
        .iter()
        .flat_map(|plan| &plan.layers)
        .flat_map(|layer| &layer.members)
        .map(|member| (member.path.as_str(), member.size.unwrap()))
        .collect();
    (
        layers.values().sum(),
        components.into_iter().map(|(_, size)| size).sum(),
    )
}

#[test]
fn what_images_share_is_stored_once() {
    // Eight images: a common base, a runtime for every other one, and something of its own.
    let images: Vec<Closure> = (0..8_u32)
        .map(|i| {
            let base = (0..50).map(|c| (c, 1_000 + u64::from(c)));
            let runtime = (100..130).filter(|_| i % 2 == 0).map(|c| (c, 2_000));
            let own = (0..5).map(|c| (1_000 + 10 * i + c, 300));
            image(&base.chain(runtime).chain(own).collect::<Vec<_>>())
        })
        .collect();
    let plans = plans(&images, 8);
    let (bytes, ideal) = stored(&plans);
    assert_eq!(bytes, ideal);
    assert!(
        plans
            .iter()
            .all(|plan| plan.layers.len() <= 8 && plan.strategy == "fleet@1")
    );
    // The spare room splits what is shared.
    assert!(plans[0].layers.len() > 4);
}

#[test]
fn shares_that_do_not_fit_are_stored_twice_the_small_first() {
    // Three images that share in pairs; each has room for one shared layer and its own.
    let images = [
        image(&[(1, 100), (2, 10), (11, 1)]),
        image(&[(1, 100), (3, 50), (12, 1)]),
        image(&[(2, 10), (3, 50), (13, 1)]),
    ];
    let plans = plans(&images, 3);
    let of = |i: usize| {
        super::store_layers(&plans[i])
            .iter()
            .map(|l| l.join(" "))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(0), ["/c/1", "/c/11 /c/2"]);
    assert_eq!(of(1), ["/c/1", "/c/12 /c/3"]);
    assert_eq!(of(2), ["/c/3", "/c/13 /c/2"]);
}

/// Each image alone knows the others by their plans; together they plan as one would.
#[test]
fn siblings_are_known_by_their_plans() {
    let images = [
        image(&[(1, 100), (2, 10), (3, 50), (11, 1)]),
        image(&[(1, 100), (3, 50), (12, 1)]),
        image(&[(2, 10), (3, 50), (13, 1)]),
    ];
    let pins = Pins::default();
    let alone = |i: usize, strategy| {
        let request = Request::new(strategy, limits(4));
        draw(items(&images[i]), &request).unwrap().0
    };
    let together = |i: usize, strategy| {
        let others = (0..3).filter(|other| *other != i);
        let siblings: Vec<Sibling> = others
            .map(|other| Sibling::new(&alone(other, strategy), &items(&images[i]), 4))
            .collect();
        let mut ships = vec![(items(&images[i]), limits(4), &pins)];
        ships.extend(siblings.iter().map(|sibling| {
            let (items, limits) = sibling.ship();
            (items, limits, &pins)
        }));
        fleet(ships).unwrap().remove(0)
    };
    let all = plans(&images, 4);
    for (i, plan) in all.iter().enumerate() {
        assert_eq!(*plan, together(i, Strategy::Balanced1));
        // These plans know paths only; what this image has of them it knows itself.
        assert_eq!(*plan, together(i, Strategy::Popularity1));
    }
}

#[test]
fn one_image_is_a_fleet() {
    let plan = plans(&[image(&[(1, 5), (2, 3)])], 2).remove(0);
    assert_eq!(super::store_layers(&plan), [["/c/1", "/c/2"]]);
    assert!(plans(&[], 2).is_empty());
}

proptest! {
    #[test]
    fn fleets_are_partitions_in_any_order(
        images in prop::collection::vec(prop::collection::btree_map(0..40_u32, 0..9_u64, 0..20), 0..7),
        max in 2..12_usize,
    ) {
        let images: Vec<Closure> = images
            .into_iter()
            .map(|components| image(&components.into_iter().collect::<Vec<_>>()))
            .collect();
        let plans_there = plans(&images, max);
        for (plan, closure) in plans_there.iter().zip(&images) {
            prop_assert!(plan.layers.len() <= max);
            let mut all: Vec<&str> = super::store_layers(plan).concat();
            all.sort_unstable();
            prop_assert_eq!(all, closure.graph.paths());
        }
        let turned: Vec<Closure> = images.iter().rev().cloned().collect();
        let mut plans_back = plans(&turned, max);
        plans_back.reverse();
        prop_assert_eq!(plans_there, plans_back);
    }
}
