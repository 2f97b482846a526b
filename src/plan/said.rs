//! The plan that an image keeps of itself, in annotations.

use serde_json::Value;

use super::{LayerKind, LayerPlan, Member, PlanError, PlanLayer};

/// What an image says of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// The [kind](LayerKind::name).
    pub kind: &'a str,
    /// A JSON list of the components' paths.
    pub paths: Option<&'a str>,
    /// A JSON list of their identities, in the order of the paths, if those are others.
    pub components: Option<&'a str>,
    /// A JSON list of their versions, in the order of the paths, if any is known.
    pub versions: Option<&'a str>,
}

impl PlanLayer {
    /// The components' paths as a JSON list; nothing for a layer without components.
    pub fn said_paths(&self) -> Option<String> {
        let paths = self.members.iter().map(|member| member.path.as_str());
        (!self.members.is_empty()).then(|| paths.collect::<Value>().to_string())
    }

    /// The components' identities as a JSON list, if any is other than what `derived` makes
    /// of its path.
    pub fn said_components(&self, derived: impl Fn(&str) -> Option<String>) -> Option<String> {
        let own = |member: &Member| member.name.is_some() && member.name != derived(&member.path);
        let names = self.members.iter().map(Member::identity);
        { self.members.iter() }
            .any(own)
            .then(|| names.collect::<Value>().to_string())
    }

    /// The components' versions as a JSON list, if any is known.
    pub fn said_versions(&self) -> Option<String> {
        let versions = { self.members.iter() }.map(|member| member.version.as_deref());
        { self.members.iter() }
            .any(|member| member.version.is_some())
            .then(|| versions.collect::<Value>().to_string())
    }
}

impl LayerPlan {
    /// Reads back what an image says of its plan: name and version of the strategy, and of
    /// each layer what [`Said`] has; nothing for layers that no plan made. Sizes and hashes are
    /// lost; `derived` makes names from paths where the image keeps none, as
    /// [`said_components`](PlanLayer::said_components) was told.
    ///
    /// # Errors
    /// [`PlanError::Unsaid`] for an image without a plan, or with a foreign one.
    pub fn from_annotations<'a>(
        strategy: Option<&str>,
        layers: impl IntoIterator<Item = Option<Said<'a>>>,
        derived: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, PlanError> {
        let Some(strategy) = strategy else {
            let reason = "the image does not say how it was planned".to_owned();
            return Err(PlanError::Unsaid { reason });
        };
        let read = |(number, said): (usize, Option<Said<'a>>)| {
            let layer = match said {
                None => Some(PlanLayer::empty(LayerKind::Base)),
                Some(said) => layer(said, &derived),
            };
            layer.ok_or_else(|| PlanError::Unsaid {
                reason: format!(
                    "layer {} of the image says nothing that plywood wrote",
                    number + 1
                ),
            })
        };
        let layers = layers.into_iter().enumerate().map(read);
        Ok(Self {
            strategy: strategy.to_owned(),
            max_layers: 0,
            layers: layers.collect::<Result<_, _>>()?,
        })
    }
}

fn layer(said: Said<'_>, derived: &impl Fn(&str) -> Option<String>) -> Option<PlanLayer> {
    let kind = LayerKind::parse(said.kind)?;
    let Some(paths) = said.paths else {
        // Lists that would make a manifest too long are left out.
        let empty = matches!(kind, LayerKind::Base | LayerKind::Customisation);
        return empty.then(|| PlanLayer::empty(kind));
    };
    let paths: Vec<String> = serde_json::from_str(paths).ok()?;
    let names: Vec<Option<String>> = match said.components {
        None => paths.iter().map(|path| derived(path)).collect(),
        Some(list) => {
            let names: Vec<String> = serde_json::from_str(list).ok()?;
            names.into_iter().map(Some).collect()
        }
    };
    let versions: Vec<Option<String>> = match said.versions {
        None => vec![None; paths.len()],
        Some(list) => serde_json::from_str(list).ok()?,
    };
    let member = |((path, name), version): ((String, Option<String>), Option<String>)| Member {
        name: name.filter(|name| *name != path),
        path,
        version,
        size: None,
        hash: None,
        popularity: None,
    };
    let complete = names.len() == paths.len() && versions.len() == paths.len();
    let all = paths.into_iter().zip(names).zip(versions);
    complete.then(|| PlanLayer {
        kind,
        name: None,
        members: all.map(member).collect(),
    })
}
