//! [`Header`]: the 512 bytes before an entry, in the dialects v7, ustar and GNU.

use std::io;

use super::broken;
use super::pax::{self, Extension};
use super::raw::{RawEntry, RawKind, normal_path};
use crate::fault::Faults;
use crate::tree::{Device, Mtime};

/// Tar counts in blocks of this many bytes.
pub(super) const BLOCK: u64 = 512;

/// One header with a right checksum.
pub(super) struct Header {
    block: [u8; BLOCK as usize],
    place: u64,
}

#[derive(PartialEq)]
enum Dialect {
    V7,
    Ustar,
    Gnu,
}

impl Header {
    /// Takes a block at byte `place` of the archive.
    pub fn new(block: &[u8], place: u64) -> io::Result<Self> {
        let wrong = |text: &str| broken(86, &format!("byte {place}"), text);
        let block = block
            .try_into()
            .map_err(|_| wrong("is not a whole header"))?;
        let header = Self { block, place };
        let stated = header.number(148, 8).map(|(sum, _)| sum);
        let is_checksum = |byte: usize| (148..156).contains(&byte);
        let summed = || {
            let bytes = header.block.iter().enumerate();
            bytes.map(move |(i, &b)| if is_checksum(i) { b' ' } else { b })
        };
        let unsigned: i64 = summed().map(i64::from).sum();
        // Some ancient programs added signed bytes.
        let signed: i64 = summed().map(|b| i64::from(b.cast_signed())).sum();
        if stated != Some(unsigned) && stated != Some(signed) {
            return Err(wrong("the header's checksum is wrong"));
        }
        Ok(header)
    }

    /// The type flag.
    pub fn kind(&self) -> u8 {
        self.block[156]
    }

    /// Where it stands, for messages.
    pub fn shown(&self) -> String {
        format!("{} (byte {})", self.own_name().escape_ascii(), self.place)
    }

    /// Length of the body as this header says it.
    pub fn size(&self) -> io::Result<u64> {
        let size = self.number(124, 12).map(|(size, _)| size);
        let size = size.and_then(|size| u64::try_from(size).ok());
        size.filter(|&size| i64::try_from(size).is_ok())
            .ok_or_else(|| broken(86, &self.shown(), "the size is not a number"))
    }

    fn dialect(&self) -> Dialect {
        match &self.block[257..265] {
            b"ustar\x0000" => Dialect::Ustar,
            b"ustar  \0" => Dialect::Gnu,
            magic if magic.starts_with(b"ustar") => Dialect::Ustar,
            _ => Dialect::V7,
        }
    }

    /// Bytes up to the first NUL.
    fn text(&self, start: usize, length: usize) -> &[u8] {
        let field = self.block.get(start..start + length).unwrap_or_default();
        field.split(|&b| b == 0).next().unwrap_or_default()
    }

    /// A number, and whether it is in base 256; `None` if it is none.
    fn number(&self, start: usize, length: usize) -> Option<(i64, bool)> {
        let field = self.block.get(start..start + length)?;
        if field.first().is_some_and(|&b| b & 0x80 != 0) {
            return binary(field).map(|number| (number, true));
        }
        octal(field).map(|number| (number, false))
    }

    fn own_name(&self) -> Vec<u8> {
        let (name, prefix) = (self.text(0, 100), self.text(345, 155));
        if self.dialect() == Dialect::Ustar && !prefix.is_empty() {
            return [prefix, b"/", name].concat();
        }
        name.to_vec()
    }

    /// The entry that this header and the extensions before it make.
    pub fn entry(&self, extension: &Extension, faults: &mut Faults) -> io::Result<RawEntry> {
        let name = extension
            .path()
            .map_or_else(|| self.own_name(), <[u8]>::to_vec);
        let shown = name.escape_ascii().to_string();
        extension.report(&shown, faults);
        let link = extension.link().unwrap_or(self.text(157, 100));
        let kind = self.raw_kind(&name, link, &shown, faults);
        let size = self.body_size(extension, &kind, &shown, faults)?;
        let path = read_path(&name, &shown, faults);
        self.check_dialect(&shown, faults);
        let (mode, mtime) = (
            self.mode(&shown, faults),
            self.mtime(extension, &shown, faults),
        );
        let owner = |key: &str, start: usize, faults: &mut Faults| {
            let field = || self.field(start, 8, &shown, faults);
            extension.number(key).unwrap_or_else(field)
        };
        let uid = owner("uid", 108, faults);
        let gid = owner("gid", 116, faults);
        let uname = extension
            .text("uname")
            .unwrap_or(self.text(265, 32))
            .to_vec();
        let gname = extension
            .text("gname")
            .unwrap_or(self.text(297, 32))
            .to_vec();
        if !(uname.is_empty() && gname.is_empty()) {
            faults.should(88, &shown, "has an owner by name, which is ignored");
        }
        for (id, whose) in [(uid, "user"), (gid, "group")] {
            if u32::try_from(id).is_err() {
                faults.must(
                    88,
                    &shown,
                    format!("has the {whose} {id}, which no system has"),
                );
            }
        }
        Ok(RawEntry {
            name,
            path,
            kind,
            mode,
            uid,
            gid,
            mtime,
            uname,
            gname,
            xattrs: extension.xattrs(),
            size,
        })
    }

    fn raw_kind(&self, name: &[u8], link: &[u8], shown: &str, faults: &mut Faults) -> RawKind {
        let flag = self.kind();
        match flag {
            b'0' | 0 | b'7' if name.ends_with(b"/") => {
                faults.field(
                    90,
                    shown,
                    "is a file by its type and a directory by its name",
                );
                RawKind::Dir
            }
            b'0' => RawKind::File,
            0 | b'7' => {
                faults.should(90, shown, "is a regular file of an outdated type");
                RawKind::File
            }
            b'1' => RawKind::HardLink(link.to_vec()),
            b'2' => RawKind::Symlink(link.to_vec()),
            b'3' => RawKind::Char(self.device(shown, faults)),
            b'4' => RawKind::Block(self.device(shown, faults)),
            b'5' => RawKind::Dir,
            b'6' => RawKind::Fifo,
            b'S' => {
                faults.field(89, shown, "is a sparse entry of GNU tar");
                RawKind::Other(flag)
            }
            _ => {
                let text = format!(
                    "is of type `{}`, which has no place in a layer",
                    flag.escape_ascii()
                );
                faults.must(90, shown, text);
                RawKind::Other(flag)
            }
        }
    }

    fn body_size(
        &self,
        extension: &Extension,
        kind: &RawKind,
        shown: &str,
        faults: &mut Faults,
    ) -> io::Result<u64> {
        let size = match extension.size() {
            Some(size) => size.map_err(|()| broken(100, shown, "the size is not a number"))?,
            None => self.size()?,
        };
        if matches!(kind, RawKind::File | RawKind::Other(_)) || size == 0 {
            return Ok(size);
        }
        // Readers agree that only files have bodies, whatever the header says.
        let rule = if matches!(kind, RawKind::HardLink(_)) {
            91
        } else {
            86
        };
        faults.must(
            rule,
            shown,
            format!("has a size of {size} bytes, but no body"),
        );
        Ok(0)
    }

    fn mode(&self, shown: &str, faults: &mut Faults) -> u32 {
        let mode = self.field(100, 8, shown, faults);
        if mode > 0o7777 {
            let text = format!("has the mode {mode:o}, with more than permission bits");
            faults.field(103, shown, text);
        }
        (mode & 0o7777) as u32
    }

    fn mtime(&self, extension: &Extension, shown: &str, faults: &mut Faults) -> Mtime {
        if let Some(text) = extension.text("mtime") {
            return pax::read_time(text).unwrap_or_else(|| {
                let shown_time = text.escape_ascii();
                faults.must(100, shown, format!("`{shown_time}` is not a time"));
                Mtime::default()
            });
        }
        let Some((secs, wide)) = self.number(136, 12) else {
            faults.must(86, shown, "the time is not a number");
            return Mtime::default();
        };
        report_wide(wide, shown, faults);
        Mtime { secs, nanos: 0 }
    }

    fn device(&self, shown: &str, faults: &mut Faults) -> Device {
        let mut part = |start| {
            let number = self.field(start, 8, shown, faults);
            u32::try_from(number).unwrap_or(u32::MAX)
        };
        Device {
            major: part(329),
            minor: part(337),
        }
    }

    /// A number that is not negative; 0 if it is none, which is noted.
    fn field(&self, start: usize, length: usize, shown: &str, faults: &mut Faults) -> u64 {
        let number = self.number(start, length);
        let Some((number, wide)) =
            number.and_then(|(n, wide)| Some((u64::try_from(n).ok()?, wide)))
        else {
            faults.must(
                86,
                shown,
                format!("bytes {start} to {} are not a number", start + length),
            );
            return 0;
        };
        report_wide(wide, shown, faults);
        number
    }

    fn check_dialect(&self, shown: &str, faults: &mut Faults) {
        if self.dialect() != Dialect::Ustar {
            faults.should(99, shown, "has a header that is not ustar");
        }
        if self.number(124, 12).is_some_and(|(_, wide)| wide) {
            report_wide(true, shown, faults);
        }
    }
}

fn report_wide(wide: bool, shown: &str, faults: &mut Faults) {
    if wide {
        faults.field(99, shown, "has a number in base 256");
    }
}

fn read_path(name: &[u8], shown: &str, faults: &mut Faults) -> Option<crate::tree::TreePath> {
    let path = normal_path(name);
    let parts = || name.split(|&b| b == b'/');
    let odd_parts = || {
        let inner = name.strip_prefix(b"./").unwrap_or(name);
        let inner = inner.strip_suffix(b"/").unwrap_or(inner);
        let odd = |part: &[u8]| matches!(part, b"" | b".");
        !inner.is_empty() && inner != b"." && inner.split(|&b| b == b'/').any(odd)
    };
    let fault = if name.is_empty() {
        "has no name"
    } else if name.starts_with(b"/") {
        "has an absolute name"
    } else if name.contains(&0) {
        // Only PAX can say so, and its record was noted.
        return path;
    } else if parts().any(|part| part == b"..") {
        "has a `..` in its name"
    } else if path.is_none() {
        "has a name longer than any system takes"
    } else if odd_parts() {
        "has an empty or `.` part in its name"
    } else {
        return path;
    };
    faults.field(93, shown, fault);
    path
}

/// Octal digits, spaces before, spaces or NULs after; nothing at all is 0.
fn octal(field: &[u8]) -> Option<i64> {
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|&b| b == 0 || b == b' ');
    let (digits, rest) = digits.split_at(end.unwrap_or(digits.len()));
    if rest.iter().any(|&b| b != 0 && b != b' ') {
        return None;
    }
    digits.iter().try_fold(0_i64, |sum, &digit| {
        let value = digit.checked_sub(b'0').filter(|&v| v < 8)?;
        sum.checked_mul(8)?.checked_add(i64::from(value))
    })
}

/// GNU's way for large and negative numbers: two's complement, the top bit set as a mark.
fn binary(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    let negative = first & 0x40 != 0;
    let start = i128::from(first & 0x3f) - if negative { 64 } else { 0 };
    let number = rest.iter().try_fold(start, |sum, &byte| {
        sum.checked_mul(256)?.checked_add(i128::from(byte))
    })?;
    i64::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(octal(b"0000644\0"), Some(0o644));
        assert_eq!(octal(b"   644 \0"), Some(0o644));
        assert_eq!(octal(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(octal(b"0000648\0"), None);
        assert_eq!(octal(b"644\x0012\0\0"), None);
        assert_eq!(binary(b"\x80\0\0\0\0\0\0\x01"), Some(1));
        assert_eq!(binary(b"\xff\xff\xff\xff\xff\xff\xff\xff"), Some(-1));
        assert_eq!(binary(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }

    #[test]
    fn paths() {
        for (name, path, clean) in [
            (&b"a/b"[..], Some("a/b"), true),
            (b"./a/", Some("a"), true),
            (b"./", Some(""), true),
            (b".", Some(""), true),
            (b"a//b", Some("a/b"), false),
            (b"a/./b", Some("a/b"), false),
            (b"././a", Some("a"), false),
            (b"/a", None, false),
            (b"a/../b", None, false),
            (b"", None, false),
            (b"a\0b", None, true),
        ] {
            let mut faults = Faults::default();
            let read = read_path(name, "x", &mut faults);
            let read = read.map(|path| String::from_utf8(path.as_bytes().to_vec()).unwrap());
            assert_eq!(
                (read.as_deref(), faults.into_vec().is_empty()),
                (path, clean)
            );
        }
    }
}
