//! Images on images: layers carried untouched, configurations merged, and what the base has respected.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::images::Description;
use crate::kit::{Case, Layout, TarEntry, Tree};

/// A merged-usr base with an owner that ours do not have.
fn ground() -> Tree {
    Tree::new()
        .symlink("bin", "usr/bin")
        .file("usr/bin/sh", "sh")
        .file("etc/conf", "theirs")
        .symlink("etc/mtab", "../proc/mounts")
        .dir("opt")
        .mode("opt", 0o700)
        .file("var/lib/x/f", "f")
}

fn based(ground: &Tree) -> Case {
    let case = Case::new();
    Case::build(["--no-cache", "--owner", "5:6", "-o", "oci:base:v1"])
        .cwd(case.at(""))
        .args(["-e", "A=1", "-e", "B=1", "--entrypoint", "/bin/sh"])
        .args(["--cmd", "x", "-l", "l=theirs"])
        .arg(ground.path())
        .success();
    case
}

fn on(case: &Case, top: &Tree, args: &[&str]) -> Case {
    Case::build(["--no-cache", "-b", "oci:base:v1", "-o", "oci:out"])
        .cwd(case.at(""))
        .args(args)
        .arg(top.path())
}

fn described(entry: &TarEntry) -> String {
    let path = String::from_utf8_lossy(&entry.path);
    format!("{path} {:o} {}:{}", entry.mode, entry.uid, entry.gid)
}

fn entries(layout: &Layout, layer: usize) -> Vec<String> {
    layout.layers()[layer].iter().map(described).collect()
}

#[test]
fn layers_are_carried_and_the_configuration_is_merged() {
    let case = based(&ground());
    let top = Tree::new().file("opt/app", "app");
    on(&case, &top, &["-e", "A=2", "--cmd", "y", "-l", "m=ours"]).success();
    let (base, out) = (Layout(case.at("base")), Layout(case.at("out")));
    assert_eq!(base.manifest()["layers"][0], out.manifest()["layers"][0]);
    let digest = base.index()["manifests"][0]["digest"].clone();
    let said = &out.manifest()["annotations"];
    assert_eq!(said["org.opencontainers.image.base.digest"], digest);
    let config = out.config();
    assert_eq!(config["config"]["Env"], json!(["A=2", "B=1"]));
    assert_eq!(config["config"]["Entrypoint"], json!(["/bin/sh"]));
    assert_eq!(config["config"]["Cmd"], json!(["y"]));
    assert_eq!(
        config["config"]["Labels"],
        json!({"l": "theirs", "m": "ours"})
    );
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
    assert_eq!(config["history"].as_array().unwrap().len(), 2);
    // Directories look as in the base, our files as we are told.
    assert_eq!(entries(&out, 1), ["opt/ 700 5:6", "opt/app 644 0:0"]);
}

#[test]
fn a_base_alone_makes_an_image_of_the_same_layers() {
    let case = based(&ground());
    Case::build(["-b", "base:v1", "-o", "oci:out", "-u", "nobody"])
        .cwd(case.at(""))
        .success();
    let out = Layout(case.at("out"));
    assert_eq!(out.manifest()["layers"].as_array().unwrap().len(), 1);
    assert_eq!(out.config()["config"]["User"], "nobody");
}

#[test]
fn every_form_of_base_gives_the_same_layers() {
    let case = based(&ground());
    let top = Tree::new().file("opt/app", "app");
    let copies = ["-o", "oci-archive:a.tar:v1", "-o", "docker-archive:d.tar"];
    Case::build(["--no-cache", "-b", "oci:base:v1", "-t", "app:1"])
        .args(copies)
        .cwd(case.at(""))
        .success();
    let mut diff_ids: Vec<Value> = Vec::new();
    for base in [
        "oci:base",
        "oci:base:v1",
        "oci-archive:a.tar",
        "oci-archive:a.tar:v1",
        "a.tar:app:1",
        "docker-archive:d.tar",
        "docker-archive:d.tar:app:1",
    ] {
        let _ = fs::remove_dir_all(case.at("out"));
        Case::build(["--no-cache", "-b", base, "-o", "oci:out"])
            .arg(top.path())
            .cwd(case.at(""))
            .success();
        let out = Layout(case.at("out"));
        let types = out.manifest()["layers"].clone();
        assert!(
            types[0]["mediaType"]
                .as_str()
                .unwrap()
                .starts_with("application/vnd.oci.image.layer.v1.tar"),
            "{types}"
        );
        diff_ids.push(out.config()["rootfs"]["diff_ids"].clone());
    }
    diff_ids.dedup();
    assert_eq!(diff_ids.len(), 1, "{diff_ids:?}");
}

#[test]
fn links_of_the_base_are_not_written_through() {
    let case = based(&ground());
    let top = Tree::new().file("bin/app", "app").file("bin/more", "m");
    on(&case, &top, &[]).run().code(3).stderr(
        "error: /bin is a directory here and a symbolic link to usr/bin in the base image\n\
         hint: --follow-links puts what is in it at /usr/bin, --replace puts it in the link's place\n",
    );
    assert!(!case.at("out").exists());
    on(&case, &top, &["--follow-links"]).success();
    let out = Layout(case.at("out"));
    assert_eq!(
        entries(&out, 1),
        [
            "usr/ 755 5:6",
            "usr/bin/ 755 5:6",
            "usr/bin/app 644 0:0",
            "usr/bin/more 644 0:0"
        ]
    );
    fs::remove_dir_all(case.at("out")).unwrap();
    on(&case, &top, &["--replace"]).success();
    let names = entries(&Layout(case.at("out")), 1);
    assert_eq!(
        names,
        ["bin/ 755 0:0", "bin/app 644 0:0", "bin/more 644 0:0"]
    );
}

#[test]
fn destinations_and_joined_contents_follow_links() {
    let case = based(&ground());
    let top = Tree::new().file("app", "app");
    let dest = format!("{}:/bin/tools", top.path().display());
    let build = |args: &[&str]| {
        Case::build(["--no-cache", "-b", "oci:base:v1", "-o", "oci:out"])
            .cwd(case.at(""))
            .args(args)
    };
    build(&[&dest])
        .run()
        .code(3)
        .stderr_has("/bin is a directory here");
    build(&[&dest, "--follow-links"]).success();
    let names = entries(&Layout(case.at("out")), 1);
    assert_eq!(
        names[2..],
        ["usr/bin/tools/ 755 0:0", "usr/bin/tools/app 644 0:0"]
    );
    fs::remove_dir_all(case.at("out")).unwrap();

    let store = Tree::new().file("nix/store/x-app/bin/app", "app");
    let graph = json!([{"path": "/nix/store/x-app", "references": []}]).to_string();
    let joined = |args: &[&str]| {
        build(&["--graph", "-", "--contents", "/nix/store/x-app"])
            .args(["--store-prefix".as_ref(), store.path().as_os_str()])
            .args(args)
            .stdin(&graph)
    };
    joined(&[])
        .run()
        .code(3)
        .stderr_has("/bin is a directory here");
    joined(&["--follow-links"]).success();
    let names = entries(&Layout(case.at("out")), 2);
    assert_eq!(
        names,
        ["usr/ 755 5:6", "usr/bin/ 755 5:6", "usr/bin/app 777 0:0"]
    );
}

#[test]
fn nothing_stands_over_things_of_another_kind() {
    let case = based(&ground());
    for (top, message) in [
        (
            Tree::new().file("etc", "x"),
            "error: /etc is a regular file here and a directory in the base image\n",
        ),
        (
            Tree::new().file("etc/conf/x", "x"),
            "error: /etc/conf is a directory here and a regular file in the base image\n",
        ),
        (
            Tree::new().file("etc/mtab", "x"),
            "error: /etc/mtab is a regular file here and a symbolic link to ../proc/mounts in the base image\n",
        ),
    ] {
        let hint = "hint: --replace lets it take that place; --exclude leaves it out\n";
        let refused = on(&case, &top, &[]).run().code(3);
        refused.stderr(&format!("{message}{hint}"));
        on(&case, &top, &["--replace"]).success();
        fs::remove_dir_all(case.at("out")).unwrap();
    }
    // A file over a file is what layers are for; an equal link is no change.
    let top = Tree::new()
        .file("etc/conf", "ours")
        .symlink("bin", "usr/bin");
    on(&case, &top, &[]).success();
}

#[test]
fn removal_is_a_whiteout_in_the_last_layer() {
    let case = based(&ground());
    let top = Tree::new().file("opt/app", "app");
    let removed = ["--remove", "/etc/conf", "--remove", "/var/lib/"];
    on(&case, &top, &removed).success();
    let out = Layout(case.at("out"));
    assert_eq!(
        entries(&out, 2),
        [
            "etc/ 755 5:6",
            "etc/.wh.conf 644 0:0",
            "var/ 755 5:6",
            "var/.wh.lib 644 0:0"
        ]
    );
    assert!(out.layers()[2].iter().all(|entry| entry.content.is_empty()));
    for (path, message) in [
        ("/nope", "--remove `/nope` is not in the base image"),
        ("etc/conf", "--remove `etc/conf` is not absolute"),
        ("/", "--remove `/` is not absolute"),
        (
            "/bin/sh",
            "--remove `/bin/sh` goes through a link of the base image: it is /usr/bin/sh",
        ),
    ] {
        on(&case, &top, &["--remove", path])
            .run()
            .code(2)
            .stderr_has(message);
    }
    on(&case, &top, &["--remove", "/opt"]).run().code(3).stderr(
        "error: /opt is removed from the base image, and /opt is added\n\
         hint: what replaces something of the base needs no --remove: leave one of them out\n",
    );
    fs::remove_dir_all(case.at("out")).unwrap();
    on(&case, &top, &["--follow-links", "--remove", "/bin/sh"]).success();
    Case::build(["--remove", "/x", "-o", "oci:x"])
        .arg(top.path())
        .run()
        .code(2)
        .stderr(
            "error: --remove is about a base image, and none is given\n\
             hint: name one with --base oci:DIR:TAG\n",
        );
}

#[test]
fn the_layers_of_the_base_count() {
    let case = based(&ground());
    let top = Tree::new().file("opt/app", "app");
    on(&case, &top, &["--max-layers", "2"]).run().code(2).stderr(
        "error: 2 layers are too few: at least 3 are needed (1 of the base image, and for the paths and for customisation)\n\
         hint: allow --max-layers 3 or more\n",
    );
    assert!(!case.at("out").exists());
    let plan = Case::new()
        .args(["plan", "--json", "-b", "base:v1"])
        .arg(top.path())
        .cwd(case.at(""))
        .success()
        .json();
    assert_eq!(plan["layers"][0]["kind"], "base");
}

#[test]
fn the_cache_knows_what_the_base_says() {
    let top = Tree::new().file("opt/app", "app");
    let cache = Tree::new();
    let mut digests = Vec::new();
    for mode in [0o700, 0o755, 0o700] {
        let case = based(&ground().mode("opt", mode));
        let ran = Case::build(["-b", "oci:base:v1", "-o", "oci:out", "--cache"])
            .arg(cache.path())
            .arg(top.path())
            .cwd(case.at(""))
            .success();
        assert_eq!(
            entries(&Layout(case.at("out")), 1)[0],
            format!("opt/ {mode:o} 5:6")
        );
        digests.push(ran.digest());
    }
    assert_eq!(digests[0], digests[2]);
    assert_ne!(digests[0], digests[1]);
}

/// A base with one defect, and what is said of it.
fn refused(toml: &str, args: &[&str], message: &str) {
    let made = toml::from_str::<Description>(toml).unwrap().make();
    let top = Tree::new().file("opt/app", "app");
    let case = Case::new();
    let base = format!("{}:v1", made.path.display());
    let ran = Case::build(["--no-cache", "-o", "oci:out", "-b", &base])
        .args(args)
        .arg(top.path())
        .cwd(case.at(""))
        .run();
    let place = made.path.display().to_string();
    let said = ran.stderr.replace(&place, "BASE");
    let said = digests_hidden(&said);
    assert_eq!(said, message, "{toml}");
    assert!(ran.code == 3 || ran.code == 2, "{}", ran.code);
    assert!(!case.at("out").exists(), "{toml}");
}

fn digests_hidden(text: &str) -> String {
    let mut pieces = text.split("sha256:");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        shown += "DIGEST";
        shown += piece.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    shown
}

#[test]
fn a_bad_base_is_refused_before_anything_is_written() {
    for (toml, message) in [
        (
            r#"disk = ["flip {layer0}"]"#,
            "error: the base image BASE:v1 cannot be used\n\
             caused by: blob DIGEST is damaged: its bytes have the digest DIGEST\n\
             hint: build or copy the image into the layout again: damaged blobs are rewritten\n",
        ),
        (
            r#"disk = ["flip {config}"]"#,
            "error: the base image BASE:v1 cannot be used\n\
             caused by: could not read config DIGEST\n\
             caused by: blob DIGEST is damaged: its bytes have the digest DIGEST\n\
             hint: build or copy the image into the layout again: damaged blobs are rewritten\n",
        ),
        (
            r#"disk = ["rm {layer0}"]"#,
            "error: the base image BASE:v1 cannot be used\n\
             caused by: blob DIGEST is missing from BASE\n",
        ),
        (
            r#"manifest = { "/manifests" = [] }"#,
            "error: the base image BASE:v1 cannot be used\n\
             caused by: manifest DIGEST cannot be used because of /manifests: `manifests` belongs to another kind of document\n\
             hint: `plywood verify` lists all faults of an image\n",
        ),
        (
            r#"manifest = { "/layers/0/mediaType" = "application/vnd.oci.image.layer.nondistributable.v1.tar" }"#,
            "error: the base image BASE:v1 cannot be used\n\
             caused by: manifest DIGEST cannot be used because of /layers/0/mediaType: `application/vnd.oci.image.layer.nondistributable.v1.tar` is not carried along\n\
             hint: `plywood verify` lists all faults of an image\n",
        ),
        (
            r#"manifest = { "/layers/0/mediaType" = "application/x-unknown" }"#,
            "error: the base image BASE:v1 cannot be used\n\
             caused by: manifest DIGEST cannot be used because of /layers/0/mediaType: `application/x-unknown` is no layer type of images\n\
             hint: `plywood verify` lists all faults of an image\n",
        ),
        (
            r#"config = { "/rootfs/diff_ids/0" = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" }"#,
            "error: the base image BASE:v1 cannot be used\n\
             caused by: layer DIGEST cannot be unpacked: unpacks to DIGEST, and its config promises DIGEST (rule 65)\n\
             hint: `plywood verify` lists all faults of an image\n",
        ),
        (
            r#"also = [["application/vnd.oci.image.manifest.v1+json", '{}', '{"annotations":{"org.opencontainers.image.ref.name":"v1"}}']]"#,
            "error: the base image BASE:v1 cannot be used\n\
             caused by: BASE has 2 images `v1`: linux/amd64 (DIGEST), DIGEST\n\
             hint: choose one with @DIGEST…, or with --platform\n",
        ),
    ] {
        refused(toml, &[], message);
    }
    refused(
        "",
        &["--platform", "linux/arm64"],
        "error: the base image BASE:v1 cannot be used\n\
         caused by: no image for linux/arm64: there is linux/amd64 (DIGEST)\n\
         hint: choose one with --platform\n",
    );
}

#[test]
fn a_wrong_reference_lists_what_there_is() {
    let case = based(&ground());
    let top = Tree::new().file("opt/app", "app");
    for (base, message) in [
        (
            "oci:base:v2",
            "error: the base image oci:base:v2 cannot be used\n\
             caused by: base has no image `v2`: its tags are v1\n",
        ),
        (
            "oci:",
            "error: `oci:` names no image: it has no path\n\
             hint: write [oci:|oci-archive:|docker-archive:]PATH[:TAG|@DIGEST]\n",
        ),
        (
            "oci:nowhere",
            "error: the base image oci:nowhere cannot be used\n\
             caused by: could not open the directory nowhere\n\
             caused by: entity not found\n",
        ),
    ] {
        let ran = Case::build(["-o", "oci:out", "-b", base])
            .arg(top.path())
            .cwd(case.at(""))
            .run();
        assert_eq!(ran.stderr, message, "{base}");
        assert!(ran.code == 2 || ran.code == 1 || ran.code == 3);
    }
    assert!(!Path::new(&case.at("out")).exists());
}
