use std::path::{Path, PathBuf};

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};

use super::*;
use crate::rank;

fn load(text: impl AsRef<[u8]>) -> Result<Closure, SourceError> {
    load_below(text, None)
}

fn load_below(text: impl AsRef<[u8]>, prefix: Option<&str>) -> Result<Closure, SourceError> {
    let text = text.as_ref().to_vec();
    let store_prefix = prefix.map(PathBuf::from);
    GraphSource {
        text,
        origin: "g".into(),
        store_prefix,
    }
    .load()
}

fn json(value: &Value) -> Closure {
    load(value.to_string()).unwrap()
}

fn refusal(text: impl AsRef<[u8]>) -> String {
    load(text).unwrap_err().to_string()
}

fn forms() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/graphs/formats");
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path());
    let is_form = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !matches!(name, "README.md" | "expected-order.json")
    };
    let mut files: Vec<PathBuf> = files.filter(is_form).collect();
    files.sort();
    files
}

#[test]
fn every_form_of_one_closure() {
    let expected = include_bytes!("../../testdata/graphs/formats/expected-order.json");
    let expected: Value = serde_json::from_slice(expected).unwrap();
    assert_eq!(forms().len(), 9);
    for file in forms() {
        let closure = load(std::fs::read(&file).unwrap()).unwrap();
        let ranking = rank::popularity(&closure.graph);
        let order: Vec<&str> = ranking
            .order()
            .iter()
            .map(|n| closure.graph.path(*n))
            .collect();
        assert_eq!(json!(order), expected["order"], "{file:?}");
        for (component, path) in closure.components.iter().zip(closure.graph.paths()) {
            assert_eq!(&component.path, path);
        }
        if !file.ends_with("export-references-graph-legacy.txt") {
            let glibc = closure.component(ranking.order()[0]);
            assert_eq!(glibc.size, Some(2_789_632), "{file:?}");
            assert!(glibc.hash.as_ref().unwrap().starts_with("sha256"));
        }
        let attributes = file.to_str().unwrap().contains("attrs");
        assert_eq!(closure.roots.is_empty(), !attributes);
    }
}

#[test]
fn where_things_are_on_disk() {
    let text = json!([
        {"path": "/s/a", "references": []},
        {"path": "/s/b", "references": [], "source": "/disk/b", "name": "bee"},
    ])
    .to_string();
    let host = |closure: &Closure, i: usize| match &closure.components[i].content {
        Content::Store { host } => host.to_str().unwrap().to_owned(),
        Content::Trees { .. } | Content::Members { .. } => unreachable!(),
    };
    let here = load(&text).unwrap();
    assert_eq!([host(&here, 0), host(&here, 1)], ["/s/a", "/disk/b"]);
    assert_eq!(here.components[1].name.as_deref(), Some("bee"));
    let there = load_below(&text, Some("/mnt/x")).unwrap();
    assert_eq!(
        [host(&there, 0), host(&there, 1)],
        ["/mnt/x/s/a", "/disk/b"]
    );
}

#[test]
fn attributes_join_their_graphs_and_name_roots() {
    let closure = json(&json!({
        "exportReferencesGraph": {"one": ["/a", "/b"], "two": "/c"},
        "one": [{"path": "/a", "references": ["/b"]}, {"path": "/b", "references": []}],
        "two": [{"path": "/b", "references": []}, {"path": "/c", "references": ["/b"]}],
        "builder": "/bin/sh", "outputs": {"out": "/x"},
    }));
    assert_eq!(closure.graph.paths(), ["/a", "/b", "/c"]);
    assert_eq!(closure.roots, ["/a", "/b", "/c"]);
}

#[test]
fn the_last_of_two_entries_counts() {
    let closure = json(&json!([
        {"path": "/a", "references": ["/b"], "narSize": 1}, {"path": "/b", "references": []},
        {"path": "/a", "references": [], "narSize": 2},
    ]));
    assert_eq!(closure.graph.edge_count(), 0);
    assert_eq!(closure.components[0].size, Some(2));
}

#[test]
fn anything_but_nothing_may_be_a_path_of_a_graph() {
    let closure =
        json(&json!([{"path": " ü/../\n", "references": ["A"]}, {"path": "A", "references": []}]));
    assert_eq!(closure.graph.paths(), [" ü/../\n", "A"]);
    assert!(load("[]").unwrap().components.is_empty());
    assert!(load(" {} ").unwrap().components.is_empty());
}

#[test]
fn refusals_name_the_place() {
    let deep = "[".repeat(10_000);
    let deep_member = format!(
        r#"[{{"path":"/a","references":[],"x":{}1{}}}]"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let cases: &[(&[u8], &str)] = &[
        (b"", "g: is empty"),
        (b" \n\t ", "g: is empty"),
        (b"[{\"path\": \"/a\",\n  \"references\": [}]", "g: line 2, column 18: expected value"),
        (b"[{\"path\": \"/a\"", "g: line 1, column 14: the document ends while parsing an object"),
        (b"[]]", "g: line 1, column 3: trailing characters"),
        (b"\xef\xbb\xbf[]", "g: line 1, column 1: starts with a byte order mark"),
        (b"[\n\"\xff\"]", "g: line 2, column 2: not UTF-8"),
        (deep.as_bytes(), "g: line 1, column 128: nested too deeply"),
        (deep_member.as_bytes(), "g: line 1, column 160: nested too deeply"),
        (
            br#"[{"path":"/a","references":[],"path":"/b"}]"#,
            "g: line 1, column 36: duplicate member `path`",
        ),
        (br#"{"/a":{"references":[]},"/a":{"references":[]}}"#, "g: line 1, column 28: duplicate member `/a`"),
        (br#"[{"path":"\ud800","references":[]}]"#, "g: line 1, column 17: unexpected end of hex escape"),
        (b"[1]", "g: /0: expected an object, found a number"),
        (br#"[{"references":[]}]"#, "g: /0: has no `path`"),
        (br#"[{"path":"/a"}]"#, "g: /0: has no `references`"),
        (br#"[{"path":1,"references":[]}]"#, "g: /0/path: expected a path, found a number"),
        (br#"[{"path":"","references":[]}]"#, "g: /0/path: an empty path"),
        (br#"[{"path":"/a\u0000b","references":[]}]"#, "g: /0/path: a path contains NUL"),
        (br#"[{"path":"/a","references":"/b"}]"#, "g: /0/references: expected a list of paths, found a string"),
        (br#"[{"path":"/a","references":["/a",null]}]"#, "g: /0/references/1: expected a path, found null"),
        (br#"[{"path":"/a","references":[],"narSize":-1}]"#, "g: /0/narSize: expected a size in bytes, found -1"),
        (br#"[{"path":"/a","references":[],"narSize":"1"}]"#, "g: /0/narSize: expected a size in bytes, found a string"),
        (br#"[{"path":"/a","references":[],"narHash":[]}]"#, "g: /0/narHash: expected a hash, found a list"),
        (br#"[{"path":"/a","references":[],"name":7}]"#, "g: /0/name: expected a string, found a number"),
        (br#"[{"path":"/a","references":[],"source":""}]"#, "g: /0/source: an empty string"),
        (br#"[{"path":"/a","valid":false}]"#, "g: /0: /a is not valid in the store that was asked"),
        (br#"{"/a~b":null}"#, "g: /~1a~0b: /a~b is not valid in the store that was asked"),
        (br#"{"version":2,"info":[]}"#, "g: /info: expected an object, found a list"),
        (br#"{"version":2,"storeDir":1,"info":{}}"#, "g: /storeDir: expected a path, found a number"),
        (br#"{"version":2,"info":{"a":{"references":[1]}}}"#, "g: /info/a/references/0: expected a path, found a number"),
        (
            br#"{"exportReferencesGraph":{"graph":["/a"]}}"#,
            "g: /exportReferencesGraph/graph: there is no member `graph` beside it",
        ),
        (
            br#"{"exportReferencesGraph":{"graph":["/b"]},"graph":[{"path":"/a","references":[]}]}"#,
            "g: the root /b is not in the graph",
        ),
        (br#"{"exportReferencesGraph":[]}"#, "g: /exportReferencesGraph: expected an object, found a list"),
        (br#"{"exportReferencesGraph":{"g":[]},"g":{}}"#, "g: /g: expected a list, found an object"),
        (br#"[{"path":"/a","references":["/b"]}]"#, "g: /a refers to /b, which is not in the graph"),
        (b"/a\n\n1\n/b\n", "g: /a refers to /b, which is not in the graph"),
        (b"/a\n\n2\n/a\n", "g: line 5: ends where the reference of /a should be"),
        (b"/a\n\n0\n/b\n\nx\n", "g: line 6: `x` is no number of references (of /b)"),
        (b"/a\n\n0\n\n\n0\n", "g: line 4: an empty line where a path should be"),
        (b"/a\n\n0\n/b\0\n\n0\n", "g: line 4: a path contains NUL"),
    ];
    for (text, expected) in cases {
        assert_eq!(
            refusal(text),
            *expected,
            "{}",
            String::from_utf8_lossy(&text[..text.len().min(80)])
        );
    }
}

#[test]
fn registration_text_is_checked_line_by_line() {
    let hash = "e03cb13504f60f3cce41f16d351c69dc320b3d61579a7bc1ebd94c157c5f414a";
    let one = format!("/a\n{hash}\n12\n\n0\n");
    assert_eq!(
        load(&one).unwrap().components[0].hash,
        Some(format!("sha256:{hash}"))
    );
    assert_eq!(
        refusal(format!("{one}/b\nx\n")),
        "g: line 7: `x` is no hash (of /b)"
    );
    assert_eq!(
        refusal(format!("{one}/b\n{hash}\n-1\n")),
        "g: line 8: `-1` is no size (of /b)"
    );
    assert_eq!(
        refusal(format!("{one}/b")),
        "g: line 7: ends where the hash of /b should be"
    );
}

#[test]
fn whatever_has_no_known_shape_is_named_so() {
    for text in [
        "hello",
        "42",
        "\"/a\"",
        "/a",
        "/a\nb\n0\n",
        r#"{"nodes":[]}"#,
        r#"{"builder":"/bin/sh"}"#,
        r#"{"a":{"b":1}}"#,
    ] {
        assert!(
            refusal(text).starts_with("g: no known form of a reference graph (known are: "),
            "{text}"
        );
    }
}

fn graph_of(text: &str) -> Closure {
    load(text).unwrap()
}

fn store(nodes: &[(&str, &str)]) -> Closure {
    let node = |(path, references): &(&str, &str)| json!({"path": path, "references": references.split_whitespace().collect::<Vec<_>>()});
    graph_of(&Value::from(nodes.iter().map(node).collect::<Vec<_>>()).to_string())
}

fn dir(host: &str, dest: &str) -> Closure {
    DirSource {
        host: host.into(),
        dest: Some(dest.into()),
    }
    .load()
    .unwrap()
}

#[test]
fn closures_join_by_path() {
    let joined = Closure::join(vec![
        store(&[("/a", "/b"), ("/b", "")]),
        store(&[("/c", "/a"), ("/a", "")]),
    ]);
    let expected = store(&[("/a", "/b"), ("/b", ""), ("/c", "/a")]);
    assert_eq!(joined.unwrap(), expected);
    assert!(Closure::join(Vec::new()).unwrap().components.is_empty());
}

#[test]
fn directories_at_one_place_are_laid_over_each_other() {
    let manifest = env!("CARGO_MANIFEST_DIR");
    let (src, testdata) = (format!("{manifest}/src"), format!("{manifest}/testdata"));
    let joined = Closure::join(vec![
        dir(&src, "/opt"),
        dir(&testdata, "/opt/"),
        dir(&src, "/opt"),
    ]);
    let joined = joined.unwrap();
    let mount = |host: &str| Mount {
        host: host.into(),
        dest: "/opt".into(),
    };
    let mounts = vec![mount(&src), mount(&testdata)];
    assert_eq!(joined.components[0].content, Content::Trees { mounts });
    assert_eq!(joined.roots, ["/opt"]);
}

#[test]
fn a_directory_inside_another_shares_its_component() {
    let src = format!("{}/src", env!("CARGO_MANIFEST_DIR"));
    let inputs = || {
        vec![
            dir(&src, "/opt/x"),
            dir(&src, "/optional"),
            dir(&src, "/opt"),
        ]
    };
    let joined = Closure::join(inputs()).unwrap();
    assert_eq!(joined.graph.paths(), ["/opt", "/optional"]);
    let Content::Trees { mounts } = &joined.components[0].content else {
        panic!("not plain trees");
    };
    let dests: Vec<_> = mounts.iter().map(|mount| mount.dest.as_str()).collect();
    assert_eq!(dests, ["/opt/x", "/opt"]);
    let whole = Closure::join([inputs(), vec![dir(&src, "/")]].concat()).unwrap();
    assert_eq!(whole.graph.paths(), ["/"]);
}

#[test]
fn two_things_at_one_place_are_an_error_that_names_both() {
    let one = store(&[("/src", "")]);
    let other = load_below(r#"[{"path":"/src","references":[]}]"#, Some("/mnt")).unwrap();
    let error = Closure::join(vec![one.clone(), other])
        .unwrap_err()
        .to_string();
    assert_eq!(error, "two different things at /src: /src and /mnt/src");
    let manifest = env!("CARGO_MANIFEST_DIR");
    let error = Closure::join(vec![dir(manifest, "/src"), one])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!("two different things at /src: {manifest} and /src")
    );
}

#[test]
fn only_what_the_roots_refer_to_is_kept() {
    let closure = store(&[("/a", "/b"), ("/b", ""), ("/c", "/b")]);
    let cut = closure
        .clone()
        .restrict_to_roots(&["/a".into(), "/a".into()])
        .unwrap();
    assert_eq!(cut.graph, store(&[("/a", "/b"), ("/b", "")]).graph);
    assert_eq!(cut.roots, ["/a"]);
    assert_eq!(cut.components.len(), 2);
    assert_eq!(closure.clone().restrict_to_roots(&[]).unwrap(), closure);
    let error = closure.restrict_to_roots(&["/x".into()]).unwrap_err();
    assert_eq!(error.to_string(), "/x is not in the graph");
}

#[test]
fn wrappers_leave_their_references_as_roots() {
    let mut closure = store(&[
        ("/env", "/conf /a"),
        ("/conf", "/b"),
        ("/a", "/b"),
        ("/b", "/c"),
        ("/c", ""),
    ]);
    closure.roots = vec!["/env".into()];
    let bare = closure.without(&["/env".into(), "/conf".into(), "/nowhere".into()]);
    assert_eq!(bare.graph.paths(), ["/a", "/b", "/c"]);
    assert_eq!(bare.roots, ["/a", "/b"]);
    assert_eq!(bare.components.len(), 3);
}

#[test]
fn mentions_are_whole_names() {
    let hash = "3n58xw4373jp0ljirf06d8077j15pc4j";
    let hashed = format!("/nix/store/{hash}-git-2.40");
    let doc = format!("{hashed}-doc");
    let closure = store(&[
        (&hashed, ""),
        (&doc, ""),
        ("/s/x", ""),
        ("/s/x-doc", ""),
        ("/s/x=y", ""),
        ("/s", ""),
    ]);
    let found = |text: &str| closure.mentioned_in(&[text]).join(" ");
    for (text, expected) in [
        ("/s/x/bin/x", "/s/x"),
        ("/s/x", "/s/x"),
        ("PATH=/s/x/bin:/s/x-doc/bin:/bin", "/s/x /s/x-doc"),
        ("-I/s/x/include", "/s/x"),
        ("file:///s/x?rev=1", "/s/x"),
        ("see /s/x.", "/s/x"),
        ("(/s/x)", "/s/x"),
        ("/s/x=y/bin", "/s/x=y"),
        ("/s/x=/build", "/s/x"),
        ("/s/x1", "/s"),
        ("/s/x.1", "/s"),
        ("/mnt/s/x", ""),
        ("./s/x", ""),
        ("$HOME/s/x", ""),
        ("${HOME}/s/x", ""),
        ("{/s/x}", "/s/x"),
        ("ü/s/xü", "/s"),
        ("/s/xü", "/s"),
        ("/", ""),
        ("", ""),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
    assert_eq!(found(&format!("/proc/1/root{hashed}/bin")), hashed);
    assert_eq!(found(&format!("{hashed}-doc/share")), doc);
    assert_eq!(found(&format!("{hashed}-man")), "");
    assert_eq!(
        found(&format!("{hashed}, {doc}")),
        format!("{hashed} {doc}")
    );
}

#[test]
fn directories_are_no_mentions() {
    assert!(
        dir(env!("CARGO_MANIFEST_DIR"), "/opt")
            .mentioned_in(&["/opt/x"])
            .is_empty()
    );
}

#[test]
fn destinations() {
    let manifest = env!("CARGO_MANIFEST_DIR");
    let file = format!("{manifest}/Cargo.toml");
    let place = |host: &str, dest: Option<&str>| {
        DirSource {
            host: host.into(),
            dest: dest.map(Into::into),
        }
        .load()
        .map(|c| c.roots.join(" "))
    };
    for (host, dest, expected) in [
        (manifest, None, "/"),
        (manifest, Some("/"), "/"),
        (manifest, Some("/opt/app/"), "/opt/app"),
        (&file, None, "/Cargo.toml"),
        (&file, Some("/etc/"), "/etc/Cargo.toml"),
        (&file, Some("/etc/c.toml"), "/etc/c.toml"),
    ] {
        assert_eq!(place(host, dest).unwrap(), expected);
    }
    for (dest, reason) in [
        ("opt", "is not absolute"),
        ("/opt/../x", "has an empty, `.` or `..` part"),
        ("//opt", "has an empty, `.` or `..` part"),
    ] {
        let error = place(manifest, Some(dest)).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("the destination `{dest}` of {manifest} {reason}")
        );
    }
    let error = place("/nowhere/at/all", None).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/at/all");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = load(bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(form in 0..9_usize, at in any::<u16>(), byte: u8, cut: bool) {
        let mut text = std::fs::read(&forms()[form]).unwrap();
        let at = usize::from(at) % text.len();
        if cut { text.truncate(at) } else { text[at] = byte }
        let _ = load(text);
    }

    #[test]
    fn mentions_agree_with_plain_search(paths in proptest::collection::vec("/s(/[ab=.]{1,3}){1,2}", 1..8), text in "[ab=. ]{0,2}(/s|/a|/b|[ab=. ]|/){0,12}") {
        let nodes: Vec<(&str, &str)> = paths.iter().map(|p| (p.as_str(), "")).collect();
        let closure = store(&nodes);
        for path in closure.mentioned_in(&[&text]) {
            prop_assert!(text.contains(&path));
        }
        for path in &paths {
            prop_assert_eq!(closure.mentioned_in(&[path]), vec![path.clone()]);
        }
    }
}

/// From the bytes of a file to a plan; run by itself to see time and memory.
#[test]
#[ignore = "a measurement"]
fn large_document() {
    let path = |i: usize| format!("/nix/store/{i:032}-package-number-{i}-1.0");
    let entry = |i: usize| {
        let references: Vec<String> = (1..=10)
            .map(|k| i + k * k * 7)
            .filter(|to| *to < 100_000)
            .map(path)
            .collect();
        json!({"path": path(i), "references": references, "narSize": i, "narHash": "sha256:x"})
    };
    let text = Value::from((0..100_000).map(entry).collect::<Vec<_>>())
        .to_string()
        .into_bytes();
    let status = || std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = || {
        status()
            .lines()
            .find(|l| l.starts_with("VmHWM"))
            .unwrap()
            .to_owned()
    };
    println!("{} bytes, {}", text.len(), peak());
    let clock = std::time::Instant::now();
    let closure = GraphSource {
        text,
        origin: "g".into(),
        store_prefix: None,
    }
    .load()
    .unwrap();
    println!(
        "{} edges, {:?}, {}",
        closure.graph.edge_count(),
        clock.elapsed(),
        peak()
    );
    let ranking = rank::popularity(&closure.graph);
    println!("ranked {:?}, {}", clock.elapsed(), peak());
    let limits = crate::plan::Limits::default();
    let plan = crate::plan::make(&closure.graph, &ranking, "popularity", limits).unwrap();
    println!(
        "planned {:?}, {} layers, {}",
        clock.elapsed(),
        plan.layers.len(),
        peak()
    );
    println!(
        "{} bytes of JSON, {:?}, {}",
        plan.to_json().len(),
        clock.elapsed(),
        peak()
    );
}
