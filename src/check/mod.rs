//! `verify`: the specification's rules held against a finished image; `diff`, and a look inside.
//!
//! Independent of the code that writes: layouts and archives are read here byte by byte,
//! not through `layout` and `target`, so that a fault of theirs shows.

mod base;
mod blobs;
mod diff;
mod docker;
mod documents;
mod entries;
mod layer;
mod layout;
mod place;
mod stack;
mod view;

pub use crate::fault::{Fault, Level};
pub use base::verify_layers;
pub use diff::{ChangeKind, FileChange, ImageDiff, LayerNote, diff, diff_files};
pub use view::{Detail, Shown, View, ViewError, name_of, open_file};

use std::path::Path;

use crate::blob::BlobError;

use self::place::Place;

/// Holds a layout directory, an OCI archive or a docker archive against every rule that can be checked.
///
/// The list is sorted by place and stable from run to run. Blobs are read once,
/// in parallel, in bounded memory. An image is whole if no fault
/// [`fails`](Fault::fails); the others are warnings.
///
/// In images that name their base, rules of the level [`Level::Field`] are
/// warnings where layers are concerned: a base is carried as it is.
///
/// # Errors
/// [`BlobError::Io`] if the place itself cannot be read.
pub fn verify(path: &Path) -> Result<Vec<Fault>, BlobError> {
    let place = place::open(path).map_err(|source| BlobError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    Ok(verify_place(&*place))
}

fn verify_place(place: &dyn Place) -> Vec<Fault> {
    let mut faults = place.faults().to_vec();
    let is_docker = !place.files().contains_key("oci-layout") && place.is_archive();
    if place.is_opaque() {
        return faults;
    }
    if is_docker && place.files().contains_key("manifest.json") {
        faults.extend(docker::verify(place));
    } else {
        faults.extend(layout::verify(place));
    }
    faults.sort();
    faults.dedup();
    faults
}
