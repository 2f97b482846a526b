//! The one call that runs the whole line.

mod attach;
mod base;
mod content;
mod deliver;
mod error;
mod gather;
mod jobs;
mod layers;
mod outcome;
mod recall;
mod request;
mod resolve;

pub use error::BuildError;
pub use layers::plan_of;
pub use outcome::{LayerOutcome, Outcome};
pub use request::{BillFormat, BuildRequest, Input, Output, OutputForm};

use crate::Error;
use crate::blob::Digest;
use crate::cache::TreeMemory;
use crate::image::{
    self, Annotations, Image, ImageLayer, Index, IndexEntry, Platform, annotations, assemble,
    rehearse,
};
use crate::layer::{LayerBlob, Progress, build_layers};
use crate::layout::Layout;
use crate::plan::{LayerKind, LayerPlan, Limits, PlanError, Strategy};
use crate::source::{Closure, Content};
use crate::tree::Memory;

use base::{Base, Rules};
use content::Trees;
use deliver::Delivery;
use recall::Recall;

/// What goes into an image and how it is layered, before anything is read or written.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The components and their references.
    pub closure: Closure,
    /// Which of them share a layer.
    pub plan: LayerPlan,
    /// What was passed over or could not be followed, in words.
    pub warnings: Vec<String>,
}

/// Runs the line as far as the plan: sources → closure → ranking → plan.
///
/// # Errors
/// [`Error`] of whichever room failed.
pub fn plan(request: &BuildRequest) -> Result<Planned, Error> {
    let base = open_base(request)?;
    plan_on(request, base.as_ref(), None)
}

/// What earlier builds found in trees. Without a place for it, they are looked at anew.
fn remember(request: &BuildRequest) -> Option<TreeMemory> {
    let opened = TreeMemory::open(request.cache.as_ref()?, &request.temporary);
    let told = opened.inspect_err(|error| tracing::debug!(%error, "trees are not remembered"));
    told.ok()
}

fn open_base(request: &BuildRequest) -> Result<Option<Base>, BuildError> {
    let asked = [
        ("remove", !request.remove.is_empty()),
        ("follow-links", request.follow_links),
        ("replace", request.replace),
    ];
    match asked.into_iter().find(|(_, asked)| *asked) {
        Some((flag, _)) if request.base.is_none() => Err(BuildError::NoBase { flag }),
        _ => Base::open(request.base.as_ref(), request.config.platform.as_ref()),
    }
}

fn plan_on(
    request: &BuildRequest,
    base: Option<&Base>,
    memory: Option<&dyn Memory>,
) -> Result<Planned, Error> {
    let image = base.map(|base| &base.image);
    rehearse(&request.config, image, &request.annotations)?;
    let strategy = strategy(request)?;
    let (closure, mut warnings) = gather::closure(request, memory)?;
    let store = closure
        .components
        .iter()
        .any(|c| matches!(c.content, Content::Store { .. }));
    let customisation = store
        || closure.graph.is_empty() && base.is_none()
        || !request.remove.is_empty()
        || !request.contents.is_empty()
        || !request.top.is_empty();
    let limits = Limits {
        max_layers: request.max_layers,
        base_layers: Base::depth(base),
        customisation,
    };
    let (plan, more) = layers::deal(request, &closure, strategy, limits)?;
    warnings.extend(more);
    Ok(Planned {
        closure,
        plan,
        warnings,
    })
}

/// What was asked for, or what suits the inputs.
fn strategy(request: &BuildRequest) -> Result<Strategy, PlanError> {
    let plain = |input: &Input| matches!(input, Input::Dir(_));
    match &request.strategy {
        Some(name) => Strategy::parse(name),
        None if request.inputs.iter().all(plain) => Ok(Strategy::FOR_TREES),
        None => Ok(Strategy::FOR_GRAPHS),
    }
}

/// Runs the line: sources → closure → ranking → plan → layers → image → targets.
///
/// The same request and the same sources give the same bytes, whatever `jobs` and
/// the machine.
///
/// # Errors
/// [`Error`] of whichever room failed; nothing is named in any output then, but
/// outputs before the one that failed are complete.
pub fn build(request: &BuildRequest, progress: &dyn Progress) -> Result<Outcome, Error> {
    let memory = remember(request);
    let memory = memory.as_ref();
    let ready = Ready::new(request, memory, progress)?;
    let delivery = Delivery::open(request, progress)?;
    let made = ready.make(&delivery, progress)?;
    let attached = attach::all(request, &made.image, &ready.closure, delivery.store())?;
    let entry = made.image.entry(Annotations::new());
    delivery.send(request, &entry, &attached)?;
    delivery.close(request, memory);
    Ok(outcome::of(request, &ready.plan, &made, &attached))
}

/// Builds one image for several platforms: one request each, best first, the outputs
/// and names of the first.
///
/// # Errors
/// As [`build`], and [`Error::Image`] for a platform that two requests name.
pub fn build_platforms(
    requests: &[BuildRequest],
    progress: &dyn Progress,
) -> Result<(Digest, Vec<Outcome>), Error> {
    let Some(first) = requests.first() else {
        return Err(BuildError::NoOutput.into());
    };
    check_platforms(requests)?;
    let memory = remember(first);
    let memory = memory.as_ref();
    let ready = { requests.iter() }.map(|request| Ready::new(request, memory, progress));
    let ready: Vec<Ready> = ready.collect::<Result<_, Error>>()?;
    let delivery = Delivery::open(first, progress)?;
    let (mut entries, mut outcomes, mut attached) = (Vec::new(), Vec::new(), Vec::new());
    for ready in &ready {
        let made = ready.make(&delivery, progress)?;
        entries.push(made.image.entry(Annotations::new()));
        let about = attach::all(ready.request, &made.image, &ready.closure, delivery.store())?;
        outcomes.push(outcome::of(first, &ready.plan, &made, &about));
        attached.extend(about);
    }
    let index = Index::for_platforms(entries, Annotations::new())?;
    image::write(delivery.store(), &index)?;
    let entry = IndexEntry::from(index.descriptor.clone());
    delivery.send(first, &entry, &attached)?;
    delivery.close(first, memory);
    Ok((index.descriptor.digest, outcomes))
}

/// Refuses what could not be one image, before anything is made of it.
fn check_platforms(requests: &[BuildRequest]) -> Result<(), BuildError> {
    let mut seen: Vec<&Platform> = Vec::new();
    for request in requests {
        let docker = |output: &&Output| output.form == OutputForm::DockerArchive;
        if requests.len() > 1 && request.outputs.iter().any(|output| docker(&output)) {
            return Err(BuildError::OnePlatform {
                count: requests.len(),
            });
        }
        let Some(platform) = &request.config.platform else {
            continue;
        };
        if seen.iter().any(|other| other.serves(platform)) {
            return Err(BuildError::PlatformTwice {
                platform: platform.to_string(),
            });
        }
        seen.push(platform);
    }
    Ok(())
}

/// A request of which everything was read that can be refused before anything is written.
struct Ready<'r> {
    request: &'r BuildRequest,
    base: Option<Base>,
    closure: Closure,
    plan: LayerPlan,
    trees: Trees<'r>,
}

/// What a request has become.
struct Made {
    blobs: Vec<LayerBlob>,
    image: Image,
}

impl<'r> Ready<'r> {
    fn new(
        request: &'r BuildRequest,
        memory: Option<&'r TreeMemory>,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let memory = memory.map(|memory| memory as &dyn Memory);
        // A base in the layout that is written to keeps it from being swept.
        for output in request.outputs.iter().filter(|_| request.base.is_some()) {
            if let Some(path) = &output.path {
                Layout::sweep_the_dead(path);
            }
        }
        let base = open_base(request)?;
        let Planned {
            closure,
            plan,
            warnings,
        } = plan_on(request, base.as_ref(), memory)?;
        warnings.iter().for_each(|text| progress.warn(text));
        deliver::check_outputs(request, &closure)?;
        let rules = Rules {
            follow_links: request.follow_links,
            replace: request.replace,
        };
        let ground = base.as_ref().map(|base| base.ground(rules)).transpose()?;
        let trees = Trees::open(request, &closure, ground, memory)?;
        Ok(Self {
            request,
            base,
            closure,
            plan,
            trees,
        })
    }

    /// Makes the layers and the documents, and puts them into the store.
    fn make(&self, delivery: &Delivery, progress: &dyn Progress) -> Result<Made, Error> {
        let (request, store) = (self.request, delivery.store());
        let recall = Recall {
            cache: delivery.cache(),
            store: delivery.directory(),
            request,
            progress,
        };
        let jobs = jobs::jobs(&self.trees, &self.plan, &self.closure, recall);
        let blobs = build_layers(jobs, request.codec, store, request.jobs, progress)?;
        if let Some(base) = &self.base {
            base.copy_to(store)?;
        }
        let image = image(request, self.base.as_ref(), &self.plan, &blobs)?;
        image.write_to(store)?;
        Ok(Made { blobs, image })
    }
}

fn image(
    request: &BuildRequest,
    base: Option<&Base>,
    plan: &LayerPlan,
    blobs: &[LayerBlob],
) -> Result<Image, Error> {
    let own = plan
        .layers
        .iter()
        .filter(|layer| layer.kind != LayerKind::Base);
    let mut layers: Vec<ImageLayer> = Vec::new();
    for (layer, blob) in own.zip(blobs) {
        let created_by = outcome::description(layer, request);
        layers.push(ImageLayer {
            blob: blob.clone(),
            created_by,
            annotations: outcome::layer_annotations(layer),
        });
    }
    outcome::limit_annotations(&mut layers);
    let mut said = request.annotations.clone();
    said.entry(annotations::STRATEGY.to_owned())
        .or_insert_with(|| plan.strategy.clone());
    let base = base.map(|base| &base.image);
    Ok(assemble(&request.config, base, &layers, &said)?)
}
