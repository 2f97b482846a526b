//! Which component goes into which layer: pins, earlier images, fleets; and how that is shown.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::kit::{Case, Layout, Tree};

/// A store of components as (name, version, bytes), with its graph.
struct Store {
    tree: Tree,
    graph: Value,
}

impl Store {
    fn new(components: &[(&str, u32, usize)]) -> Self {
        let mut tree = Tree::new();
        let mut nodes = Vec::new();
        for (name, version, size) in components {
            // As a hash in hexadecimal digits would: other content, another path.
            let path = format!("/nix/store/{version:032}-{name}-{version}");
            tree = tree.file(
                format!(".{path}/share/{name}"),
                name.repeat(size / name.len()),
            );
            nodes.push(json!({"path": path, "references": [], "narSize": size, "narHash": format!("sha256:{version}")}));
        }
        let graph = Value::from(nodes);
        Self { tree, graph }
    }

    /// A run with its graph on standard input.
    fn case(&self, verb: &str, case: &Case) -> Case {
        case.clone()
            .args([verb, "--graph", "-", "--store-prefix"])
            .arg(self.tree.path())
            .args(["--no-cache"])
            .stdin(self.graph.to_string())
    }
}

const NAMES: [&str; 12] = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu",
];

fn some(versions: impl Fn(usize) -> u32) -> Vec<(&'static str, u32, usize)> {
    let names = NAMES.iter().enumerate();
    names
        .map(|(i, name)| (*name, versions(i), 1_000 * (i + 1)))
        .collect()
}

/// The names in each layer of a plan, the lowest first.
fn layers(plan: &Value) -> Vec<String> {
    let name = |path: &Value| {
        let path = path["path"].as_str().unwrap();
        path.split('-').nth(1).unwrap().to_owned()
    };
    let names = |layer: &Value| {
        let paths = layer["paths"].as_array().unwrap().iter();
        paths.map(name).collect::<Vec<_>>().join(" ")
    };
    plan["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(names)
        .collect()
}

#[test]
fn pinned_layers_stand_apart() {
    let store = Store::new(&some(|_| 1));
    let case = store
        .case("plan", &Case::new())
        .args(["--json", "--max-layers", "6"]);
    let pinned = case.clone().args([
        "--strategy",
        "size",
        "--layer",
        "greek=[ab]*",
        "--layer",
        "more=mu",
    ]);
    let plan = pinned.success().json();
    assert_eq!(
        layers(&plan)[..4],
        ["alpha beta", "mu", "kappa", "lambda"],
        "{plan}"
    );
    assert_eq!(plan["layers"][0]["kind"], "pinned");
    assert_eq!(plan["layers"][0]["name"], "greek");
    // The file says the same and something about what lies above.
    let file = concat!(
        "[[layer]]\nname = \"greek\"\nmatch = [\"[ab]*\"]\n\n",
        "[[layer]]\nname = \"more\"\nmatch = [\n  \"mu\",\n]\ntop = true\n",
    );
    std::fs::write(case.at("layers.toml"), file).unwrap();
    let plan = case
        .clone()
        .args(["--strategy", "size", "--layers-file", "layers.toml"])
        .success()
        .json();
    assert_eq!(layers(&plan)[0], "alpha beta");
    assert_eq!(layers(&plan)[4], "mu");
}

#[test]
fn hints_that_make_no_sense_are_refused_at_their_place() {
    let store = Store::new(&some(|_| 1));
    let case = store.case("plan", &Case::new());
    let refused = |args: &[&str], code: i32, text: &str| {
        case.clone().args(args).run().code(code).stderr(text);
    };
    refused(
        &["--layer", "x=omega"],
        3,
        "error: --layer x=omega: no component matches omega\n\
         hint: a glob with `/` is held against paths, one without against names; \
         `optional = true` in a layers file lets it match nothing\n",
    );
    refused(
        &["--layer", "omega"],
        3,
        "error: --layer omega: expected NAME=GLOB\n",
    );
    refused(
        &["--strategy", "balanced@77"],
        2,
        "error: no strategy `balanced@77`; there are popularity@1, balanced@1, balanced@2, size@1, auto@1\n",
    );
    refused(
        &[
            "--max-layers",
            "3",
            "--layer",
            "a=alpha",
            "--layer",
            "b=beta",
        ],
        2,
        "error: --layer b=beta: 2 pinned and volatile layers and one for everything else do not fit into 2\n\
         hint: allow 1 more with --max-layers, or pin fewer layers\n",
    );
    std::fs::write(
        case.at("l.toml"),
        "[[layer]]\nname = \"x\"\nmatch = [\"mu\",\n\"nu\"]\n",
    )
    .unwrap();
    refused(
        &["--layers-file", "l.toml"],
        3,
        "error: l.toml, line 4: no component matches nu\n\
         hint: a glob with `/` is held against paths, one without against names; \
         `optional = true` in a layers file lets it match nothing\n",
    );
    let two =
        "[[layer]]\nname = \"x\"\nmatch = [\"mu\"]\n[[layer]]\nname = \"y\"\nmatch = [\"nu\"]\n";
    std::fs::write(case.at("l.toml"), two.replace("nu", "eta")).unwrap();
    refused(
        &["--layers-file", "l.toml", "--max-layers", "3"],
        2,
        "error: l.toml, line 6: 2 pinned and volatile layers and one for everything else do not fit into 2\n\
         hint: allow 1 more with --max-layers, or pin fewer layers\n",
    );
    std::fs::write(case.at("l.toml"), "[[layer]]\nname = \"x\"\nmatches = []\n").unwrap();
    let ran = case.clone().args(["--layers-file", "l.toml"]).run().code(3);
    ran.stderr_has("l.toml, line 3: unknown field `matches`");
    refused(
        &["--fleet", "l.toml", "--strategy", "size"],
        2,
        "error: --fleet and --strategy do not go together\n\
         hint: a fleet has a strategy of its own, fleet@1\n",
    );
}

#[test]
fn an_image_is_all_the_state_that_there_is() {
    let first = Store::new(&some(|_| 1));
    let case = Case::new();
    let how = ["--strategy", "balanced", "--max-layers", "6"];
    let build =
        |store: &Store, args: &[&str]| store.case("build", &case).args(how).args(args).success();
    build(&first, &["-o", "oci:out:1"]);
    build(&first, &["-o", "oci-archive:one.tar:1"]);
    let plan = first.case("plan", &case).args(how).arg("--json").success();
    std::fs::write(case.at("one.json"), &plan.stdout).unwrap();
    // Every other one is new, and so is one that is large enough to upset a fresh plan.
    let mut components = some(|i| 1 + (i as u32) % 2);
    components.push(("nu", 1, 11_500));
    let second = Store::new(&components);
    let planned = |args: &[&str]| {
        let ran = second
            .case("plan", &case)
            .args(how)
            .arg("--json")
            .args(args)
            .success();
        (layers(&ran.json()), ran.stderr)
    };
    let before = layers(&plan.json());
    let (fresh, _) = planned(&[]);
    let (kept, stderr) = planned(&["--previous", "oci:out:1"]);
    assert_eq!(stderr, "");
    let changed = |layers: &[String]| layers.iter().filter(|l| !before.contains(l)).count();
    assert!(
        changed(&kept) == 1 && changed(&fresh) > 1,
        "{kept:?}\n{fresh:?}"
    );
    for same in [
        "out:1",
        "oci-archive:one.tar:1",
        "oci-archive:one.tar",
        "one.tar",
        "one.json",
    ] {
        assert_eq!(
            planned(&["--previous", same]),
            (kept.clone(), String::new()),
            "{same}"
        );
    }
}

#[test]
fn an_earlier_image_that_is_of_no_use_is_a_warning() {
    let store = Store::new(&some(|_| 1));
    let case = Case::new();
    let how = [
        "--strategy",
        "balanced",
        "--max-layers",
        "6",
        "-o",
        "oci:out:1",
    ];
    let build = |args: &[&str]| store.case("build", &case).args(how).args(args).success();
    let digest = build(&[]).digest();
    std::fs::write(case.at("broken.json"), "{\"version\": 2}").unwrap();
    std::fs::create_dir(case.at("foreign")).unwrap();
    for (previous, why) in [
        ("oci:nowhere:1", "nowhere"),
        ("broken.json", "not a layer plan"),
        ("foreign", "no file oci-layout"),
        ("oci:out:77", "`77`"),
        ("oci-archive:none.tar", "none.tar"),
    ] {
        let ran = build(&["--previous", previous]);
        assert_eq!(ran.digest(), digest, "{previous}");
        let text = &ran.stderr;
        let start = format!("warning: --previous {previous} is of no use: ");
        assert!(text.starts_with(&start), "{text}");
        assert!(text.contains(": the plan is made afresh\n"), "{text}");
        assert!(text.contains(why), "{text}");
    }
    // Another strategy is no state for this one.
    let other = Case::new();
    store
        .case("build", &other)
        .args(["--strategy", "size", "--max-layers", "6", "-o", "oci:out:2"])
        .success();
    let place = other.at("out").display().to_string();
    let ran = build(&["--previous", &format!("oci:{place}:2")]);
    assert_eq!(ran.digest(), digest);
    ran.stderr_has(
        "warning: the previous plan is size@1, not balanced@2: the plan is made afresh\n",
    );
}

/// Puts another manifest into the place of a layout's only one.
fn say_otherwise(layout: &Layout, change: impl Fn(&mut Value)) {
    let mut manifest = layout.manifest();
    change(&mut manifest);
    let text = manifest.to_string();
    let digest = plywood::blob::Digest::of(text.as_bytes());
    std::fs::write(layout.0.join("blobs/sha256").join(digest.hex()), &text).unwrap();
    let mut index = layout.index();
    index["manifests"][0]["digest"] = digest.to_string().into();
    index["manifests"][0]["size"] = text.len().into();
    std::fs::write(layout.0.join("index.json"), index.to_string()).unwrap();
}

#[test]
fn annotations_that_plywood_did_not_write_are_no_plan() {
    let store = Store::new(&some(|_| 1));
    let case = Case::new();
    let how = ["--strategy", "balanced", "--max-layers", "6"];
    let build = store.case("build", &case).args(how);
    build.args(["-o", "oci:out:1"]).success();
    let layout = Layout(case.at("out"));
    let told = |text: &str| {
        let plan = store.case("plan", &case).args(how);
        let ran = plan.args(["--previous", "oci:out:1"]).success();
        assert_eq!(
            ran.stderr,
            format!("warning: {text}: the plan is made afresh\n")
        );
    };
    let path = "dev.plywood.layer.paths";
    say_otherwise(&layout, |manifest| {
        manifest["layers"][0]["annotations"][path] = "{}".into();
    });
    told("--previous oci:out:1 is of no use: layer 1 of the image says nothing that plywood wrote");
    say_otherwise(&layout, |manifest| {
        manifest["layers"][0]["annotations"][path] = "[]".into();
        manifest["annotations"]["dev.plywood.strategy"] = "theirs@9".into();
    });
    told("the previous plan is theirs@9, not balanced@2");
    say_otherwise(&layout, |manifest| {
        manifest["annotations"] = json!({});
    });
    told("--previous oci:out:1 is of no use: the image does not say how it was planned");
}

#[test]
fn a_fleet_shares_layers() {
    let common: Vec<_> = some(|_| 1);
    let with = |name: &'static str| {
        let mut all = common.clone();
        all.push((name, 1, 50_000));
        Store::new(&all)
    };
    let stores = [with("one"), with("two"), with("three")];
    let case = Case::new();
    for (i, store) in stores.iter().enumerate() {
        let plan = store
            .case("plan", &case)
            .args(["--max-layers", "6", "--strategy", "balanced", "--json"])
            .success();
        std::fs::write(case.at(format!("{i}.json")), &plan.stdout).unwrap();
    }
    let mut digests = Vec::new();
    for (i, store) in stores.iter().enumerate() {
        let others = (0..3).filter(|other| *other != i);
        let others = others.flat_map(|other| ["--fleet".to_owned(), format!("{other}.json")]);
        store
            .case("build", &case)
            .args(["--max-layers", "6", "-o", &format!("oci:{i}")])
            .args(others)
            .success();
        let manifest = Layout(case.at(i.to_string())).manifest();
        assert_eq!(manifest["annotations"]["dev.plywood.strategy"], "fleet@1");
        let layers = manifest["layers"].as_array().unwrap().clone();
        digests.push(
            layers
                .iter()
                .map(|l| l["digest"].to_string())
                .collect::<Vec<_>>(),
        );
    }
    for other in &digests[1..] {
        let shared = other
            .iter()
            .filter(|digest| digests[0].contains(digest))
            .count();
        // All but what is the image's own.
        assert_eq!(shared, other.len() - 1, "{digests:?}");
    }
}

#[test]
fn identities_are_noted_where_paths_do_not_tell_them() {
    let tree = Tree::new().file("a/x", "x").file("b/y", "y");
    let node = |path: &str, name: Option<&str>| {
        let mut node = json!({"path": path, "references": [], "source": tree.at(&path[1..])});
        if let Some(name) = name {
            node["name"] = name.into();
        }
        node
    };
    let annotations = |graph: Value| {
        let case =
            Case::build(["--graph", "-", "--no-cache", "-o", "oci:out"]).stdin(graph.to_string());
        case.success();
        let manifest = Layout(case.at("out")).manifest();
        let layers = manifest["layers"].as_array().unwrap().iter();
        layers.fold(String::new(), |mut all, layer| {
            let said = &layer["annotations"];
            let _ = write!(
                all,
                "{}{};",
                said["dev.plywood.layer.paths"], said["dev.plywood.layer.components"]
            );
            all
        })
    };
    assert_eq!(
        annotations(json!([node("/a", None), node("/b", None)])),
        "\"[\\\"/a\\\"]\"null;\"[\\\"/b\\\"]\"null;nullnull;"
    );
    assert_eq!(
        annotations(json!([node("/a", Some("alpha")), node("/b", None)])),
        "\"[\\\"/a\\\"]\"\"[\\\"alpha\\\"]\";\"[\\\"/b\\\"]\"null;nullnull;"
    );
}
