//! An image layout as a target.

use super::{Target, TargetError, copy_graph};
use crate::blob::BlobStore;
use crate::image::IndexEntry;
use crate::layout::Layout;

/// Copies into a layout and names images there.
pub struct LayoutTarget<'a> {
    layout: &'a Layout,
}

impl<'a> LayoutTarget<'a> {
    /// A layout that was opened for writing.
    pub fn new(layout: &'a Layout) -> Self {
        Self { layout }
    }
}

impl Target for LayoutTarget<'_> {
    fn send(&mut self, from: &dyn BlobStore, entries: &[IndexEntry]) -> Result<(), TargetError> {
        for entry in entries {
            copy_graph(from, self.layout.blobs(), &entry.descriptor)?;
        }
        Ok(self.layout.publish(entries)?)
    }
}
