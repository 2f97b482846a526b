//! Where an image goes: a graph of blobs is copied, children before parents.

mod archive;
mod copy;
mod docker;
mod docker_archive;
mod docker_manifest;
mod error;
mod layout;
mod members;
mod oci;
mod origin;
mod output;
mod tarball;

pub use archive::ArchiveStore;
pub use copy::{closure, copy_graph};
pub use docker::DockerArchive;
pub use error::TargetError;
pub use layout::LayoutTarget;
pub use oci::OciArchive;
pub use origin::{Form, ImageRef, Origin};
pub use output::Output;

use crate::blob::BlobStore;
use crate::image::IndexEntry;

/// A place that images are copied to; a new output is a new implementation and nothing else.
pub trait Target {
    /// Copies everything reachable from `entries` and then names them.
    ///
    /// # Errors
    /// [`TargetError`]; nothing is named then.
    fn send(&mut self, from: &dyn BlobStore, entries: &[IndexEntry]) -> Result<(), TargetError>;
}
