//! Tar → entries: strict about what it sees, so that images of others can be judged.
//!
//! [`TarReader`] reads any tar (v7, ustar, PAX, GNU) in one pass and bounded memory; what
//! it can read but should not have had to becomes a [`Fault`] with the number of its rule.
//! [`Audit`] holds the entries of one layer against each other, [`decompress`] undoes the
//! layer's compression.

mod audit;
mod decompress;
mod header;
mod pax;
mod raw;
#[cfg(test)]
mod tests;

pub use audit::{Audit, LayerPaths, PathKey, Seen, SeenKind};
pub use decompress::{Decompressor, decompress, tar_limit};
pub use raw::{RawEntry, RawKind};

use std::io::{self, Read};

use self::header::{BLOCK, Header};
use self::pax::Extension;
use crate::fault::{Fault, Faults, Level};

/// The most that the extension headers of one entry may hold: xattrs are at most 64 KiB each.
const EXTENSION_LIMIT: u64 = 8 << 20;

/// Zeros after the end of the archive: GNU tar fills up to 10 KiB, nobody needs more than this.
const ENDING_LIMIT: u64 = 1 << 20;

/// Reads the entries of a tar, one after the other; as a [`Read`] it is the body of the last one.
pub struct TarReader<R> {
    inner: R,
    position: u64,
    body: u64,
    padding: u64,
    done: bool,
    global: Extension,
    faults: Faults,
}

/// The fault that an error of [`TarReader`] or [`Decompressor`] carries, unless it is an I/O error.
pub fn fault_of(error: &io::Error) -> Option<&Fault> {
    error.get_ref()?.downcast_ref()
}

pub(crate) fn broken(rule: u16, where_: &str, text: impl AsRef<str>) -> io::Error {
    let fault = Fault::new(Level::Must, rule, where_, text);
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

impl<R: Read> TarReader<R> {
    /// Starts at the first header.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            position: 0,
            body: 0,
            padding: 0,
            done: false,
            global: Extension::default(),
            faults: Faults::default(),
        }
    }

    /// The next entry; what is left of the last one's body is skipped.
    ///
    /// # Errors
    /// What `inner` fails with; and for what cannot be read on from (a wrong checksum, a
    /// cut archive, a number that is none) an error that [`fault_of`] knows.
    pub fn next_entry(&mut self) -> io::Result<Option<RawEntry>> {
        self.skip_body()?;
        let mut extension = self.global.clone();
        let mut extended = false;
        loop {
            let Some(header) = self.header()? else {
                if extended {
                    return Err(self.cut("ends after an extension header"));
                }
                return Ok(None);
            };
            match header.kind() {
                b'x' => self.extension(&header)?.lay_over(&mut extension),
                b'g' => {
                    let global = self.extension(&header)?;
                    global.lay_over(&mut self.global);
                    global.lay_over(&mut extension);
                    self.faults.field(100, "", "has a global PAX header");
                    continue;
                }
                b'L' => extension.set_long_name(self.long(&header)?),
                b'K' => extension.set_long_link(self.long(&header)?),
                _ => return self.entry(&header, &extension).map(Some),
            }
            extended = true;
        }
    }

    /// What was noted so far, and clears it.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults).into_vec()
    }

    /// Gives the underlying reader back.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Bytes read so far: after the last entry, the length of the archive.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn entry(&mut self, header: &Header, extension: &Extension) -> io::Result<RawEntry> {
        let entry = header.entry(extension, &mut self.faults)?;
        self.expect_body(entry.size);
        Ok(entry)
    }

    fn expect_body(&mut self, size: u64) {
        self.body = size;
        self.padding = size.next_multiple_of(BLOCK) - size;
    }

    fn extension(&mut self, header: &Header) -> io::Result<Extension> {
        let bytes = self.small_body(header)?;
        Ok(Extension::parse(&bytes))
    }

    fn long(&mut self, header: &Header) -> io::Result<Vec<u8>> {
        let mut bytes = self.small_body(header)?;
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        bytes.truncate(end);
        Ok(bytes)
    }

    fn small_body(&mut self, header: &Header) -> io::Result<Vec<u8>> {
        let size = header.size()?;
        if size > EXTENSION_LIMIT {
            let text = format!("has an extension header of {size} bytes");
            return Err(broken(100, &header.shown(), text));
        }
        self.expect_body(size);
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        self.skip_body()?;
        Ok(bytes)
    }

    fn skip_body(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink())?;
        let padding = std::mem::take(&mut self.padding);
        let mut filler = Vec::new();
        self.take_inner(padding, &mut filler)?;
        if (filler.len() as u64) < padding {
            return Err(self.cut("ends within the padding of an entry"));
        }
        if filler.iter().any(|&b| b != 0) {
            let place = format!("byte {}", self.position);
            self.faults.field(86, place, "the padding is not zeros");
        }
        Ok(())
    }

    /// The next header; `None` at the end of the archive.
    fn header(&mut self) -> io::Result<Option<Header>> {
        if self.done {
            return Ok(None);
        }
        let block = self.block()?;
        if block.is_empty() {
            self.done = true;
            self.faults.must(86, "", "ends without two zero blocks");
            return Ok(None);
        }
        if block.iter().all(|&b| b == 0) {
            self.done = true;
            self.ending()?;
            return Ok(None);
        }
        let place = self.position.saturating_sub(BLOCK);
        Header::new(&block, place).map(Some)
    }

    /// After one zero block there is another, then nothing but zeros.
    fn ending(&mut self) -> io::Result<()> {
        let second = self.block()?;
        if second.is_empty() {
            self.faults
                .must(86, "", "ends with one zero block, not two");
            return Ok(());
        }
        if second.iter().any(|&b| b != 0) {
            return Err(broken(86, "", "has data after its first zero block"));
        }
        let mut rest = Vec::new();
        self.take_inner(ENDING_LIMIT + 1, &mut rest)?;
        if rest.iter().any(|&b| b != 0) {
            return Err(broken(86, "", "has data after its end"));
        }
        if rest.len() as u64 > ENDING_LIMIT {
            return Err(broken(86, "", "has more than 1 MiB of zeros after its end"));
        }
        Ok(())
    }

    /// One block; nothing at the end of the stream.
    fn block(&mut self) -> io::Result<Vec<u8>> {
        let mut block = Vec::with_capacity(BLOCK as usize);
        self.take_inner(BLOCK, &mut block)?;
        if !block.is_empty() && (block.len() as u64) < BLOCK {
            return Err(self.cut("ends within a header"));
        }
        Ok(block)
    }

    fn take_inner(&mut self, limit: u64, into: &mut Vec<u8>) -> io::Result<()> {
        let count = self.inner.by_ref().take(limit).read_to_end(into)?;
        self.position += count as u64;
        Ok(())
    }

    fn cut(&self, text: &str) -> io::Error {
        broken(86, &format!("byte {}", self.position), text)
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer
            .len()
            .min(usize::try_from(self.body).unwrap_or(usize::MAX));
        let Some(buffer) = buffer.get_mut(..length).filter(|b| !b.is_empty()) else {
            return Ok(0);
        };
        let count = self.inner.read(buffer)?;
        if count == 0 {
            let text = format!("ends {} bytes before the end of an entry", self.body);
            return Err(self.cut(&text));
        }
        self.body -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}
