//! [`Codec`]: how a layer's tar is stored, piece by piece.

/// How a layer's tar is stored.
///
/// A compressed layer is cut at fixed offsets of [`Codec::PIECE`] bytes, and each
/// piece becomes a gzip member or zstd frame of its own (RFC 1952 2.2, RFC 8878 3):
/// so any number of threads makes the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As it is.
    None,
    /// gzip, level 1..=12 on libdeflate's scale.
    Gzip(u8),
    /// zstd, level 1..=22.
    Zstd(u8),
}

impl Codec {
    /// Bytes of tar in one member or frame. Changing it changes every digest.
    pub const PIECE: usize = 4 << 20;

    /// Bytes of tar that are made at once.
    ///
    /// What is not compressed is cut as a core's cache likes it; no byte depends on that.
    pub(super) fn piece(self) -> usize {
        match self {
            Self::None => 256 << 10,
            Self::Gzip(_) | Self::Zstd(_) => Self::PIECE,
        }
    }

    /// The layer media type of the image specification (layer chapter).
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip(_) => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd(_) => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// Name and version of the compressor: they decide the bytes.
    pub fn compressor(self) -> Option<(&'static str, String)> {
        match self {
            Self::None => None,
            Self::Gzip(_) => Some(("libdeflate", LIBDEFLATE_VERSION.to_owned())),
            Self::Zstd(_) => Some(("zstd", zstd_version())),
        }
    }
}

/// libdeflate does not tell its version at run time; a golden digest fails when it changes.
const LIBDEFLATE_VERSION: &str = "1.26";

fn zstd_version() -> String {
    let number = zstd::zstd_safe::version_number();
    format!(
        "{}.{}.{}",
        number / 10_000,
        number / 100 % 100,
        number % 100
    )
}

/// A compressor that is used again and again by one worker.
pub(super) enum Packer {
    None,
    Gzip(libdeflater::Compressor),
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

impl Packer {
    pub(super) fn new(codec: Codec) -> Result<Self, String> {
        Ok(match codec {
            Codec::None => Self::None,
            Codec::Gzip(level) => {
                let level = libdeflater::CompressionLvl::new(i32::from(level));
                let level = level.map_err(|fault| format!("gzip level: {fault:?}"))?;
                Self::Gzip(libdeflater::Compressor::new(level))
            }
            Codec::Zstd(level) => {
                let packer = zstd::bulk::Compressor::new(i32::from(level));
                Self::Zstd(Box::new(
                    packer.map_err(|fault| format!("zstd level: {fault}"))?,
                ))
            }
        })
    }

    /// Compresses one piece into one member or frame, which replaces what `out` held.
    pub(super) fn pack(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::None => {
                out.clear();
                out.extend_from_slice(piece);
            }
            Self::Gzip(packer) => {
                out.resize(packer.gzip_compress_bound(piece.len()), 0);
                let len = packer
                    .gzip_compress(piece, out)
                    .map_err(|fault| format!("gzip: {fault}"))?;
                out.truncate(len);
            }
            Self::Zstd(packer) => {
                out.clear();
                out.reserve(zstd::zstd_safe::compress_bound(piece.len()));
                packer
                    .compress_to_buffer(piece, out)
                    .map_err(|fault| format!("zstd: {fault}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes with some structure, so that a compressor has choices to make.
    fn sample(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 60) as u8 + b'a'
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn a_used_packer_makes_the_same_bytes_as_a_new_one() {
        for codec in [Codec::Gzip(6), Codec::Zstd(3), Codec::Zstd(19)] {
            let (first, second) = (sample(300_000), sample(200_000));
            let pack = |packer: &mut Packer, piece: &[u8]| {
                let mut out = Vec::new();
                packer.pack(piece, &mut out).unwrap();
                out
            };
            let mut used = Packer::new(codec).unwrap();
            pack(&mut used, &first);
            let mut new = Packer::new(codec).unwrap();
            assert_eq!(
                pack(&mut used, &second),
                pack(&mut new, &second),
                "{codec:?}"
            );
        }
    }

    #[test]
    fn gzip_header_says_nothing_of_the_machine() {
        let mut out = Vec::new();
        Packer::new(Codec::Gzip(6))
            .unwrap()
            .pack(b"x", &mut out)
            .unwrap();
        assert_eq!(out[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }
}
