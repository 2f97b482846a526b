//! Plans that were made before: `--previous`, `--fleet` and `--compare`.

use std::io::Read;
use std::path::Path;

use plywood::ErrorKind;
use plywood::blob::BlobStore;
use plywood::image::{Image, ImageError, IndexEntry, Platform};
use plywood::plan::{LayerPlan, Pins, PlanError, Previous};
use plywood::target::Origin;

use super::args::ImageArgs;
use super::config::read;
use super::exit::Failure;
use super::reference;

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
    if is_plan(place)? {
        return LayerPlan::from_json(&read(place)?).map_err(unsaid);
    }
    let reference = reference::parse(place)?;
    let origin = Origin::open(&reference)?;
    let entry = origin.entry(reference.name.as_deref(), platform)?;
    let image = load(origin.store(), &entry, platform)?;
    plywood::build::plan_of(&image).map_err(unsaid)
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

/// Whether a file is a plan in JSON rather than an archive.
fn is_plan(place: &Path) -> Result<bool, Failure> {
    if !place.is_file() {
        return Ok(false);
    }
    let mut start = Vec::new();
    let opened = std::fs::File::open(place);
    let read = opened.and_then(|file| file.take(256).read_to_end(&mut start));
    read.map_err(|fault| Failure::io(&format!("read {}", place.display()), &fault))?;
    Ok(start.trim_ascii_start().starts_with(b"{"))
}
