//! Closure → plan, as far as that takes more than one image.

use super::BuildRequest;
use crate::Error;
use crate::image::{Image, IndexEntry, annotations};
use crate::plan::{
    self, Facts, Items, LayerPlan, Limits, Pins, PlanError, Said, Sibling, Strategy, draw, fleet,
};
use crate::source::{Closure, store_name};

/// The plan of a closure, and what could not be followed.
pub(super) fn deal(
    request: &BuildRequest,
    closure: &Closure,
    strategy: Strategy,
    limits: Limits,
) -> Result<(LayerPlan, Vec<String>), Error> {
    let items = Items::new(&closure.graph, facts(closure));
    if !request.fleet.is_empty() {
        return Ok((in_fleet(request, items, limits)?, Vec::new()));
    }
    let wanted = plan::Request {
        pins: request.pins.clone(),
        previous: { request.previous.clone() }.map(|previous| previous.named_by(store_name)),
        ..plan::Request::new(strategy, limits)
    };
    Ok(draw(items, &wanted)?)
}

fn in_fleet(
    request: &BuildRequest,
    items: Items<'_>,
    limits: Limits,
) -> Result<LayerPlan, PlanError> {
    let sibling = |plan| Sibling::new(plan, &items, limits.max_layers);
    let siblings: Vec<Sibling> = request.fleet.iter().map(sibling).collect();
    let none = Pins::default();
    let mut ships = vec![(items, limits, &request.pins)];
    ships.extend(siblings.iter().map(|sibling| {
        let (items, limits) = sibling.ship();
        (items, limits, &none)
    }));
    Ok(fleet(ships)?.swap_remove(0))
}

fn facts(closure: &Closure) -> Vec<Facts<'_>> {
    let facts = closure.components.iter().map(|component| Facts {
        name: component.name.as_deref(),
        version: component.version.as_deref(),
        size: component.size,
        hash: component.hash.as_deref(),
        volatile: component.volatile,
        own: component.own,
    });
    facts.collect()
}

/// The plan that an image keeps of itself; it knows paths, names and versions, no sizes.
///
/// # Errors
/// [`PlanError::Unsaid`] if plywood did not plan it.
pub fn plan_of(image: &Image) -> Result<LayerPlan, PlanError> {
    let manifest = &image.manifest.value;
    let layers = image.layers().map(|(layer, _)| said(layer));
    let strategy = manifest.annotations.get(annotations::STRATEGY);
    LayerPlan::from_annotations(strategy.map(String::as_str), layers, store_name)
}

fn said(layer: &IndexEntry) -> Option<Said<'_>> {
    let text = |key| layer.annotations.get(key).map(String::as_str);
    Some(Said {
        kind: text(annotations::LAYER_KIND)?,
        paths: text(annotations::LAYER_PATHS),
        components: text(annotations::LAYER_COMPONENTS),
        versions: text(annotations::LAYER_VERSIONS),
    })
}
