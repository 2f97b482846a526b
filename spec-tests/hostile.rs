//! Hostile and unlucky input: a clear refusal with the right exit code, nothing written, no panic, no hang.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::{Case, Layout, Ran, Tree};

fn plan(graph: impl AsRef<[u8]>) -> Ran {
    Case::new()
        .args(["plan", "--json", "--graph", "-"])
        .stdin(graph)
        .run()
}

/// What a graph file may be, and what is said of it.
const GRAPHS: &[(&[u8], &str)] = &[
    (b"", "standard input"),
    (b"   \n", "standard input"),
    (b"[", "line 1"),
    (b"[{\"path\": \"/a\", \"references\": [", "line 1"),
    (b"\xef\xbb\xbf[]", "standard input"),
    (b"[\"\xff\xfe\"]", "UTF-8"),
    (
        b"[{\"path\": \"/a\", \"path\": \"/b\", \"references\": []}]",
        "path",
    ),
    (b"[{\"path\": 1, \"references\": []}]", "/0/path"),
    (b"[{\"path\": \"/a\", \"references\": {}}]", "/0/references"),
    (
        b"[{\"path\": \"/a\", \"references\": [1]}]",
        "/0/references/0",
    ),
    (b"[{\"references\": []}]", "/0"),
    (b"[{\"path\": \"\", \"references\": []}]", "/0/path"),
    (b"[{\"path\": \"/a\\u0000b\", \"references\": []}]", "NUL"),
    (b"[1, 2]", "/0"),
    (b"{\"a\": 1}", "standard input"),
    (b"\"text\"", "standard input"),
    (b"null", "standard input"),
    (b"[] []", "line 1"),
    (b"hello\nworld\n", "standard input"),
    (b"/a\n\nmany\n", "standard input"),
    (b"/a\n\n3\n/b\n", "line"),
];

#[test]
fn graphs_are_refused_with_their_place() {
    for (graph, place) in GRAPHS {
        let shown = graph.escape_ascii().to_string();
        let ran = plan(graph);
        assert_eq!(
            (ran.code, &*ran.stdout),
            (3, &b""[..]),
            "{shown}: {}",
            ran.stderr
        );
        assert!(ran.stderr.starts_with("error: "), "{shown}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(place),
            "{shown} does not name {place}: {}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("panicked"), "{shown}: {}", ran.stderr);
    }
}

#[test]
fn a_dangling_reference_names_both_ends() {
    let graph = r#"[{"path": "/a", "references": ["/b", "/a"]}]"#;
    plan(graph).code(3).stderr_has("/a").stderr_has("/b");
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = open.repeat(10_000) + &close.repeat(10_000);
        plan(deep).code(3).stderr_has("error: ");
    }
}

fn graph_of(count: usize, references: impl Fn(usize) -> Vec<usize>) -> String {
    let mut text = String::from("[");
    for i in 0..count {
        let comma = if i == 0 { "" } else { "," };
        let list: Vec<_> = references(i)
            .iter()
            .map(|to| format!("\"/n{to}\""))
            .collect();
        let _ = write!(
            text,
            "{comma}{{\"path\":\"/n{i}\",\"references\":[{}]}}",
            list.join(",")
        );
    }
    text + "]"
}

/// Runs are bounded in time, also unoptimised and beside other tests.
fn planned_soon(graph: &str, what: &str) -> serde_json::Value {
    let start = Instant::now();
    let plan = plan(graph).code(0).json();
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{what} took {:?}",
        start.elapsed()
    );
    plan
}

#[test]
fn shapes_that_break_recursion_are_planned() {
    let chain = graph_of(100_000, |i| if i < 99_999 { vec![i + 1] } else { vec![] });
    let star = graph_of(100_000, |i| {
        if i == 0 {
            (1..100_000).collect()
        } else {
            vec![]
        }
    });
    let dense = graph_of(1_000, |i| (i + 1..1_000).collect());
    let ring = graph_of(10_000, |i| vec![(i + 1) % 10_000]);
    for (what, graph, count) in [
        ("chain", chain, 100_000),
        ("star", star, 100_000),
        ("dense", dense, 1_000),
        ("ring", ring, 10_000),
    ] {
        let plan = planned_soon(&graph, what);
        let layers = plan["layers"].as_array().unwrap();
        assert!(layers.len() <= 100, "{what}");
        let paths: usize = layers
            .iter()
            .map(|layer| layer["paths"].as_array().unwrap().len())
            .sum();
        assert_eq!(paths, count, "{what}");
    }
}

#[test]
fn counts_beyond_any_machine_word() {
    // Two ways up at each of 201 rungs.
    let ladder = graph_of(402, |i| match i / 2 {
        200 => vec![],
        rung => vec![2 * rung + 2, 2 * rung + 3],
    });
    let plan = planned_soon(&ladder, "ladder");
    let longest = plan["layers"][0]["paths"][0]["popularity"]
        .as_str()
        .unwrap();
    assert!(longest.len() > 60, "{longest}");
}

#[test]
fn build_wants_absolute_normal_paths() {
    for path in ["a", "./a", "/a/../b", "/a/./b", "/a//b", "/a/"] {
        let graph = format!(r#"[{{"path": "{path}", "references": []}}]"#);
        let case = Case::build(["--graph", "-", "-o", "oci:out"]).stdin(graph);
        case.run().code(3).stdout("").stderr_has(path);
        assert!(!case.at("out").exists(), "{path}");
    }
}

#[test]
fn one_path_inside_another_is_refused() {
    let tree = Tree::new().file("a/b/f", "x");
    let graph = r#"[{"path": "/a", "references": []}, {"path": "/a/b", "references": []}]"#;
    let case = Case::build(["--graph", "-", "-o", "oci:out", "--store-prefix"])
        .arg(tree.path())
        .stdin(graph);
    case.run().code(3).stderr(
        "error: the graph's path /a/b lies inside /a, which is a path of its own\n\
         hint: leave one of the two out of the graph\n",
    );
}

#[test]
fn all_missing_paths_are_told_before_anything_is_written() {
    let graph = graph_of(25, |_| vec![]);
    let case = Case::build(["--graph", "-", "-o", "oci:out"]).stdin(graph);
    case.run()
        .code(3)
        .stderr_has("25 paths do not exist")
        .stderr_has("/n0")
        .stderr_has("and 15 more");
    assert!(!case.at("out").exists());
}

/// Arguments of `build`, the exit code, and what is said.
const CONFIGS: &[(&[&str], i32, &str)] = &[
    (&["-u", "4294967296"], 2, "user `4294967296`"),
    (&["--user=-1"], 2, "user `-1`"),
    (&["-u", "0:"], 2, "user `0:`"),
    (&["-w", "srv"], 2, "working directory `srv` is not absolute"),
    (&["-w", "/a/../b"], 2, "working directory"),
    (&["--volume", "data"], 2, "volume `data` is not absolute"),
    (&["--stop-signal", "SIGNOPE"], 2, "stop signal `SIGNOPE`"),
    (&["-l", "org.opencontainers.image.mine=1"], 2, "reserves"),
    (&["-a", "org.opencontainers.mine=1"], 2, "reserves"),
    (&["--created", "2024-13-01T00:00:00Z"], 2, "--created"),
    (&["--created", "@99999999999999"], 2, "--created"),
    (&["--mtime", "1e9"], 2, "--mtime"),
    (&["--max-layers", "0"], 2, "layer"),
    (&["--max-layers", "1"], 2, "layer"),
    (&["--max-layers=-1"], 2, "--max-layers"),
    (&["--strategy", "magic"], 2, "magic"),
    (&["--strategy", "popularity@9"], 2, "popularity@9"),
    (&["-t", "Upper:1"], 2, "lower case"),
    (&["-t", "a:../../x"], 2, "image name `a:../../x`"),
    (&["-t", "a:.x"], 2, "tag"),
    (&["-t", ""], 2, "name"),
    (&["-t", "a@sha256:00"], 2, "digest"),
    (&["-e", "A"], 2, "`A` is not of the form NAME=VALUE"),
    (&["-e", "=x"], 2, "`=x` is not of the form NAME=VALUE"),
    (&["--expose", "0"], 2, "port `0`"),
    (&["--expose", "80/sctp"], 2, "port `80/sctp`"),
    (&["--expose", "70000/udp"], 2, "port `70000/udp`"),
    (&["--created", "yesterday"], 2, "`yesterday` is not a date"),
    (&["--created", "2024-02-30T00:00:00Z"], 2, "is not a date"),
    (&["--config-json", "missing.json"], 1, "missing.json"),
    (&["--exclude", "[z-a]"], 2, "[z-a]"),
    (&["--env-file", "missing.env"], 1, "missing.env"),
];

#[test]
fn configurations_are_refused_before_anything_is_written() {
    let tree = Tree::new().file("f", "x");
    for (args, code, text) in CONFIGS {
        let case = Case::build(["-o", "oci:out"]).arg(tree.path()).args(*args);
        case.run()
            .code(*code)
            .stdout("")
            .stderr_has("error: ")
            .stderr_has(text);
        assert!(!case.at("out").exists(), "{args:?}");
    }
    let long = "x".repeat(100_000);
    let case = Case::build(["-o", "oci:out", "-u", &long]).arg(tree.path());
    short(case.run().code(2));
    // No argument may be so long, a document may.
    let user = format!("{{\"config\": {{\"User\": \"{}\"}}}}", "x".repeat(1 << 20));
    let case = Case::build(["-o", "oci:out", "--config-json", "-"]);
    let ran = case.arg(tree.path()).stdin(user).run();
    short(ran.code(3).stderr_has("/config/User"));
}

fn short(ran: Ran) {
    let told = ran.stderr.len();
    assert!(told < 1000, "a message of {told} bytes");
}

#[test]
fn of_a_variable_given_twice_the_last_counts() {
    let tree = Tree::new().file("f", "x");
    let case = Case::build(["-o", "oci:out", "-e", "A=1", "-e", "B=0", "-e", "A=2"]);
    let case = case.arg(tree.path());
    case.success();
    let config = Layout(case.at("out")).config();
    assert_eq!(config["config"]["Env"], json!(["A=2", "B=0"]));
}

#[test]
fn tags_are_never_file_names() {
    let tree = Tree::new().file("f", "x");
    for tag in ["../../x", "/etc/x", "a/../b", ".", "a b"] {
        let case = Case::build(["-o", &format!("oci:out:{tag}")]).arg(tree.path());
        case.run().code(2).stderr_has("error: ");
        assert!(!case.at("out").exists(), "{tag}");
    }
}

#[test]
fn config_json_is_read_strictly() {
    let tree = Tree::new().file("f", "x");
    for text in [
        "",
        "[]",
        "{",
        "1",
        "{\"a\":1,\"a\":2}",
        "{\"config\": {\"Cmd\": \"sh\"}}",
        "\u{feff}{}",
    ] {
        let case = Case::build(["-o", "oci:out", "--config-json", "-"])
            .arg(tree.path())
            .stdin(text);
        let ran = case.run().code(3);
        ran.stdout("").stderr_has("error: ");
        assert!(!case.at("out").exists(), "{text}");
    }
}

#[test]
fn source_date_epoch_is_a_number() {
    let tree = Tree::new().file("f", "x");
    for text in ["yesterday", "-1", "1.5", "99999999999999999999"] {
        let case = Case::build(["-o", "oci:out"])
            .arg(tree.path())
            .env("SOURCE_DATE_EPOCH", text);
        let said =
            format!("error: SOURCE_DATE_EPOCH `{text}` is not a number of seconds since 1970\n");
        case.run().code(2).stderr(&said);
    }
}

#[test]
fn names_from_outside_cannot_steer_a_terminal() {
    let tree = Tree::new().file(".wh.\u{1b}[31mred\u{9b}", "x");
    let case = Case::build(["-o", "oci:out"]).arg(tree.path());
    let ran = case.run().code(3);
    assert!(
        !ran.stderr.contains('\u{1b}') && !ran.stderr.contains('\u{9b}'),
        "{:?}",
        ran.stderr
    );
    let graph = r#"[{"path": "/a\u001b]0;owned\u0007", "references": []}]"#;
    for args in [
        &["--json"][..],
        &[],
        &["--explain", "/a\u{1b}]0;owned\u{7}"],
    ] {
        let ran = Case::new()
            .args(["plan", "--graph", "-"])
            .args(args)
            .stdin(graph)
            .run()
            .code(0);
        assert!(
            !ran.stdout.contains(&0x1b) && !ran.stdout.contains(&7),
            "{:?}",
            ran.stdout
        );
    }
}

#[test]
fn nothing_secret_is_told() {
    let tree = Tree::new().file("f", "x");
    let case = Case::build(["-o", "oci:out", "-vv", "-e", "TOKEN=hunter2"]).arg(tree.path());
    let ran = case.env("AWS_SECRET_ACCESS_KEY", "hunter3").success();
    assert!(!ran.stderr.contains("hunter"), "{}", ran.stderr);
}
