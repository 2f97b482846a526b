//! A reader that fails at the end if the bytes were not those that were promised.

use std::io::{self, Read};

use super::{BlobError, BlobReader, Descriptor, Digest, Hasher};

/// Passes bytes through and compares size and digest at the end of the stream.
pub(crate) struct Verifying<R> {
    inner: R,
    hasher: Option<Hasher>,
    digest: Digest,
    left: u64,
}

impl<R: Read> Verifying<R> {
    pub(crate) fn new(inner: R, descriptor: &Descriptor) -> Self {
        Self {
            inner,
            hasher: Some(Hasher::new(descriptor.digest.algorithm())),
            digest: descriptor.digest.clone(),
            left: descriptor.size,
        }
    }

    fn damaged(&self, fault: String) -> io::Error {
        let digest = self.digest.clone();
        io::Error::new(
            io::ErrorKind::InvalidData,
            BlobError::Damaged { digest, fault },
        )
    }

    fn end(&mut self) -> io::Result<usize> {
        if self.left > 0 {
            return Err(self.damaged(format!("{} bytes are missing at its end", self.left)));
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.digest => {
                Err(self.damaged(format!("its bytes have the digest {found}")))
            }
            _ => Ok(0),
        }
    }
}

impl<R: Read> Read for Verifying<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        if count == 0 {
            return if buffer.is_empty() { Ok(0) } else { self.end() };
        }
        if count as u64 > self.left {
            return Err(self.damaged("it is longer than promised".to_owned()));
        }
        self.left -= count as u64;
        if let (Some(hasher), Some(bytes)) = (&mut self.hasher, buffer.get(..count)) {
            hasher.update(bytes);
        }
        Ok(count)
    }
}

/// Holds the bytes of any reader against a descriptor.
pub(crate) fn verifying<'a>(
    inner: impl Read + Send + 'a,
    descriptor: &Descriptor,
) -> BlobReader<'a> {
    Box::new(Verifying::new(inner, descriptor))
}

/// The blob error inside an I/O error of a [`Verifying`] reader, if it is one.
pub(crate) fn damage(error: io::Error) -> Result<BlobError, io::Error> {
    error.downcast::<BlobError>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], promised: &[u8]) -> io::Result<Vec<u8>> {
        let descriptor = Descriptor {
            media_type: "a/b".to_owned(),
            digest: Digest::of(promised),
            size: promised.len() as u64,
        };
        let mut out = Vec::new();
        Verifying::new(bytes, &descriptor).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn passes_the_promised_bytes_only() {
        assert_eq!(read(b"abc", b"abc").unwrap(), b"abc");
        assert_eq!(read(b"", b"").unwrap(), b"");
        for (bytes, fault) in [
            (&b"ab"[..], "1 bytes are missing"),
            (b"abcd", "longer"),
            (b"abd", "have the digest sha256:"),
        ] {
            let error = read(bytes, b"abc").unwrap_err();
            assert!(error.to_string().contains(fault), "{error}");
            assert!(matches!(damage(error), Ok(BlobError::Damaged { .. })));
        }
    }
}
