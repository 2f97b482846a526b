//! Why there is no plan.

use super::Strategy;
use crate::error::ErrorKind;

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
    /// An image that does not say how it was planned, or not as plywood does.
    #[error("{reason}")]
    Unsaid {
        /// What is missing, and on which layer.
        reason: String,
    },
    /// Pinned layers that leave no room.
    #[error(
        "{}{pins} pinned and volatile layers{} do not fit into {room}",
        origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default(),
        if *rest { " and one for everything else" } else { "" }
    )]
    TooManyPins {
        /// The flag, or file and line, of the first pin for which there is no layer.
        origin: Option<String>,
        /// Layers that are asked for.
        pins: usize,
        /// Layers that there are for components.
        room: usize,
        /// Whether there are components beside.
        rest: bool,
    },
    /// A pinned layer whose description makes no sense.
    #[error("{origin}: {reason}")]
    Pin {
        /// The flag, or file and line.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A pinned layer that no component asks to be in.
    #[error("{origin}: no component matches {glob}")]
    Unmatched {
        /// The flag, or file and line.
        origin: String,
        /// The glob, or all of them.
        glob: String,
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
        n => format!("{n} of the base image, and for the paths and for customisation"),
    };
    format!("{wanted} {layers} too few: at least {least} are needed ({why})")
}

impl PlanError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRoom { .. } | Self::UnknownStrategy { .. } | Self::TooManyPins { .. } => {
                ErrorKind::Usage
            }
            Self::Malformed { .. }
            | Self::Unsaid { .. }
            | Self::Pin { .. }
            | Self::Unmatched { .. } => ErrorKind::Input,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoRoom { least, .. } => Some(format!("allow --max-layers {least} or more")),
            Self::TooManyPins {
                pins, room, rest, ..
            } => {
                let more = pins + usize::from(*rest) - room;
                Some(format!(
                    "allow {more} more with --max-layers, or pin fewer layers"
                ))
            }
            Self::Unmatched { .. } => Some(
                "a glob with `/` is held against paths, one without against names; \
                 `optional = true` in a layers file lets it match nothing"
                    .into(),
            ),
            Self::UnknownStrategy { .. }
            | Self::Malformed { .. }
            | Self::Unsaid { .. }
            | Self::Pin { .. } => None,
        }
    }
}
