//! Every strategy: a partition within the limit; auto's vectors; what balanced promises.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Just, Strategy as _, any, prop, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use super::super::*;
use super::{closure, closure_of, items, limits};
use crate::plan::Strategy::{Auto1, Balanced1, Balanced2, Size1};
use crate::source::Closure;

fn planned(closure: &Closure, strategy: Strategy, limits: Limits) -> LayerPlan {
    let (plan, warnings) = draw(items(closure), &Request::new(strategy, limits)).unwrap();
    assert!(warnings.is_empty());
    plan
}

fn names(plan: &LayerPlan) -> Vec<Vec<String>> {
    let layers = plan.layers.iter().filter(|layer| !layer.members.is_empty());
    layers
        .map(|l| l.members.iter().map(|m| m.identity().to_owned()).collect())
        .collect()
}

#[test]
fn auto_is_what_nixpkgs_does() {
    let mut seen = 0;
    for (file, vector) in super::vectors() {
        let expected: BTreeMap<String, Vec<Vec<String>>> =
            serde_json::from_value(vector["expect"]["auto_layer_by_limit"].clone()).unwrap();
        for (limit, layers) in expected {
            let closure = closure(&vector["graph"]);
            let plan = planned(&closure, Auto1, limits(limit.parse::<usize>().unwrap() + 1));
            assert_eq!(super::store_layers(&plan), layers, "{file:?} with {limit}");
            seen += 1;
        }
    }
    assert_eq!(seen, 12);
}

/// (name, size) → components without references.
fn loose(sizes: &[(&str, u64)]) -> Closure {
    let entry = |(name, size): &(&str, u64)| serde_json::json!({"path": format!("/c/{name}"), "references": [], "narSize": size, "name": name});
    closure(&sizes.iter().map(entry).collect::<Vec<Value>>().into())
}

#[test]
fn size_gives_the_largest_layers_of_their_own() {
    let closure = loose(&[("a", 1), ("b", 9), ("c", 5), ("d", 5), ("e", 2)]);
    assert_eq!(
        names(&planned(&closure, Size1, limits(4))),
        [vec!["b"], vec!["c"], vec!["a", "d", "e"]]
    );
    assert_eq!(
        names(&planned(&closure, Size1, limits(2))),
        [["a", "b", "c", "d", "e"]]
    );
    let all = planned(&closure, Size1, limits(6));
    assert!(all.layers.iter().all(|layer| layer.kind != LayerKind::Rest));
}

/// Frozen: these layers must never come out otherwise.
#[test]
fn balanced_at_1_is_frozen() {
    let sized: Vec<(String, u64)> = (0..40_u64)
        .map(|i| (format!("n{i:02}"), i * i % 37 + 1))
        .collect();
    let sized: Vec<(&str, u64)> = sized.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    let plan = planned(&loose(&sized), Balanced1, limits(17));
    let text: Vec<String> = names(&plan).iter().map(|names| names.join(" ")).collect();
    assert_eq!(
        text.join(" | "),
        "n06 | n08 | n10 | n12 | n16 | n17 | n18 | n19 | n20 | n21 | n25 | n27 | n29 | n31 \
         | n02 n03 n05 n07 n11 n13 n15 n24 n28 n38 \
         | n00 n01 n04 n09 n14 n22 n23 n26 n30 n32 n33 n34 n35 n36 n37 n39"
    );
}

/// Frozen, too: ten of the forty are the image's own.
#[test]
fn balanced_at_2_is_frozen() {
    let sized: Vec<(String, u64)> = (0..40_u64)
        .map(|i| (format!("n{i:02}"), i * i % 37 + 1))
        .collect();
    let sized: Vec<(&str, u64)> = sized.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    let mut closure = loose(&sized);
    closure
        .components
        .iter_mut()
        .step_by(4)
        .for_each(|c| c.own = true);
    let text = |max| {
        let layers = names(&planned(&closure, Balanced2, limits(max)));
        let layers: Vec<String> = layers.iter().map(|names| names.join(" ")).collect();
        layers.join(" | ")
    };
    assert_eq!(
        text(17),
        "n06 | n21 | n25 | n31 | n10 | n17 | n18 | n19 | n27 | n29 \
         | n02 n03 n05 n07 n11 n13 n15 n24 n28 n38 \
         | n00 n01 n04 n09 n14 n22 n23 n26 n30 n32 n33 n34 n35 n36 n37 n39 \
         | n12 | n16 | n08 | n20"
    );
    assert_eq!(
        text(8),
        "n06 | n21 | n31 | n01 n02 n03 n05 n07 n09 n10 n11 n13 n14 n15 n17 n18 n19 n22 n23 n25 n26 n27 \
         n29 n30 n33 n34 n35 n37 n38 n39 | n12 | n16 | n00 n04 n08 n20 n24 n28 n32 n36"
    );
}

#[test]
fn balanced_has_a_number_of_bins_that_only_the_budget_decides() {
    let many: Vec<(String, u64)> = (0..2_000).map(|i| (format!("n{i}"), 1)).collect();
    let many: Vec<(&str, u64)> = many.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    let closure = loose(&many);
    for (max, singles, bins) in [
        (2, 0, 1),
        (3, 1, 1),
        (9, 7, 1),
        (17, 14, 2),
        (33, 28, 4),
        (34, 25, 8),
        (101, 75, 25),
    ] {
        let plan = planned(&closure, Balanced1, limits(max));
        let count = |kind| {
            plan.layers
                .iter()
                .filter(|layer| layer.kind == kind)
                .count()
        };
        assert_eq!(
            (count(LayerKind::Single), count(LayerKind::Bin)),
            (singles, bins),
            "{max}"
        );
    }
}

#[test]
fn bins_fill_evenly() {
    let many: Vec<(String, u64)> = (0..8_000).map(|i| (format!("package-{i}"), 1)).collect();
    let many: Vec<(&str, u64)> = many.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    let plan = planned(&loose(&many), Balanced1, limits(41));
    let sizes = plan
        .layers
        .iter()
        .filter(|l| l.kind == LayerKind::Bin)
        .map(|l| l.members.len());
    for size in sizes {
        assert!((650..950).contains(&size), "{size} of 797 expected");
    }
}

#[test]
fn what_every_build_rewrites_is_on_top() {
    let mut closure = loose(&[("a", 9), ("b", 1), ("db", 5)]);
    closure.components[2].volatile = true;
    for strategy in Strategy::ALL {
        let plan = planned(&closure, strategy, limits(4));
        let volatile = &plan.layers[plan.layers.len() - 2];
        assert_eq!(volatile.kind, LayerKind::Volatile);
        assert_eq!(volatile.members[0].path, "/c/db");
    }
    let error = draw(items(&closure), &Request::new(Size1, limits(2))).unwrap_err();
    let text = "1 pinned and volatile layers and one for everything else do not fit into 1";
    assert_eq!(error.to_string(), text);
}

/// Node i may refer to any other; some share a name or a size.
fn any_closure() -> impl proptest::strategy::Strategy<Value = Vec<Value>> {
    let node = (
        prop::collection::vec(0..24_usize, 0..4),
        0..6_u64,
        0..30_u32,
    );
    prop::collection::vec(node, 0..24).prop_map(|nodes| {
        let path = |i: usize| format!("/s/{:02}-n{i}", i * 7 % 24);
        let count = nodes.len();
        let entry = |(i, (to, size, name)): (usize, (Vec<usize>, u64, u32))| {
            let references: Vec<String> = to.into_iter().filter(|to| *to < count).map(path).collect();
            serde_json::json!({"path": path(i), "references": references, "narSize": size * size, "name": format!("n{name}")})
        };
        nodes.into_iter().enumerate().map(entry).collect()
    })
}

proptest! {
    #[test]
    fn every_strategy_makes_partitions_within_the_limit(
        nodes in any_closure(), max in 2..30_usize, strategy in 0..Strategy::ALL.len(),
    ) {
        let closure = closure(&nodes.into());
        let plan = planned(&closure, Strategy::ALL[strategy], limits(max));
        prop_assert!(plan.layers.len() <= max);
        let mut all: Vec<&str> = super::store_layers(&plan).concat();
        all.sort_unstable();
        prop_assert_eq!(all, closure.graph.paths());
        let again = LayerPlan::from_json(plan.to_json().as_bytes()).unwrap();
        prop_assert_eq!(again.to_json(), plan.to_json());
    }

    #[test]
    fn order_of_input_never_matters(
        (nodes, shuffled) in any_closure().prop_flat_map(|n| (Just(n.clone()), Just(n).prop_shuffle())),
        max in 2..30_usize, strategy in 0..Strategy::ALL.len(),
    ) {
        let strategy = Strategy::ALL[strategy];
        let (one, other) = (closure(&nodes.into()), closure(&shuffled.into()));
        prop_assert_eq!(planned(&one, strategy, limits(max)), planned(&other, strategy, limits(max)));
    }

    /// One name more or less: one bin changes, and one single comes or goes. Names that end
    /// in `o` are the image's own.
    #[test]
    fn balanced_keeps_still(
        sizes in prop::collection::btree_map("[a-z]{1,2}o?", any::<u16>(), 1..120),
        name in "[A-Z]o?", size: u16, max in 2..60_usize, newest: bool,
    ) {
        let strategy = if newest { Balanced2 } else { Balanced1 };
        let mut sized: Vec<(&str, u64)> =
            sizes.iter().map(|(name, size)| (name.as_str(), u64::from(*size))).collect();
        let layers = |sized: &[(&str, u64)]| -> BTreeSet<Vec<String>> {
            let mut closure = loose(sized);
            for component in &mut closure.components {
                component.own = component.path.ends_with('o');
            }
            names(&planned(&closure, strategy, limits(max))).into_iter().collect()
        };
        let before = layers(&sized);
        sized.push((&name, u64::from(size)));
        let after = layers(&sized);
        let gone: Vec<&Vec<String>> = before.difference(&after).collect();
        let new: Vec<&Vec<String>> = after.difference(&before).collect();
        prop_assert!(gone.len() <= 2 && new.len() <= 2, "{gone:?} {new:?}");
        prop_assert!(gone.iter().filter(|layer| layer.len() > 1).count() <= 1);
    }
}

/// Run by itself to see time: 100,000 components.
#[test]
#[ignore = "a measurement"]
fn large_plans() {
    let n = 100_000_usize;
    let entry = |i: usize| {
        let to: Vec<String> = (1..=10)
            .map(|k| i + k * k * 7)
            .filter(|to| *to < n)
            .map(|to| format!("/s/{to:06}"))
            .collect();
        (format!("/s/{i:06}"), to, (i * 7_919 % 99_991) as u64)
    };
    let closure = closure_of((0..n).map(entry));
    for strategy in Strategy::ALL {
        let clock = std::time::Instant::now();
        let plan = planned(&closure, strategy, limits(120));
        println!(
            "{strategy}: {} layers, {:?}",
            plan.layers.len(),
            clock.elapsed()
        );
    }
    let plan = planned(&closure, Balanced1, limits(120));
    let clock = std::time::Instant::now();
    let previous = Some(Previous::from_plan(&plan));
    let request = Request {
        previous,
        ..Request::new(Balanced1, limits(120))
    };
    let (again, warnings) = draw(items(&closure), &request).unwrap();
    println!(
        "previous: {} {:?}, {:?}",
        again == plan,
        warnings,
        clock.elapsed()
    );
    let clock = std::time::Instant::now();
    let pins = Pins::default();
    let images = (0..8).map(|_| (items(&closure), limits(120), &pins));
    println!(
        "fleet of {}: {:?}",
        fleet(images.collect()).unwrap().len(),
        clock.elapsed()
    );
}
