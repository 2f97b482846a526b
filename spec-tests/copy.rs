//! `copy` and images for several platforms: digests survive every way.

use std::fs;

use serde_json::json;

use crate::kit::{Case, Layout, Ran, Tree, verified};

fn made() -> Case {
    let case = Case::new();
    let tree = Tree::new().file("a", "a").file("b/c", "c");
    for (tag, platform) in [("amd", "linux/amd64"), ("arm", "linux/arm64")] {
        Case::build(["--no-cache", "-t", &format!("localhost/app:{tag}")])
            .args(["-o", "oci:img", "--platform", platform])
            .arg(tree.path())
            .cwd(case.at(""))
            .success();
    }
    case
}

fn run(case: &Case, args: &[&str]) -> Ran {
    Case::new().args(args).cwd(case.at("")).run()
}

fn digest_of(case: &Case, image: &str) -> String {
    let told = run(case, &["inspect", "--json", image]).code(0).json();
    told["digest"].as_str().unwrap().to_owned()
}

#[test]
fn digests_survive_every_way() {
    let case = made();
    let digest = digest_of(&case, "img:amd");
    let copied = run(
        &case,
        &["copy", "oci:img:amd", "oci:two", "oci-archive:a.tar"],
    )
    .code(0);
    assert_eq!(copied.digest(), digest);
    for (from, to) in [
        ("a.tar", "oci:three:v3"),
        ("oci-archive:a.tar:localhost/app:amd", "oci:four"),
        ("oci:three", "oci-archive:b.tar"),
        (&*format!("img@{digest}"), "five"),
    ] {
        assert_eq!(
            run(&case, &["copy", from, to]).code(0).digest(),
            digest,
            "{from}"
        );
    }
    for place in ["two", "three", "four", "five", "a.tar", "b.tar"] {
        verified(&case.at(place));
        assert_eq!(digest_of(&case, place), digest, "{place}");
    }
    let names = &Layout(case.at("three")).index()["manifests"][0]["annotations"];
    assert_eq!(names["org.opencontainers.image.ref.name"], "v3");
    let names = &Layout(case.at("four")).index()["manifests"][0]["annotations"];
    assert_eq!(names["io.containerd.image.name"], "localhost/app:amd");
}

#[test]
fn dockers_archive_keeps_the_image_id() {
    let case = made();
    run(&case, &["copy", "img:amd", "docker-archive:d.tar"]).code(0);
    let back = run(
        &case,
        &[
            "inspect",
            "--json",
            "docker-archive:d.tar:localhost/app:amd",
        ],
    )
    .code(0)
    .json();
    let first = run(&case, &["inspect", "--json", "img:amd"]).code(0).json();
    assert_eq!(back["config_digest"], first["config_digest"]);
}

#[test]
fn streams_go_both_ways() {
    let case = made();
    let stream = run(&case, &["copy", "img:amd", "-"]).code(0).stdout;
    let copied = Case::new()
        .args(["copy", "-", "oci:back"])
        .stdin(&stream)
        .cwd(case.at(""))
        .success();
    assert_eq!(copied.digest(), digest_of(&case, "img:amd"));
    run(&case, &["copy", "img:amd", "-", "-"])
        .code(2)
        .stderr("error: standard output can take one image only\n");
}

#[test]
fn all_images_with_their_names() {
    let case = made();
    run(&case, &["copy", "--all", "img", "oci:all"]).code(0);
    assert_eq!(
        Layout(case.at("all")).index(),
        Layout(case.at("img")).index()
    );
    run(&case, &["copy", "--all", "img", "oci:all:x"])
        .code(2)
        .stderr("error: one tag cannot name all images\nhint: leave the target's tag out: all names are kept\n");
    run(&case, &["copy", "img:nope", "oci:x"])
        .code(2)
        .stderr("error: img has no image `nope`: its tags are amd, arm\n");
    assert!(!case.at("x").exists());
}

#[test]
fn platforms_in_one_descriptor() {
    let case = made();
    let args = ["index", "create", "-o", "oci:multi:1", "img:amd", "img:arm"];
    let digest = run(&case, &args).code(0).digest();
    verified(&case.at("multi"));
    let multi = Layout(case.at("multi"));
    let entries = multi.index()["manifests"].as_array().unwrap().clone();
    assert_eq!(
        (entries.len(), entries[0]["digest"].as_str()),
        (1, Some(&*digest))
    );
    let nested = multi.document(&digest);
    let platforms: Vec<_> = { nested["manifests"].as_array().unwrap().iter() }
        .map(|entry| entry["platform"]["architecture"].clone())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    // The whole index is copied, or one image of it.
    assert_eq!(
        run(&case, &["copy", "multi:1", "oci:m2"]).code(0).digest(),
        digest
    );
    run(
        &case,
        &["copy", "multi:1", "oci:m3", "--platform", "linux/arm64"],
    )
    .code(0);
    assert_eq!(digest_of(&case, "m3"), digest_of(&case, "img:arm"));

    let twice = ["index", "create", "-o", "oci:twice", "multi:1", "img:amd"];
    let amd = digest_of(&case, "img:amd");
    run(&case, &twice).code(2).stderr(&format!(
        "error: image `{amd}` is the second for linux/amd64\nhint: an index holds one image a platform\n"
    ));
    assert!(!case.at("twice").exists());
    let arm = digest_of(&case, "img:arm");
    run(&case, &["ls", "multi"]).code(2).stderr(&format!(
        "error: 2 images to choose from: linux/amd64 ({amd}), linux/arm64 ({arm})\nhint: choose one with --platform\n"
    ));
}

#[test]
fn platforms_from_one_file() {
    let case = Case::new();
    fs::create_dir_all(case.at("arm")).unwrap();
    fs::create_dir_all(case.at("amd")).unwrap();
    fs::write(case.at("arm/app"), "arm").unwrap();
    fs::write(case.at("amd/app"), "amd").unwrap();
    let file = "tag = [\"app:1\"]\noutput = [\"oci:out\"]\nno-cache = true\nenv = [\"A=1\"]\n\
                [on.\"linux/arm64\"]\npaths = [\"arm\"]\nenv = [\"B=2\"]\n\
                [on.\"linux/amd64\"]\npaths = [\"amd\"]\n";
    fs::write(case.at("image.toml"), file).unwrap();
    let build = |args: &[&str]| {
        Case::build(["--file", "image.toml"])
            .args(args)
            .cwd(case.at(""))
            .run()
    };
    build(&["--metadata-file", "meta.json"]).code(0);
    let told: serde_json::Value =
        serde_json::from_slice(&fs::read(case.at("meta.json")).unwrap()).unwrap();
    assert_eq!(told["images"].as_array().unwrap().len(), 2);
    for (platform, text, env) in [
        ("linux/arm64", "arm", json!(["A=1", "B=2"])),
        ("linux/amd64", "amd", json!(["A=1"])),
    ] {
        run(&case, &["cat", "out", "/app", "--platform", platform])
            .code(0)
            .stdout(text);
        let args = ["inspect", "out", "--json", "--platform", platform];
        let told = run(&case, &args).code(0).json();
        assert_eq!(told["config"]["config"]["Env"], env);
    }
    for (args, message) in [
        (
            ["-o", "docker-archive:d.tar"].as_slice(),
            "error: a docker-archive holds an image for one platform, and 2 are given\n\
             hint: write an oci-archive: `docker load` takes it since version 25\n",
        ),
        (
            &[
                "-o",
                "oci:x",
                "--platform",
                "linux/arm64",
                "--platform",
                "linux/arm64/v8",
                "arm",
            ],
            "error: the platform linux/arm64/v8 is given twice\n",
        ),
    ] {
        build(args).code(2).stderr(message);
    }
    assert!(!case.at("x").exists() && !case.at("d.tar").exists());
    fs::write(case.at("image.toml"), file.to_owned() + "tag = [\"b\"]\n").unwrap();
    build(&[]).code(3).stderr(
        "error: `tag` under [on.\"linux/amd64\"] cannot differ between platforms\n\
         hint: give it once, outside of these tables\n",
    );
}
