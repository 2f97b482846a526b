//! `inspect`: what an image is and what its layers hold.

use std::collections::BTreeMap;

use plywood::check::{Detail, View};
use plywood::image::{Annotations, Image, IndexEntry, annotations, referrers};
use plywood::tree::Kind;
use serde_json::{Value, json};

use super::args::Inspect;
use super::exit::{Done, Failure};
use super::reference::{Opened, platform};
use super::report::{self, Align};
use super::{Context, page};

/// One layer, as its image and its own files describe it.
pub struct Layer {
    pub entry: IndexEntry,
    pub diff_id: String,
    pub created_by: Option<String>,
    /// `single`, `rest`, …; `base` for what plywood did not make.
    pub kind: String,
    /// What it holds: the paths of its components, with the bytes of their files.
    pub holds: Vec<(String, u64)>,
    /// Entries in its tar.
    pub entries: usize,
    /// Bytes of its files.
    pub unpacked: u64,
}

pub fn run(args: &Inspect, context: &Context) -> Done {
    let opened = Opened::new(&args.image)?;
    if args.referrers {
        return list_referrers(args, &opened);
    }
    let image = opened.image(platform(args.platform.as_ref())?.as_ref())?;
    let layers = layers(&opened, &image)?;
    if let Some(path) = &args.html {
        let text = page::draw(args, &opened, &image, &layers)?;
        super::build::replace(path, text.as_bytes())?;
        context.say(&format!("{} written", path.display()));
        return Ok(());
    }
    report::print(&if args.json {
        report::json_text(&to_json(&image, &layers))
    } else {
        text(&image, &layers)
    })
}

/// Reads all layers.
pub fn layers(opened: &Opened, image: &Image) -> Result<Vec<Layer>, Failure> {
    let history = image.config.value.created_by();
    let mut layers = Vec::new();
    for (number, ((entry, diff_id), created_by)) in image.layers().zip(history).enumerate() {
        let view = View::of_layer(opened.store(), image, number, Detail::Names)?;
        let paths = noted(&entry.annotations);
        let (holds, unpacked) = weigh(&view, &paths);
        let kind = entry.annotations.get(annotations::LAYER_KIND);
        layers.push(Layer {
            entry: entry.clone(),
            diff_id: diff_id.to_string(),
            created_by: created_by.map(str::to_owned),
            kind: kind.cloned().unwrap_or_else(|| "base".to_owned()),
            holds,
            entries: view.files().count(),
            unpacked,
        });
    }
    Ok(layers)
}

/// The components that plywood noted on a layer.
fn noted(said: &Annotations) -> Vec<String> {
    let list = said.get(annotations::LAYER_PATHS);
    let list = list.and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
    list.unwrap_or_default()
}

/// The bytes of each component's files; without components, of the largest directories.
fn weigh(view: &View, paths: &[String]) -> (Vec<(String, u64)>, u64) {
    let mut holds: BTreeMap<String, u64> = BTreeMap::new();
    let mut sum = 0;
    for shown in view.files() {
        let Kind::File { size } = shown.entry.kind else {
            continue;
        };
        sum += size;
        let path = shown.entry.path.display();
        *holds.entry(holder(&path, paths)).or_default() += size;
    }
    for path in paths {
        holds.entry(path.clone()).or_default();
    }
    let mut holds: Vec<_> = holds.into_iter().collect();
    holds.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    (holds, sum)
}

/// The component that a path is in, else its directory two levels down.
fn holder(path: &str, paths: &[String]) -> String {
    let inside = |top: &&String| {
        let rest = path.strip_prefix(top.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match paths.iter().find(inside) {
        Some(top) => top.clone(),
        None => match path.match_indices('/').nth(3) {
            Some((at, _)) => path[..at].to_owned(),
            None => match path.rsplit_once('/') {
                Some(("", _)) | None => path.to_owned(),
                Some((above, _)) => above.to_owned(),
            },
        },
    }
}

fn text(image: &Image, layers: &[Layer]) -> String {
    let manifest = &image.manifest;
    let size: u64 = layers.iter().map(|layer| layer.entry.descriptor.size).sum();
    let mut lines = vec![
        ("digest", manifest.descriptor.digest.to_string()),
        ("config", image.config.descriptor.digest.to_string()),
        ("platform", image.platform().to_string()),
        ("size", report::size(size)),
    ];
    let config = &image.config.value.document;
    for name in ["created", "author"] {
        if let Some(text) = config.get(name).and_then(Value::as_str) {
            lines.push((name, text.to_owned()));
        }
    }
    let mut out: String = lines
        .iter()
        .map(|(name, text)| format!("{name:<14}{}\n", report::cell(text)))
        .collect();
    let runtime = config.get("config").and_then(Value::as_object);
    for (name, value) in runtime.into_iter().flatten() {
        out += &format!(
            "{:<14}{}\n",
            report::cell(name),
            report::cell(&value.to_string())
        );
    }
    for (key, value) in &manifest.value.annotations {
        out += &format!(
            "annotation    {}={}\n",
            report::cell(key),
            report::cell(value)
        );
    }
    let columns = [
        ("LAYER", Align::Right),
        ("KIND", Align::Left),
        ("SIZE", Align::Right),
        ("UNPACKED", Align::Right),
        ("ENTRIES", Align::Right),
        ("HOLDS", Align::Left),
    ];
    let rows: Vec<_> = layers.iter().enumerate().map(row).collect();
    out + "\n" + &report::table(&columns, &rows)
}

fn row((number, layer): (usize, &Layer)) -> Vec<String> {
    let holds = match layer.holds.as_slice() {
        [] => layer.created_by.clone().unwrap_or_default(),
        [(only, _)] => only.clone(),
        [(first, _), rest @ ..] => format!("{first} and {} more", rest.len()),
    };
    vec![
        number.to_string(),
        layer.kind.clone(),
        report::size(layer.entry.descriptor.size),
        report::size(layer.unpacked),
        layer.entries.to_string(),
        holds,
    ]
}

fn to_json(image: &Image, layers: &[Layer]) -> Value {
    let layers = layers.iter().map(|layer| {
        let holds = layer.holds.iter();
        let holds = holds.map(|(path, bytes)| json!({ "path": path, "bytes": bytes }));
        json!({
            "digest": layer.entry.descriptor.digest.to_string(),
            "diff_id": layer.diff_id,
            "media_type": layer.entry.descriptor.media_type,
            "size": layer.entry.descriptor.size,
            "unpacked": layer.unpacked,
            "entries": layer.entries,
            "kind": layer.kind,
            "created_by": layer.created_by,
            "holds": holds.collect::<Vec<_>>(),
            "annotations": layer.entry.annotations,
        })
    });
    json!({
        "version": 1,
        "digest": image.manifest.descriptor.digest.to_string(),
        "media_type": image.manifest.descriptor.media_type,
        "config_digest": image.config.descriptor.digest.to_string(),
        "platform": image.platform().to_string(),
        "name": image.name,
        "annotations": image.manifest.value.annotations,
        "config": image.config.value.document,
        "layers": layers.collect::<Vec<_>>(),
    })
}

fn list_referrers(args: &Inspect, opened: &Opened) -> Done {
    let subject = opened.entry(None)?.descriptor.digest;
    let found = referrers(opened.store(), &opened.index()?, &subject)?;
    if args.json {
        let list: Vec<_> = found.iter().map(IndexEntry::to_json).collect();
        let value = json!({ "version": 1, "subject": subject.to_string(), "referrers": list });
        return report::print(&report::json_text(&value));
    }
    let columns = [
        ("TYPE", Align::Left),
        ("DIGEST", Align::Left),
        ("ANNOTATIONS", Align::Left),
    ];
    let rows = found.iter().map(|entry| {
        let said = entry
            .annotations
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        vec![
            entry.artifact_type.clone().unwrap_or_default(),
            entry.descriptor.digest.to_string(),
            said.collect::<Vec<_>>().join(" "),
        ]
    });
    let rows: Vec<_> = rows.collect();
    report::print(&report::table(&columns, &rows))
}
