//! The values of flags: text → what is meant by it. Each function names its flag when it refuses.

use plywood::layer::Codec;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::exit::Failure;

/// A refused value: "--flag `text` why".
pub fn refused(flag: &str, text: &str, why: &str) -> Failure {
    Failure::usage(format!("--{flag} `{text}` {why}"))
}

/// `none`, `gzip[:LEVEL]`, `zstd[:LEVEL]`.
pub fn codec(text: &str) -> Result<Codec, Failure> {
    let (name, level) = match text.split_once(':') {
        Some((name, level)) => (name, Some(level)),
        None => (text, None),
    };
    let level = |default: u8, most: u8| match level.map(str::parse::<u8>) {
        None => Ok(default),
        Some(Ok(level)) if (1..=most).contains(&level) => Ok(level),
        Some(_) => Err(refused(
            "compression",
            text,
            &format!("has a level outside 1 to {most}"),
        )),
    };
    match name {
        "none" if !text.contains(':') => Ok(Codec::None),
        "gzip" => Ok(Codec::Gzip(level(6, 12)?)),
        "zstd" => Ok(Codec::Zstd(level(3, 22)?)),
        _ => Err(refused(
            "compression",
            text,
            "is none of none, gzip[:LEVEL], zstd[:LEVEL]",
        )),
    }
}

/// `UID:GID`, both numbers; `None` is `keep`.
pub fn owner(text: &str) -> Result<Option<(u32, u32)>, Failure> {
    if text == "keep" {
        return Ok(None);
    }
    // The last number is "no owner" to chown(2).
    let number = |part: &str| {
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u32>()
            .ok()
            .filter(|&id| digits && id != u32::MAX)
    };
    let ids = text.split_once(':').map(|(u, g)| (number(u), number(g)));
    match ids {
        Some((Some(uid), Some(gid))) => Ok(Some((uid, gid))),
        _ => Err(
            refused("owner", text, "is neither `keep` nor two numbers UID:GID")
                .hint("names are not looked up, because this machine's users are not the image's"),
        ),
    }
}

/// One of two words.
pub fn choice(flag: &str, text: &str, words: [&str; 2]) -> Result<bool, Failure> {
    let [first, second] = words;
    match text {
        _ if text == first => Ok(true),
        _ if text == second => Ok(false),
        _ => Err(refused(
            flag,
            text,
            &format!("is neither `{first}` nor `{second}`"),
        )),
    }
}

/// A date as RFC 3339 has it, with its zone.
pub fn date(flag: &str, text: &str) -> Result<OffsetDateTime, Failure> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339);
    parsed.map_err(|fault| {
        refused(flag, text, "is not a date as RFC 3339 has it")
            .because(fault.to_string())
            .hint("write it like 2024-05-31T23:59:59Z")
    })
}

/// Seconds since 1970 began, of a time in the years 0 to 9999.
pub fn seconds(flag: &str, text: &str) -> Result<OffsetDateTime, Failure> {
    let secs = text.parse::<i64>().ok();
    let moment = secs.and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok());
    moment
        .filter(|moment| (0..=9999).contains(&moment.year()))
        .ok_or_else(|| {
            refused(
                flag,
                text,
                "is not a number of seconds within the years 0 to 9999",
            )
        })
}

/// A moment as documents of an image write it: RFC 3339 in UTC.
pub fn rfc3339(moment: OffsetDateTime) -> Result<String, Failure> {
    let utc = moment.to_offset(time::UtcOffset::UTC);
    utc.format(&Rfc3339)
        .map_err(|fault| Failure::usage("a date cannot be written").because(fault.to_string()))
}

/// A list in which a later pair of the same name takes the place of the earlier.
pub fn later_wins(given: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in given {
        match pairs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => pairs.push((name, value)),
        }
    }
    pairs
}

/// A number of bytes: `1048576` or `20G`; K, M, G and T are powers of 1024.
pub fn bytes(text: &str) -> Result<u64, Failure> {
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        Some((at, 't' | 'T')) => (&text[..at], 40),
        _ => (text, 0),
    };
    let whole = digits.bytes().all(|b| b.is_ascii_digit());
    let value = digits.parse::<u64>().ok().filter(|_| whole);
    let value = value.and_then(|value| value.checked_mul(1 << shift));
    value.ok_or_else(|| Failure::usage(format!("`{text}` is not a size such as 500M or 20G")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        match result.unwrap_err() {
            Failure::Told(told) => format!("{told:?}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn codecs() {
        assert_eq!(codec("none").unwrap(), Codec::None);
        assert_eq!(codec("gzip").unwrap(), Codec::Gzip(6));
        assert_eq!(codec("zstd:19").unwrap(), Codec::Zstd(19));
        for text in [
            "", "xz", "none:1", "gzip:0", "gzip:13", "zstd:23", "zstd:-1", "zstd:", "zstd:+3x",
        ] {
            assert!(told(codec(text)).contains("--compression `"), "{text}");
        }
    }

    #[test]
    fn owners() {
        assert_eq!(owner("keep").unwrap(), None);
        assert_eq!(owner("0:4294967294").unwrap(), Some((0, 4_294_967_294)));
        for text in [
            "",
            "0",
            "root:root",
            "-1:0",
            "+1:0",
            "0:4294967295",
            "0:0:0",
            "1: 1",
        ] {
            assert!(told(owner(text)).contains("two numbers"), "{text}");
        }
    }

    #[test]
    fn moments() {
        let of = |text| rfc3339(date("created", text).unwrap()).unwrap();
        assert_eq!(of("2024-05-31T23:59:59+02:00"), "2024-05-31T21:59:59Z");
        assert_eq!(of("1969-12-31T23:59:59.5Z"), "1969-12-31T23:59:59.5Z");
        for text in [
            "",
            "2024-05-31",
            "2024-02-30T00:00:00Z",
            "2024-05-31T23:59:59",
            "yesterday",
        ] {
            assert!(told(date("created", text)).contains("RFC 3339"), "{text}");
        }
        for text in ["", "x", "1.5", "99999999999999", "9223372036854775808"] {
            assert!(told(seconds("mtime", text)).contains("seconds"), "{text}");
        }
        assert_eq!(seconds("mtime", "-1").unwrap().unix_timestamp(), -1);
    }

    #[test]
    fn later_pairs_win() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let won = later_wins([pair("A", "1"), pair("B", ""), pair("A", "2")]);
        assert_eq!(won, [pair("A", "2"), pair("B", "")]);
    }
}
