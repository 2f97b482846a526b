//! `cache`: see and empty the cache of finished layers.

use std::path::PathBuf;

use plywood::blob::SyncMode;
use plywood::cache::{Cache, Pruned};
use serde_json::json;

use super::args::{self, CachePlace, CacheVerb};
use super::exit::{Done, Failure};
use super::values::bytes;
use super::{Context, report};

pub fn run(args: &args::Cache, context: &Context) -> Done {
    match &args.what {
        CacheVerb::Info(place) => info(place),
        CacheVerb::Prune(args) => {
            let limit = bytes(&args.cache_size)?;
            prune(&args.place, limit, context)
        }
        CacheVerb::Clear(place) => prune(place, 0, context),
    }
}

fn info(place: &CachePlace) -> Done {
    let (path, cache) = open(place)?;
    let usage = cache.usage().map_err(plywood::Error::from)?;
    report::print(&if place.json {
        report::json_text(&json!({
            "version": 1,
            "path": path.display().to_string(),
            "layers": usage.layers,
            "blobs": usage.blobs,
            "trees": usage.trees,
            "bytes": usage.bytes,
        }))
    } else {
        format!(
            "{}: {}, {}\n",
            report::shown(&path.display().to_string()),
            report::count(usage.layers, "layer"),
            report::size(usage.bytes),
        )
    })
}

fn prune(place: &CachePlace, limit: u64, context: &Context) -> Done {
    let (_, mut cache) = open(place)?;
    let Pruned { layers, bytes } = cache.prune(limit).map_err(plywood::Error::from)?;
    if place.json {
        let told = json!({"version": 1, "layers": layers, "bytes": bytes});
        return report::print(&report::json_text(&told));
    }
    let (layers, bytes) = (report::count(layers, "layer"), report::size(bytes));
    context.say(&format!("removed {layers}, {bytes}"));
    Ok(())
}

fn open(place: &CachePlace) -> Result<(PathBuf, Cache), Failure> {
    let path = place.cache.clone().or_else(default_place);
    let path = path.ok_or_else(|| {
        Failure::usage("there is no cache directory").hint("name one with --cache")
    })?;
    let cache = Cache::open(&path, SyncMode::Full).map_err(plywood::Error::from)?;
    Ok((path, cache))
}

/// The user's cache directory (XDG Base Directory Specification).
pub fn default_place() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Some(base?.join("plywood"))
}
