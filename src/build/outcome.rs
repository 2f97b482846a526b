//! What a build made, and what the image says of its layers.

use crate::blob::{Descriptor, DiffId, Digest};
use crate::image::{Annotations, ImageLayer, IndexEntry, Platform, annotations};
use crate::layer::LayerBlob;
use crate::plan::{LayerKind, LayerPlan, PlanLayer};
use crate::source::store_name;

use super::{BuildRequest, Made};

/// What a build made.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the manifest.
    pub digest: Digest,
    /// Of the configuration: the image ID.
    pub config_digest: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// What was attached to it.
    pub attached: Vec<IndexEntry>,
    /// Names under which it can be found.
    pub tags: Vec<String>,
    /// The layers of the base image, lowest first.
    pub base: Vec<(Descriptor, DiffId)>,
    /// Those above them, lowest first.
    pub layers: Vec<LayerOutcome>,
}

/// One layer that a build made.
#[derive(Clone, Debug)]
pub struct LayerOutcome {
    /// Why it exists.
    pub kind: LayerKind,
    /// The blob and its diff ID.
    pub blob: LayerBlob,
    /// The components in it.
    pub paths: Vec<String>,
}

impl LayerOutcome {
    /// Digest of the uncompressed tar.
    pub fn diff_id(&self) -> &DiffId {
        &self.blob.diff_id
    }
}

pub(super) fn of(
    request: &BuildRequest,
    plan: &LayerPlan,
    made: &Made,
    attached: &[IndexEntry],
) -> Outcome {
    let Made { blobs, image } = made;
    let own = plan
        .layers
        .iter()
        .filter(|layer| layer.kind != LayerKind::Base);
    let layers = own.zip(blobs).map(|(layer, blob)| LayerOutcome {
        kind: layer.kind,
        blob: blob.clone(),
        paths: paths(layer),
    });
    let names = request.names.iter().map(ToString::to_string);
    let tags = request
        .outputs
        .iter()
        .filter_map(|output| output.tag.clone());
    let mut tags: Vec<String> = names.chain(tags).collect();
    tags.dedup();
    Outcome {
        digest: image.manifest.descriptor.digest.clone(),
        config_digest: image.config.descriptor.digest.clone(),
        platform: image.platform().clone(),
        attached: attached.to_vec(),
        tags,
        base: { image.layers() }
            .take(image.layers().len() - blobs.len())
            .map(|(layer, diff_id)| (layer.descriptor.clone(), diff_id.clone()))
            .collect(),
        layers: layers.collect(),
    }
}

fn paths(layer: &PlanLayer) -> Vec<String> {
    layer
        .members
        .iter()
        .map(|member| member.path.clone())
        .collect()
}

/// How many paths a history entry names; the annotations name all.
const NAMED: usize = 12;

/// What is in a layer, in words: its history entry.
pub(super) fn description(layer: &PlanLayer, request: &BuildRequest) -> String {
    if layer.kind == LayerKind::Customisation {
        let mut contents = request.contents.clone();
        contents.sort();
        contents.dedup();
        let links = some_of("links to", &contents);
        let removed = some_of("removes", &request.remove);
        let said: Vec<_> = links.into_iter().chain(removed).collect();
        return match said.as_slice() {
            [] => "plywood: customisation".to_owned(),
            said => format!("plywood: {}", said.join("; ")),
        };
    }
    format!("plywood: {}", some(&paths(layer)))
}

fn some_of(what: &str, paths: &[String]) -> Option<String> {
    (!paths.is_empty()).then(|| format!("{what} {}", some(paths)))
}

fn some(paths: &[String]) -> String {
    let shown = paths
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    match paths.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The plan, kept in the image: so the previous image is all the state there is.
pub(super) fn layer_annotations(layer: &PlanLayer) -> Annotations {
    let kind = layer.kind.name().to_owned();
    let mut said = Annotations::from([(annotations::LAYER_KIND.to_owned(), kind)]);
    let lists = [
        (annotations::LAYER_PATHS, layer.said_paths()),
        (
            annotations::LAYER_COMPONENTS,
            layer.said_components(store_name),
        ),
        (annotations::LAYER_VERSIONS, layer.said_versions()),
    ];
    for (key, list) in lists {
        said.extend(list.map(|list| (key.to_owned(), list)));
    }
    said
}

/// Registries need take manifests of 4 MiB only: beyond half of that the longest
/// lists are left out.
pub(super) fn limit_annotations(layers: &mut [ImageLayer]) {
    const MOST: usize = 2 << 20;
    let lists = [
        annotations::LAYER_PATHS,
        annotations::LAYER_COMPONENTS,
        annotations::LAYER_VERSIONS,
    ];
    let length = |layer: &ImageLayer| -> usize {
        let lists = lists.iter().filter_map(|key| layer.annotations.get(*key));
        lists.map(String::len).sum()
    };
    let mut total: usize = layers.iter().map(length).sum();
    while total > MOST {
        let Some(longest) = layers.iter_mut().max_by_key(|layer| length(layer)) else {
            return;
        };
        total -= length(longest);
        for key in lists {
            longest.annotations.remove(key);
        }
    }
}
