//! [`Digest`] and [`DiffId`]: names of bytes (image specification, descriptor chapter).

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

/// A registered digest algorithm that plywood can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256: what plywood writes.
    Sha256,
    /// SHA-512: read and verified, never written.
    Sha512,
}

impl Algorithm {
    /// The name in front of the colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// The digest of a blob's bytes as they are stored: `sha256:` and 64 lower-case hex digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

/// The digest of a layer's *uncompressed* tar (image specification, config chapter).
///
/// A type of its own, so that it is never taken for the digest of a compressed blob.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiffId(pub Digest);

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestFault {
    /// Not `ALGORITHM:ENCODED`.
    #[error("`{0}` is not of the form sha256:HEX")]
    Form(String),
    /// An algorithm that plywood cannot verify.
    #[error("`{0}` uses an algorithm other than sha256 and sha512")]
    Algorithm(String),
    /// Wrong length, or not lower-case hexadecimal.
    #[error("`{0}` is not as many lower-case hexadecimal digits as its algorithm wants")]
    Encoding(String),
}

impl Digest {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_sha256(&sha2::Sha256::digest(bytes).into())
    }

    /// Wraps a finished SHA-256.
    pub fn from_sha256(hash: &[u8; 32]) -> Self {
        Self {
            algorithm: Algorithm::Sha256,
            hex: hex(hash),
        }
    }

    /// Wraps a finished SHA-512.
    pub fn from_sha512(hash: &[u8; 64]) -> Self {
        Self {
            algorithm: Algorithm::Sha512,
            hex: hex(hash),
        }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal part: the blob's file name, safe by construction.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

fn hex(bytes: &[u8]) -> Box<str> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let pairs = bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
    pairs.map(char::from).collect::<String>().into()
}

impl FromStr for Digest {
    type Err = DigestFault;

    fn from_str(text: &str) -> Result<Self, DigestFault> {
        let shown = || text.chars().take(200).collect::<String>();
        let (name, encoded) = text
            .split_once(':')
            .ok_or_else(|| DigestFault::Form(shown()))?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(DigestFault::Algorithm(shown())),
        };
        let digits = encoded
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if encoded.len() != algorithm.hex_len() || !digits {
            return Err(DigestFault::Encoding(shown()));
        }
        Ok(Self {
            algorithm,
            hex: encoded.into(),
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Computes a digest piece by piece.
pub struct Hasher(HasherState);

enum HasherState {
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// Starts with no bytes.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => HasherState::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => HasherState::Sha512(Box::new(sha2::Sha512::new())),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            HasherState::Sha256(state) => state.update(bytes),
            HasherState::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        match self.0 {
            HasherState::Sha256(state) => Digest::from_sha256(&state.finalize().into()),
            HasherState::Sha512(state) => Digest::from_sha512(&state.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn of_nothing() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
    }

    #[test]
    fn refuses_other_forms() {
        let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
        for text in [
            "",
            "sha256",
            "sha256:",
            "sha256:../../etc",
            &upper,
            &EMPTY[..70],
            "md5:00",
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
