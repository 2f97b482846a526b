//! A plan kept in an image's annotations, so that the image itself is the state for
//! [`Previous`](super::Previous).

use std::collections::BTreeMap;

use super::{LayerPlan, PlanLayer};

/// On the manifest: name and version of the strategy.
pub const STRATEGY: &str = "dev.plywood.strategy";
/// On a layer's descriptor: its [kind](super::LayerKind::name).
pub const KIND: &str = "dev.plywood.layer.kind";
/// On a layer's descriptor: the names of its components, a JSON list.
pub const COMPONENTS: &str = "dev.plywood.layer.components";

impl LayerPlan {
    /// What the manifest says of the plan.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(STRATEGY.to_owned(), self.strategy.clone())])
    }
}

impl PlanLayer {
    /// What the layer's descriptor says of it: kind and names, sorted.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let mut names: Vec<&str> = self.members.iter().map(super::Member::identity).collect();
        names.sort_unstable();
        let names = serde_json::Value::from(names).to_string();
        BTreeMap::from([
            (KIND.to_owned(), self.kind.name().to_owned()),
            (COMPONENTS.to_owned(), names),
        ])
    }
}
