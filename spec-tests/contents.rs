//! `--contents`: a closure, and everything of it seen at `/` through links.

use crate::kit::{Case, Layout, Tree};

/// Three store paths; `c` has its directories behind links.
fn store() -> Tree {
    Tree::new()
        .file("s/1-a/bin/a", "a")
        .file("s/1-a/share/doc/a", "a")
        .file("s/2-b/bin/b", "b")
        .symlink("s/2-b/bin/a-again", "/s/1-a/bin/a")
        .symlink("s/2-b/lib", "../3-c/lib")
        .file("s/3-c/lib/c.so", "c")
        .symlink("s/3-c/share", "/s/2-b/share")
        .file("s/2-b/share/doc/b", "b")
        .file("s/4-d/bin/a", "another")
        .file("s/5-file", "no directory")
}

fn build(store: &Tree, contents: &[&str]) -> Case {
    let graph = r#"[
        {"path":"/s/1-a","references":[]},
        {"path":"/s/2-b","references":["/s/1-a","/s/3-c"]},
        {"path":"/s/3-c","references":["/s/2-b"]},
        {"path":"/s/4-d","references":[]},
        {"path":"/s/5-file","references":[]}
    ]"#;
    let case = Case::build(["-o", "oci:out", "--graph", "-", "--store-prefix"])
        .arg(store.path())
        .stdin(graph);
    contents
        .iter()
        .fold(case, |case, path| case.args(["--contents", path]))
}

/// `PATH -> TARGET` of all links in the last layer, and its other entries.
fn last_layer(case: &Case) -> Vec<String> {
    let layers = Layout(case.at("out")).layers();
    let entries = layers.last().unwrap().iter();
    let shown = entries.map(|entry| {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        match entry.link.is_empty() {
            true => path,
            false => format!("{path} -> {}", String::from_utf8_lossy(&entry.link)),
        }
    });
    shown.collect()
}

#[test]
fn directories_merge_and_files_become_links() {
    let store = store();
    let case = build(&store, &["/s/1-a", "/s/2-b"]);
    case.success();
    assert_eq!(
        last_layer(&case),
        [
            "bin/",
            "bin/a -> /s/1-a/bin/a",
            "bin/a-again -> /s/1-a/bin/a",
            "bin/b -> /s/2-b/bin/b",
            "lib -> /s/2-b/lib",
            "share/",
            "share/doc/",
            "share/doc/a -> /s/1-a/share/doc/a",
            "share/doc/b -> /s/2-b/share/doc/b",
        ]
    );
}

#[test]
fn a_link_to_a_directory_is_one_where_two_must_merge() {
    let store = store();
    let case = build(&store, &["/s/1-a", "/s/3-c"]);
    case.success();
    assert_eq!(
        last_layer(&case),
        [
            "bin/",
            "bin/a -> /s/1-a/bin/a",
            "lib/",
            "lib/c.so -> /s/3-c/lib/c.so",
            "share/",
            "share/doc/",
            "share/doc/a -> /s/1-a/share/doc/a",
            "share/doc/b -> /s/2-b/share/doc/b",
        ]
    );
}

#[test]
fn order_of_contents_does_not_matter() {
    let store = store();
    let digest = |contents: &[&str]| build(&store, contents).success().digest();
    assert_eq!(
        digest(&["/s/1-a", "/s/2-b", "/s/3-c"]),
        digest(&["/s/3-c", "/s/2-b", "/s/1-a"])
    );
}

#[test]
fn two_files_at_one_place_are_named() {
    let store = store();
    build(&store, &["/s/1-a", "/s/4-d"]).run().code(3).stderr(
        "error: both /s/1-a/bin/a and /s/4-d/bin/a want to be /bin/a in the image\n\
         hint: leave one of them out, or give one another place with PATH:DEST\n",
    );
}

#[test]
fn what_is_no_directory_is_refused() {
    let store = store();
    build(&store, &["/s/5-file"])
        .run()
        .code(3)
        .stderr_has("it is no directory, so it cannot be joined at /");
}

#[test]
fn only_the_closure_of_the_contents_goes_in() {
    let store = store();
    let case = build(&store, &["/s/1-a"]);
    case.success();
    let layers = Layout(case.at("out")).layers();
    let stores = layers
        .iter()
        .flatten()
        .filter(|entry| entry.path.starts_with(b"s/") && entry.path.ends_with(b"a/"));
    assert_eq!(stores.count(), 1);
    assert!(
        !layers
            .iter()
            .flatten()
            .any(|entry| entry.path.starts_with(b"s/2-b"))
    );
}
