//! The few tar headers that an archive of blobs needs: short names, constant attributes.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

/// The time of every member, in seconds: what layers have, and no tar program warns of it.
const MTIME: u64 = 1;
const BLOCK: u64 = 512;
/// Sizes from here on do not fit the octal field.
const OCTAL_LIMIT: u64 = 1 << 33;

/// Members written one after the other.
pub(super) struct Tarball<'a> {
    out: &'a mut dyn Write,
}

impl<'a> Tarball<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    /// A directory; its name ends in a slash.
    pub(super) fn folder(&mut self, name: &str) -> io::Result<()> {
        self.header(name, EntryType::Directory, 0)
    }

    /// A file with these bytes.
    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.begin(name, bytes.len() as u64)?;
        self.out.write_all(bytes)?;
        self.pad(bytes.len() as u64)
    }

    /// The header of a file whose bytes are written next, by [`body`](Self::body).
    pub(super) fn begin(&mut self, name: &str, size: u64) -> io::Result<()> {
        if size >= OCTAL_LIMIT {
            let record = pax_size(size);
            self.header("PaxHeaders/blob", EntryType::XHeader, record.len() as u64)?;
            self.out.write_all(record.as_bytes())?;
            self.pad(record.len() as u64)?;
        }
        self.header(name, EntryType::Regular, size)
    }

    /// A piece of the file that was begun.
    pub(super) fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// The end of the file that was begun, which had this size.
    pub(super) fn pad(&mut self, size: u64) -> io::Result<()> {
        let zeros = [0; BLOCK as usize];
        let missing = (BLOCK - size % BLOCK) % BLOCK;
        io::copy(&mut zeros.as_slice().take(missing), self.out).map(|_| ())
    }

    /// The end of the archive.
    pub(super) fn finish(self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK as usize])?;
        self.out.flush()
    }

    fn header(&mut self, name: &str, kind: EntryType, size: u64) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name)?;
        header.set_entry_type(kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(MTIME);
        // The PAX record says it where it does not fit.
        header.set_size(if size < OCTAL_LIMIT { size } else { 0 });
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }
}

/// A PAX record; its length counts itself.
fn pax_size(size: u64) -> String {
    let rest = format!(" size={size}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back() {
        let mut out = Vec::new();
        let mut tarball = Tarball::new(&mut out);
        tarball.folder("blobs/").unwrap();
        tarball.bytes("blobs/a", &[7; 600]).unwrap();
        tarball.bytes("b", b"").unwrap();
        tarball.finish().unwrap();
        assert_eq!(out.len(), 512 * (1 + 3 + 1 + 2));
        let mut archive = tar::Archive::new(out.as_slice());
        let read: Vec<_> = archive.entries().unwrap().map(Result::unwrap).collect();
        let sizes: Vec<_> = read.iter().map(tar::Entry::size).collect();
        assert_eq!(sizes, [0, 600, 0]);
    }

    #[test]
    fn large_sizes_go_to_pax() {
        assert_eq!(pax_size(8_589_934_592), "19 size=8589934592\n");
        assert_eq!(pax_size(8_589_934_592).len(), 19);
        let mut out = Vec::new();
        Tarball::new(&mut out).begin("big", OCTAL_LIMIT).unwrap();
        let mut archive = tar::Archive::new(out.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.size(), OCTAL_LIMIT);
    }
}
