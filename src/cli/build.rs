//! `build`: the whole line.

use std::path::Path;

use plywood::blob::Digest;
use plywood::build::Outcome;
use plywood::image::IndexEntry;
use serde_json::{Value, json};

use super::args::Build;
use super::exit::{Done, Failure};
use super::progress::Meter;
use super::{Context, file, outputs, report, request, version};

pub fn run(args: &Build, context: &Context) -> Done {
    let image = file::effective(args.image.clone(), args.file.as_deref())?;
    if args.print_config {
        return report::print(&file::print(&image)?);
    }
    let each = file::per_platform(&args.image, args.file.as_deref())?;
    let outputs = outputs::outputs(&image)?;
    let requests = each
        .iter()
        .map(|args| request::build(args, outputs.clone(), context.on_wait()));
    let requests: Vec<_> = requests.collect::<Result<_, _>>()?;
    let (digest, outcomes) = carry_out(&requests, context)?;
    if let Some(path) = &image.digestfile {
        replace(path, format!("{digest}\n").as_bytes())?;
    }
    if let Some(path) = &image.metadata_file {
        let said = match outcomes.as_slice() {
            [one] => metadata(one),
            several => metadata_of_several(&digest, several),
        };
        replace(path, report::json_text(&said).as_bytes())?;
    }
    for outcome in &outcomes {
        let platform = match outcomes.len() {
            1 => String::new(),
            _ => format!("{}: ", outcome.platform),
        };
        context.say(&(platform + &summary(outcome)));
    }
    if outputs.iter().any(|output| output.path.is_none()) {
        Ok(())
    } else {
        report::print(&format!("{digest}\n"))
    }
}

fn carry_out(
    requests: &[plywood::BuildRequest],
    context: &Context,
) -> Result<(Digest, Vec<Outcome>), Failure> {
    let meter = Meter::new(context, context.progress);
    let done = match requests {
        [one] => plywood::build(one, &meter).map(|made| (made.digest.clone(), vec![made])),
        several => plywood::build::build_platforms(several, &meter),
    };
    meter.clear();
    Ok(done?)
}

fn metadata_of_several(digest: &Digest, outcomes: &[Outcome]) -> Value {
    let images = outcomes.iter().map(metadata).collect::<Vec<_>>();
    json!({ "version": 1, "digest": digest.to_string(), "images": images })
}

fn summary(outcome: &Outcome) -> String {
    let layers = &outcome.layers;
    let stored: u64 = layers.iter().map(|layer| layer.blob.descriptor.size).sum();
    let known = layers.iter().filter(|layer| layer.blob.cached).count();
    let known = if known == 0 {
        String::new()
    } else {
        format!(", {known} of them known already")
    };
    let named = if outcome.tags.is_empty() {
        String::new()
    } else {
        format!(", named {}", outcome.tags.join(", "))
    };
    let below: u64 = outcome.base.iter().map(|(layer, _)| layer.size).sum();
    let base = match outcome.base.len() {
        0 => String::new(),
        count => format!(
            " on {} of the base, {}",
            report::count(count, "layer"),
            report::size(below)
        ),
    };
    format!(
        "{}{known}, {}{base}{named}",
        report::count(layers.len(), "layer"),
        report::size(stored)
    )
}

/// What `--metadata-file` says.
fn metadata(outcome: &Outcome) -> Value {
    let base = outcome.base.iter().map(|(layer, diff_id)| {
        json!({
            "digest": layer.digest.to_string(),
            "diff_id": diff_id.to_string(),
            "size": layer.size,
            "media_type": layer.media_type,
            "kind": "base",
            "paths": [],
            "cached": true,
        })
    });
    let layers = outcome.layers.iter().map(|layer| {
        json!({
            "digest": layer.blob.descriptor.digest.to_string(),
            "diff_id": layer.blob.diff_id.to_string(),
            "size": layer.blob.descriptor.size,
            "media_type": layer.blob.descriptor.media_type,
            "kind": layer.kind.name(),
            "paths": layer.paths,
            "cached": layer.blob.cached,
        })
    });
    let compressors =
        version::compressors().map(|(name, version)| (name.to_owned(), Value::from(version)));
    json!({
        "version": 1,
        "digest": outcome.digest.to_string(),
        "config_digest": outcome.config_digest.to_string(),
        "platform": outcome.platform.to_string(),
        "tags": outcome.tags,
        "attached": outcome.attached.iter().map(IndexEntry::to_json).collect::<Vec<_>>(),
        "layers": base.chain(layers).collect::<Vec<_>>(),
        "compressors": serde_json::Map::from_iter(compressors),
    })
}

/// Writes a file so that nobody ever sees half of it.
pub fn replace(path: &Path, bytes: &[u8]) -> Done {
    let action = format!("write {}", path.display());
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let write = || {
        // A device such as /dev/stderr cannot be replaced, only written to.
        if path.exists() && !path.is_file() {
            return std::fs::write(path, bytes);
        }
        let new =
            tempfile::NamedTempFile::with_prefix_in(".plywood-", dir.unwrap_or(Path::new(".")))?;
        std::fs::write(new.path(), bytes)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        new.as_file().set_permissions(mode)?;
        new.persist(path)?;
        Ok(())
    };
    write().map_err(|fault| Failure::io(&action, &fault))
}
