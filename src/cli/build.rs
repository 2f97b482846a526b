//! `build`: the whole line.

use std::path::Path;

use plywood::build::Outcome;
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
    let request = request::build(&image, outputs::outputs(&image)?, context.on_wait())?;
    let outcome = carry_out(&request, context)?;
    if let Some(path) = &image.digestfile {
        replace(path, format!("{}\n", outcome.digest).as_bytes())?;
    }
    if let Some(path) = &image.metadata_file {
        replace(path, report::json_text(&metadata(&outcome)).as_bytes())?;
    }
    context.say(&summary(&outcome));
    let streamed = request.outputs.iter().any(|output| output.path.is_none());
    if streamed {
        Ok(())
    } else {
        report::print(&format!("{}\n", outcome.digest))
    }
}

fn carry_out(request: &plywood::BuildRequest, context: &Context) -> Result<Outcome, Failure> {
    let meter = Meter::new(context, context.progress);
    let outcome = plywood::build(request, &meter);
    meter.clear();
    Ok(outcome?)
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
        "tags": outcome.tags,
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
