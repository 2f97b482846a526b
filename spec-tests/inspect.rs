//! `inspect`, `ls`, `cat`, `diff` and the page: what the program shows of an image.

use std::fs;

use serde_json::json;

use crate::kit::{Case, Tree};

/// Two images in `img`, and their graphs; a name that would be markup, if it could.
fn images() -> Case {
    let case = Case::new();
    for (tag, app) in [("1", "old"), ("2", "new!")] {
        let store = Tree::new()
            .file("s/libc/lib/libc.so", "libc".repeat(2000))
            .file("s/<b>x/y", "b".repeat(700))
            .file(format!("s/app-{tag}/bin/app"), app.repeat(300));
        let node =
            |path: &str, references: &[&str]| json!({"path": path, "references": references});
        let app = format!("/s/app-{tag}");
        let graph = json!([
            node("/s/libc", &[]),
            node("/s/<b>x", &["/s/libc"]),
            node(&app, &["/s/libc", "/s/<b>x"])
        ]);
        let graph_file = case.at(format!("graph-{tag}.json"));
        fs::write(&graph_file, graph.to_string()).unwrap();
        Case::build(["--no-cache", "-e", "A=<i>", "-l", "k=v", "--store-prefix"])
            .arg(store.path())
            .arg("--graph")
            .arg(&graph_file)
            .args(["-o", &format!("oci:img:{tag}")])
            .cwd(case.at(""))
            .success();
    }
    case
}

fn run(case: &Case, args: &[&str]) -> crate::kit::Ran {
    Case::new().args(args).cwd(case.at("")).run()
}

#[test]
fn layers_with_sizes_and_what_they_hold() {
    let case = images();
    let told = run(&case, &["inspect", "oci:img:1", "--json"])
        .code(0)
        .json();
    assert_eq!(told["version"], 1);
    assert_eq!(told["config"]["config"]["Labels"], json!({"k": "v"}));
    let layers = told["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 4);
    assert_eq!(
        layers[0]["holds"],
        json!([{"path": "/s/libc", "bytes": 8000}])
    );
    assert_eq!(layers[0]["kind"], "single");
    assert_eq!(layers[3]["kind"], "customisation");
    let table = run(&case, &["inspect", "img:1"]).code(0);
    for text in ["platform", "Env", "/s/libc", "LAYER", "8.0 kB"] {
        assert!(
            String::from_utf8_lossy(&table.stdout).contains(text),
            "{text}"
        );
    }
}

#[test]
fn files_are_listed_and_written_out() {
    let case = images();
    let listed = run(&case, &["ls", "img:1", "/s/libc", "--json"])
        .code(0)
        .json();
    let paths: Vec<_> = { listed["files"].as_array().unwrap().iter() }
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/s/libc", "/s/libc/lib", "/s/libc/lib/libc.so"]);
    assert_eq!(listed["files"][2]["size"], 8000);
    assert_eq!(listed["files"][2]["kind"], "regular file");
    run(&case, &["ls", "img:1", "--layer", "2", "s"])
        .code(0)
        .stdout_has("/s/app-1/bin/app");
    run(&case, &["cat", "img:1", "/s/libc/lib/libc.so"])
        .code(0)
        .stdout("libc".repeat(2000));
    for (args, message) in [
        (
            ["cat", "img:1", "/nope"].as_slice(),
            "error: /nope is not in the image\nhint: `plywood ls` lists what there is\n",
        ),
        (
            &["cat", "img:1", "/s"],
            "error: /s is a directory, not a regular file\n",
        ),
        (
            &["ls", "img:1", "--layer", "9"],
            "error: there is no layer 9: the image has 4, counted from 0\n",
        ),
        (
            &["ls", "img:3"],
            "error: img has no image `3`: its tags are 1, 2\n",
        ),
        (
            &["inspect", "img"],
            "error: img holds 2 images: its tags are 1, 2\nhint: choose one with :TAG or @sha256:…\n",
        ),
    ] {
        run(&case, args).code(2).stderr(message);
    }
}

#[test]
fn a_difference_is_told_with_its_cause() {
    let case = images();
    run(&case, &["diff", "img:1", "img:1"])
        .code(0)
        .stdout_has("download: 0 B in 0 layers");
    let told = run(&case, &["diff", "img:1", "img:2", "--json", "--files"])
        .code(1)
        .json();
    let (new, shared) = (&told["new"]["layers"], &told["shared"]["layers"]);
    assert_eq!(new.as_array().unwrap().len(), 1);
    assert_eq!(new[0]["causes"], json!(["/s/app-2"]));
    assert_eq!(shared.as_array().unwrap().len(), 3);
    let bytes = told["download"]["by_blob"].as_u64().unwrap();
    assert_eq!(new[0]["size"], bytes);
    assert!(told["download"]["by_chain"].as_u64().unwrap() > bytes);
    let changes: Vec<_> = { told["files"].as_array().unwrap().iter() }
        .map(|file| {
            (
                file["change"].as_str().unwrap(),
                file["path"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(changes.contains(&("removed", "/s/app-1/bin/app")));
    assert!(changes.contains(&("added", "/s/app-2/bin/app")));
}

#[test]
fn the_page_stands_alone() {
    let case = images();
    let args = ["inspect", "img:2", "--html", "p.html", "--compare", "img:1"];
    let args = [&args[..], &["--graph", "graph-2.json"]].concat();
    run(&case, &args).code(0);
    let page = fs::read_to_string(case.at("p.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"));
    // Names and values from outside are text.
    assert!(page.contains("/s/&lt;b&gt;x") && page.contains("A=&lt;i&gt;"));
    assert!(!page.contains("<b>") && !page.contains("<i>"));
    assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    for outside in ["http://", "https://", "src=\"", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("Update from img:1") && page.contains("/s/app-2"));
    // The popularity of libc: asked for by both others, and by one through the other.
    assert!(
        page.contains("popularity 4, refers to 0, referred to by 2"),
        "{page}"
    );
    // The same image, the same page.
    run(&case, &args).code(0);
    assert_eq!(page, fs::read_to_string(case.at("p.html")).unwrap());
}
