//! Order + limits → [`LayerPlan`]: which path goes into which layer.
//!
//! [`draw`] is the way from components to their plan: pinned components and what every build
//! rewrites are taken out, a [`Strategy`] deals out the others, or, with a
//! [`Previous`] plan at hand, they stay where they were. [`fleet`] plans several images
//! at once.

mod auto;
mod balanced;
mod compare;
mod error;
mod fleet;
mod items;
mod json;
mod layers;
mod picture;
mod pins;
mod popularity;
mod previous;
mod said;
mod size;
mod strategy;

use std::borrow::Cow;

use crate::graph::{Graph, NodeId};
use crate::rank::{self, Ranking};

pub use compare::{Cause, Comparand, Comparison, compare, total};
pub use error::PlanError;
pub use fleet::{Sibling, fleet};
pub use items::{Facts, Items};
pub use layers::{LayerKind, LayerPlan, Member, Place, PlanLayer};
pub use picture::{dot, svg};
pub use pins::Pins;
pub use previous::Previous;
pub use said::Said;
pub use strategy::Strategy;

use items::Group;

/// How many layers a plan may have, and which of them are spoken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Everything counts: base layers, components, customisation.
    pub max_layers: usize,
    /// Layers of the base image.
    pub base_layers: usize,
    /// Whether the customisation layer exists; room for it is kept in any case.
    pub customisation: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_layers: 100,
            base_layers: 0,
            customisation: true,
        }
    }
}

impl Limits {
    /// Layers left for components: all but the base's and the customisation layer.
    fn room(self) -> Result<usize, PlanError> {
        let least = self.base_layers.saturating_add(2);
        if self.max_layers < least {
            let Self {
                max_layers: wanted,
                base_layers: base,
                ..
            } = self;
            return Err(PlanError::NoRoom {
                wanted,
                least,
                base,
            });
        }
        Ok(self.max_layers - self.base_layers - 1)
    }

    /// The base's layers below, the customisation layer above.
    fn enclose(self, layers: impl IntoIterator<Item = PlanLayer>) -> Vec<PlanLayer> {
        let mut all = vec![PlanLayer::empty(LayerKind::Base); self.base_layers];
        all.extend(layers);
        all.extend(
            self.customisation
                .then(|| PlanLayer::empty(LayerKind::Customisation)),
        );
        all
    }
}

/// What is asked of the planner.
#[derive(Clone, Debug)]
pub struct Request {
    /// How components are dealt out.
    pub strategy: Strategy,
    /// How many layers there may be.
    pub limits: Limits,
    /// Components that are asked to share a layer, whatever the strategy says.
    pub pins: Pins,
    /// The plan of an earlier image, to stay close to.
    pub previous: Option<Previous>,
}

impl Request {
    /// This strategy within these limits, nothing else.
    pub fn new(strategy: Strategy, limits: Limits) -> Self {
        Self {
            strategy,
            limits,
            pins: Pins::default(),
            previous: None,
        }
    }
}

/// Makes the plan of an image: every component in exactly one layer.
///
/// Beside the plan come warnings: what was asked for and could not be followed.
///
/// # Errors
/// [`PlanError::NoRoom`] if the base image leaves fewer than two layers;
/// [`PlanError::TooManyPins`]; [`PlanError::Unmatched`] for a pin without components.
pub fn draw(
    mut items: Items<'_>,
    request: &Request,
) -> Result<(LayerPlan, Vec<String>), PlanError> {
    let Request {
        strategy,
        limits,
        pins,
        previous,
    } = request;
    let room = limits.room()?;
    if *strategy == Strategy::Popularity1 {
        items.ranking = Some(Cow::Owned(rank::popularity(items.graph)));
    }
    let special = Special::take(&items, pins, room)?;
    let mut warnings = Vec::new();
    let dealt = match previous {
        None => strategy.deal(&items, &special.others, special.room),
        Some(previous) => previous.follow(
            &items,
            &special.others,
            special.room,
            *strategy,
            &mut warnings,
        ),
    };
    let layers = special
        .around(dealt)
        .into_iter()
        .map(|group| items.layer(group));
    let (strategy, max_layers) = (strategy.to_string(), limits.max_layers);
    Ok((
        LayerPlan {
            strategy,
            max_layers,
            layers: limits.enclose(layers),
        },
        warnings,
    ))
}

/// Makes the plan of a bare graph: no sizes, no names but the paths.
///
/// # Errors
/// [`PlanError::NoRoom`] if the base image leaves fewer than two layers;
/// [`PlanError::UnknownStrategy`].
pub fn make(
    graph: &Graph,
    ranking: &Ranking,
    strategy: &str,
    limits: Limits,
) -> Result<LayerPlan, PlanError> {
    let strategy = Strategy::parse(strategy)?;
    let room = limits.room()?;
    let by_popularity = strategy == Strategy::Popularity1;
    let mut items = Items::new(graph, Vec::new());
    items.ranking = by_popularity.then_some(Cow::Borrowed(ranking));
    let nodes: Vec<NodeId> = graph.nodes().collect();
    let layers = strategy
        .deal(&items, &nodes, room)
        .into_iter()
        .map(|group| items.layer(group));
    let (strategy, max_layers) = (strategy.to_string(), limits.max_layers);
    Ok(LayerPlan {
        strategy,
        max_layers,
        layers: limits.enclose(layers),
    })
}

/// What no strategy deals out: pinned layers and the volatile one.
struct Special {
    low: Vec<Group>,
    high: Vec<Group>,
    volatile: Option<Group>,
    /// All that a strategy deals out.
    others: Vec<NodeId>,
    /// How many layers there are for them.
    room: usize,
}

impl Special {
    fn take(items: &Items<'_>, pins: &Pins, room: usize) -> Result<Self, PlanError> {
        let pins::Pinned { low, high, others } = pins.apply(items)?;
        let (mut volatile, others): (Vec<NodeId>, Vec<NodeId>) = others
            .into_iter()
            .partition(|node| items.is_volatile(*node));
        items.sort_by_name(&mut volatile);
        let volatile = Group::of_all(LayerKind::Volatile, volatile);
        let taken = low.len() + high.len() + usize::from(volatile.is_some());
        let rest = !others.is_empty();
        if taken + usize::from(rest) > room {
            let fitting = room.saturating_sub(usize::from(volatile.is_some()) + usize::from(rest));
            return Err(PlanError::TooManyPins {
                origin: pins.origin_of(fitting),
                pins: taken,
                room,
                rest,
            });
        }
        Ok(Self {
            low,
            high,
            volatile,
            others,
            room: room - taken,
        })
    }

    /// All groups, the lowest first.
    fn around(&self, dealt: Vec<Group>) -> Vec<Group> {
        let above = self.high.iter().chain(&self.volatile).cloned();
        self.low.iter().cloned().chain(dealt).chain(above).collect()
    }
}

#[cfg(test)]
mod tests;
