//! Staying close to an earlier plan.

use std::collections::BTreeSet;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::super::*;
use super::{closure, items, limits};
use crate::plan::Strategy::Balanced1;
use crate::source::Closure;

fn loose(sizes: &[(String, u64)]) -> Closure {
    let entry = |(name, size): &(String, u64)| serde_json::json!({"path": format!("/c/{name}-{size}"), "references": [], "narSize": size, "name": name});
    closure(
        &sizes
            .iter()
            .map(entry)
            .collect::<Vec<serde_json::Value>>()
            .into(),
    )
}

fn some(n: u64) -> Vec<(String, u64)> {
    (0..n)
        .map(|i| (format!("n{i:02}"), 100 + i * i % 37))
        .collect()
}

fn after(plan: &LayerPlan, closure: &Closure, max: usize) -> (LayerPlan, Vec<String>) {
    let previous = Some(Previous::from_plan(plan));
    draw(
        items(closure),
        &Request {
            previous,
            ..Request::new(Balanced1, limits(max))
        },
    )
    .unwrap()
}

fn fresh(closure: &Closure, max: usize) -> LayerPlan {
    draw(items(closure), &Request::new(Balanced1, limits(max)))
        .unwrap()
        .0
}

fn sets(plan: &LayerPlan) -> BTreeSet<BTreeSet<String>> {
    let names = |layer: &PlanLayer| {
        layer
            .members
            .iter()
            .map(|m| m.identity().to_owned())
            .collect()
    };
    plan.layers.iter().map(names).collect()
}

#[test]
fn nothing_new_changes_nothing() {
    let closure = loose(&some(40));
    let plan = fresh(&closure, 17);
    assert_eq!(after(&plan, &closure, 17), (plan.clone(), Vec::new()));
    // Another version of everything: other paths and sizes, the same names.
    let grown: Vec<(String, u64)> = some(40).into_iter().map(|(n, s)| (n, s * 3)).collect();
    let (kept, warnings) = after(&plan, &loose(&grown), 17);
    assert!(warnings.is_empty());
    assert_eq!(sets(&kept), sets(&plan));
}

#[test]
fn a_new_component_disturbs_one_layer() {
    let before = fresh(&loose(&some(40)), 17);
    let mut more = some(40);
    // Large enough that a fresh plan would give it a layer of its own and demote another.
    more.push(("zz".into(), 200));
    let (kept, warnings) = after(&before, &loose(&more), 17);
    assert!(warnings.is_empty());
    assert_eq!(sets(&before).difference(&sets(&kept)).count(), 1);
    assert_eq!(kept.layers.len(), before.layers.len());
}

#[test]
fn what_is_gone_is_gone() {
    let before = fresh(&loose(&some(40)), 17);
    let single = &before.layers[0].members[0];
    let fewer: Vec<(String, u64)> = some(40)
        .into_iter()
        .filter(|(name, _)| name != single.identity())
        .collect();
    let (kept, warnings) = after(&before, &loose(&fewer), 17);
    assert!(warnings.is_empty());
    assert_eq!(sets(&before).difference(&sets(&kept)).count(), 1);
}

#[test]
fn a_plan_that_has_become_costly_is_made_afresh() {
    let all_in_one = fresh(&loose(&some(40)), 2);
    let (plan, warnings) = after(&all_in_one, &loose(&some(40)), 17);
    assert_eq!(
        warnings,
        ["the previous plan has become too costly: the plan is made afresh"]
    );
    assert_eq!(plan, fresh(&loose(&some(40)), 17));
}

#[test]
fn mismatches_warn_and_never_fail() {
    let closure = loose(&some(40));
    let plan = fresh(&closure, 17);
    let (_, warnings) = after(&plan, &closure, 5);
    assert_eq!(
        warnings,
        ["16 layers of the previous plan exceed 4 layers: the plan is made afresh"]
    );
    let other = LayerPlan {
        strategy: "size@1".into(),
        ..plan.clone()
    };
    let (_, warnings) = after(&other, &closure, 17);
    assert_eq!(
        warnings,
        ["the previous plan is size@1, not balanced@1: the plan is made afresh"]
    );
}

type Kept = (&'static str, Option<String>, Option<String>, Option<String>);

/// What an image keeps of a plan.
fn said(plan: &LayerPlan) -> Vec<Kept> {
    let said = |layer: &PlanLayer| {
        let components = layer.said_components(|_| None);
        let versions = layer.said_versions();
        (layer.kind.name(), layer.said_paths(), components, versions)
    };
    plan.layers.iter().map(said).collect()
}

fn read(strategy: Option<&str>, layers: &[Kept]) -> Result<Previous, PlanError> {
    let said = |(kind, paths, components, versions): &Kept| Said {
        kind,
        paths: paths.clone().map(|text| &*text.leak()),
        components: components.clone().map(|text| &*text.leak()),
        versions: versions.clone().map(|text| &*text.leak()),
    };
    // One layer more that is none of ours.
    let layers = layers.iter().map(|layer| Some(said(layer))).chain([None]);
    LayerPlan::from_annotations(strategy, layers, |_| None).map(|plan| Previous::from_plan(&plan))
}

#[test]
fn an_image_keeps_its_plan() {
    let mut plan = fresh(&loose(&some(40)), 17);
    plan.layers[0].members[0].version = Some("1.0".to_owned());
    let last = said(&plan).pop().and_then(|(.., versions)| versions);
    assert_eq!(
        (&*said(&plan)[0].3.clone().unwrap(), last),
        ("[\"1.0\"]", None)
    );
    assert_eq!(
        read(Some("balanced@1"), &said(&plan)).unwrap(),
        Previous::from_plan(&plan)
    );
    let path = |layer: &PlanLayer| layer.members.first().map(|m| m.path.clone());
    let derived = |_: &str| plan.layers[0].members[0].name.clone();
    assert!(path(&plan.layers[0]).is_some());
    assert_eq!(plan.layers[0].said_components(derived), None);
}

#[test]
fn paths_are_as_good_as_names() {
    let closure = loose(&some(40));
    let plan = fresh(&closure, 17);
    let mut paths = said(&plan);
    for (_, _, components, _) in &mut paths {
        *components = None;
    }
    let previous = Some(read(Some("balanced@1"), &paths).unwrap());
    let request = Request {
        previous,
        ..Request::new(Balanced1, limits(17))
    };
    assert_eq!(draw(items(&closure), &request).unwrap(), (plan, Vec::new()));
}

#[test]
fn foreign_annotations_are_no_plan() {
    assert_eq!(
        read(None, &[]).unwrap_err().to_string(),
        "the image does not say how it was planned"
    );
    let single = |paths: &str, components: Option<&str>| {
        let text = |text: &str| text.to_owned();
        ("single", Some(text(paths)), components.map(text), None)
    };
    let good = single("[\"/a\"]", None);
    for bad in [
        single("{}", None),
        single("[\"/a\"]", Some("[]")),
        single("[\"/a\"]", Some("[1]")),
        ("single", good.1.clone(), None, Some("[]".to_owned())),
        ("what", Some("[]".to_owned()), None, None),
        ("bin", None, None, None),
    ] {
        assert_eq!(
            read(Some("balanced@1"), &[good.clone(), bad])
                .unwrap_err()
                .to_string(),
            "layer 2 of the image says nothing that plywood wrote"
        );
    }
}

#[test]
fn nothing_usable_leads_to_a_fresh_plan() {
    let closure = loose(&some(9));
    let request = Request {
        previous: Some(Previous::unusable("there is none".into())),
        ..Request::new(Balanced1, limits(5))
    };
    let (made, warnings) = draw(items(&closure), &request).unwrap();
    assert_eq!(made, fresh(&closure, 5));
    assert_eq!(warnings, ["there is none: the plan is made afresh"]);
}

proptest! {
    #[test]
    fn any_previous_plan_leads_to_a_partition(
        before in prop::collection::btree_map("[a-e]{1,2}", any::<u64>(), 0..25),
        now in prop::collection::btree_map("[a-e]{1,2}", any::<u64>(), 0..25),
        (then_max, max) in (2..20_usize, 2..20_usize),
    ) {
        let (before, now): (Vec<_>, Vec<_>) = (before.into_iter().collect(), now.into_iter().collect());
        let closure = loose(&now);
        let (plan, _) = after(&fresh(&loose(&before), then_max), &closure, max);
        prop_assert!(plan.layers.len() <= max);
        let mut all: Vec<&str> = super::store_layers(&plan).concat();
        all.sort_unstable();
        prop_assert_eq!(all, closure.graph.paths());
    }
}
