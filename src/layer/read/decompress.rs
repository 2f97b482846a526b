//! [`decompress`]: a layer's bytes → its tar, whatever the codec.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::broken;
use crate::fault::{Fault, Faults};

/// What RFC 8878 asks every decoder to take, as a power of two: 8 MiB.
const WINDOW_LOG: u32 = 23;

/// The longest tar that a layer of `size` bytes may unpack to: 64 GiB, or 256 times its size.
///
/// Bounds what a layer made to exhaust its reader can cost.
pub fn tar_limit(size: u64) -> u64 {
    size.saturating_mul(256).max(64 << 30)
}

/// Undoes the compression that a layer's media type states.
///
/// Many gzip members, many zstd frames and skippable frames are one stream; any other
/// byte after it is an error, as are more than `limit` bytes of tar, a zstd
/// dictionary and a zstd window above 8 MiB. An unknown suffix is read as it is.
pub fn decompress<R: Read>(media_type: &str, reader: R, limit: u64) -> Decompressor<R> {
    let codec = if media_type.ends_with("gzip") {
        Codec::Gzip
    } else if media_type.ends_with("zstd") {
        Codec::Zstd
    } else {
        Codec::Plain
    };
    Decompressor {
        state: State::Start(codec, reader),
        left: limit,
        limit,
        faults: Faults::default(),
    }
}

/// Reads a layer's tar. Errors of its own making carry a [`Fault`](crate::fault::Fault),
/// see [`fault_of`](super::fault_of).
pub struct Decompressor<R> {
    state: State<R>,
    left: u64,
    limit: u64,
    faults: Faults,
}

enum State<R> {
    Start(Codec, R),
    Plain(Peeked<R>),
    Gzip(Gzip<Peeked<R>>),
    Zstd(Zstd<Peeked<R>>),
    /// While the first bytes are looked at, and after they were wrong.
    Wrong,
}

/// A reader whose first bytes have been looked at.
type Peeked<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

#[derive(Clone, Copy, PartialEq)]
enum Codec {
    Plain,
    Gzip,
    Zstd,
}

enum Gzip<R> {
    Between(BufReader<R>),
    Within(Box<GzDecoder<BufReader<R>>>, bool),
    /// Only while one of the others is being made.
    Moving,
}

struct Zstd<R> {
    reader: BufReader<R>,
    decoder: Option<Decoder<'static>>,
    within: bool,
    /// First bytes of a frame, looked at and not yet decoded.
    head: Vec<u8>,
}

impl<R: Read> Decompressor<R> {
    /// What was noted so far, and clears it.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults).into_vec()
    }

    /// Looks at the first bytes: they must be of the codec that was stated.
    fn start(codec: Codec, mut reader: R) -> io::Result<State<R>> {
        let mut start = Vec::new();
        reader.by_ref().take(6).read_to_end(&mut start)?;
        let found = match start.as_slice() {
            [0x1f, 0x8b, ..] => "gzip",
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => "zstd",
            [b'B', b'Z', b'h', ..] => "bzip2",
            [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
            _ if codec == Codec::Plain => "a plain tar",
            _ => "something else",
        };
        let reader = io::Cursor::new(start).chain(reader);
        let buffered = |reader| BufReader::with_capacity(128 << 10, reader);
        match (codec, found) {
            (Codec::Plain, "a plain tar") => Ok(State::Plain(reader)),
            (Codec::Gzip, "gzip") => Ok(State::Gzip(Gzip::Between(buffered(reader)))),
            (Codec::Zstd, "zstd") => Ok(State::Zstd(Zstd::new(buffered(reader)))),
            (stated, _) => {
                let stated = match stated {
                    Codec::Plain => "a plain tar",
                    Codec::Gzip => "gzip",
                    Codec::Zstd => "zstd",
                };
                let text = format!("its media type says {stated}, but its bytes are {found}");
                Err(broken(80, "", text))
            }
        }
    }
}

impl<R: Read> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if matches!(self.state, State::Start(..))
            && let State::Start(codec, reader) = std::mem::replace(&mut self.state, State::Wrong)
        {
            self.state = Self::start(codec, reader)?;
        }
        let count = match &mut self.state {
            State::Plain(reader) => reader.read(buffer)?,
            State::Gzip(gzip) => gzip.read(buffer, &mut self.faults)?,
            State::Zstd(zstd) => zstd.read(buffer)?,
            State::Start(..) | State::Wrong => {
                return Err(broken(80, "", "is read after an error"));
            }
        };
        let Some(left) = self.left.checked_sub(count as u64) else {
            let text = format!("unpacks to more than {} bytes: is it a bomb?", self.limit);
            return Err(broken(81, "", text));
        };
        self.left = left;
        Ok(count)
    }
}

impl<R: Read> Gzip<R> {
    fn read(&mut self, buffer: &mut [u8], faults: &mut Faults) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Self::Moving) {
                Self::Between(mut reader) => {
                    let more = !reader.fill_buf()?.is_empty();
                    if !more {
                        *self = Self::Between(reader);
                        return Ok(0);
                    }
                    *self = Self::Within(Box::new(GzDecoder::new(reader)), false);
                }
                Self::Within(mut decoder, known) => {
                    let count = decoder.read(buffer).map_err(gzip_error)?;
                    if !known {
                        check_gzip_header(&decoder, faults);
                    }
                    if count > 0 {
                        *self = Self::Within(decoder, true);
                        return Ok(count);
                    }
                    *self = Self::Between(decoder.into_inner());
                }
                Self::Moving => return Err(broken(81, "", "is read after an error")),
            }
        }
    }
}

fn check_gzip_header<R: BufRead>(decoder: &GzDecoder<R>, faults: &mut Faults) {
    /// What Go's `pgzip` writes for the zero time.
    const PGZIP: u32 = 0x886e_0900;
    let Some(header) = decoder.header() else {
        return;
    };
    if header.mtime() != 0 && header.mtime() != PGZIP {
        faults.field(83, "", "has a time in a gzip header");
    }
    if header.filename().is_some() || header.comment().is_some() {
        faults.field(83, "", "has a name or comment in a gzip header");
    }
}

/// Decoder errors say what is wrong with the bytes; errors of the reader below pass.
fn gzip_error(error: io::Error) -> io::Error {
    let ours = error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<Fault>);
    match error.kind() {
        _ if ours => error,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => broken(
            81,
            "",
            format!("is damaged, or followed by what is not gzip: {error}"),
        ),
        io::ErrorKind::UnexpectedEof => broken(81, "", "ends within a gzip member"),
        _ => error,
    }
}

impl<R: Read> Zstd<R> {
    fn new(reader: BufReader<R>) -> Self {
        Self {
            reader,
            decoder: None,
            within: false,
            head: Vec::new(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within && !self.start_frame()? {
                return Ok(0);
            }
            let count = self.step(buffer)?;
            if count > 0 {
                return Ok(count);
            }
        }
    }

    /// Looks at the next frame's header; `false` at the end of the stream.
    fn start_frame(&mut self) -> io::Result<bool> {
        const LONGEST_HEADER: u64 = 18;
        let missing = LONGEST_HEADER.saturating_sub(self.head.len() as u64);
        self.reader
            .by_ref()
            .take(missing)
            .read_to_end(&mut self.head)?;
        if self.head.is_empty() {
            return Ok(false);
        }
        match FrameHeader::read(&self.head) {
            None => {
                return Err(broken(
                    81,
                    "",
                    "is damaged, or followed by what is not zstd",
                ));
            }
            Some(header) => header.check()?,
        }
        self.within = true;
        Ok(true)
    }

    /// Decodes some of what is at hand; no bytes come out while the decoder is collecting.
    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut output = OutBuffer::around(buffer);
        let from_head = !self.head.is_empty();
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            empty => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
                empty.insert(decoder)
            }
        };
        let bytes = if from_head {
            self.head.as_slice()
        } else {
            self.reader.fill_buf()?
        };
        let ended = bytes.is_empty();
        let mut input = InBuffer::around(bytes);
        let hint = decoder
            .run(&mut input, &mut output)
            .map_err(|error| zstd_error(&error))?;
        let used = input.pos();
        if from_head {
            self.head.drain(..used);
        } else {
            self.reader.consume(used);
        }
        if hint == 0 {
            self.within = false;
        } else if ended && output.pos() == 0 {
            return Err(broken(81, "", "ends within a zstd frame"));
        }
        Ok(output.pos())
    }
}

fn zstd_error(error: &io::Error) -> io::Error {
    broken(81, "", format!("is damaged: {error}"))
}

/// What a frame says before its content (RFC 8878, 3.1.1.1).
enum FrameHeader {
    Skippable,
    Frame { window: u64, dictionary: bool },
}

impl FrameHeader {
    fn read(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Skippable),
            [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] => Some(Self::frame(*descriptor, rest)),
            _ => None,
        }
    }

    fn frame(descriptor: u8, rest: &[u8]) -> Self {
        let single_segment = descriptor & 0x20 != 0;
        let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let (window, rest) = match (single_segment, rest.split_first()) {
            (false, Some((&byte, rest))) => (window_of(byte), rest),
            _ => (0, rest),
        };
        let (id, rest) = rest.split_at_checked(dictionary_bytes).unwrap_or_default();
        let size_bytes = match descriptor >> 6 {
            0 => usize::from(single_segment),
            power => 1 << power,
        };
        let size = rest.get(..size_bytes).unwrap_or_default();
        let size = size.iter().rev().fold(0, |sum, &b| sum << 8 | u64::from(b));
        Self::Frame {
            window: if single_segment { size } else { window },
            dictionary: id.iter().any(|&b| b != 0),
        }
    }

    fn check(&self) -> io::Result<()> {
        let Self::Frame { window, dictionary } = self else {
            return Ok(());
        };
        if *dictionary {
            return Err(broken(82, "", "needs a zstd dictionary, which nobody has"));
        }
        if *window > 1 << WINDOW_LOG {
            let text = format!("needs a zstd window of {window} bytes, more than 8 MiB");
            return Err(broken(82, "", text));
        }
        Ok(())
    }
}

fn window_of(byte: u8) -> u64 {
    let base = 1_u64 << (10 + (byte >> 3));
    base + base / 8 * u64::from(byte & 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::read::fault_of;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn read(codec: &str, bytes: &[u8], limit: u64) -> Result<Vec<u8>, (u16, String)> {
        let mut out = Vec::new();
        // Three bytes at a time: frame headers arrive in pieces.
        let slow = Slow(bytes);
        match decompress(codec, slow, limit).read_to_end(&mut out) {
            Ok(_) => Ok(out),
            Err(error) => {
                let fault = fault_of(&error).expect("a fault");
                Err((fault.rule, fault.text.clone()))
            }
        }
    }

    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(3);
            self.0.read(&mut buffer[..count])
        }
    }

    #[test]
    fn many_members_and_frames() {
        let zstd = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
        let skippable = b"\x53\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        let zstds = [
            zstd(b"ab"),
            skippable.clone(),
            zstd(b""),
            zstd(b"cd"),
            skippable,
        ]
        .concat();
        assert_eq!(read("zstd", &zstds, 100).unwrap(), b"abcd");
        let gzips = [gzip(b"ab"), gzip(b""), gzip(b"cd")].concat();
        assert_eq!(read("gzip", &gzips, 100).unwrap(), b"abcd");
        assert_eq!(read("tar", b"abcd", 4).unwrap(), b"abcd");
        let long: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(read("zstd", &zstd(&long), 4_000_000).unwrap(), long);
        assert_eq!(read("gzip", &gzip(&long), 4_000_000).unwrap(), long);
    }

    #[test]
    fn junk_cuts_lies_and_bombs() {
        let zstd = zstd::bulk::compress(&[0; 1000], 3).unwrap();
        let gzip = gzip(&[0; 1000]);
        let rule = |codec: &str, bytes: &[u8], limit| read(codec, bytes, limit).unwrap_err().0;
        for (codec, good) in [("zstd", &zstd), ("gzip", &gzip)] {
            let mut damaged = good.clone();
            damaged[12] ^= 0x55;
            // A zstd frame without checksum may decode to something else: the digest tells.
            if codec == "gzip" {
                assert_eq!(rule(codec, &damaged, 9999), 81);
            }
            for junk in [&b"\0\0\0\0"[..], b"junk", b"\n"] {
                assert_eq!(rule(codec, &[good, junk].concat(), 9999), 81, "{codec}");
            }
            for end in 5..good.len() {
                assert_eq!(rule(codec, &good[..end], 9999), 81, "{codec} {end}");
            }
            assert_eq!(rule(codec, good, 999), 81);
            assert_eq!(rule("tar", good, 9999), 80);
            assert_eq!(rule(codec, b"something else", 9999), 80);
            assert_eq!(rule(codec, b"", 9999), 80);
        }
        assert_eq!(rule("gzip", &zstd, 9999), 80);
    }

    #[test]
    fn windows_above_8_mib_are_refused() {
        let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        writer
            .set_parameter(zstd::stream::raw::CParameter::WindowLog(24))
            .unwrap();
        writer.write_all(&[7; 100]).unwrap();
        let bytes = writer.finish().unwrap();
        assert_eq!(read("zstd", &bytes, 9999).unwrap_err().0, 82);
        assert_eq!(window_of(0x68), 8 << 20);
    }
}
