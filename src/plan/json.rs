//! A plan as JSON: the shape that `plan --json` prints and others rely on.

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
    paths: Vec<MemberShape>,
}

#[derive(Serialize, Deserialize)]
struct MemberShape {
    path: String,
    /// In decimal: it may exceed what JSON numbers are good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    popularity: Option<String>,
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
        let shape = |member: &Member| MemberShape {
            path: member.path.clone(),
            popularity: member.popularity.as_ref().map(ToString::to_string),
        };
        Self {
            kind: layer.kind,
            paths: layer.members.iter().map(shape).collect(),
        }
    }
}

impl TryFrom<LayerShape> for PlanLayer {
    type Error = PlanError;

    fn try_from(shape: LayerShape) -> Result<Self, PlanError> {
        let member = |MemberShape { path, popularity }: MemberShape| {
            let number = |text: String| {
                BigUint::parse_bytes(text.as_bytes(), 10).ok_or_else(|| {
                    malformed(format!("the popularity `{text}` of {path} is no number"))
                })
            };
            let popularity = popularity.map(number).transpose()?;
            Ok(Member { path, popularity })
        };
        let members: Result<Vec<Member>, PlanError> = shape.paths.into_iter().map(member).collect();
        Ok(Self {
            kind: shape.kind,
            members: members?,
        })
    }
}
