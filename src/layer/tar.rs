//! The tar encoder: one [`Entry`] to the blocks in front of its content.
//!
//! POSIX ustar where it can say everything, a pax extended header before it where
//! it cannot (POSIX.1-2017, pax, "pax Interchange Format"). Bytes depend on the
//! entry alone.

use crate::tree::{Entry, Kind, Mtime};

/// Unit of a tar archive in bytes.
pub const BLOCK: usize = 512;
/// What ends an archive: two blocks of zeros.
pub const END: usize = 2 * BLOCK;

/// Largest value of a 7-digit octal field.
const MAX_ID: u32 = 0o7_777_777;
/// Largest value of an 11-digit octal field: 8 GiB - 1.
const MAX_SIZE: u64 = 0o77_777_777_777;

/// The header blocks of an entry: 512 bytes, and the pax header before them if needed.
///
/// A whole number of blocks; the entry's content, padded by [`padding`], follows.
pub fn header(entry: &Entry) -> Vec<u8> {
    let path = stored_path(entry);
    let mut records = Records::default();
    let mut block = Header([0; BLOCK]);
    block.path(&path, &mut records);
    block.link(entry, &mut records);
    block.numbers(entry, &mut records);
    for (name, value) in &entry.xattrs {
        records.add([b"SCHILY.xattr.", name.as_slice()].concat(), value.clone());
    }
    let mut bytes = records.encode();
    bytes.extend_from_slice(&block.sealed());
    bytes
}

/// How many zeros follow `size` bytes of content.
pub fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

/// A directory's name ends in `/`.
fn stored_path(entry: &Entry) -> Vec<u8> {
    let mut path = entry.path.as_bytes().to_vec();
    if entry.kind == Kind::Dir {
        path.push(b'/');
    }
    path
}

/// One ustar header block while it is filled.
struct Header([u8; BLOCK]);

impl Header {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Zero-padded octal digits and a NUL, `width` bytes in all.
    fn octal(&mut self, at: usize, width: usize, mut value: u64) {
        let field = &mut self.0[at..at + width];
        field[width - 1] = 0;
        for digit in field[..width - 1].iter_mut().rev() {
            *digit = b'0' + (value & 7) as u8;
            value >>= 3;
        }
    }

    fn path(&mut self, path: &[u8], records: &mut Records) {
        match split(path) {
            Some((prefix, name)) => {
                self.put(0, name);
                self.put(345, prefix);
            }
            None => {
                self.put(0, &path[..100]);
                records.add(b"path".to_vec(), path.to_vec());
            }
        }
    }

    fn link(&mut self, entry: &Entry, records: &mut Records) {
        let target = match &entry.kind {
            Kind::Symlink { target } => target.as_slice(),
            Kind::HardLink { target } => target.as_bytes(),
            _ => return,
        };
        self.put(157, &target[..target.len().min(100)]);
        if target.len() > 100 {
            records.add(b"linkpath".to_vec(), target.to_vec());
        }
    }

    fn numbers(&mut self, entry: &Entry, records: &mut Records) {
        let meta = &entry.meta;
        self.octal(100, 8, u64::from(meta.mode & 0o7777));
        self.id(108, meta.uid, "uid", records);
        self.id(116, meta.gid, "gid", records);
        self.size(entry, records);
        self.mtime(meta.mtime, records);
        self.put(156, &[type_flag(&entry.kind)]);
        self.put(257, b"ustar\x0000");
        let (major, minor) = match &entry.kind {
            Kind::Char(device) | Kind::Block(device) => (device.major, device.minor),
            _ => (0, 0),
        };
        self.octal(329, 8, u64::from(major.min(MAX_ID)));
        self.octal(337, 8, u64::from(minor.min(MAX_ID)));
    }

    fn id(&mut self, at: usize, id: u32, key: &str, records: &mut Records) {
        if id > MAX_ID {
            records.add(key.into(), id.to_string().into_bytes());
        }
        self.octal(at, 8, u64::from(if id > MAX_ID { 0 } else { id }));
    }

    fn size(&mut self, entry: &Entry, records: &mut Records) {
        let size = match entry.kind {
            Kind::File { size } => size,
            _ => 0,
        };
        if size > MAX_SIZE {
            records.add(b"size".to_vec(), size.to_string().into_bytes());
        }
        self.octal(124, 12, if size > MAX_SIZE { 0 } else { size });
    }

    fn mtime(&mut self, mtime: Mtime, records: &mut Records) {
        let whole = u64::try_from(mtime.secs)
            .ok()
            .filter(|&secs| secs <= MAX_SIZE);
        if whole.is_none() || mtime.nanos != 0 {
            records.add(b"mtime".to_vec(), decimal(mtime).into_bytes());
        }
        self.octal(136, 12, whole.unwrap_or(0));
    }

    /// The block with its checksum: the sum of all bytes, the field itself as spaces.
    fn sealed(mut self) -> [u8; BLOCK] {
        self.put(148, b"        ");
        let sum: u32 = self.0.iter().map(|&b| u32::from(b)).sum();
        self.octal(148, 7, u64::from(sum));
        self.0
    }
}

fn type_flag(kind: &Kind) -> u8 {
    match kind {
        Kind::File { .. } => b'0',
        Kind::HardLink { .. } => b'1',
        Kind::Symlink { .. } => b'2',
        Kind::Char(_) => b'3',
        Kind::Block(_) => b'4',
        Kind::Dir => b'5',
        Kind::Fifo => b'6',
    }
}

/// The path as ustar's (prefix, name), if it fits: at most 155 and 100 bytes.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    // The leftmost cut that leaves a name of at most 100 bytes; the `/` at it is not stored.
    let first = path.len() - 101;
    let cut = first
        + path
            .get(first..path.len() - 1)?
            .iter()
            .position(|&b| b == b'/')?;
    (cut > 0 && cut <= 155).then(|| (&path[..cut], &path[cut + 1..]))
}

/// Seconds with as many decimals as are needed; exact, also before 1970.
fn decimal(Mtime { secs, nanos }: Mtime) -> String {
    if nanos == 0 {
        return secs.to_string();
    }
    let (sign, whole, nanos) = match secs {
        0.. => ("", secs.unsigned_abs(), nanos),
        _ => ("-", secs.unsigned_abs() - 1, 1_000_000_000 - nanos),
    };
    format!("{sign}{whole}.{nanos:09}")
        .trim_end_matches('0')
        .to_owned()
}

/// The records of one pax extended header.
#[derive(Default)]
struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    fn add(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.push((key, value));
    }

    fn encode(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let text = |(key, value): &(Vec<u8>, Vec<u8>)| {
            !matches!(key.as_slice(), b"path" | b"linkpath") || std::str::from_utf8(value).is_ok()
        };
        if !self.0.iter().all(text) {
            self.add(b"hdrcharset".to_vec(), b"BINARY".to_vec());
        }
        self.0.sort();
        let body: Vec<u8> = self
            .0
            .iter()
            .flat_map(|(key, value)| record(key, value))
            .collect();
        let mut bytes = pax_header(body.len());
        bytes.extend_from_slice(&body);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }
}

/// The `x` entry's own block: nothing in it but a constant name and the size.
fn pax_header(size: usize) -> Vec<u8> {
    let mut block = Header([0; BLOCK]);
    block.put(0, b"PaxHeaders/entry");
    block.octal(100, 8, 0o644);
    block.octal(108, 8, 0);
    block.octal(116, 8, 0);
    block.octal(124, 12, size as u64);
    block.octal(136, 12, 0);
    block.put(156, b"x");
    block.put(257, b"ustar\x0000");
    block.octal(329, 8, 0);
    block.octal(337, 8, 0);
    block.sealed().to_vec()
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + digits(len) {
        len = rest + digits(len);
    }
    [len.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Meta, TreePath, Xattrs};

    fn entry(path: &str, kind: Kind) -> Entry {
        let mtime = Mtime { secs: 1, nanos: 0 };
        let meta = Meta {
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime,
        };
        Entry {
            path: TreePath::new(path).unwrap(),
            kind,
            meta,
            xattrs: Xattrs::new(),
        }
    }

    #[test]
    fn short_entries_are_one_block() {
        let bytes = header(&entry("a/b", Kind::Dir));
        assert_eq!(bytes.len(), BLOCK);
        assert_eq!(&bytes[..5], b"a/b/\0");
        assert_eq!(&bytes[136..148], b"00000000001\0");
        assert_eq!(bytes[156], b'5');
    }

    #[test]
    fn names_are_split_as_late_as_they_must() {
        let long = |dir: usize, name: usize| format!("{}/{}", "d".repeat(dir), "n".repeat(name));
        let blocks = |path: &str| header(&entry(path, Kind::File { size: 0 })).len() / BLOCK;
        assert_eq!(blocks(&"n".repeat(100)), 1);
        assert_eq!(blocks(&"n".repeat(101)), 3);
        assert_eq!(blocks(&long(155, 100)), 1);
        assert_eq!(blocks(&long(156, 99)), 3);
        assert_eq!(blocks(&long(1, 101)), 3);
        let dir = |path: &str| header(&entry(path, Kind::Dir)).len() / BLOCK;
        assert_eq!(dir(&"n".repeat(99)), 1);
        assert_eq!(dir(&"n".repeat(100)), 3);
        assert_eq!(dir(&long(10, 99)), 1);
        assert_eq!(dir(&long(10, 100)), 3);
    }

    #[test]
    fn record_length_counts_itself() {
        assert_eq!(record(b"path", b"x"), b"9 path=x\n");
        for size in 0..1100 {
            let bytes = record(b"path", &vec![b'x'; size]);
            let told = bytes.split(|&b| b == b' ').next().unwrap();
            assert_eq!(std::str::from_utf8(told).unwrap().parse(), Ok(bytes.len()));
        }
    }

    #[test]
    fn times_are_exact() {
        let text = |secs, nanos| decimal(Mtime { secs, nanos });
        assert_eq!(text(5, 0), "5");
        assert_eq!(text(5, 120_000_000), "5.12");
        assert_eq!(text(-1, 500_000_000), "-0.5");
        assert_eq!(text(-3, 5), "-2.999999995");
        assert_eq!(text(-3, 0), "-3");
    }
}
