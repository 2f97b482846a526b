//! Plan → one job a layer: how it is found among those made before, and how listed.

use super::content::Trees;
use super::recall::{Ingredient, Known, Recall};
use crate::cache::Key;
use crate::layer::{LayerBlob, LayerJob, LayerSource};
use crate::plan::{LayerKind, LayerPlan, PlanLayer};
use crate::source::Closure;
use crate::tree::{Listing, Part, TreeError};

/// One job a layer, in the order of the plan; base layers have none.
pub(super) fn jobs<'t>(
    trees: &'t Trees<'_>,
    plan: &LayerPlan,
    closure: &Closure,
    recall: Recall<'t>,
) -> Vec<LayerJob<'t>> {
    let own = plan.layers.iter();
    let own = own.filter(|layer| layer.kind != LayerKind::Base);
    own.map(|layer| match layer.kind {
        LayerKind::Customisation => LayerJob {
            source: Box::new(Last::new(trees, recall)),
            expected: 0,
        },
        _ => LayerJob {
            source: Box::new(Piled::new(trees, layer, recall)),
            expected: expected(layer, closure),
        },
    })
    .collect()
}

/// A tree of unknown size may be the largest of all.
fn expected(layer: &PlanLayer, closure: &Closure) -> u64 {
    let size = |path: &str| closure.component(closure.graph.find(path)?).size;
    let sizes = layer.members.iter();
    let sizes = sizes.map(|member| size(&member.path).unwrap_or(1 << 40));
    sizes.fold(0, u64::saturating_add)
}

/// A layer of components.
struct Piled<'t> {
    trees: &'t Trees<'t>,
    recall: Recall<'t>,
    from: Vec<Ingredient>,
    /// What identifies it, as soon as that is known; none if nothing safe does.
    key: Option<Key>,
    /// What was listed to find it and can be used to make it.
    listing: Option<Listing>,
}

impl<'t> Piled<'t> {
    fn new(trees: &'t Trees<'_>, layer: &PlanLayer, recall: Recall<'t>) -> Self {
        let members = layer.members.iter();
        let from = members.filter_map(|member| trees.parts.get(&member.path));
        Self {
            trees,
            recall,
            from: from.flatten().cloned().collect(),
            key: None,
            listing: None,
        }
    }

    fn parts(&self) -> Vec<Part> {
        self.from.iter().map(|from| from.part.clone()).collect()
    }

    /// The key of a layer of which nothing has to be looked at.
    fn of_known(&self) -> Option<Key> {
        if !self.recall.is_on() || !self.from.iter().all(|from| self.is_apart(from)) {
            return None;
        }
        let parents = &self.trees.parents;
        Some(self.recall.of_known("store", &self.from, parents)?.finish())
    }

    /// Whether what a base has in a tree's place, which decides its bytes as well, is nothing.
    fn is_apart(&self, from: &Ingredient) -> bool {
        let Some(ground) = &self.trees.ground else {
            return true;
        };
        matches!(from.known, Known::Hashed(_)) && !ground.knows(&from.part.dest)
    }

    fn looked_at(&mut self) -> Option<LayerBlob> {
        let listing = self.trees.list(self.parts(), Vec::new(), false).ok()?;
        self.key = self.recall.of_listing(&listing);
        let found = self.recall.find(self.key.as_ref());
        match &found {
            Some(_) => self.recall.warn(&listing),
            // Good for making the layer, too.
            None => self.listing = Some(listing),
        }
        found
    }
}

impl LayerSource for Piled<'_> {
    fn known(&mut self) -> Option<LayerBlob> {
        self.key = self.of_known();
        match &self.key {
            Some(key) => self.recall.find(Some(key)),
            None if self.recall.may_know() => self.looked_at(),
            None => None,
        }
    }

    fn list(&mut self) -> Result<Listing, TreeError> {
        let listing = match self.listing.take() {
            Some(listing) => listing,
            None => self.trees.list(self.parts(), Vec::new(), false)?,
        };
        if self.key.is_none() && self.recall.is_on() {
            self.key = self.recall.of_listing(&listing);
        }
        Ok(listing)
    }

    fn made(&mut self, blob: &LayerBlob) {
        self.recall.keep(self.key.as_ref(), blob);
    }
}

/// The last layer, which is small as a rule.
///
/// It is recalled where no plain tree lies below it, with which it would have to be
/// compared.
struct Last<'t> {
    trees: &'t Trees<'t>,
    recall: Recall<'t>,
    key: Option<Key>,
}

impl<'t> Last<'t> {
    fn new(trees: &'t Trees<'_>, recall: Recall<'t>) -> Self {
        Self {
            trees,
            recall,
            key: None,
        }
    }

    /// Its key, and what of it is on disk.
    fn key(&self) -> Option<(Key, Listing)> {
        let contents = self.trees.request.contents.iter();
        let from = contents.filter_map(|path| self.trees.parts.get(path));
        let from: Vec<Ingredient> = from.flatten().cloned().collect();
        let mut key = self.recall.of_known("join", &from, &self.trees.parents)?;
        let top = self.trees.top.clone();
        let top = self.trees.list(top, Vec::new(), false).ok()?;
        self.recall.add_listing(&mut key, &top)?;
        Some((key.finish(), top))
    }
}

impl LayerSource for Last<'_> {
    fn known(&mut self) -> Option<LayerBlob> {
        let mut below = self.trees.parts.values().flatten();
        let plain = below.any(|from| !matches!(from.known, Known::Hashed(_)));
        if plain || self.trees.ground.is_some() || !self.recall.is_on() {
            return None;
        }
        let (key, top) = self.key()?;
        let found = self.recall.find(Some(&key));
        if found.is_some() {
            self.recall.warn(&top);
        }
        self.key = Some(key);
        found
    }

    fn list(&mut self) -> Result<Listing, TreeError> {
        self.trees.customisation()
    }

    fn made(&mut self, blob: &LayerBlob) {
        self.recall.keep(self.key.as_ref(), blob);
    }
}
