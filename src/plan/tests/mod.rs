use std::collections::BTreeMap;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

mod fleet;
mod pins;
mod previous;
mod strategies;

use super::LayerKind::{Base, Customisation, Rest, Single};
use super::*;
use crate::graph::NodeSpec;
use crate::rank;
use crate::source::Closure;

fn list(n: usize) -> Graph {
    let node = |i| NodeSpec {
        path: format!("p{i:03}"),
        references: Vec::new(),
    };
    Graph::new((0..n).map(node).collect()).unwrap()
}

fn plan(graph: &Graph, limits: Limits) -> Result<LayerPlan, PlanError> {
    make(graph, &rank::popularity(graph), "popularity", limits)
}

fn limits(max_layers: usize) -> Limits {
    Limits {
        max_layers,
        ..Limits::default()
    }
}

fn store_layers(plan: &LayerPlan) -> Vec<Vec<&str>> {
    let layers = plan.layers.iter().filter(|layer| !layer.members.is_empty());
    layers
        .map(|l| l.members.iter().map(|m| m.path.as_str()).collect())
        .collect()
}

/// All vectors that have a graph.
fn vectors() -> Vec<(std::path::PathBuf, Value)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/graphs");
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let file = file.unwrap().path();
        let vector: Value = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
        vector["graph"].is_array().then_some((file, vector))
    };
    std::fs::read_dir(directory)
        .unwrap()
        .filter_map(read)
        .collect()
}

/// A closure from the list form of a graph.
fn closure(list: &Value) -> Closure {
    let text = list.to_string().into_bytes();
    let source = crate::source::GraphSource {
        text,
        origin: "list".into(),
        store_prefix: None,
    };
    crate::source::Source::load(&source).unwrap()
}

/// What build makes of a closure.
fn items(closure: &Closure) -> Items<'_> {
    let facts = closure.components.iter().map(|component| Facts {
        name: component.name.as_deref(),
        version: component.version.as_deref(),
        size: component.size,
        hash: component.hash.as_deref(),
        volatile: component.volatile,
        own: component.own,
    });
    Items::new(&closure.graph, facts.collect())
}

/// A closure from path, references and size.
fn closure_of(nodes: impl Iterator<Item = (String, Vec<String>, u64)>) -> Closure {
    let entry = |(path, references, size)| serde_json::json!({"path": path, "references": references, "narSize": size});
    closure(&nodes.map(entry).collect::<Vec<Value>>().into())
}

#[test]
fn every_vector() {
    let mut seen = 0;
    for (file, vector) in vectors() {
        let graph = closure(&vector["graph"]).graph;
        let expected: BTreeMap<String, Vec<Vec<String>>> =
            serde_json::from_value(vector["expect"]["layers_by_max_layers"].clone()).unwrap();
        for (max, layers) in expected {
            seen += 1;
            let plan = plan(&graph, limits(max.parse().unwrap())).unwrap();
            assert_eq!(store_layers(&plan), layers, "{file:?} with {max}");
            assert_eq!(plan.layers.last().unwrap().kind, LayerKind::Customisation);
            assert_eq!(plan.layers.len(), layers.len() + 1);
        }
    }
    assert!(seen > 70, "{seen}");
}

#[test]
fn boundaries_of_the_limit() {
    // (paths, limit) → layers, customisation included.
    let cases = [
        (0, 2, 1),
        (0, 100, 1),
        (1, 2, 2),
        (1, 3, 2),
        (2, 2, 2),
        (2, 3, 3),
        (98, 100, 99),
        (99, 100, 100),
        (100, 100, 100),
        (101, 100, 100),
    ];
    for (paths, max, layers) in cases {
        let plan = plan(&list(paths), limits(max)).unwrap();
        assert_eq!(plan.layers.len(), layers, "{paths} paths, {max} layers");
    }
}

#[test]
fn a_last_path_by_itself_is_alone() {
    let kinds = |paths| -> Vec<LayerKind> {
        plan(&list(paths), limits(3))
            .unwrap()
            .layers
            .iter()
            .map(|l| l.kind)
            .collect()
    };
    assert_eq!(kinds(2), [Single, Single, Customisation]);
    assert_eq!(kinds(3), [Single, Rest, Customisation]);
}

#[test]
fn the_base_counts_and_lies_below() {
    let limits = Limits {
        max_layers: 5,
        base_layers: 2,
        customisation: false,
    };
    let plan = plan(&list(9), limits).unwrap();
    let shape: Vec<(LayerKind, usize)> = plan
        .layers
        .iter()
        .map(|l| (l.kind, l.members.len()))
        .collect();
    assert_eq!(shape, [(Base, 0), (Base, 0), (Single, 1), (Rest, 8)]);
}

#[test]
fn no_room_says_what_is_needed() {
    for (max, base, text) in [
        (
            0,
            0,
            "0 layers are too few: at least 2 are needed (for the paths and for customisation)",
        ),
        (
            1,
            0,
            "1 layer is too few: at least 2 are needed (for the paths and for customisation)",
        ),
        (
            4,
            3,
            "4 layers are too few: at least 5 are needed (3 of the base image, and for the paths and for customisation)",
        ),
    ] {
        let limits = Limits {
            max_layers: max,
            base_layers: base,
            customisation: true,
        };
        assert_eq!(plan(&list(1), limits).unwrap_err().to_string(), text);
    }
}

#[test]
fn strategies_by_name() {
    assert_eq!(
        Strategy::parse("popularity").unwrap(),
        Strategy::Popularity1
    );
    assert_eq!(
        Strategy::parse("popularity@1").unwrap(),
        Strategy::Popularity1
    );
    for unknown in ["", "popularity@2", "popularity@", "Popularity"] {
        let error = Strategy::parse(unknown).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "no strategy `{unknown}`; there are popularity@1, "
            )),
            "{error}"
        );
    }
}

#[test]
fn json_there_and_back() {
    let graph = crate::graph::tests::graph(&[("/a", "/b"), ("/b", "")]);
    let plan = plan(
        &graph,
        Limits {
            base_layers: 1,
            ..limits(3)
        },
    )
    .unwrap();
    let json = plan.to_json();
    let value: Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!({
        "version": 1, "strategy": "popularity@1", "max_layers": 3, "layers": [
            {"kind": "base", "paths": []},
            {"kind": "rest", "paths": [
                {"path": "/b", "popularity": "2"}, {"path": "/a", "popularity": "1"}]},
            {"kind": "customisation", "paths": []},
        ]
    });
    assert_eq!(value, expected);
    assert_eq!(LayerPlan::from_json(json.as_bytes()).unwrap(), plan);
}

#[test]
fn foreign_json_is_no_plan() {
    let cases = [
        ("{}", "missing field `version` at line 1 column 2"),
        (
            r#"{"version":2,"strategy":"x","max_layers":3,"layers":[]}"#,
            "version 2 is not 1",
        ),
        (
            r#"{"version":1,"strategy":"x","max_layers":3,"layers":[{"kind":"rest","paths":[{"path":"/a"},{"path":"/a"}]}]}"#,
            "/a is in it twice",
        ),
        (
            r#"{"version":1,"strategy":"x","max_layers":3,"layers":[{"kind":"rest","paths":[{"path":"/a","popularity":"x"}]}]}"#,
            "the popularity `x` of /a is no number",
        ),
    ];
    for (text, reason) in cases {
        let error = LayerPlan::from_json(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("not a layer plan: {reason}"));
    }
}

#[test]
fn one_path_explained() {
    let plan = plan(&list(5), limits(4)).unwrap();
    let place = plan.explain("p003").unwrap();
    assert_eq!(
        (place.layer, place.kind, place.rank, place.company),
        (2, LayerKind::Rest, 3, 3)
    );
    assert_eq!(
        place.member.popularity,
        Some(std::sync::Arc::new(1_u8.into()))
    );
    assert!(plan.explain("p9").is_none());
}

proptest! {
    #[test]
    fn a_plan_is_a_partition_within_the_limit(
        paths in 0..60_usize, max in 0..70_usize, base_layers in 0..9_usize, customisation: bool,
    ) {
        let graph = list(paths);
        let Ok(plan) = plan(&graph, Limits { max_layers: max, base_layers, customisation }) else {
            prop_assert!(max < base_layers + 2);
            return Ok(());
        };
        let uncounted = usize::from(!customisation);
        prop_assert!(plan.layers.len() + uncounted <= max);
        let mut all: Vec<&str> = store_layers(&plan).concat();
        all.sort_unstable();
        prop_assert_eq!(all, graph.paths());
        prop_assert_eq!(&LayerPlan::from_json(plan.to_json().as_bytes()).unwrap(), &plan);
    }
}
