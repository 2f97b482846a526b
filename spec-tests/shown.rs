//! `plan` lets people see its layers: the table, comparisons, pictures.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::kit::{Case, Layout};

/// Components as (name, version, bytes, needs).
fn graph(components: &[(&str, &str, u64, &[&str])]) -> Value {
    let path = |name: &str| {
        let version = components.iter().find(|c| c.0 == name).unwrap().1;
        format!("/c/{name}={version}")
    };
    let nodes = components.iter().map(|(name, _, size, needs)| {
        let needs: Vec<String> = needs.iter().map(|name| path(name)).collect();
        json!({"path": path(name), "name": name, "narSize": size, "references": needs})
    });
    nodes.collect()
}

fn plan(graph: &Value, args: &[&str]) -> Case {
    let case = Case::new().args(["plan", "--graph", "-", "--max-layers", "5"]);
    case.args(["--strategy", "balanced"])
        .args(args)
        .stdin(graph.to_string())
}

const OLD: &[(&str, &str, u64, &[&str])] = &[
    ("app", "1", 2_900_000, &["lib", "tool"]),
    ("lib", "1", 2_000_000, &["tiny"]),
    ("tool", "1", 700_000, &[]),
    ("tiny", "1", 1_000, &[]),
    ("small", "1", 2_000, &[]),
];

const NEW: &[(&str, &str, u64, &[&str])] = &[
    ("app", "1", 2_900_000, &["lib", "tool"]),
    ("lib", "2", 2_000_000, &["tiny"]),
    ("tool", "1", 700_000, &[]),
    ("small", "1", 2_000, &[]),
    ("tiny", "1", 1_000, &[]),
    ("wee", "1", 500, &[]),
];

#[test]
fn a_table_says_what_is_where_and_why() {
    let columns = [
        ("LAYER", "KIND         ", "    SIZE", "REASON", "COMPONENTS"),
        ("    1", "single       ", "  2.9 MB", "large", "/c/app=1"),
        ("    2", "single       ", "  2.0 MB", "large", "/c/lib=1"),
        ("    3", "single       ", "700.0 kB", "large", "/c/tool=1"),
        (
            "    4",
            "bin          ",
            "  3.0 kB",
            "small, by name",
            "/c/small=1 /c/tiny=1",
        ),
    ];
    let mut table = String::new();
    for (layer, kind, size, reason, components) in columns {
        let _ = writeln!(table, "{layer}  {kind}  {size}  {reason:<48}  {components}");
    }
    table += "    5  customisation            links, added files and directories of this image\n\
              5 components, 5.6 MB, in 5 layers of 5 at most, by balanced@2\n";
    plan(&graph(OLD), &[]).success().stdout(table);
}

#[test]
fn explanations_know_names_and_paths_inside() {
    let told = "/c/lib=1\n  called lib\n  2.0 MB\n  layer 2 of 5, alone: large\n  \
                place 2 of 5 by balanced@2\n  referred to by 1 path\n    /c/app=1\n  \
                refers to 1 path\n    /c/tiny=1\n";
    for what in ["/c/lib=1", "lib", "/c/lib=1/share/doc"] {
        plan(&graph(OLD), &["--explain", what])
            .success()
            .stdout(told);
    }
    plan(&graph(OLD), &["--explain", "/c/li"])
        .run()
        .code(2)
        .stderr("error: --explain `/c/li` is no path of the plan\nhint: did you mean /c/lib=1?\n");
}

#[test]
fn comparisons_tell_bytes_chains_and_causes() {
    let old = plan(&graph(OLD), &["--json"]).success();
    let case = plan(&graph(NEW), &["--compare", "old.json"]);
    std::fs::write(case.at("old.json"), &old.stdout).unwrap();
    case.success().stdout(
        "LAYER  KIND      SIZE  BECAUSE\n    \
         2  single  2.0 MB  lib changed\n    \
         4  bin     3.5 kB  wee added\n\
         new:        2 of 4 layers, 2.0 MB of 5.6 MB (35.7 %)\n\
         as a chain: 3 of 4 layers, 2.7 MB of 5.6 MB (48.2 %)\n",
    );
    let told = case.clone().arg("--json").success().json();
    assert_eq!(
        told["by_blob"],
        json!({"layers": 2, "bytes": 2_003_500, "all_sizes_known": true})
    );
    assert_eq!(told["by_chain"]["bytes"], 2_703_500);
    assert_eq!(
        told["new"][1],
        json!({"layer": 4, "kind": "bin", "bytes": 3_500, "causes": [{"component": "wee", "why": "added"}]})
    );
    // Back again, something is gone.
    let new = plan(&graph(NEW), &["--json"]).success();
    let back = plan(&graph(OLD), &["--compare", "new.json"]);
    std::fs::write(back.at("new.json"), &new.stdout).unwrap();
    back.success().stdout_has("bin     3.0 kB  wee removed\n");
    // With itself, nothing.
    let same = plan(&graph(OLD), &["--compare", "old.json"]);
    std::fs::write(same.at("old.json"), &old.stdout).unwrap();
    same.success().stdout(
        "new:        0 of 4 layers, 0 B of 5.6 MB (0.0 %)\n\
         as a chain: 0 of 4 layers, 0 B of 5.6 MB (0.0 %)\n",
    );
    let refused = |place: &str, code: i32, text: &str| {
        let case = plan(&graph(OLD), &["--compare", place]);
        std::fs::write(case.at("bad.json"), "{}").unwrap();
        case.run().code(code).stderr_has(text);
    };
    refused("none.json", 1, "none.json");
    refused("bad.json", 3, "not a layer plan");
}

#[test]
fn an_image_can_be_compared_with() {
    let tree = crate::kit::Tree::new().file("a/x", "x").file("b/y", "y");
    let node = |path: &str| json!({"path": path, "references": [], "source": tree.at(&path[1..])});
    let graph = json!([node("/a"), node("/b")]).to_string();
    let case = Case::new();
    let run = |args: &[&str], stdin: &str| {
        case.clone()
            .args(args)
            .args(["--graph", "-"])
            .stdin(stdin)
            .success()
    };
    run(&["build", "--no-cache", "-o", "oci:out:1"], &graph);
    assert_eq!(
        Layout(case.at("out")).manifest()["layers"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    run(&["plan", "--compare", "oci:out:1"], &graph).stdout(
        "new:        0 of 2 layers, 0 B of 0 B (0.0 %)\n\
         as a chain: 0 of 2 layers, 0 B of 0 B (0.0 %)\n",
    );
    run(
        &["plan", "--compare", "oci:out"],
        &json!([node("/b")]).to_string(),
    )
    .stdout_has("as a chain: 1 of 1 layer");
}

#[test]
fn pictures_hold_everything_and_nothing_that_harms() {
    let mut components = OLD.to_vec();
    components.push(("<b>&\"\\\u{202e}", "1", 5, &["lib"]));
    let graph = graph(&components);
    let dot = String::from_utf8(plan(&graph, &["--dot"]).success().stdout).unwrap();
    assert!(
        dot.starts_with("digraph plywood {\n") && dot.ends_with("}\n"),
        "{dot}"
    );
    assert!(
        dot.contains("[label=\"<b>&\\\"\\\\\u{fffd}\", tooltip="),
        "{dot}"
    );
    assert_eq!(dot.matches(" -> ").count(), 4);
    assert_eq!(dot.matches("subgraph cluster_").count(), 5);
    let svg = String::from_utf8(plan(&graph, &["--svg"]).success().stdout).unwrap();
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    assert_eq!(svg.matches("class=\"e\"").count(), 4);
    assert_eq!(svg.matches("class=\"b\"").count(), 6);
    assert_eq!(svg.matches("class=\"f\"").count(), 5);
    assert!(
        svg.contains(">&lt;b&gt;&amp;&quot;\\\u{fffd}</text>"),
        "{svg}"
    );
    // Nothing is loaded from anywhere.
    assert_eq!(svg.matches("http").count(), 1);
    assert!(!svg.contains("url(") && !svg.contains("<script") && !svg.contains("href"));
    // The order of the input does not show.
    components.reverse();
    let turned = self::graph(&components);
    plan(&turned, &["--svg"]).success().stdout(svg);
    plan(&turned, &["--dot"]).success().stdout(dot);
    for two in [["--dot", "--svg"], ["--dot", "--json"], ["--svg", "--json"]] {
        plan(&graph, &two).run().code(2);
    }
}
