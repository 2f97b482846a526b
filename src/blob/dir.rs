//! A store in a directory: `blobs/ALGORITHM/HEX` of an image layout.

/// Blobs in a directory.
pub struct DirStore {}

/// Whether blobs are on stable storage when `finish` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// fsync every blob, every directory.
    #[default]
    Full,
    /// Leave it to the operating system.
    None,
}
