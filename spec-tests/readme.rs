//! README.md tells the truth: its commands run, its `image.toml` is read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::kit::{Case, Tree};

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// What stands between "```toml" and "```".
fn toml_block(text: &str) -> &str {
    let block = text
        .split("```toml\n")
        .nth(1)
        .expect("an example of image.toml");
    block.split("```").next().unwrap()
}

/// A place where everything exists that the examples name; `…` is a hash.
fn stage(readme: &str) -> Tree {
    let hash = "a".repeat(32);
    let (hello, libc) = (
        format!("/nix/store/{hash}-hello"),
        format!("/nix/store/{hash}-glibc-2.39"),
    );
    let tree = Tree::new()
        .file("rootfs/bin/server", "#!/bin/sh\n")
        .file("config/app.conf", "port = 80\n")
        .file("store/hello/bin/hello", "hello")
        .file("store/glibc/lib/libc.so.6", "libc")
        .file("image.toml", toml_block(readme))
        .file("notes.txt", "notes")
        // What stands right of the pipe: an engine that takes everything.
        .file("bin/podman", "#!/bin/sh\nexec cat >/dev/null\n")
        .mode("bin/podman", 0o755);
    let node = |path: &str, name: &str, references: &[&str]| serde_json::json!({ "path": path, "source": tree.at("store").join(name), "references": references });
    let graph = serde_json::json!([node(&hello, "hello", &[&libc]), node(&libc, "glibc", &[])]);
    tree.file("closure.json", graph.to_string())
}

#[test]
fn every_command_runs() {
    let readme = readme();
    let tree = stage(&readme);
    Case::build(["--no-cache", "-o", "oci:debian:12"])
        .arg(
            Tree::new()
                .file("usr/share/doc/x", "x")
                .symlink("bin", "usr/bin")
                .dir("usr/bin")
                .path(),
        )
        .cwd(tree.path())
        .success();
    let program = Path::new(env!("CARGO_BIN_EXE_plywood")).parent().unwrap();
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        tree.at("bin").display(),
        program.display()
    );
    let lines = readme
        .lines()
        .filter_map(|line| line.strip_prefix("    plywood "));
    // The closure of a real store path is built by scripts/interop.
    let commands: Vec<_> = lines.filter(|line| !line.contains("--nix")).collect();
    assert!(commands.len() >= 7, "{commands:?}");
    for command in commands {
        let command = format!(
            "set -o pipefail; plywood {}",
            command.replace('…', &"a".repeat(32))
        );
        let mut shell = Command::new("bash");
        let ran = shell
            .args(["-c", &command])
            .current_dir(tree.path())
            // No home, so no cache of the person who runs the test.
            .env_clear()
            .env("PATH", &path)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        // `diff` ends with 1 where the images differ.
        let differs = command.contains("plywood diff") && ran.status.code() == Some(1);
        assert!(ran.status.success() || differs, "{command}\n{stderr}");
    }
    crate::kit::verified(&tree.at("app"));
}

#[test]
fn its_scripts_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = readme();
    let named = readme
        .split_whitespace()
        .filter(|word| word.starts_with("scripts/"));
    let mut count = 0;
    for script in named {
        let mode = fs::metadata(root.join(script))
            .unwrap_or_else(|e| panic!("{script}: {e}"))
            .permissions();
        assert_eq!(mode.mode() & 0o111, 0o111, "{script}");
        count += 1;
    }
    assert!(count >= 2);
}
