//! Plans that were made before: `--previous`, `--fleet` and `--compare`.

use std::path::{Path, PathBuf};

use plywood::ErrorKind;
use plywood::blob::BlobStore;
use plywood::image::{Image, ImageError, IndexEntry, Platform};
use plywood::layout::Layout;
use plywood::plan::{LayerPlan, Pins, PlanError, Previous};
use plywood::target::ArchiveStore;

use super::args::ImageArgs;
use super::config::read;
use super::exit::Failure;
use super::names;

/// `--layer` and `--layers-file`: the file's layers come first.
pub fn pins(args: &ImageArgs) -> Result<Pins, Failure> {
    let mut pins = Pins::default();
    if let Some(path) = &args.layers_file {
        let name = path.display().to_string();
        let text = String::from_utf8(read(path)?).map_err(|fault| {
            Failure::new(ErrorKind::Input, format!("{name} is refused")).because(fault.to_string())
        })?;
        pins.add_file(&text, &name).map_err(plywood::Error::from)?;
    }
    for text in &args.layer {
        pins.add_flag(text).map_err(plywood::Error::from)?;
    }
    Ok(pins)
}

/// `--previous`: never fails, the reason becomes a warning.
pub fn previous(args: &ImageArgs, platform: Option<&Platform>) -> Option<Previous> {
    let place = args.previous.as_ref()?;
    Some(match plan(place, platform) {
        Ok(plan) => Previous::from_plan(&plan),
        Err(failure) => {
            let why = failure.line();
            Previous::unusable(format!(
                "--previous {} is of no use: {why}",
                place.display()
            ))
        }
    })
}

/// `--fleet`.
pub fn fleet(args: &ImageArgs, platform: Option<&Platform>) -> Result<Vec<LayerPlan>, Failure> {
    if !args.fleet.is_empty() {
        let other = [
            ("--strategy", args.strategy.is_some()),
            ("--previous", args.previous.is_some()),
        ];
        if let Some((flag, _)) = other.iter().find(|(_, given)| *given) {
            let text = format!("--fleet and {flag} do not go together");
            return Err(Failure::usage(text).hint("a fleet has a strategy of its own, fleet@1"));
        }
    }
    args.fleet
        .iter()
        .map(|place| plan(place, platform))
        .collect()
}

/// The plan of an image, or the one that a file of JSON holds.
pub fn plan(place: &Path, platform: Option<&Platform>) -> Result<LayerPlan, Failure> {
    let unsaid = |error: PlanError| {
        Failure::from(plywood::Error::from(error)).hint("`plywood plan --json` prints plans")
    };
    match find(place)? {
        Found::Plan(path) => LayerPlan::from_json(&read(&path)?).map_err(unsaid),
        Found::Layout(path, name) => {
            let layout = Layout::open(&path)?;
            let entry = layout.resolve(name.as_deref())?;
            let image = load(layout.blobs(), &entry, platform)?;
            plywood::build::plan_of(&image).map_err(unsaid)
        }
        Found::Archive(path, name) => {
            let store = ArchiveStore::open(&path).map_err(plywood::Error::from)?;
            let entry = entry(&store, name.as_deref())?;
            let image = load(&store, entry, platform)?;
            plywood::build::plan_of(&image).map_err(unsaid)
        }
    }
}

/// The only image, or of several the one for this platform.
fn load(
    store: &dyn BlobStore,
    entry: &IndexEntry,
    platform: Option<&Platform>,
) -> Result<Image, ImageError> {
    match Image::load(store, entry, None) {
        Err(ImageError::ManyPlatforms { .. }) if platform.is_some() => {
            Image::load(store, entry, platform)
        }
        done => done,
    }
}

enum Found {
    Plan(PathBuf),
    Layout(PathBuf, Option<String>),
    Archive(PathBuf, Option<String>),
}

/// What is meant: a prefix says it, else what is there.
fn find(place: &Path) -> Result<Found, Failure> {
    let text = place.to_string_lossy();
    for prefix in ["oci-archive:", "docker-archive:"] {
        if let Some(rest) = text.strip_prefix(prefix) {
            let (path, name) = split_name(rest);
            return Ok(Found::Archive(path, name));
        }
    }
    if !text.starts_with("oci:") && place.is_file() {
        let start = read(place)?;
        let json = start.trim_ascii_start().starts_with(b"{");
        return Ok(match json {
            true => Found::Plan(place.to_owned()),
            false => Found::Archive(place.to_owned(), None),
        });
    }
    let (path, name) = names::reference(place)?;
    Ok(Found::Layout(path, name))
}

/// `FILE[:TAG]`; a file that is there is no file with a tag.
fn split_name(text: &str) -> (PathBuf, Option<String>) {
    match text.split_once(':') {
        Some((path, name)) if !Path::new(text).exists() => (path.into(), Some(name.to_owned())),
        _ => (text.into(), None),
    }
}

fn entry<'s>(store: &'s ArchiveStore, name: Option<&str>) -> Result<&'s IndexEntry, Failure> {
    let entries = store.entries();
    let found = match (name, entries) {
        (None, [first, rest @ ..]) => {
            { rest.iter().all(|e| e.descriptor == first.descriptor) }.then_some(first)
        }
        (name, entries) => entries.iter().find(|entry| entry.ref_name() == name),
    };
    found.ok_or_else(|| {
        let known: Vec<_> = entries.iter().filter_map(IndexEntry::ref_name).collect();
        let place = store.path().display();
        let text = match name {
            Some(name) => format!("there is no image `{name}` in {place}"),
            None => format!("{place} holds {} images", entries.len()),
        };
        Failure::new(ErrorKind::Input, text).hint(format!("its tags: {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_archives_may_have_tags() {
        assert_eq!(split_name("a.tar"), ("a.tar".into(), None));
        assert_eq!(
            split_name("a.tar:r/x:1"),
            ("a.tar".into(), Some("r/x:1".into()))
        );
    }
}
