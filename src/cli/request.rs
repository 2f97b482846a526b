//! What is meant by the arguments: checked, defaulted, with the environment and the clock read in.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use plywood::blob::SyncMode;
use plywood::build::{BillFormat, BuildRequest, Input, Output};
use plywood::image::ImageName;
use plywood::layout::OnWait;
use plywood::source::Split;
use plywood::tree::{ModeRule, MtimeRule, OwnerRule, Policy, XattrRule};
use time::OffsetDateTime;

use super::args::ImageArgs;
use super::exit::Failure;
use super::values::{bytes, choice, date, owner, seconds};
use super::{config, earlier, outputs, reference, sources};

/// The request that the arguments amount to; `outputs` are those of [`outputs::outputs`], none for a plan.
///
/// Everything that can be refused without the sources is refused before they are read.
pub fn build(
    args: &ImageArgs,
    outputs: Vec<Output>,
    on_wait: OnWait,
) -> Result<BuildRequest, Failure> {
    sources::check_stdin(args)?;
    sources::check_prefix(args)?;
    let epoch = source_date_epoch()?;
    let names: Result<Vec<_>, _> = args.tag.iter().map(|tag| ImageName::parse(tag)).collect();
    let defaults = BuildRequest::default();
    let config = config::spec(args, epoch)?;
    Ok(BuildRequest {
        pins: earlier::pins(args)?,
        previous: earlier::previous(args, config.platform.as_ref()),
        fleet: earlier::fleet(args, config.platform.as_ref())?,
        policy: policy(args, epoch)?,
        annotations: config::annotations(args)?,
        config,
        codec: outputs::codec(args, &outputs)?,
        jobs: jobs(args.jobs),
        sync: sync(args.sync.as_deref())?,
        strategy: args.strategy.clone(),
        split: split(args.split.as_deref())?,
        max_layers: args.max_layers.map_or(defaults.max_layers, |n| n as usize),
        names: names?,
        bills: args
            .sbom
            .iter()
            .map(|text| bill(text))
            .collect::<Result<_, _>>()?,
        base: args.base.as_deref().map(reference::parse).transpose()?,
        follow_links: args.follow_links,
        replace: args.replace,
        remove: args.remove.clone(),
        contents: args.contents.clone(),
        top: args.top.clone(),
        exclude: args.exclude.clone(),
        on_wait: Some(on_wait),
        lock_timeout: args.lock_timeout.map(Duration::from_secs),
        temporary: std::env::var_os("TMPDIR")
            .filter(|dir| !dir.is_empty())
            .map_or(defaults.temporary, PathBuf::from),
        cache: cache(args),
        cache_size: match &args.cache_size {
            Some(text) => bytes(text)?,
            None => defaults.cache_size,
        },
        outputs,
        inputs: inputs(args)?,
        wrappers: wrappers(args),
    })
}

/// Where layers are kept: nowhere for a plan, or if nobody has a home.
fn cache(args: &ImageArgs) -> Option<PathBuf> {
    if args.no_cache {
        return None;
    }
    args.cache.clone().or_else(super::cache::default_place)
}

/// Paths that hold others together and are no content of the image, should the graph
/// have them: nixpkgs writes the graph, the configuration and the environment into its
/// store as well.
fn wrappers(args: &ImageArgs) -> Vec<String> {
    let files = args.graph.iter().chain(&args.config_json).chain(&args.top);
    files
        .filter_map(|path| path.to_str().map(str::to_owned))
        .collect()
}

fn inputs(args: &ImageArgs) -> Result<Vec<Input>, Failure> {
    let mut inputs: Vec<_> = sources::graphs(args)?
        .into_iter()
        .map(Input::Graph)
        .collect();
    inputs.extend(sources::nix(args).map(Input::Nix));
    inputs.extend(sources::directories(args)?.into_iter().map(Input::Dir));
    if inputs.is_empty() && args.top.is_empty() && args.base.is_none() {
        return Err(Failure::usage("there is nothing to build from").hint(
            "give a directory, a --graph, a --nix store path or a --base; `plywood build --help` has more",
        ));
    }
    Ok(inputs)
}

/// `--sbom`.
fn bill(text: &str) -> Result<BillFormat, Failure> {
    Ok(match choice("sbom", text, ["spdx", "cyclonedx"])? {
        true => BillFormat::Spdx,
        false => BillFormat::CycloneDx,
    })
}

/// As many as asked; 0, or nothing, means all that this process may use.
fn jobs(asked: Option<u16>) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, NonZero::get);
    asked.filter(|&n| n > 0).map_or_else(all, usize::from)
}

/// `full`, which is also what nothing means, or `none`.
pub fn sync(text: Option<&str>) -> Result<SyncMode, Failure> {
    Ok(
        match choice("sync", text.unwrap_or("full"), ["full", "none"])? {
            true => SyncMode::Full,
            false => SyncMode::None,
        },
    )
}

/// How directories are split; `auto` if nothing is said.
fn split(text: Option<&str>) -> Result<Split, Failure> {
    Split::parse(text.unwrap_or("auto")).map_err(|error| Failure::usage(error.to_string()))
}

/// `SOURCE_DATE_EPOCH`, if it is set.
fn source_date_epoch() -> Result<Option<OffsetDateTime>, Failure> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match seconds("", &text) {
        Ok(moment) if digits => Ok(Some(moment)),
        _ => Err(Failure::usage(format!(
            "SOURCE_DATE_EPOCH `{text}` is not a number of seconds since 1970"
        ))),
    }
}

/// How attributes on disk become those of layers.
fn policy(args: &ImageArgs, epoch: Option<OffsetDateTime>) -> Result<Policy, Failure> {
    let mut policy = Policy::default();
    if let Some(epoch) = epoch {
        policy.epoch = epoch.unix_timestamp();
        policy.mtime = MtimeRule::Fixed(policy.epoch);
    }
    if let Some(text) = &args.owner {
        policy.owner = match owner(text)? {
            Some((uid, gid)) => OwnerRule::Fixed { uid, gid },
            None => OwnerRule::Keep,
        };
    }
    if let Some(text) = &args.mode {
        policy.mode = match choice("mode", text, ["keep", "normalize"])? {
            true => ModeRule::Keep,
            false => ModeRule::Normalize,
        };
    }
    if let Some(text) = &args.xattrs {
        policy.xattrs = match choice("xattrs", text, ["keep", "none"])? {
            true => XattrRule::Keep,
            false => XattrRule::None,
        };
    }
    if let Some(text) = &args.mtime {
        policy.mtime = mtime(text, epoch)?;
        if let MtimeRule::Fixed(secs) = policy.mtime {
            policy.epoch = secs;
        }
    }
    Ok(policy)
}

fn mtime(text: &str, epoch: Option<OffsetDateTime>) -> Result<MtimeRule, Failure> {
    let latest = epoch.map(OffsetDateTime::unix_timestamp);
    if text == "keep" {
        return Ok(MtimeRule::Keep { latest });
    }
    let number = text.strip_prefix('-').unwrap_or(text);
    let moment = if number.bytes().all(|b| b.is_ascii_digit()) {
        seconds("mtime", text)?
    } else {
        date("mtime", text)?
    };
    Ok(MtimeRule::Fixed(moment.unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let of = |mtime: &str, epoch: Option<i64>| {
            let args = ImageArgs {
                mtime: Some(mtime.into()),
                ..ImageArgs::default()
            };
            let epoch = epoch.map(|secs| OffsetDateTime::from_unix_timestamp(secs).unwrap());
            policy(&args, epoch).map(|p| (p.mtime, p.epoch))
        };
        assert_eq!(of("-5", None).unwrap(), (MtimeRule::Fixed(-5), -5));
        assert_eq!(of("5", Some(3)).unwrap(), (MtimeRule::Fixed(5), 5));
        assert_eq!(
            of("1970-01-01T00:00:09Z", None).unwrap(),
            (MtimeRule::Fixed(9), 9)
        );
        assert_eq!(
            of("keep", Some(3)).unwrap(),
            (MtimeRule::Keep { latest: Some(3) }, 3)
        );
        assert!(of("", None).is_err() && of("-", None).is_err() && of("1.5", None).is_err());
        let default = policy(&ImageArgs::default(), None).unwrap();
        assert_eq!((default.mtime, default.epoch), (MtimeRule::Fixed(1), 1));
    }
}
