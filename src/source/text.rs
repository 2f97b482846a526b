//! The two line forms: what `exportReferencesGraph` wrote before structured attributes, and
//! the registration text of `nix-store --dump-db`.

use std::str::FromStr;

use super::Place;
use super::graph::Listed;
use super::json::Fault;

/// Whether lines are one of the two forms, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Path, deriver or nothing, count, so many references.
    Legacy,
    /// Path, hash, size, deriver or nothing, count, so many references.
    Registration,
}

impl Form {
    /// The form, by the shape of the first entry.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let (second, third) = (lines.next()?, lines.next()?);
        third.parse::<u64>().ok()?;
        if is_hash(second) {
            Some(Self::Registration)
        } else if second.is_empty() || second.starts_with('/') {
            Some(Self::Legacy)
        } else {
            None
        }
    }
}

fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    matches!(digits.len(), 52 | 64) && digits.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// All entries of a document in this form.
pub(super) fn parse(form: Form, text: &str) -> Result<Vec<Listed>, Fault> {
    let mut lines = Lines {
        lines: text.lines(),
        number: 0,
    };
    let mut entries = Vec::new();
    while let Some(path) = lines.next() {
        entries.push(entry(form, path, &mut lines)?);
    }
    Ok(entries)
}

fn entry(form: Form, path: &str, lines: &mut Lines<'_>) -> Result<Listed, Fault> {
    let path = lines.path(path)?;
    let (mut hash, mut size) = (None, None);
    if form == Form::Registration {
        hash = Some(lines.hash(&path)?);
        size = Some(lines.number("size", &path)?);
    }
    lines.need("deriver", &path)?;
    let count: u64 = lines.number("number of references", &path)?;
    let mut references = Vec::new();
    for _ in 0..count {
        let reference = lines.need("reference", &path)?;
        references.push(lines.path(reference)?);
    }
    Ok(Listed {
        size,
        hash,
        ..Listed::new(path, references)
    })
}

struct Lines<'a> {
    lines: std::str::Lines<'a>,
    /// Of the line read last, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.number += 1;
        self.lines.next()
    }

    fn need(&mut self, what: &str, path: &str) -> Result<&'a str, Fault> {
        self.next()
            .ok_or_else(|| self.fault(format!("ends where the {what} of {path} should be")))
    }

    fn number<T: FromStr>(&mut self, what: &str, path: &str) -> Result<T, Fault> {
        let line = self.need(what, path)?;
        line.parse()
            .map_err(|_| self.fault(format!("`{line}` is no {what} (of {path})")))
    }

    fn hash(&mut self, path: &str) -> Result<String, Fault> {
        let line = self.need("hash", path)?;
        match (is_hash(line), line.contains(':')) {
            (true, true) => Ok(line.to_owned()),
            (true, false) => Ok(format!("sha256:{line}")),
            _ => Err(self.fault(format!("`{line}` is no hash (of {path})"))),
        }
    }

    fn path(&self, line: &str) -> Result<String, Fault> {
        if line.is_empty() {
            return Err(self.fault("an empty line where a path should be".into()));
        }
        if line.contains('\0') {
            return Err(self.fault("a path contains NUL".into()));
        }
        Ok(line.to_owned())
    }

    fn fault(&self, reason: String) -> Fault {
        (Place::Line(self.number), reason)
    }
}
