//! `tag`, `untag` and `gc`: changes to a layout that make no image.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use plywood::image::annotations::{CONTAINERD_NAME, REF_NAME};
use plywood::image::{ImageName, IndexEntry, is_tag};
use plywood::layout::{Garbage, GcOptions, Layout, WriteOptions};
use plywood::target::ImageRef;
use serde_json::{Value, json};

use super::args::{Gc, Tag, Untag, Writing};
use super::exit::{Done, Failure};
use super::request::sync;
use super::values::refused;
use super::{Context, reference, report};

pub fn tag(args: &Tag, context: &Context) -> Done {
    let ImageRef { path, name, .. } = reference::layout(&args.image)?;
    let layout = Layout::open_to_change(&path, &options(&args.writing, context)?)?;
    let entry = layout.resolve(name.as_deref())?;
    let named: Result<Vec<_>, _> = args
        .names
        .iter()
        .map(|name| renamed(&entry, name))
        .collect();
    layout.publish(&named?)?;
    report::print(&format!("{}\n", entry.descriptor.digest))
}

pub fn untag(args: &Untag, context: &Context) -> Done {
    let layout =
        Layout::open_to_change(&directory(&args.layout), &options(&args.writing, context)?)?;
    Ok(layout.untag(&args.tags)?)
}

pub fn gc(args: &Gc, context: &Context) -> Done {
    let age = age(&args.min_age)?;
    let mut layout =
        Layout::open_to_change(&directory(&args.layout), &options(&args.writing, context)?)?;
    let garbage = layout.gc(GcOptions {
        dry_run: args.dry_run,
        older_than: (!age.is_zero())
            .then(|| SystemTime::now().checked_sub(age))
            .flatten(),
    })?;
    let lines = garbage.iter().map(|blob| format!("{}\n", blob.digest));
    report::print(&if args.json {
        report::json_text(&told(&garbage))
    } else {
        lines.collect()
    })?;
    let bytes = report::size(garbage.iter().map(|blob| blob.size).sum());
    let verb = if args.dry_run {
        "would be removed"
    } else {
        "removed"
    };
    context.say(&format!(
        "{} {verb}, {bytes}",
        report::count(garbage.len(), "blob")
    ));
    Ok(())
}

fn told(garbage: &[Garbage]) -> Value {
    let blobs = garbage
        .iter()
        .map(|blob| json!({ "digest": blob.digest.to_string(), "size": blob.size }));
    json!({ "version": 1, "removed": blobs.collect::<Vec<_>>() })
}

/// The entry under another name; what else is said of it stays.
fn renamed(entry: &IndexEntry, name: &str) -> Result<IndexEntry, Failure> {
    let mut entry = entry.clone();
    if name.contains([':', '/']) {
        entry
            .annotations
            .extend(ImageName::parse(name)?.annotations());
        return Ok(entry);
    }
    if !is_tag(name) {
        let message = format!("tag `{name}` is not made of letters, digits and _.-");
        return Err(Failure::usage(message)
            .hint("a tag has 1 to 128 of [A-Za-z0-9_.-] and does not start with . or -"));
    }
    let known = entry
        .annotations
        .get(CONTAINERD_NAME)
        .and_then(|full| ImageName::parse(full).ok());
    match known {
        Some(ImageName { repository, .. }) => {
            let name = ImageName {
                repository,
                tag: name.to_owned(),
            };
            entry.annotations.extend(name.annotations());
        }
        None => {
            entry
                .annotations
                .insert(REF_NAME.to_owned(), name.to_owned());
        }
    }
    Ok(entry)
}

pub fn options(writing: &Writing, context: &Context) -> Result<WriteOptions, Failure> {
    Ok(WriteOptions {
        sync: sync(Some(&writing.sync))?,
        lock_timeout: writing.lock_timeout.map(Duration::from_secs),
        on_wait: Some(context.on_wait()),
        ..WriteOptions::default()
    })
}

/// A layout directory, its prefix taken off.
fn directory(text: &Path) -> PathBuf {
    let bytes = text.as_os_str().as_bytes();
    OsStr::from_bytes(bytes.strip_prefix(b"oci:").unwrap_or(bytes)).into()
}

/// `90`, `10m`, `2h`, `7d`.
fn age(text: &str) -> Result<Duration, Failure> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        Some((at, 'd')) => (&text[..at], 86400),
        _ => (text, 1),
    };
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let seconds = number
        .parse::<u64>()
        .ok()
        .filter(|_| digits)
        .and_then(|n| n.checked_mul(unit));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        refused(
            "min-age",
            text,
            "is not a number of seconds, minutes (10m), hours (2h) or days (7d)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (text, seconds) in [
            ("0", 0),
            ("90", 90),
            ("10m", 600),
            ("2h", 7200),
            ("7d", 604_800),
        ] {
            assert_eq!(age(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in [
            "",
            "m",
            "-1",
            "1w",
            "1.5h",
            "99999999999999999999",
            "18446744073709551615d",
            "é",
        ] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
