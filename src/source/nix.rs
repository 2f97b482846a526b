//! The closure of store paths, as the local Nix tells it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::error::{Place, SourceError};
use super::graph::{Document, Listed, closure};
use super::text::{self, Form};
use super::{Closure, Source};

/// Store paths (or links to them, or files in them) whose closure the local Nix knows.
///
/// Needs `nix-store`, no daemon and no experimental features. Two processes, however many
/// paths there are, as long as their names fit into one argument list.
#[derive(Clone, Debug)]
pub struct NixSource {
    /// As they were given; `./result` is as good as `/nix/store/…`.
    pub paths: Vec<PathBuf>,
}

const PROGRAM: &str = "nix-store";

/// Bytes of arguments for one process; Linux takes 2 MiB with the environment in it.
const ARGUMENT_BYTES: usize = 512 * 1024;

impl Source for NixSource {
    fn load(&self) -> Result<Closure, SourceError> {
        let given: Vec<OsString> = self
            .paths
            .iter()
            .map(|path| absolute_or_here(path))
            .collect();
        let requisites = requisites(&given)?;
        // An entry each, in the order asked for: those of the given paths are the roots.
        let asked: Vec<OsString> = given.into_iter().chain(requisites).collect();
        let mut entries: Vec<Listed> = Vec::new();
        for batch in batches(&asked) {
            entries.extend(registrations(batch)?);
        }
        let roots = entries
            .iter()
            .take(self.paths.len())
            .map(|entry| entry.path.clone())
            .collect();
        closure(Document { entries, roots }, PROGRAM, None)
    }
}

fn requisites(given: &[OsString]) -> Result<BTreeSet<OsString>, SourceError> {
    let mut all = BTreeSet::new();
    for batch in batches(given) {
        let text = run(&["--query", "--requisites"], batch)?;
        all.extend(utf8(&text)?.lines().map(OsString::from));
    }
    Ok(all)
}

/// A path that starts with `-` would be an option.
fn absolute_or_here(path: &Path) -> OsString {
    if path.is_absolute() {
        path.into()
    } else {
        Path::new(".").join(path).into()
    }
}

fn registrations(paths: &[OsString]) -> Result<Vec<Listed>, SourceError> {
    let text = run(&["--dump-db"], paths)?;
    text::parse(Form::Registration, utf8(&text)?).map_err(|(place, reason)| SourceError::Refused {
        origin: format!("the output of {PROGRAM} --dump-db"),
        place,
        reason,
    })
}

fn utf8(text: &[u8]) -> Result<&str, SourceError> {
    std::str::from_utf8(text).map_err(|_| SourceError::Refused {
        origin: format!("the output of {PROGRAM}"),
        place: Place::Whole,
        reason: "not UTF-8".into(),
    })
}

/// The paths in slices whose names fit into one argument list.
fn batches(paths: &[OsString]) -> Vec<&[OsString]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, path) in paths.iter().enumerate() {
        bytes += path.len() + size_of::<usize>() + 1;
        if bytes > ARGUMENT_BYTES && i > start {
            batches.push(&paths[start..i]);
            (start, bytes) = (i, path.len());
        }
    }
    if start < paths.len() {
        batches.push(&paths[start..]);
    }
    batches
}

fn run(arguments: &[&str], paths: &[OsString]) -> Result<Vec<u8>, SourceError> {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .args(paths)
        .output()
        .map_err(|source| SourceError::Start {
            program: PROGRAM.into(),
            source,
        })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failure(arguments, paths, &output))
}

fn failure(arguments: &[&str], paths: &[OsString], output: &Output) -> SourceError {
    let named = paths
        .first()
        .map(|path| path.to_string_lossy())
        .unwrap_or_default();
    let more = if paths.len() > 1 { " …" } else { "" };
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("error: "))
        .collect();
    let message = match (errors.is_empty(), said.trim().is_empty()) {
        (false, _) => errors.join("; "),
        (true, false) => said.trim().to_owned(),
        (true, true) => output.status.to_string(),
    };
    SourceError::Failed {
        command: format!("{PROGRAM} {} {named}{more}", arguments.join(" ")),
        message,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::{ARGUMENT_BYTES, NixSource, batches};
    use crate::source::Source;

    const EXPRESSION: &str = r#"
        let make = name: uses: derivation {
          inherit name uses;
          system = builtins.currentSystem;
          builder = "/bin/sh";
          args = [ "-c" "echo $uses > $out" ];
        };
        a = make "a-1" []; b = make "b-2" [ a ];
        in make "c-3" [ a b ]"#;

    /// A store of its own below `root`, built without a network, a daemon or a sandbox.
    fn in_store(root: &Path, program: &str) -> Command {
        let mut command = Command::new(program);
        for (variable, directory) in [
            ("NIX_STORE_DIR", "store"),
            ("NIX_STATE_DIR", "state"),
            ("NIX_LOG_DIR", "log"),
            ("NIX_CONF_DIR", "conf"),
            ("XDG_CACHE_HOME", "cache"),
            ("HOME", "home"),
        ] {
            command.env(variable, root.join(directory));
        }
        command
            .env("NIX_CONFIG", "build-users-group =\nsandbox = false")
            .env("NIX_REMOTE", "local");
        command
    }

    /// The library reads no environment, but Nix does: the source is loaded in a process of
    /// its own, by the test below.
    #[test]
    fn a_closure_of_the_local_nix() {
        let there = Command::new("nix-store").arg("--version").output();
        if there.is_err() {
            eprintln!("SKIPPED: nix-store is not installed");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let link = root.join("result");
        let mut nix_build = in_store(&root, "nix-build");
        let built = nix_build
            .args(["--expr", EXPRESSION, "--out-link"])
            .arg(&link)
            .output()
            .unwrap();
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let mut itself = in_store(&root, std::env::current_exe().unwrap().to_str().unwrap());
        itself.args([
            "--exact",
            "--ignored",
            "source::nix::tests::load_what_the_other_test_built",
        ]);
        let loaded = itself.env("PLYWOOD_TEST_LINK", &link).output().unwrap();
        assert!(
            loaded.status.success(),
            "{}",
            String::from_utf8_lossy(&loaded.stdout)
        );
        assert!(String::from_utf8_lossy(&loaded.stdout).contains("1 passed"));
    }

    #[test]
    #[ignore = "runs inside a_closure_of_the_local_nix"]
    fn load_what_the_other_test_built() {
        let Some(link) = std::env::var_os("PLYWOOD_TEST_LINK") else {
            return;
        };
        let link = std::path::PathBuf::from(link);
        let top = std::fs::read_link(&link).unwrap();
        let closure = NixSource {
            paths: vec![link.clone(), top.clone()],
        }
        .load()
        .unwrap();
        assert_eq!(closure.roots, [top.to_str().unwrap()]);
        let names: Vec<&str> = closure
            .graph
            .paths()
            .iter()
            .map(|path| path.split_once('-').unwrap().1)
            .collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, ["a-1", "b-2", "c-3"]);
        let top = closure.graph.find(top.to_str().unwrap()).unwrap();
        assert_eq!(closure.graph.references(top).len(), 2);
        assert!(closure.component(top).size.is_some() && closure.component(top).hash.is_some());
        let nowhere = link.with_file_name("nowhere");
        let error = NixSource {
            paths: vec![nowhere],
        }
        .load()
        .unwrap_err()
        .to_string();
        assert!(
            error.starts_with("nix-store --query --requisites /"),
            "{error}"
        );
        assert!(error.contains("nowhere failed: "), "{error}");
    }

    #[test]
    fn argument_lists_stay_within_bounds() {
        let paths: Vec<_> = (0..20_000)
            .map(|i| format!("/nix/store/{i:060}").into())
            .collect();
        let batches = batches(&paths);
        assert!(batches.len() > 1);
        assert_eq!(batches.concat(), paths);
        let bytes = |batch: &[std::ffi::OsString]| batch.iter().map(|p| p.len() + 9).sum::<usize>();
        assert!(batches.iter().all(|batch| bytes(batch) <= ARGUMENT_BYTES));
        assert!(super::batches(&[]).is_empty());
    }
}
