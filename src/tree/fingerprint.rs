//! [`Fingerprint`]: the [`Identity`] of some entries of a listing.

use blake3::Hasher;

use super::listing::Listing;
use super::memory::{Identity, Settled};
use super::node::{Span, Tag};

/// Gathers what tells some entries from others: each as it is on this disk, and the
/// directories above them as a layer records them.
pub struct Fingerprint<'l> {
    listing: &'l Listing,
    settled: Settled,
    hasher: Hasher,
    sound: bool,
    text: Vec<u8>,
}

impl<'l> Fingerprint<'l> {
    /// Of nothing yet. Entries that have changed since `settled` cannot be told from
    /// themselves after the next change.
    pub fn new(listing: &'l Listing, settled: Settled) -> Self {
        Self {
            listing,
            settled,
            hasher: Hasher::new(),
            sound: true,
            text: Vec::new(),
        }
    }

    /// Adds an entry: its place, and every fact about its file.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn entry(&mut self, at: usize) {
        let (dir, node) = self.listing.at(at);
        self.sound &= self.settled.trusts(node.changed);
        self.path(at, node.tag as u8);
        let (major, minor) = self.listing.devices.number(node.dev);
        let facts = [
            node.secs.cast_unsigned(),
            node.changed.cast_unsigned(),
            node.ino,
            u64::from(major) << 32 | u64::from(minor),
            u64::from(node.nanos) << 32 | u64::from(node.mode),
            u64::from(node.uid) << 32 | u64::from(node.gid),
        ];
        self.numbers(facts);
        match node.tag {
            Tag::Symlink => self.bytes(dir.text(Span::unpack(node.data))),
            Tag::Dir => {}
            _ => self.numbers([node.data]),
        }
        self.flush();
    }

    /// Adds a directory that only leads to entries: its place, and what a layer says of it.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn directory(&mut self, at: usize) {
        let entry = self.listing.entry(at);
        self.path(at, u8::MAX);
        let owner = u64::from(entry.meta.uid) << 32 | u64::from(entry.meta.gid);
        let rest = u64::from(entry.meta.mtime.nanos) << 32 | u64::from(entry.meta.mode);
        self.numbers([entry.meta.mtime.secs.cast_unsigned(), owner, rest]);
        self.numbers([entry.xattrs.len() as u64]);
        for (name, value) in &entry.xattrs {
            self.bytes(name);
            self.bytes(value);
        }
        self.flush();
    }

    /// The identity of all that was added; `None` if some of it changed too lately.
    pub fn finish(self) -> Option<Identity> {
        self.sound.then(|| Identity::finish(self.hasher))
    }

    fn path(&mut self, at: usize, kind: u8) {
        let (dir, node) = self.listing.at(at);
        self.text.push(kind);
        self.bytes(dir.path.as_bytes());
        self.bytes(dir.name(node));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.numbers([bytes.len() as u64]);
        self.text.extend_from_slice(bytes);
    }

    fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
        self.text.extend(bytes);
    }

    fn flush(&mut self) {
        self.hasher.update(&self.text);
        self.text.clear();
    }
}
