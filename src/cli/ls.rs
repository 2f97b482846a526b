//! `ls` and `cat`: the files of an image.

use std::io::{self, Write};

use plywood::check::{Detail, Shown, View, name_of, open_file};
use plywood::tree::{Kind, Mtime, TreePath};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::args::{Cat, Ls};
use super::exit::{Done, Failure};
use super::reference::{Opened, platform};
use super::report::{self, Align};

pub fn ls(args: &Ls) -> Done {
    let opened = Opened::new(&args.image)?;
    let image = opened.image(platform(args.platform.as_ref())?.as_ref())?;
    let view = match args.layer {
        Some(number) => View::of_layer(opened.store(), &image, number, Detail::Names)?,
        None => View::of_image(opened.store(), &image, Detail::Names)?,
    };
    let top = match &args.path {
        Some(text) if args.layer.is_none() => view.resolve(&path(text)?)?,
        Some(text) => path(text)?,
        None => TreePath::root(),
    };
    let files: Vec<&Shown> = view.below(&top).collect();
    if files.is_empty() && !top.is_root() {
        return Err(plywood::check::ViewError::Missing { path: top }.into());
    }
    if args.json {
        let files: Vec<Value> = files.into_iter().map(to_json).collect();
        return report::print(&report::json_text(&json!({ "version": 1, "files": files })));
    }
    let columns = [
        ("MODE", Align::Left),
        ("OWNER", Align::Right),
        ("SIZE", Align::Right),
        ("TIME", Align::Left),
        ("LAYER", Align::Right),
        ("PATH", Align::Left),
    ];
    let rows: Vec<_> = files.into_iter().map(row).collect();
    report::print(&report::table(&columns, &rows))
}

pub fn cat(args: &Cat) -> Done {
    let opened = Opened::new(&args.image)?;
    let image = opened.image(platform(args.platform.as_ref())?.as_ref())?;
    let mut file = open_file(opened.store(), &image, &path(&args.path)?)?;
    let mut out = io::stdout().lock();
    io::copy(&mut file, &mut out)
        .and_then(|_| out.flush())
        .map_err(|fault| Failure::io(&format!("write {}", args.path), &fault))
}

/// A path in an image, with or without its first slash.
fn path(text: &str) -> Result<TreePath, Failure> {
    let trimmed = text.trim_matches('/');
    TreePath::new(trimmed).map_err(|fault| Failure::usage(format!("the path `{text}` {fault}")))
}

fn row(shown: &Shown) -> Vec<String> {
    let entry = &shown.entry;
    let path = entry.path.display();
    let path = match &entry.kind {
        Kind::Symlink { target } => format!("{path} -> {}", target.escape_ascii()),
        Kind::HardLink { target } => format!("{path} link to {}", target.display()),
        Kind::Dir if !entry.path.is_root() => format!("{path}/"),
        _ => path,
    };
    let size = match &entry.kind {
        Kind::File { size } => report::size(*size),
        Kind::Char(device) | Kind::Block(device) => {
            format!("{},{}", device.major, device.minor)
        }
        _ => String::new(),
    };
    vec![
        mode(&entry.kind, entry.meta.mode),
        format!("{}:{}", entry.meta.uid, entry.meta.gid),
        size,
        date(entry.meta.mtime),
        shown.layer.to_string(),
        path,
    ]
}

/// `drwxr-xr-x`, as ls(1) writes it.
fn mode(kind: &Kind, mode: u32) -> String {
    let class = match kind {
        Kind::Dir => 'd',
        Kind::File { .. } | Kind::HardLink { .. } => '-',
        Kind::Symlink { .. } => 'l',
        Kind::Char(_) => 'c',
        Kind::Block(_) => 'b',
        Kind::Fifo => 'p',
    };
    let bit = |mask: u32, letter: char| if mode & mask == 0 { '-' } else { letter };
    let run = |run: u32, special: u32, low: char, high: char| match (
        mode & run != 0,
        mode & special != 0,
    ) {
        (true, true) => low,
        (false, true) => high,
        (true, false) => 'x',
        (false, false) => '-',
    };
    [
        class,
        bit(0o400, 'r'),
        bit(0o200, 'w'),
        run(0o100, 0o4000, 's', 'S'),
        bit(0o040, 'r'),
        bit(0o020, 'w'),
        run(0o010, 0o2000, 's', 'S'),
        bit(0o004, 'r'),
        bit(0o002, 'w'),
        run(0o001, 0o1000, 't', 'T'),
    ]
    .into_iter()
    .collect()
}

fn date(mtime: Mtime) -> String {
    match OffsetDateTime::from_unix_timestamp(mtime.secs) {
        Ok(t) => format!(
            "{} {:02}:{:02}:{:02}",
            t.date(),
            t.hour(),
            t.minute(),
            t.second()
        ),
        Err(_) => mtime.secs.to_string(),
    }
}

fn to_json(shown: &Shown) -> Value {
    let entry = &shown.entry;
    let mut file = json!({
        "path": entry.path.display(),
        "kind": name_of(&entry.kind).trim_start_matches("a "),
        "mode": format!("{:04o}", entry.meta.mode),
        "uid": entry.meta.uid,
        "gid": entry.meta.gid,
        "mtime": entry.meta.mtime.secs,
        "layer": shown.layer,
    });
    match &entry.kind {
        Kind::File { size } => file["size"] = (*size).into(),
        Kind::Symlink { target } => file["target"] = target.escape_ascii().to_string().into(),
        Kind::HardLink { target } => file["target"] = target.display().into(),
        Kind::Char(device) | Kind::Block(device) => {
            file["device"] = json!([device.major, device.minor]);
        }
        _ => {}
    }
    if !entry.xattrs.is_empty() {
        let xattrs = entry.xattrs.iter().map(|(name, value)| {
            (
                name.escape_ascii().to_string(),
                Value::from(value.escape_ascii().to_string()),
            )
        });
        file["xattrs"] = Value::Object(xattrs.collect());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(mode(&Kind::Dir, 0o1777), "drwxrwxrwt");
        assert_eq!(mode(&Kind::File { size: 0 }, 0o6644), "-rwSr-Sr--");
        assert_eq!(mode(&Kind::Fifo, 0o4755), "prwsr-xr-x");
    }
}
