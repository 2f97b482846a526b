//! Copying a graph of blobs: children before parents, skipping what is there.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::TargetError;
use crate::blob::{BlobStore, Descriptor};
use crate::image::{ImageError, NESTING_LIMIT};
use crate::layout::{is_branch, successors};

/// Copies everything that `root` leads to, itself last; all of it is verified on the way.
///
/// # Errors
/// [`TargetError::Image`] for what cannot be followed, before anything is copied;
/// [`TargetError::Blob`].
pub fn copy_graph(
    from: &dyn BlobStore,
    to: &dyn BlobStore,
    root: &Descriptor,
) -> Result<(), TargetError> {
    let (branches, leaves): (Vec<_>, Vec<_>) = closure(from, std::slice::from_ref(root))?
        .into_iter()
        .partition(|descriptor| is_branch(&descriptor.media_type));
    let copy = |descriptor: &Descriptor| -> Result<(), TargetError> {
        if !to.contains(descriptor)? {
            to.import(from, descriptor)?;
        }
        Ok(())
    };
    // Leaves have no order among them, and each is a hash of its own.
    leaves.par_iter().try_for_each(copy)?;
    branches.iter().try_for_each(copy)
}

/// Every blob that the roots lead to, once each in a role, children before parents.
///
/// # Errors
/// As [`copy_graph`].
pub fn closure(
    store: &dyn BlobStore,
    roots: &[Descriptor],
) -> Result<Vec<Descriptor>, TargetError> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    // Each level: the document, and those of its children that were not visited yet.
    let mut levels: Vec<(Option<Descriptor>, Vec<Descriptor>)> = Vec::new();
    levels.push((None, roots.iter().rev().cloned().collect()));
    while let Some((_, children)) = levels.last_mut() {
        let Some(next) = children.pop() else {
            order.extend(levels.pop().and_then(|(document, _)| document));
            continue;
        };
        // As a manifest and as a mere file a blob may be listed both: only one is followed.
        if !seen.insert((next.digest.clone(), is_branch(&next.media_type))) {
            continue;
        }
        // A layout's own index.json is a level more, its manifests and their layers are two.
        if levels.len() > NESTING_LIMIT + 2 {
            let (digest, limit) = (next.digest, NESTING_LIMIT);
            return Err(ImageError::Nested { digest, limit }.into());
        }
        let mut children = successors(store, &next)?;
        children.reverse();
        levels.push((Some(next), children));
    }
    Ok(order)
}
