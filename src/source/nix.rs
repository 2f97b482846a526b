//! The closure of store paths, as the local Nix tells it.

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
        let requisites = self.requisites(&given)?;
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

impl NixSource {
    fn requisites(&self, given: &[OsString]) -> Result<Vec<OsString>, SourceError> {
        let mut all = std::collections::BTreeSet::new();
        for batch in batches(given) {
            let text = run(&["--query", "--requisites"], batch)?;
            all.extend(utf8(&text)?.lines().map(OsString::from));
        }
        Ok(all.into_iter().collect())
    }
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
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(failure(arguments, paths, &output)),
    }
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
