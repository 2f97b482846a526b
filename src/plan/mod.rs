//! Order + limits → [`LayerPlan`]: which path goes into which layer.

mod json;
mod popularity;

use num_bigint::BigUint;

use crate::error::ErrorKind;
use crate::graph::Graph;
use crate::rank::Ranking;

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
    pub popularity: Option<BigUint>,
}

/// Why a layer exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
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

impl LayerKind {
    /// Its name in plans and annotations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Single => "single",
            Self::Rest => "rest",
            Self::Customisation => "customisation",
        }
    }
}

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
        let empty = |kind| PlanLayer {
            kind,
            members: Vec::new(),
        };
        let mut all = vec![empty(LayerKind::Base); self.base_layers];
        all.extend(layers);
        all.extend(self.customisation.then(|| empty(LayerKind::Customisation)));
        all
    }
}

/// Makes the plan of a strategy: every node of the graph in exactly one layer.
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
    let layers = match strategy {
        Strategy::Popularity1 => popularity::layers(graph, ranking, room),
    };
    Ok(LayerPlan {
        strategy: strategy.to_string(),
        max_layers: limits.max_layers,
        layers: limits.enclose(layers),
    })
}

/// The ways to make a plan; each is frozen under its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// `popularity@1`: the most popular paths alone, the others together.
    Popularity1,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Popularity1];

    /// Reads `popularity` (the newest version) or `popularity@1`.
    ///
    /// # Errors
    /// [`PlanError::UnknownStrategy`], which lists the known ones.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let known = Self::ALL.into_iter().rev();
        let named = |s: &Self| s.name() == text || s.versionless() == text;
        known
            .clone()
            .find(named)
            .ok_or_else(|| PlanError::UnknownStrategy { given: text.into() })
    }

    /// Name and version, `popularity@1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Popularity1 => "popularity@1",
        }
    }

    fn versionless(self) -> &'static str {
        self.name().split('@').next().unwrap_or_default()
    }
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where one component went, and in what company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Number of the layer, 0 is the lowest.
    pub layer: usize,
    /// What kind of layer that is.
    pub kind: LayerKind,
    /// Place among all components of the plan, 0 is the first.
    pub rank: usize,
    /// The component.
    pub member: &'a Member,
    /// How many components share the layer, this one included.
    pub company: usize,
}

impl LayerPlan {
    /// Where the component with this path went.
    pub fn explain(&self, path: &str) -> Option<Place<'_>> {
        let mut before = 0;
        for (layer, PlanLayer { kind, members }) in self.layers.iter().enumerate() {
            if let Some(at) = members.iter().position(|member| member.path == path) {
                let (rank, member, company) = (before + at, &members[at], members.len());
                return Some(Place {
                    layer,
                    kind: *kind,
                    rank,
                    member,
                    company,
                });
            }
            before += members.len();
        }
        None
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Too few layers allowed.
    #[error("{}", no_room_text(*wanted, *least, *base))]
    NoRoom {
        /// What was allowed.
        wanted: usize,
        /// What is needed at least.
        least: usize,
        /// Layers of the base image.
        base: usize,
    },
    /// No strategy of this name and version.
    #[error("no strategy `{given}`; there are {}", Strategy::ALL.map(Strategy::name).join(", "))]
    UnknownStrategy {
        /// As it was given.
        given: String,
    },
    /// Not a plan in JSON.
    #[error("not a layer plan: {reason}")]
    Malformed {
        /// What is wrong and where.
        reason: String,
    },
}

fn no_room_text(wanted: usize, least: usize, base: usize) -> String {
    let layers = if wanted == 1 {
        "layer is"
    } else {
        "layers are"
    };
    let why = match base {
        0 => "for the paths and for customisation".to_owned(),
        1 => "1 of the base image, and for the paths and for customisation".to_owned(),
        n => format!("{n} of the base image, and for the paths and for customisation"),
    };
    format!("{wanted} {layers} too few: at least {least} are needed ({why})")
}

impl PlanError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRoom { .. } | Self::UnknownStrategy { .. } => ErrorKind::Usage,
            Self::Malformed { .. } => ErrorKind::Input,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoRoom { least, .. } => Some(format!("allow --max-layers {least} or more")),
            Self::UnknownStrategy { .. } | Self::Malformed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
