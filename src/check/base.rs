//! [`verify_layers`]: an image of others, before something is built on it.

use rayon::prelude::*;

use super::ViewError;
use super::layer;
use crate::blob::{BlobStore, Descriptor, DiffId};
use crate::fault::{Fault, Level};
use crate::image::Image;

/// Reads every layer of an image in parallel and holds it against the image's promises:
/// digest and size of the blob, `diff_id` of the tar, and the MUSTs of the layer chapter.
///
/// # Errors
/// [`ViewError`] naming the lowest layer at fault and its first fault.
pub fn verify_layers(store: &dyn BlobStore, image: &Image) -> Result<(), ViewError> {
    let layers: Vec<_> = image.layers().collect();
    let results: Vec<_> = { layers.par_iter() }
        .map(|(layer, diff_id)| verify_one(store, &layer.descriptor, diff_id))
        .collect();
    results.into_iter().collect()
}

fn verify_one(
    store: &dyn BlobStore,
    layer: &Descriptor,
    promised: &DiffId,
) -> Result<(), ViewError> {
    let digest = layer.digest.clone();
    let reader = store.open(layer)?;
    let algorithms = [promised.0.algorithm()];
    let report = layer::read(
        reader,
        digest.algorithm(),
        &layer.media_type,
        layer.size,
        &algorithms,
    );
    let report = match report {
        Ok(report) => report,
        Err(source) => return Err(ViewError::unreadable(digest, source)),
    };
    let must = report
        .faults
        .into_iter()
        .find(|fault| fault.level == Level::Must);
    let wrong = report.diff_ids.first().filter(|real| **real != promised.0);
    let wrong = wrong.map(|real| {
        let text = format!("unpacks to {real}, and its config promises {promised}");
        Fault::new(Level::Must, 65, "", text)
    });
    match must.or(wrong) {
        Some(fault) => Err(ViewError::Layer { digest, fault }),
        None => Ok(()),
    }
}
