//! [`Key`]: everything that decides a layer's bytes, hashed.

use crate::blob::{Algorithm, Digest, Hasher};
use crate::layer::Codec;
use crate::tree::{Device, Entry, Facts, Identity, Kind, Meta, Policy, TreePath, Xattrs};

/// Version of plywood's layer encoding. Whatever changes a layer's bytes for the same
/// tree, policy and codec must raise it.
pub const FORMAT: u32 = 1;

/// The name of a layer before it is made: 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Digest);

impl Key {
    /// The digits: a file name.
    pub fn as_str(&self) -> &str {
        self.0.hex()
    }
}

/// Collects what decides a layer's bytes, each item with its length in front, so
/// that no two different layers are one text.
pub struct KeyBuilder(Hasher);

impl KeyBuilder {
    /// Begins with what holds for the whole layer.
    pub fn new(policy: &Policy, codec: Codec) -> Self {
        let mut builder = Self(Hasher::new(Algorithm::Sha256));
        builder.item(
            format!(
                "plywood layer {FORMAT} {policy:?} {codec:?} {:?}",
                codec.compressor()
            )
            .as_bytes(),
        );
        builder
    }

    /// In which way the layer is made of what follows.
    pub fn what(&mut self, what: &str) {
        self.item(what.as_bytes());
    }

    /// A directory above the layer's own trees, with the attributes that other trees
    /// give it.
    pub fn parent(&mut self, path: &TreePath, attributes: &Option<(Meta, Xattrs)>) {
        self.item(b"parent");
        self.item(path.as_bytes());
        self.item(format!("{attributes:?}").as_bytes());
    }

    /// An immutable path: its place, its hash, and which copy of it on this machine.
    pub fn store_path(&mut self, path: &str, hash: &str, facts: &Facts) {
        self.item(b"store");
        self.item(path.as_bytes());
        self.item(hash.as_bytes());
        self.facts(facts);
    }

    /// Files on this disk that are told from all others already.
    pub fn seen(&mut self, path: &str, identity: &Identity) {
        self.item(b"seen");
        self.item(path.as_bytes());
        self.item(identity.as_bytes());
    }

    /// An entry on disk as it was found, and where it goes.
    pub fn found(&mut self, entry: &Entry, facts: &Facts) {
        self.item(entry.path.as_bytes());
        match &entry.kind {
            Kind::Dir => self.item(b"d"),
            Kind::Fifo => self.item(b"p"),
            Kind::File { size } => self.numbers(b'f', [*size]),
            Kind::Char(device) => self.numbers(b'c', numbers(*device)),
            Kind::Block(device) => self.numbers(b'b', numbers(*device)),
            Kind::Symlink { target } => {
                self.item(b"s");
                self.item(target);
            }
            Kind::HardLink { target } => {
                self.item(b"h");
                self.item(target.as_bytes());
            }
        }
        let Meta {
            mode,
            uid,
            gid,
            mtime,
        } = entry.meta;
        self.numbers(b'm', [mode, uid, gid, mtime.nanos]);
        self.numbers(b't', [mtime.secs.cast_unsigned()]);
        self.facts(facts);
    }

    fn facts(&mut self, facts: &Facts) {
        let Facts {
            inode,
            modified,
            changed,
        } = *facts;
        let seconds = [modified.secs.cast_unsigned(), changed.cast_unsigned()];
        self.numbers(
            b'i',
            [inode, u64::from(modified.nanos), seconds[0], seconds[1]],
        );
    }

    /// One item of numbers of one meaning.
    fn numbers<const N: usize, T: Into<u64>>(&mut self, what: u8, numbers: [T; N]) {
        let mut bytes = Vec::with_capacity(1 + 8 * N);
        bytes.push(what);
        for number in numbers {
            bytes.extend_from_slice(&number.into().to_le_bytes());
        }
        self.item(&bytes);
    }

    fn item(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The key of all that was said.
    pub fn finish(self) -> Key {
        Key(self.0.finish())
    }
}

fn numbers(device: Device) -> [u32; 2] {
    [device.major, device.minor]
}
