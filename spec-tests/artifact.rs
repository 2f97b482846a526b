//! Artifacts (manifest chapter, artifact usage): files that are no image, alone and about one.

use std::fs;

use serde_json::Value;

use crate::kit::{Case, Layout, Ran, Tree, verified};

const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn made() -> Case {
    let case = Case::new();
    let tree = Tree::new().file("a", "a");
    Case::build(["--no-cache", "-t", "localhost/app:1", "-o", "oci:img"])
        .arg(tree.path())
        .cwd(case.at(""))
        .success();
    fs::write(case.at("note.txt"), "note").unwrap();
    fs::write(case.at("empty"), "").unwrap();
    case
}

fn run(case: &Case, args: &[&str]) -> Ran {
    Case::new().args(args).cwd(case.at("")).run()
}

#[test]
fn files_with_their_types_and_titles() {
    let case = made();
    let made = run(
        &case,
        &[
            "artifact",
            "create",
            "--type",
            "application/vnd.x",
            "-o",
            "oci:art:1",
            "-a",
            "com.example.k=v",
            "note.txt:text/plain",
            "note.txt",
        ],
    )
    .code(0);
    verified(&case.at("art"));
    let manifest = Layout(case.at("art")).document(&made.digest());
    assert_eq!(manifest["artifactType"], "application/vnd.x");
    assert_eq!(manifest["config"]["digest"], EMPTY);
    assert_eq!(manifest["config"]["data"], "e30=");
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers[0]["mediaType"], "text/plain");
    assert_eq!(layers[1]["mediaType"], "application/octet-stream");
    let title = &layers[0]["annotations"]["org.opencontainers.image.title"];
    assert_eq!(title, "note.txt");
    assert_eq!(manifest["annotations"]["com.example.k"], "v");
}

#[test]
fn attached_and_listed_again() {
    let case = made();
    let subject = Layout(case.at("img")).index()["manifests"][0]["digest"].clone();
    let attach = |kind: &str| {
        let args = [
            "artifact",
            "attach",
            "--subject",
            "oci:img:1",
            "--type",
            kind,
        ];
        run(&case, &[&args[..], &["note.txt:text/plain"]].concat()).code(0)
    };
    let first = attach("application/vnd.first").digest();
    attach("application/vnd.second");
    verified(&case.at("img"));
    let told = run(&case, &["inspect", "img:1", "--referrers", "--json"])
        .code(0)
        .json();
    assert_eq!(told["subject"], subject);
    let types: Vec<&Value> = { told["referrers"].as_array().unwrap().iter() }
        .map(|entry| &entry["artifactType"])
        .collect();
    assert_eq!(types, ["application/vnd.first", "application/vnd.second"]);
    assert_eq!(
        Layout(case.at("img")).document(&first)["subject"]["digest"],
        subject
    );
    // The image is still the only image, and is copied with what belongs to it.
    run(&case, &["copy", "--referrers", "img", "oci:two"]).code(0);
    verified(&case.at("two"));
    let there = run(&case, &["inspect", "two", "--referrers"]).code(0);
    assert!(String::from_utf8_lossy(&there.stdout).contains(&first));
    run(&case, &["tag", "img", "also"]).code(0);
}

#[test]
fn bills_of_materials_are_attached() {
    let case = Case::new();
    let tree = Tree::new().file("a", "a");
    Case::build(["--no-cache", "-o", "oci:img:1", "-o", "oci-archive:a.tar"])
        .args(["--sbom", "spdx", "--sbom", "cyclonedx"])
        .arg(tree.path())
        .cwd(case.at(""))
        .success();
    for place in ["img", "a.tar"] {
        let told = run(&case, &["inspect", place, "--referrers", "--json"])
            .code(0)
            .json();
        let types: Vec<&Value> = { told["referrers"].as_array().unwrap().iter() }
            .map(|entry| &entry["artifactType"])
            .collect();
        let wanted = ["application/spdx+json", "application/vnd.cyclonedx+json"];
        assert_eq!(types, wanted, "{place}");
    }
    let layout = Layout(case.at("img"));
    let manifests = layout.index()["manifests"].as_array().unwrap().clone();
    let image = manifests[0]["digest"].as_str().unwrap();
    let spdx = layout.document(manifests[1]["digest"].as_str().unwrap());
    let document = layout.document(spdx["layers"][0]["digest"].as_str().unwrap());
    assert!(
        document
            .to_string()
            .contains(image.trim_start_matches("sha256:"))
    );
    Case::build(["--sbom", "x", "-o", "oci:y"])
        .arg(tree.path())
        .run()
        .code(2)
        .stderr("error: --sbom `x` is neither `spdx` nor `cyclonedx`\n");
}

#[test]
fn what_is_no_artifact_is_refused_before_anything_is_written() {
    let case = made();
    let kind = ["--type", "application/vnd.x"];
    for (args, code, message) in [
        (
            ["note.txt"].as_slice(),
            2,
            "error: artifact type `` is missing\nhint: such as application/vnd.example.thing.v1+json\n",
        ),
        (
            &["--type", "sbom", "note.txt"],
            2,
            "error: artifact type `sbom` is not a media type of RFC 6838\nhint: such as application/vnd.example.thing.v1+json\n",
        ),
        (
            &[kind[0], kind[1], "empty"],
            2,
            "error: file `empty` is empty, which registries refuse\n",
        ),
        (
            &[kind[0], kind[1], "none"],
            1,
            "error: could not read none\ncaused by: No such file or directory (os error 2)\n",
        ),
        (
            &[kind[0], kind[1], "--config", "note.txt"],
            2,
            "error: --config `note.txt` has no media type\nhint: write FILE:TYPE/SUBTYPE\n",
        ),
        (
            &[
                kind[0],
                kind[1],
                "--config",
                "note.txt:application/vnd.oci.image.config.v1+json",
            ],
            2,
            "error: artifact config `application/vnd.oci.image.config.v1+json` is the config type of runnable images\n",
        ),
    ] {
        let create = ["artifact", "create", "-o", "oci:art:1"];
        run(&case, &[&create[..], args].concat())
            .code(code)
            .stderr(message);
    }
    assert!(!case.at("art").exists());
    let index = Layout(case.at("img")).index();
    run(
        &case,
        &["artifact", "attach", "--subject", "img:1", "note.txt"],
    )
    .code(2)
    .stderr_has("artifact type `` is missing");
    run(
        &case,
        &["artifact", "attach", "--subject", "img:9", "--type", "a/b"],
    )
    .code(2)
    .stderr("error: img has no image `9`: its tags are 1\n");
    assert_eq!(Layout(case.at("img")).index(), index);
}
