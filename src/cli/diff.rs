//! `diff`: what an update downloads, and why.

use plywood::check::{ChangeKind, FileChange, ImageDiff, LayerNote, diff, diff_files};
use plywood::image::Image;
use serde_json::{Value, json};

use super::args::Diff;
use super::exit::{Done, Failure};
use super::reference::{Opened, platform};
use super::report;

/// So many paths of a layer are named in words.
const NAMED: usize = 6;

pub fn run(args: &Diff) -> Done {
    let platform = platform(args.platform.as_ref())?;
    let (old, new) = (Opened::new(&args.old)?, Opened::new(&args.new)?);
    let (before, after) = (old.image(platform.as_ref())?, new.image(platform.as_ref())?);
    let layers = diff(&before, &after);
    let files = match args.files {
        true => diff_files((old.store(), &before), (new.store(), &after))?,
        false => Vec::new(),
    };
    let same = before.manifest.descriptor.digest == after.manifest.descriptor.digest;
    let config = before.config.descriptor.digest != after.config.descriptor.digest;
    let chain = by_chain(&before, &after);
    let broken = after.layers().count() - chain_kept(&before, &after);
    report::print(&if args.json {
        let mut value = layers.to_json();
        value["same"] = same.into();
        value["config_changed"] = config.into();
        value["download"] = json!({ "by_blob": layers.download(), "by_chain": chain });
        value["chain_layers"] = broken.into();
        if args.files {
            value["files"] = files.iter().map(file_json).collect();
        }
        report::json_text(&value)
    } else {
        text(&layers, config, (chain, broken)) + &files.iter().map(file_line).collect::<String>()
    })?;
    match same {
        true => Ok(()),
        false => Err(Failure::Found),
    }
}

/// What a program downloads that knows layers by what lies below them: everything from
/// the first change on.
pub fn by_chain(old: &Image, new: &Image) -> u64 {
    let above = new.layers().skip(chain_kept(old, new));
    above.map(|(layer, _)| layer.descriptor.size).sum()
}

/// How many layers have nothing but the same below them, themselves included.
fn chain_kept(old: &Image, new: &Image) -> usize {
    let pairs = old.layers().zip(new.layers());
    pairs.take_while(|((_, old), (_, new))| old == new).count()
}

fn text(layers: &ImageDiff, config: bool, (chain, broken): (u64, usize)) -> String {
    let mut text = String::new();
    for (sign, word, notes) in [
        ("  ", "shared", &layers.shared),
        ("+ ", "new", &layers.new),
        ("- ", "gone", &layers.gone),
    ] {
        for note in notes {
            text += &format!("{sign}{word} {} {}", note.digest, report::size(note.size));
            let why = because(note);
            if word != "shared" && !why.is_empty() {
                text += &format!("  {why}");
            }
            text.push('\n');
        }
    }
    if config {
        text += "the configurations differ\n";
    }
    text + &format!(
        "download: {} in {}; {} in {} where layers are known by what lies below them\n",
        report::size(layers.download()),
        report::count(layers.new.len(), "layer"),
        report::size(chain),
        report::count(broken, "layer")
    )
}

fn because(note: &LayerNote) -> String {
    if note.causes.is_empty() {
        return note
            .created_by
            .as_deref()
            .map(report::cell)
            .unwrap_or_default();
    }
    let named = note
        .causes
        .iter()
        .take(NAMED)
        .map(|path| report::cell(path));
    let named = named.collect::<Vec<_>>().join(" ");
    match note.causes.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn file_line(change: &FileChange) -> String {
    let path = report::cell(&change.path.display());
    match &change.kind {
        ChangeKind::Added => format!("A {path}\n"),
        ChangeKind::Removed => format!("D {path}\n"),
        ChangeKind::Changed(what) => format!("M {path} ({})\n", what.join(", ")),
    }
}

fn file_json(change: &FileChange) -> Value {
    let (kind, what) = match &change.kind {
        ChangeKind::Added => ("added", Vec::new()),
        ChangeKind::Removed => ("removed", Vec::new()),
        ChangeKind::Changed(what) => ("changed", what.clone()),
    };
    json!({
        "path": change.path.display(), "change": kind, "what": what,
        "old_size": change.sizes[0], "new_size": change.sizes[1],
    })
}
