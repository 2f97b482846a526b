//! The plan as a value.

use std::sync::Arc;

use num_bigint::BigUint;
use serde::{Deserialize, Serialize};

/// Which components share a layer: a partition of a closure, as a value that can be
/// printed, stored, compared and replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerPlan {
    /// Name and version of the strategy, `popularity@1`.
    pub strategy: String,
    /// The limit that the plan was made for; base layers and customisation included. 0 if it
    /// is not known any more.
    pub max_layers: usize,
    /// Lowest first.
    pub layers: Vec<PlanLayer>,
}

/// One layer of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLayer {
    /// Why this layer exists.
    pub kind: LayerKind,
    /// What a pinned layer was called.
    pub name: Option<String>,
    /// Its components in ranking order; empty for base and customisation.
    pub members: Vec<Member>,
}

/// One component's place in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The component's path.
    pub path: String,
    /// Its identity over versions, if that is not its path.
    pub name: Option<String>,
    /// Its version, where its source states one.
    pub version: Option<String>,
    /// Size in bytes, where its source states one.
    pub size: Option<u64>,
    /// Of its content, where its source states one.
    pub hash: Option<String>,
    /// Its popularity, where the strategy counts one.
    pub popularity: Option<Arc<BigUint>>,
}

/// Why a layer exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LayerKind {
    /// From the base image, carried untouched.
    Base,
    /// Components that were asked to share a layer.
    Pinned,
    /// One component alone.
    Single,
    /// Some of those that got no layer of their own, told apart by their names or referrers.
    Bin,
    /// All components that got no layer of their own.
    Rest,
    /// What every build rewrites.
    Volatile,
    /// The symlink join, added files, the top directory.
    Customisation,
}

impl LayerKind {
    /// As in JSON: `single`, `rest`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Pinned => "pinned",
            Self::Single => "single",
            Self::Bin => "bin",
            Self::Rest => "rest",
            Self::Volatile => "volatile",
            Self::Customisation => "customisation",
        }
    }

    /// The kind with this [name](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        use LayerKind::{Base, Bin, Customisation, Pinned, Rest, Single, Volatile};
        [Base, Pinned, Single, Bin, Rest, Volatile, Customisation]
            .into_iter()
            .find(|k| k.name() == name)
    }

    /// Whether a strategy decided what is in it.
    pub fn is_dealt(self) -> bool {
        matches!(self, Self::Single | Self::Bin | Self::Rest)
    }

    /// Why such a layer exists, for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Base => "from the base image",
            Self::Pinned => "asked to be together",
            Self::Single => "high enough in the ranking for a layer of its own",
            Self::Bin => "not high enough; together by name or by what needs them",
            Self::Rest => "not high enough; all the others",
            Self::Volatile => "rewritten by every build",
            Self::Customisation => "links, added files and directories of this image",
        }
    }
}

impl PlanLayer {
    pub(super) fn empty(kind: LayerKind) -> Self {
        Self {
            kind,
            name: None,
            members: Vec::new(),
        }
    }

    /// Bytes of all its members together, if all sizes are known.
    pub fn size(&self) -> Option<u64> {
        self.members
            .iter()
            .try_fold(0_u64, |sum, member| Some(sum.saturating_add(member.size?)))
    }
}

impl Member {
    /// What it is called over all its versions: its name, or its path if it has none.
    pub fn identity(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.path)
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
        for (layer, PlanLayer { kind, members, .. }) in self.layers.iter().enumerate() {
            if let Some((at, member)) = members.iter().enumerate().find(|(_, m)| m.path == path) {
                let (rank, company) = (before + at, members.len());
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
