//! A store in memory: for tests, and for documents on their way to a layout.

/// Blobs in memory.
#[derive(Default)]
pub struct MemoryStore {}
