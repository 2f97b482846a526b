//! [`Extension`]: what PAX records and GNU's long names say of the entry after them.

use std::collections::BTreeMap;

use crate::fault::{Fault, Faults, Level};
use crate::tree::{Mtime, Xattrs};

/// Records by keyword, and what is wrong with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Extension {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    faults: Vec<(Level, u16, String)>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";

impl Extension {
    /// Reads the body of an extension header: records `LENGTH KEYWORD=VALUE\n`.
    pub fn parse(mut bytes: &[u8]) -> Self {
        let mut extension = Self::default();
        let mut last: Option<&[u8]> = None;
        while !bytes.is_empty() {
            let Some((keyword, value, rest)) = record(bytes) else {
                let text = "has a PAX record whose length is not its own";
                extension.note(Level::Must, 100, text);
                break;
            };
            extension.check(keyword, value);
            if last.is_some_and(|last| last > keyword) {
                extension.note(Level::Should, 100, "has PAX records out of order");
            }
            last = Some(keyword);
            if extension
                .records
                .insert(keyword.to_vec(), value.to_vec())
                .is_some()
            {
                let text = format!("has the PAX record `{}` twice", keyword.escape_ascii());
                extension.note(Level::Must, 100, &text);
            }
            bytes = rest;
        }
        extension
    }

    /// Adds what this one says to an earlier one, and wins.
    pub fn lay_over(&self, earlier: &mut Self) {
        let records = self.records.iter().map(|(k, v)| (k.clone(), v.clone()));
        earlier.records.extend(records);
        earlier.faults.extend(self.faults.iter().cloned());
    }

    pub fn set_long_name(&mut self, name: Vec<u8>) {
        self.note(Level::Field, 99, "has its name in a GNU long-name entry");
        self.long_name = Some(name);
    }

    pub fn set_long_link(&mut self, link: Vec<u8>) {
        self.note(Level::Field, 99, "has its link in a GNU long-link entry");
        self.long_link = Some(link);
    }

    /// Notes what was wrong, at the entry that it was about.
    pub fn report(&self, shown: &str, faults: &mut Faults) {
        for (level, rule, text) in &self.faults {
            faults.push(Fault::new(*level, *rule, shown, text));
        }
    }

    pub fn path(&self) -> Option<&[u8]> {
        self.text("path").or(self.long_name.as_deref())
    }

    pub fn link(&self) -> Option<&[u8]> {
        self.text("linkpath").or(self.long_link.as_deref())
    }

    /// The value of a keyword; an empty one says nothing.
    pub fn text(&self, keyword: &str) -> Option<&[u8]> {
        let value = self.records.get(keyword.as_bytes())?;
        (!value.is_empty()).then_some(value)
    }

    /// The size, if one is given; an error if it is no number.
    pub fn size(&self) -> Option<Result<u64, ()>> {
        let size = number(self.text("size")?);
        Some(size.filter(|&size| i64::try_from(size).is_ok()).ok_or(()))
    }

    /// A number such as `uid`; one that is none was noted when the record was read.
    pub fn number(&self, keyword: &str) -> Option<u64> {
        number(self.text(keyword)?)
    }

    pub fn xattrs(&self) -> Xattrs {
        let records = self.records.iter();
        let named = records.filter_map(|(k, v)| Some((k.strip_prefix(XATTR)?.to_vec(), v.clone())));
        named.collect()
    }

    fn note(&mut self, level: Level, rule: u16, text: &str) {
        self.faults.push((level, rule, text.to_owned()));
    }

    fn check(&mut self, keyword: &[u8], value: &[u8]) {
        let shown = keyword.escape_ascii();
        if let Some(name) = keyword.strip_prefix(XATTR) {
            return self.check_xattr(name, value);
        }
        if keyword.starts_with(b"SCHILY.acl.") {
            self.note(
                Level::Field,
                102,
                "has an access list as text, which unpackers ignore",
            );
        } else if keyword.starts_with(b"LIBARCHIVE.xattr.") {
            let text = format!("has the attribute `{shown}`, which unpackers ignore");
            self.note(Level::Field, 101, &text);
        } else if keyword.starts_with(b"GNU.sparse.") {
            self.note(Level::Field, 89, "is a sparse entry of GNU tar");
        }
        match keyword {
            b"atime" | b"ctime" | b"LIBARCHIVE.creationtime" => {
                self.note(Level::Field, 100, &format!("has a record of `{shown}`"));
            }
            b"path" | b"linkpath" if value.contains(&0) => {
                self.note(Level::Must, 100, &format!("has a NUL in its `{shown}`"));
            }
            b"uid" | b"gid" | b"size" if number(value).is_none() && !value.is_empty() => {
                self.note(
                    Level::Must,
                    100,
                    &format!("has a `{shown}` that is not a number"),
                );
            }
            b"" => self.note(Level::Must, 100, "has a PAX record without keyword"),
            _ => {}
        }
    }

    fn check_xattr(&mut self, name: &[u8], value: &[u8]) {
        const UNWANTED: [&[u8]; 3] = [b"trusted.overlay.", b"user.overlay.", b"security.selinux"];
        let shown = name.escape_ascii();
        if name.is_empty() || value.is_empty() {
            let text =
                format!("has the attribute `{shown}` without a value, which PAX cannot hold");
            self.note(Level::Field, 101, &text);
        }
        if UNWANTED.iter().any(|start| name.starts_with(start)) || name == b"system.nfs4_acl" {
            let text = format!("has the attribute `{shown}`, which belongs to one machine");
            self.note(Level::Field, 102, &text);
        }
        // VFS_CAP_REVISION_3 in the top byte of a little-endian number.
        if name == b"security.capability" && value.get(3) == Some(&3) {
            self.note(
                Level::Field,
                102,
                "has capabilities bound to a user namespace",
            );
        }
    }
}

/// Splits off the first record: keyword, value, and what comes after.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|&b| b == b' ')?;
    let length = usize::try_from(number(bytes.get(..space)?)?).ok()?;
    let body = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&b| b == b'=')?;
    Some((&body[..equals], &body[equals + 1..], bytes.get(length..)?))
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = digits.then_some(text)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads `SECONDS[.FRACTION]`, perhaps negative; digits beyond nanoseconds are cut off downwards.
pub(super) fn read_time(text: &[u8]) -> Option<Mtime> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let point = text.iter().position(|&b| b == b'.').unwrap_or(text.len());
    let (whole, fraction) = text.split_at(point);
    let fraction = fraction.strip_prefix(b".").unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let secs = i64::try_from(number(whole)?).ok()?;
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanos = digits.fold(0, |sum, &digit| sum * 10 + u32::from(digit - b'0'));
    if !negative {
        return Some(Mtime { secs, nanos });
    }
    Some(match nanos {
        0 => Mtime { secs: -secs, nanos },
        _ => Mtime {
            secs: -secs - 1,
            nanos: 1_000_000_000 - nanos,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let time = |text: &str| read_time(text.as_bytes()).map(|t| (t.secs, t.nanos));
        assert_eq!(time("1"), Some((1, 0)));
        assert_eq!(time("1.5"), Some((1, 500_000_000)));
        assert_eq!(time("-1"), Some((-1, 0)));
        assert_eq!(time("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time("1.1234567899"), Some((1, 123_456_789)));
        for bad in ["", "x", "1.x", "--1", "99999999999999999999"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn records_count_themselves() {
        let extension = Extension::parse(b"22 SCHILY.xattr.u=\0\n=\n11 path=ab\n");
        assert_eq!(extension.path(), Some(&b"ab"[..]));
        assert_eq!(extension.xattrs()[&b"u"[..]], b"\0\n=");
        assert!(extension.faults.is_empty(), "{:?}", extension.faults);
        for bad in [
            &b"10 path=ab\n"[..],
            b"12 path=ab\n",
            b"path=ab\n",
            b"11 path=ab ",
            b"0 a=b\n",
            b"5 ab\n",
        ] {
            assert_eq!(Extension::parse(bad).faults[0].1, 100);
        }
    }
}
