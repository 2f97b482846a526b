//! Order + limits → [`LayerPlan`]: which path goes into which layer.

use crate::error::ErrorKind;

/// Which components share a layer: a partition of a closure, as a value that can be
/// printed, stored, compared and replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerPlan {
    /// Name and version of the strategy, `popularity@1`.
    pub strategy: String,
    /// The limit that the plan was made for; base layers and customisation included.
    pub max_layers: usize,
    /// Lowest first.
    pub layers: Vec<PlanLayer>,
}

/// One layer of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLayer {
    /// Why this layer exists.
    pub kind: LayerKind,
    /// Its components in ranking order; empty for base and customisation.
    pub members: Vec<Member>,
}

/// One component's place in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The component's path.
    pub path: String,
    /// Its popularity, where the strategy counts one.
    pub popularity: Option<num_bigint::BigUint>,
}

/// Why a layer exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LayerKind {
    /// From the base image, carried untouched.
    Base,
    /// One component alone.
    Single,
    /// All components that got no layer of their own.
    Rest,
    /// The symlink join, added files, the top directory.
    Customisation,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Too few layers allowed.
    #[error(
        "{wanted} layers do not fit: a plan needs at least {least} ({base} of them from the base image)"
    )]
    NoRoom {
        /// What was allowed.
        wanted: usize,
        /// What is needed at least.
        least: usize,
        /// Layers of the base image.
        base: usize,
    },
}

impl PlanError {
    pub(crate) fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    pub(crate) fn hint(&self) -> Option<String> {
        None
    }
}
