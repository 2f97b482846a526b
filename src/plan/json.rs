//! A plan as JSON: the shape that `plan --json` prints and others rely on.

use std::sync::Arc;

use num_bigint::BigUint;
use serde::{Deserialize, Serialize};

use super::{LayerKind, LayerPlan, Member, PlanError, PlanLayer};

/// Version of the shape.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct PlanShape {
    version: u32,
    strategy: String,
    max_layers: usize,
    layers: Vec<LayerShape>,
}

#[derive(Serialize, Deserialize)]
struct LayerShape {
    kind: LayerKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    paths: Vec<MemberShape>,
}

#[derive(Serialize, Deserialize)]
struct MemberShape {
    path: String,
    /// In decimal: it may exceed what JSON numbers are good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    popularity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

impl LayerPlan {
    /// The plan as JSON, pretty, members in the documented order, without a line end.
    pub fn to_json(&self) -> String {
        let shape = PlanShape {
            version: VERSION,
            strategy: self.strategy.clone(),
            max_layers: self.max_layers,
            layers: self.layers.iter().map(LayerShape::from).collect(),
        };
        // Serialising strings and numbers to memory cannot fail.
        serde_json::to_string_pretty(&shape).unwrap_or_default()
    }

    /// Reads what [`to_json`](Self::to_json) wrote; unknown members are ignored.
    ///
    /// # Errors
    /// [`PlanError::Malformed`]: another version or shape, or a path in two layers.
    pub fn from_json(text: &[u8]) -> Result<Self, PlanError> {
        let shape: PlanShape = serde_json::from_slice(text).map_err(malformed)?;
        if shape.version != VERSION {
            let reason = format!("version {} is not {VERSION}", shape.version);
            return Err(PlanError::Malformed { reason });
        }
        let layers: Result<Vec<PlanLayer>, PlanError> =
            shape.layers.into_iter().map(PlanLayer::try_from).collect();
        let PlanShape {
            strategy,
            max_layers,
            ..
        } = shape;
        let plan = Self {
            strategy,
            max_layers,
            layers: layers?,
        };
        plan.each_path_once()?;
        Ok(plan)
    }

    fn each_path_once(&self) -> Result<(), PlanError> {
        let mut paths: Vec<&str> = self
            .layers
            .iter()
            .flat_map(|l| &l.members)
            .map(|m| m.path.as_str())
            .collect();
        paths.sort_unstable();
        match paths.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(malformed(format!("{} is in it twice", pair[0]))),
            None => Ok(()),
        }
    }
}

fn malformed(reason: impl std::fmt::Display) -> PlanError {
    PlanError::Malformed {
        reason: reason.to_string(),
    }
}

impl From<&PlanLayer> for LayerShape {
    fn from(layer: &PlanLayer) -> Self {
        let PlanLayer {
            kind,
            name,
            members,
        } = layer;
        Self {
            kind: *kind,
            name: name.clone(),
            paths: members.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Member> for MemberShape {
    /// A plan by popularity says of a graph exactly what it always said.
    fn from(member: &Member) -> Self {
        let Member {
            path,
            name,
            version,
            size,
            hash,
            popularity,
        } = member.clone();
        match popularity {
            Some(count) => Self {
                path,
                popularity: Some(count.to_string()),
                name: None,
                version,
                size: None,
                hash: None,
            },
            None => Self {
                path,
                popularity: None,
                name,
                version,
                size,
                hash,
            },
        }
    }
}

impl TryFrom<LayerShape> for PlanLayer {
    type Error = PlanError;

    fn try_from(shape: LayerShape) -> Result<Self, PlanError> {
        let LayerShape { kind, name, paths } = shape;
        let members: Result<Vec<Member>, PlanError> =
            paths.into_iter().map(Member::try_from).collect();
        Ok(Self {
            kind,
            name,
            members: members?,
        })
    }
}

impl TryFrom<MemberShape> for Member {
    type Error = PlanError;

    fn try_from(shape: MemberShape) -> Result<Self, PlanError> {
        let MemberShape {
            path,
            name,
            version,
            size,
            hash,
            popularity,
        } = shape;
        let number = |text: String| {
            BigUint::parse_bytes(text.as_bytes(), 10)
                .map(Arc::new)
                .ok_or_else(|| malformed(format!("the popularity `{text}` of {path} is no number")))
        };
        let popularity = popularity.map(number).transpose()?;
        Ok(Self {
            path,
            name,
            version,
            size,
            hash,
            popularity,
        })
    }
}
