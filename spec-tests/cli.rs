//! What people type and see: help, refusals to the letter, exit codes.

use crate::kit::{Case, Layout, Tree};

/// Every flag of `build` that we promise, and the heading it stands under.
const FLAGS: &[&str] = &[
    "--graph",
    "--store-prefix",
    "--nix",
    "--contents",
    "--top",
    "--exclude",
    "--owner",
    "--mode",
    "--mtime",
    "--xattrs",
    "--file",
    "-e, --env",
    "--env-file",
    "--entrypoint",
    "--cmd",
    "-u, --user",
    "-w, --workdir",
    "-l, --label",
    "-a, --annotation",
    "--expose",
    "--volume",
    "--stop-signal",
    "--healthcheck",
    "--platform",
    "--arch",
    "--author",
    "--created",
    "--config-json",
    "--split",
    "--max-layers",
    "--strategy",
    "--layer",
    "--layers-file",
    "--previous",
    "--fleet",
    "--compression",
    "--compat",
    "-j, --jobs",
    "--cache ",
    "--no-cache",
    "--cache-size",
    "--lock-timeout",
    "--sync",
    "-o, --output",
    "-t, --tag",
    "--no-docker-manifest",
    "--digestfile",
    "--metadata-file",
    "--print-config",
    "-v, --verbose",
    "-q, --quiet",
    "--progress",
    "--color",
];

#[test]
fn help_documents_every_flag() {
    for verb in ["build", "plan"] {
        let ran = Case::new().args([verb, "--help"]).success();
        let help = String::from_utf8(ran.stdout).unwrap();
        for flag in FLAGS {
            assert!(
                help.contains(&format!(" {flag}")),
                "{verb} --help does not tell {flag}"
            );
        }
        for heading in ["Inputs:", "Image:", "Layers:", "Outputs:", "Manners:"] {
            assert!(help.contains(heading), "{heading}");
        }
    }
}

#[test]
fn version_tells_the_compressors() {
    let version = env!("CARGO_PKG_VERSION");
    for flag in ["-V", "--version"] {
        let text = format!("plywood {version}\nlibdeflate 1.26\nzstd 1.5.7\n");
        Case::new().arg(flag).success().stdout(text);
    }
}

#[test]
fn completions_and_manual_know_the_flags() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        Case::new()
            .args(["completions", shell])
            .success()
            .stdout_has("metadata-file");
    }
    Case::new().arg("man").success().stdout_has(".TH plywood 1");
    Case::new()
        .args(["man", "build"])
        .success()
        .stdout_has("metadata\\-file");
    let case = Case::new().args(["man", "frob"]);
    case.run()
        .code(2)
        .stderr_has("error: there is no verb `frob`\nhint: the verbs are build, plan");
    let case = Case::new().args(["man", "--dir", "."]);
    case.success();
    for page in ["plywood.1", "plywood-build.1", "plywood-plan.1"] {
        assert!(case.at(page).exists(), "{page}");
    }
}

/// Arguments of `build`, and the whole of standard error.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["-o", "app.tar", "."],
        "error: --output `app.tar` looks like an archive and would become a directory\n\
         hint: write oci-archive:app.tar, or oci:app.tar if a directory is meant\n",
    ),
    (
        &["-o", "oci:app:", "."],
        "error: --output `oci:app:` has a `:` with no tag after it\n",
    ),
    (&["-o", "oci:", "."], "error: --output `oci:` has no path\n"),
    (
        &["-o", "oci:-", "."],
        "error: --output `oci:-` cannot be: a layout is a directory\n\
         hint: `-o oci-archive:-` streams the same image\n",
    ),
    (
        &["-o", "-", "-o", "docker-archive:-", "."],
        "error: standard output can take one image only\n",
    ),
    (
        &["-o", "x", "--cmd", "echo hello", "."],
        "error: cmd `echo hello` has spaces, and is never split\n\
         hint: write [\"echo\",\"hello\"], or give the flag once for each word\n",
    ),
    (
        &["-o", "x", "--entrypoint", "", "."],
        "error: entrypoint `` is an empty word\nhint: write [] for no words at all\n",
    ),
    (
        &["-o", "x", "--cmd", "[\"a\", 1]", "."],
        "error: cmd `[\"a\", 1]` is not a JSON array of strings\nhint: write [\"/bin/app\", \"--flag\"]\n",
    ),
    (
        &["-o", "x", "-e", "A", "."],
        "error: environment variable `A` is not of the form NAME=VALUE\n\
         hint: write NAME=VALUE; a value is never taken from plywood's own environment\n",
    ),
    (
        &["-o", "x", "-l", "=a", "."],
        "error: label `=a` is not of the form NAME=VALUE\nhint: write KEY=VALUE\n",
    ),
    (
        &["-o", "x", "-a", "a", "."],
        "error: annotation `a` is not of the form NAME=VALUE\nhint: write KEY=VALUE\n",
    ),
    (
        &["-o", "x", "-o", "oci:x:../y", "."],
        "error: --output `oci:x:../y` has a tag that is no reference name\n\
         hint: letters and digits, joined by one of -._:@+/ or by --\n",
    ),
    (
        &["-o", "x", "-t", "App", "."],
        "error: image name `App` is not a repository name\nhint: write it in lower case: app\n",
    ),
    (
        &["-o", "x"],
        "error: there is nothing to build from\n\
         hint: give a directory, a --graph, a --nix store path or a --base; `plywood build --help` has more\n",
    ),
    (
        &["-o", "x", "--store-prefix", "/p", "."],
        "error: --store-prefix `/p` is for the paths of a --graph, and there is none\n",
    ),
    (
        &["-o", "x", "--graph", "-", "--config-json", "-"],
        "error: standard input can be read once only\n",
    ),
    (
        &["-o", "x", "--no-docker-manifest", "."],
        "error: --no-docker-manifest is for an oci-archive, and none is written\n",
    ),
    (
        &["-o", "x", "--owner", "root:root", "."],
        "error: --owner `root:root` is neither `keep` nor two numbers UID:GID\n\
         hint: names are not looked up, because this machine's users are not the image's\n",
    ),
    (
        &["-o", "x", "--mode", "0644", "."],
        "error: --mode `0644` is neither `keep` nor `normalize`\n",
    ),
    (
        &["-o", "x", "--xattrs", "all", "."],
        "error: --xattrs `all` is neither `keep` nor `none`\n",
    ),
    (
        &["-o", "x", "--created", "2024-02-30T00:00:00Z", "."],
        "error: --created `2024-02-30T00:00:00Z` is not a date as RFC 3339 has it\n\
         caused by: day was not in range\n\
         hint: write it like 2024-05-31T23:59:59Z\n",
    ),
    (
        &["-o", "x", "--compression", "zstd:23", "."],
        "error: --compression `zstd:23` has a level outside 1 to 22\n",
    ),
    (
        &["-o", "x", "--compression", "xz", "."],
        "error: --compression `xz` is none of none, gzip[:LEVEL], zstd[:LEVEL]\n",
    ),
    (
        &[
            "-o",
            "x",
            "--compat",
            "docker20",
            "--compression",
            "zstd",
            ".",
        ],
        "error: --compat docker20 and zstd contradict each other: that Docker cannot read zstd\n",
    ),
    (
        &["-o", "x", "--compat", "docker19", "."],
        "error: --compat `docker19` is not known; `docker20` is\n",
    ),
    (
        &["-o", "x", "--expose", "70000", "."],
        "error: port `70000` is not PORT, PORT/tcp or PORT/udp with a port from 1 to 65535\n",
    ),
    (
        &["-o", "x", "--platform", "linux/x86_64", "."],
        "error: platform `linux/x86_64` names no known processor architecture\n\
         hint: did you mean `linux/amd64`?\n",
    ),
    (
        &["-o", "x", "--healthcheck", "{\"Test\": 1}", "."],
        "error: health check `{\"Test\": 1}` has a bad `Test`\n",
    ),
    (
        &["-o", "x", "--strategy", "magic", "."],
        "error: no strategy `magic`; there are popularity@1, balanced@1, balanced@2, size@1, auto@1\n",
    ),
    (
        &["-o", "x", "--max-layers", "1", "."],
        "error: 1 layer is too few: at least 2 are needed (for the paths and for customisation)\n\
         hint: allow --max-layers 2 or more\n",
    ),
];

#[test]
fn refusals_name_the_flag_and_make_nothing() {
    for (args, stderr) in REFUSED {
        let case = Case::build(*args);
        case.run().code(2).stdout("").stderr(stderr);
        assert_eq!(
            std::fs::read_dir(case.at(".")).unwrap().count(),
            0,
            "{args:?}"
        );
    }
}

#[test]
fn image_toml_is_checked_with_its_place() {
    let file = |text: &str| Tree::new().file("image.toml", text);
    let refused = |text: &str| {
        let tree = file(text);
        let case = Case::build(["--file"])
            .arg(tree.at("image.toml"))
            .args(["-o", "x"]);
        let ran = case.run().code(3);
        ran.stderr_has(&format!(
            "error: {} is refused\n",
            tree.at("image.toml").display()
        ))
    };
    refused("paths = [\".\"]\nmax-layer = 3\n")
        .stderr_has("caused by: TOML parse error at line 2, column 1\n")
        .stderr_has("unknown field `max-layer`, expected one of `paths`");
    refused("max-layers = \"many\"").stderr_has("line 1, column 14");
    refused("env = 1")
        .stderr_has("expected a list of NAME=VALUE texts or a table of texts, found integer");
    refused("a = [").stderr_has("TOML parse error at line 1, column 6");
    let case = Case::build(["--file", "missing.toml"]);
    case.run().code(1).stderr(
        "error: could not read missing.toml\ncaused by: No such file or directory (os error 2)\n",
    );
}

#[test]
fn print_config_reads_back() {
    let tree = Tree::new().file(
        "image.toml",
        "cmd = [\"echo\", \"a b\"]\nenv = { A = 1 }\nmtime = 7\n",
    );
    let typed = [
        "-e",
        "B=2",
        "--mtime",
        "8",
        "-o",
        "oci:out",
        "--print-config",
        "root:/opt",
    ];
    let case = Case::build(["--file"])
        .arg(tree.at("image.toml"))
        .args(typed);
    let text = "paths = [\"root:/opt\"]\nmtime = \"8\"\nenv = [\"A=1\", \"B=2\"]\ncmd = [\"echo\", \"a b\"]\noutput = [\"oci:out\"]\n";
    case.success().stdout(text);
    let again = Tree::new().file("again.toml", text);
    let case = Case::build(["--print-config", "--file"])
        .arg(again.at("again.toml"))
        .cwd(again.path());
    let place = again.path().display();
    let moved = text
        .replace("root:", &format!("{place}/root:"))
        .replace("oci:out", &format!("oci:{place}/out"));
    case.success().stdout(moved);
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let mut child = Case::new()
        .args(["completions", "bash"])
        .command()
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    // The script fits into a pipe's buffer, so writing may have ended before the pipe closed.
    assert!([Some(0), Some(141)].contains(&output.status.code()));
    assert!(output.stderr.is_empty());
}

#[test]
fn rebuilding_without_a_tag_replaces_what_had_none() {
    let tree = Tree::new().file("f", "1");
    let case = Case::build(["-o", "oci:out"]).arg(tree.path());
    case.clone().args(["-t", "app:1"]).success();
    case.success();
    let tree = tree.file("f", "2");
    let digest = case.success().digest();
    let index = Layout(case.at("out")).index();
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{index}");
    assert_eq!(entries[1]["digest"], digest);
    drop(tree);
}

#[test]
fn names_are_given_and_taken() {
    let tree = Tree::new().file("f", "1");
    let build = Case::build(["-o", "oci:out", "-t", "registry.example/app:1"]).arg(tree.path());
    let digest = build.success().digest();
    let place = build.at("out");
    let run = |args: &[&str]| Case::new().args(args).cwd(build.at(".")).run();
    run(&["tag", "oci:out:1", "stable", "other:2"])
        .code(0)
        .stdout(format!("{digest}\n"));
    let names = || -> Vec<(String, String)> {
        let index = Layout(place.clone()).index();
        let entries = index["manifests"].as_array().unwrap().iter();
        let text = |entry: &serde_json::Value, key: &str| {
            entry["annotations"][key].as_str().unwrap().to_owned()
        };
        let names = entries.map(|entry| {
            (
                text(entry, "org.opencontainers.image.ref.name"),
                text(entry, "io.containerd.image.name"),
            )
        });
        names.collect()
    };
    let name = |tag: &str, full: &str| (tag.to_owned(), full.to_owned());
    let all = [
        name("1", "registry.example/app:1"),
        name("stable", "registry.example/app:stable"),
        name("2", "docker.io/library/other:2"),
    ];
    assert_eq!(names(), all);
    run(&["untag", "out", "nope"])
        .code(2)
        .stderr("error: out has no image `nope`: its tags are 1, stable, 2\n");
    run(&["untag", "out", "1", "2"]).code(0).stdout("");
    assert_eq!(names(), all[1..2]);
    run(&["gc", "out"]).code(0).stdout("");
    run(&["untag", "out", "stable"]).code(0);
    let told = run(&["gc", "--json", "--dry-run", "out"]).code(0).json();
    assert_eq!(told["removed"].as_array().unwrap().len(), 3, "{told}");
    run(&["gc", "--min-age", "1d", "out"]).code(0).stdout("");
    run(&["gc", "out"])
        .code(0)
        .stdout_has(&digest)
        .stderr_has("3 blobs removed");
    run(&["gc", "missing"]).code(1).stderr_has("missing");
    run(&["tag", "oci:out", "x"]).code(2);
}
