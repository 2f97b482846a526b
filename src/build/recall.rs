//! Layers that need not be made again: what identifies each, and the cache behind it.

use super::BuildRequest;
use crate::blob::DirStore;
use crate::cache::{Cache, Key, KeyBuilder};
use crate::layer::{LayerBlob, Progress};
use crate::tree::{Identity, Listing, Parents, Part};

/// A tree of a layer.
#[derive(Clone)]
pub(super) struct Ingredient {
    pub path: String,
    pub known: Known,
    pub part: Part,
}

/// How a component's files are told from all others without another look at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// They are not.
    Not,
    /// By the hash that makes a store path immutable.
    Hashed(String),
    /// By how they were found on this disk a moment ago, with the directories above them.
    Seen(Identity),
}

/// The cache of a build; without one, nothing is recalled and nothing kept.
#[derive(Clone, Copy)]
pub(super) struct Recall<'b> {
    pub cache: Option<&'b Cache>,
    /// Where the build's blobs are.
    pub store: Option<&'b DirStore>,
    pub request: &'b BuildRequest,
    pub progress: &'b dyn Progress,
}

impl Recall<'_> {
    /// The layer of an identity, if it was made before.
    pub(super) fn find(&self, key: Option<&Key>) -> Option<LayerBlob> {
        self.cache?.find(key?, self.store?)
    }

    /// Remembers a layer. A cache that is full or gone fails no build.
    pub(super) fn keep(&self, key: Option<&Key>, blob: &LayerBlob) {
        let (Some(cache), Some(store), Some(key)) = (self.cache, self.store, key) else {
            return;
        };
        if let Err(error) = cache.keep(key, blob, store) {
            tracing::warn!(%error, "a layer was not put into the cache");
        }
    }

    /// Tells what was left out of a layer that is not made again.
    pub(super) fn warn(&self, listing: &Listing) {
        let warnings = listing.warnings().iter();
        warnings.for_each(|text| self.progress.warn(text));
    }

    /// Whether looking is worth anything.
    pub(super) fn may_know(&self) -> bool {
        self.cache.is_some_and(|cache| !cache.is_empty())
    }

    /// Whether anything will be kept.
    pub(super) fn is_on(&self) -> bool {
        self.cache.is_some() && self.store.is_some()
    }

    fn builder(&self) -> KeyBuilder {
        KeyBuilder::new(&self.request.policy, self.request.codec)
    }

    /// The key of what is known: nothing below it is looked at. `None` if one of them is
    /// not.
    pub(super) fn of_known(
        &self,
        what: &str,
        from: &[Ingredient],
        parents: &Parents,
    ) -> Option<KeyBuilder> {
        let mut sorted: Vec<&Ingredient> = from.iter().collect();
        sorted.sort_by(|a, b| a.path.cmp(&b.path));
        let mut key = self.builder();
        key.what(what);
        // A component may be of several trees, and is known as a whole.
        for same in sorted.chunk_by(|a, b| a.path == b.path) {
            let [ingredient, ..] = same else { continue };
            match &ingredient.known {
                Known::Not => return None,
                Known::Seen(identity) => key.seen(&ingredient.path, identity),
                Known::Hashed(hash) => {
                    let facts = ingredient.part.facts().ok()?;
                    key.store_path(&ingredient.path, hash, &facts);
                    for above in ingredient.part.dest.ancestors() {
                        key.parent(&above, &parents.attributes(&above).ok()?);
                    }
                }
            }
        }
        Some(key)
    }

    /// The key of trees as they were found.
    ///
    /// `None` if something in them changed so lately that it could change again and
    /// look the same (git's racy-timestamp rule), or in the future.
    pub(super) fn of_listing(&self, listing: &Listing) -> Option<Key> {
        let mut key = self.builder();
        key.what("found");
        self.add_listing(&mut key, listing)?;
        Some(key.finish())
    }

    /// Adds what a listing found.
    pub(super) fn add_listing(&self, key: &mut KeyBuilder, listing: &Listing) -> Option<()> {
        let Some(identities) = listing.identities() else {
            return self.add_entries(key, listing);
        };
        let identities = identities.iter();
        identities.for_each(|identity| key.seen("", identity));
        for index in (0..listing.len()).filter(|index| listing.is_made(*index)) {
            key.found(&listing.entry(index), &listing.facts(index));
        }
        Some(())
    }

    /// Adds each entry; extended attributes are told by the time of change.
    fn add_entries(&self, key: &mut KeyBuilder, listing: &Listing) -> Option<()> {
        let settled = self.cache?.settled();
        for index in 0..listing.len() {
            let facts = listing.facts(index);
            if !settled.trusts(facts.changed) {
                return None;
            }
            key.found(&listing.entry(index), &facts);
        }
        Some(())
    }
}
