//! The values of flags: text → what is meant by it. Each function names its flag when it refuses.

use std::path::Path;

use plywood::layer::Codec;
use serde_json::Value;
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

/// The words of `--cmd` or `--entrypoint`: a JSON array, or one word for each time the flag was given.
pub fn words(flag: &str, given: &[String]) -> Result<Vec<String>, Failure> {
    let [only] = given else {
        return Ok(given.to_vec());
    };
    if only.starts_with('[') {
        return serde_json::from_str(only).map_err(|fault| {
            refused(
                flag,
                only,
                "starts like a JSON array of strings and is not one",
            )
            .because(fault.to_string())
        });
    }
    let array = |words: &[&str]| Value::from(words).to_string();
    if only.is_empty() {
        return Err(refused(flag, only, "is an empty word")
            .hint(format!("--{flag} '[]' stands for no words")));
    }
    if only.contains(char::is_whitespace) {
        let split: Vec<_> = only.split_whitespace().collect();
        return Err(
            refused(flag, only, "has spaces, and nothing is split").hint(format!(
                "for several words write --{flag} '{}', for this one word --{flag} '{}'",
                array(&split),
                array(&[only])
            )),
        );
    }
    Ok(vec![only.clone()])
}

/// `NAME=VALUE` texts, a later one of the same name in place of the earlier.
pub fn pairs(flag: &str, given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for text in given {
        let (name, value) = pair(text).map_err(|why| refused(flag, text, why))?;
        match pairs.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => pairs.push((name.to_owned(), value.to_owned())),
        }
    }
    Ok(pairs)
}

fn pair(text: &str) -> Result<(&str, &str), &'static str> {
    match text.split_once('=') {
        None => Err("is not NAME=VALUE"),
        Some(("", _)) => Err("has no name before the `=`"),
        Some(_) if text.contains('\0') => Err("has a NUL byte"),
        Some(pair) => Ok(pair),
    }
}

/// The lines of an `--env-file` that are variables.
pub fn env_file(path: &Path) -> Result<Vec<String>, Failure> {
    let place = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|fault| Failure::io(&format!("read {place}"), &fault))?;
    let lines = text.lines().enumerate();
    let meant = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let checked = meant.map(|(i, line)| match pair(line) {
        Ok(_) => Ok(line.to_owned()),
        Err(why) => Err(Failure::usage(format!(
            "{place}, line {}: `{line}` {why}",
            i + 1
        ))),
    });
    checked.collect()
}

/// `PORT[/tcp|udp|sctp]`.
pub fn port(text: &str) -> Result<String, Failure> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    let valid = digits && number.parse::<u16>().is_ok_and(|port| port != 0);
    if valid && matches!(protocol, "tcp" | "udp" | "sctp") {
        return Ok(text.to_owned());
    }
    Err(refused(
        "expose",
        text,
        "is not PORT, PORT/tcp, PORT/udp or PORT/sctp with a port of 1 to 65535",
    ))
}

/// `none`, or Docker's JSON object.
pub fn healthcheck(text: &str) -> Result<Value, Failure> {
    if text == "none" {
        return Ok(serde_json::json!({ "Test": ["NONE"] }));
    }
    let refused = || refused("healthcheck", text, "is neither `none` nor a JSON object");
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(refused()),
        Err(fault) => Err(refused()
            .because(fault.to_string())
            .hint(r#"for example {"Test": ["CMD", "/bin/check"], "Interval": 30000000000}"#)),
    }
}

/// `OS/ARCH[/VARIANT]` in the words of the specification: (os, architecture, variant).
pub fn platform(text: &str) -> Result<(String, String, Option<String>), Failure> {
    let parts: Vec<_> = text.split('/').collect();
    let plain = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let refused =
        |why| refused("platform", text, why).hint("for example linux/amd64 or linux/arm64/v8");
    if !parts.iter().all(plain) {
        return Err(refused("is not OS/ARCH[/VARIANT]"));
    }
    let (os, arch, variant) = match parts[..] {
        [os, arch] => (os, arch, None),
        [os, arch, variant] => (os, arch, Some(variant.to_owned())),
        _ => return Err(refused("is not OS/ARCH[/VARIANT]")),
    };
    Ok((os.to_owned(), goarch(arch).to_owned(), variant))
}

/// The specification's name of an architecture that the kernel calls otherwise.
pub fn goarch(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" | "i686" | "i386" => "386",
        "powerpc64le" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        match result.unwrap_err() {
            Failure::Told(told) => told.message().to_owned(),
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
            assert!(told(codec(text)).starts_with("--compression `"), "{text}");
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
    fn words_are_never_split() {
        let of = |texts: &[&str]| {
            let given: Vec<_> = texts.iter().map(ToString::to_string).collect();
            words("cmd", &given)
        };
        assert_eq!(of(&["/bin/sh"]).unwrap(), ["/bin/sh"]);
        assert_eq!(of(&["sh", "-c", "a b"]).unwrap(), ["sh", "-c", "a b"]);
        assert_eq!(of(&[r#"["sh","a b"]"#]).unwrap(), ["sh", "a b"]);
        assert_eq!(of(&["[]"]).unwrap(), Vec::<String>::new());
        assert_eq!(
            told(of(&["a b"])),
            "--cmd `a b` has spaces, and nothing is split"
        );
        assert_eq!(told(of(&[""])), "--cmd `` is an empty word");
        assert!(told(of(&["[1]"])).ends_with("a JSON array of strings and is not one"));
    }

    #[test]
    fn later_pairs_win() {
        let of = |texts: &[&str]| {
            let given: Vec<_> = texts.iter().map(ToString::to_string).collect();
            pairs("env", &given)
        };
        let won = of(&["A=1", "B=", "A=x=y"]).unwrap();
        assert_eq!(
            won,
            [("A".into(), "x=y".into()), ("B".into(), String::new())]
        );
        assert_eq!(told(of(&["A"])), "--env `A` is not NAME=VALUE");
        assert_eq!(told(of(&["=1"])), "--env `=1` has no name before the `=`");
    }

    #[test]
    fn ports() {
        for text in ["80", "53/udp", "65535/tcp"] {
            assert_eq!(port(text).unwrap(), text);
        }
        for text in ["", "0", "65536", "80/", "80/TCP", "-1", "80-90", "+80"] {
            assert!(told(port(text)).starts_with("--expose"), "{text}");
        }
    }

    #[test]
    fn platforms() {
        let (os, arch, variant) = platform("linux/aarch64/v8").unwrap();
        assert_eq!(
            (&*os, &*arch, variant.as_deref()),
            ("linux", "arm64", Some("v8"))
        );
        for text in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/a b"] {
            assert!(told(platform(text)).contains("OS/ARCH"), "{text}");
        }
    }
}
