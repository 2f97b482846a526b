//! `verify`: the specification's rules held against a layout or an archive, whoever wrote it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plywood::check::{Fault, Level};
use serde_json::json;

use super::args::Verify;
use super::exit::{Done, Failure};
use super::outputs::PREFIXES;
use super::{Context, report};

pub fn run(args: &Verify, context: &Context) -> Done {
    let faults = plywood::check::verify(&place(&args.image)).map_err(plywood::Error::from)?;
    let text = if args.json {
        let list: Vec<_> = faults.iter().map(to_json).collect();
        report::json_text(&json!({ "version": 1, "faults": list }))
    } else {
        faults.iter().map(line).collect()
    };
    report::print(&text)?;
    let failing = faults.iter().filter(|fault| fault.fails()).count();
    let warnings = faults.len() - failing;
    context.say(&format!(
        "{}, {}",
        report::count(failing, "fault"),
        report::count(warnings, "warning")
    ));
    if failing > 0 {
        Err(Failure::Found)
    } else {
        Ok(())
    }
}

fn line(fault: &Fault) -> String {
    let kind = if fault.fails() { "fault" } else { "warning" };
    format!(
        "{kind}: rule {}: {}: {}\n",
        fault.rule,
        report::cell(&fault.where_),
        report::cell(&fault.text)
    )
}

fn to_json(fault: &Fault) -> serde_json::Value {
    let level = match fault.level {
        Level::Must => "must",
        Level::Field => "field",
        Level::Should => "should",
    };
    json!({ "rule": fault.rule, "level": level, "where": fault.where_, "text": fault.text })
}

/// The path, without the prefix that `--output` wants.
fn place(text: &Path) -> PathBuf {
    let bytes = text.as_os_str().as_bytes();
    let rest = PREFIXES
        .iter()
        .find_map(|(prefix, _)| bytes.strip_prefix(prefix.as_bytes()));
    OsStr::from_bytes(rest.unwrap_or(bytes)).into()
}
