//! The ways to make a plan, by name and version.

use super::items::{Group, Items};
use super::{PlanError, auto, balanced, popularity, size};
use crate::graph::NodeId;

/// The ways to make a plan; each is frozen under its version, because a planner that
/// changes makes the world download everything again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// `popularity@1`: the most popular paths alone, the others together.
    Popularity1,
    /// `balanced@1`: the largest alone, the others in bins by a hash of their names.
    Balanced1,
    /// `balanced@2`: the same, the largest lowest, what is the image's own apart and highest.
    Balanced2,
    /// `size@1`: the largest alone, the others together.
    Size1,
    /// `auto@1`: the largest with what only they need, shared needs by who shares them.
    Auto1,
}

impl Strategy {
    /// All of them, in the order in which they are worth reading about.
    pub const ALL: [Self; 5] = [
        Self::Popularity1,
        Self::Balanced1,
        Self::Balanced2,
        Self::Size1,
        Self::Auto1,
    ];

    /// Reads `popularity` (the newest version) or `popularity@1`.
    ///
    /// # Errors
    /// [`PlanError::UnknownStrategy`], which lists the known ones.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let named = |s: &Self| s.name() == text || s.versionless() == text;
        // Later versions of a strategy stand behind earlier ones.
        let found = Self::ALL.into_iter().rev().find(named);
        found.ok_or_else(|| PlanError::UnknownStrategy { given: text.into() })
    }

    /// What reference graphs get if nobody asks.
    pub const FOR_GRAPHS: Self = Self::Popularity1;
    /// What plain directories and package-managed trees get if nobody asks.
    pub const FOR_TREES: Self = Self::Balanced2;

    /// Name and version, `popularity@1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Popularity1 => "popularity@1",
            Self::Balanced1 => "balanced@1",
            Self::Balanced2 => "balanced@2",
            Self::Size1 => "size@1",
            Self::Auto1 => "auto@1",
        }
    }

    pub(super) fn versionless(self) -> &'static str {
        self.name().split('@').next().unwrap_or_default()
    }

    /// Deals out these nodes to at most `room` groups, lowest first.
    pub(super) fn deal(self, items: &Items<'_>, nodes: &[NodeId], room: usize) -> Vec<Group> {
        match self {
            Self::Popularity1 => popularity::deal(items, nodes, room),
            Self::Balanced1 => balanced::deal(items, nodes, room),
            Self::Balanced2 => balanced::deal_apart(items, nodes, room),
            Self::Size1 => size::deal(items, nodes, room),
            Self::Auto1 => auto::deal(items, nodes, room),
        }
    }
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
