//! Vectors, the naive definition, and sizes.

use std::collections::BTreeMap;
use std::path::Path;

use num_bigint::BigUint;
use proptest::prelude::*;
use serde_json::Value;

use super::{Ranking, popularity};
use crate::graph::{Graph, NodeId, NodeSpec};

fn from_json(list: &Value) -> Graph {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let list = list.as_array().unwrap();
    let node = |entry: &Value| NodeSpec {
        path: text(&entry["path"]),
        references: entry["references"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect(),
    };
    Graph::new(list.iter().map(node).collect()).unwrap()
}

fn names(graph: &Graph, nodes: &[NodeId]) -> Vec<String> {
    nodes.iter().map(|n| graph.path(*n).to_owned()).collect()
}

#[test]
fn every_vector() {
    let mut seen = 0;
    for file in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/graphs")).unwrap()
    {
        let file = file.unwrap().path();
        let Ok(text) = std::fs::read(&file) else {
            continue;
        };
        let Ok(vector) = serde_json::from_slice::<Value>(&text) else {
            continue;
        };
        if vector.get("graph").is_none() {
            continue;
        }
        seen += 1;
        let graph = from_json(&vector["graph"]);
        let ranking = popularity(&graph);
        let expect = &vector["expect"];
        let order = serde_json::to_value(names(&graph, ranking.order())).unwrap();
        assert_eq!(order, expect["order"], "{file:?}");
        let mut roots: Vec<String> = serde_json::from_value(expect["roots"].clone()).unwrap();
        roots.sort();
        assert_eq!(names(&graph, &graph.roots()), roots, "{file:?}");
        let popularity: BTreeMap<String, String> =
            serde_json::from_value(expect["popularity"].clone()).unwrap();
        assert_eq!(popularity.len(), graph.len());
        for (path, count) in popularity {
            let node = graph.find(&path).unwrap();
            assert_eq!(ranking.score(node).to_string(), count, "{path} of {file:?}");
        }
    }
    assert_eq!(seen, 16);
}

fn ranked(nodes: &[(&str, &str)]) -> (Graph, Ranking) {
    let graph = crate::graph::tests::graph(nodes);
    let ranking = popularity(&graph);
    (graph, ranking)
}

fn scores(graph: &Graph, ranking: &Ranking) -> Vec<(String, u64)> {
    let score = |n: NodeId| u64::try_from(&**ranking.score(n)).unwrap();
    ranking
        .order()
        .iter()
        .map(|n| (graph.path(*n).to_owned(), score(*n)))
        .collect()
}

#[test]
fn a_cycle_counts_as_one_node_and_stands_together() {
    // p-z and q-b refer to each other; m-n has the same count and its key stands between theirs.
    let (graph, ranking) = ranked(&[
        ("r", "p-z m-n"),
        ("p-z", "q-b s"),
        ("q-b", "p-z"),
        ("m-n", ""),
        ("s", ""),
    ]);
    let expected = [("s", 3), ("q-b", 2), ("p-z", 2), ("m-n", 2), ("r", 1)];
    assert_eq!(
        scores(&graph, &ranking),
        expected.map(|(p, n)| (p.to_owned(), n))
    );
}

#[test]
fn nothing_but_a_cycle() {
    let (graph, ranking) = ranked(&[("a", "b"), ("b", "c"), ("c", "a")]);
    let expected = [("a", 1), ("b", 1), ("c", 1)];
    assert_eq!(
        scores(&graph, &ranking),
        expected.map(|(p, n)| (p.to_owned(), n))
    );
}

#[test]
fn a_ladder_needs_as_many_bits_as_it_has_rungs() {
    // Three rails, so that sums cross block borders and words are dense.
    let rungs = 700_usize;
    let nodes: Vec<NodeSpec> = (0..rungs)
        .flat_map(|rung| (0..3).map(move |rail| (rung, rail)))
        .map(|(rung, rail)| NodeSpec {
            path: format!("{rung:04}.{rail}"),
            references: if rung + 1 < rungs {
                (0..3)
                    .map(|rail| format!("{:04}.{rail}", rung + 1))
                    .collect()
            } else {
                Vec::new()
            },
        })
        .collect();
    let graph = Graph::new(nodes).unwrap();
    let ranking = popularity(&graph);
    // W triples from rung to rung; all nodes of the rungs above refer to a node.
    let mut above = BigUint::ZERO;
    let mut paths = BigUint::from(1_u8);
    for rung in 0..rungs {
        for rail in 0..3 {
            let node = graph.find(&format!("{rung:04}.{rail}")).unwrap();
            assert_eq!(**ranking.score(node), &above + &paths, "rung {rung}");
        }
        above += &paths * 3_u8;
        paths *= 3_u8;
    }
    assert_eq!(graph.path(ranking.order()[0]), "0699.0");
}

/// The definition, word for word: unfold the tree below each root, counting on the way.
fn naive(graph: &Graph) -> Vec<u64> {
    fn below(graph: &Graph, node: NodeId, sums: &mut [u64]) {
        for child in graph.references(node) {
            sums[child.index()] += 1;
            let mut inside = vec![0; graph.len()];
            below(graph, *child, &mut inside);
            for (sum, count) in sums.iter_mut().zip(inside) {
                *sum += if count == 0 { 0 } else { count + 1 };
            }
        }
    }
    let mut sums = vec![0; graph.len()];
    // As if one more node, not counted itself, referred to every root.
    for root in graph.roots() {
        sums[root.index()] += 1;
        let mut inside = vec![0; graph.len()];
        below(graph, root, &mut inside);
        for (sum, count) in sums.iter_mut().zip(inside) {
            *sum += if count == 0 { 0 } else { count + 1 };
        }
    }
    sums
}

/// References of node i lead to nodes above i only.
fn small_dag() -> impl Strategy<Value = Vec<NodeSpec>> {
    prop::collection::vec(prop::collection::vec(0..12_usize, 0..5), 1..11).prop_map(|lists| {
        let nodes = lists.len();
        let name = |i: usize| format!("/s/{}-n{i}", (i * 7) % 11);
        let above = |i: usize, steps: Vec<usize>| {
            steps
                .into_iter()
                .map(|s| i + s)
                .filter(|to| *to < nodes)
                .map(name)
                .collect()
        };
        let node = |(i, steps)| NodeSpec {
            path: name(i),
            references: above(i, steps),
        };
        lists.into_iter().enumerate().map(node).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_closed_form_is_the_definition(nodes in small_dag()) {
        let graph = Graph::new(nodes).unwrap();
        let ranking = popularity(&graph);
        for (node, count) in graph.nodes().zip(naive(&graph)) {
            prop_assert_eq!(&**ranking.score(node), &BigUint::from(count));
        }
    }

    #[test]
    fn order_of_input_never_matters(
        (nodes, shuffled) in small_dag().prop_flat_map(|n| (Just(n.clone()), Just(n).prop_shuffle()))
    ) {
        let (one, other) = (Graph::new(nodes).unwrap(), Graph::new(shuffled).unwrap());
        prop_assert_eq!(popularity(&one), popularity(&other));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// All three arithmetics agree with a plain sum over sets.
    #[test]
    fn many_blocks_agree_with_sets(seed in any::<u64>(), reach in 2..900_usize, degree in 1..9_usize) {
        let graph = wide(1_100, degree, reach, seed);
        let ranking = popularity(&graph);
        for (node, count) in graph.nodes().zip(by_sets(&graph)) {
            prop_assert_eq!(&**ranking.score(node), &count);
        }
    }
}

/// Every node refers to `degree` of the `reach` nodes after it.
fn wide(nodes: usize, degree: usize, reach: usize, seed: u64) -> Graph {
    let mut state = seed | 1;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let specs = (0..nodes).map(|i| NodeSpec {
        path: format!("/s/{i:06}"),
        references: (0..degree)
            .map(|_| i + 1 + random(reach))
            .filter(|to| *to < nodes)
            .map(|to| format!("/s/{to:06}"))
            .collect(),
    });
    Graph::new(specs.collect()).unwrap()
}

/// Nodes are in topological order; W and sets of referrers as they are defined.
fn by_sets(graph: &Graph) -> Vec<BigUint> {
    let n = graph.len();
    let words = n.div_ceil(64);
    let mut paths = vec![BigUint::ZERO; n];
    for root in graph.roots() {
        paths[root.index()] = BigUint::from(1_u8);
    }
    let mut sets = vec![vec![0_u64; words]; n];
    for i in 0..n {
        sets[i][i / 64] |= 1 << (i % 64);
        for to in graph.references(NodeId(i as u32)) {
            let (count, set) = (paths[i].clone(), sets[i].clone());
            paths[to.index()] += count;
            sets[to.index()]
                .iter_mut()
                .zip(set)
                .for_each(|(a, b)| *a |= b);
        }
    }
    let member = |set: &Vec<u64>, i: usize| set[i / 64] >> (i % 64) & 1 == 1;
    sets.iter()
        .map(|set| (0..n).filter(|i| member(set, *i)).map(|i| &paths[i]).sum())
        .collect()
}

/// `cargo test --release -- --ignored --nocapture rank` prints times for large graphs.
#[test]
#[ignore = "a measurement"]
fn large_graphs() {
    let n = 100_000;
    let shapes: [(&str, usize, usize); 7] = [
        ("chain", 1, 1),
        ("anything later", 10, n),
        ("within 10,000", 10, 10_000),
        ("within 1,000", 10, 1_000),
        ("within 100", 10, 100),
        ("within 20", 10, 20),
        ("ladder", 2, 2),
    ];
    let wide = shapes.map(|(name, degree, reach)| (name.to_owned(), wide(n, degree, reach, 7)));
    let layered = [6, 10, 40, 100].map(|l| (format!("{l} layers"), layered(n / l, l, 10)));
    for (name, graph) in wide.into_iter().chain(layered) {
        let clock = std::time::Instant::now();
        let ranking = popularity(&graph);
        let bits = ranking.order().first().map(|n| ranking.score(*n).bits());
        println!(
            "{name}: {} edges, {bits:?} bits, {:?}",
            graph.edge_count(),
            clock.elapsed()
        );
    }
}

/// Layers whose nodes refer to `degree` nodes of the next layer: sets of referrers differ most.
fn layered(width: usize, layers: usize, degree: usize) -> Graph {
    let name = |layer: usize, i: usize| format!("/s/{layer:03}.{i:06}");
    let below = |layer: usize, i: usize| {
        let to = move |k: usize| name(layer + 1, (i * 7_919 + k * k * 104_729 + layer) % width);
        (0..if layer + 1 < layers { degree } else { 0 })
            .map(to)
            .collect()
    };
    let node = |(layer, i)| NodeSpec {
        path: name(layer, i),
        references: below(layer, i),
    };
    let all = (0..layers).flat_map(|layer| (0..width).map(move |i| (layer, i)));
    Graph::new(all.map(node).collect()).unwrap()
}
