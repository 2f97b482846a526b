//! What Python's installers write: `METADATA` and `RECORD` (core metadata; PEP 376, 503, 508).

/// Name, version and requirements of a distribution.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Normalised; nothing if the document has none.
    pub name: Option<String>,
    /// As it stands there; empty if the document has none.
    pub version: String,
    /// Normalised names of what it needs, extras left out.
    pub requires: Vec<String>,
}

/// Reads `METADATA` or `PKG-INFO`: a mail header. Whatever is not understood is ignored.
pub(super) fn metadata(text: &str) -> Metadata {
    let mut found = Metadata::default();
    for line in text.lines().take_while(|line| !line.trim().is_empty()) {
        let Some((field, value)) = line.split_once(':') else {
            continue;
        };
        if field.eq_ignore_ascii_case("name") {
            found.name = Some(normalised(value.trim())).filter(|name| !name.is_empty());
        } else if field.eq_ignore_ascii_case("version") {
            value.trim().clone_into(&mut found.version);
        } else if field.eq_ignore_ascii_case("requires-dist") {
            found.requires.extend(requirement(value));
        }
    }
    found
}

/// The name in a requirement; none if it is for an extra only. Other markers are taken as
/// true: whether they are shows in whether the distribution is there.
fn requirement(text: &str) -> Option<String> {
    let (wanted, marker) = text.split_once(';').unwrap_or((text, ""));
    let wanted = wanted.trim();
    let end = wanted.find(|c: char| !c.is_alphanumeric() && !"-_.".contains(c));
    let name = normalised(end.map_or(wanted, |end| &wanted[..end]));
    let extra = marker
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word == "extra");
    Some(name).filter(|name| !extra && !name.is_empty())
}

/// A distribution's name as PEP 503 compares it: lower case, runs of `-_.` as one `-`.
pub(super) fn normalised(name: &str) -> String {
    let parts = name
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>();
    parts.join("-").to_lowercase()
}

/// The paths of a `RECORD` with their lines, as they stand there.
///
/// # Errors
/// The number of the line that is broken, and why.
pub(super) fn record(bytes: &[u8]) -> Result<Vec<(usize, String)>, (usize, String)> {
    let mut paths = Vec::new();
    for (line, number) in bytes.split(|&b| b == b'\n').zip(1..) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(line).map_err(|_| (number, "is not UTF-8".to_owned()))?;
        let fields = fields(text).map_err(|why| (number, why))?;
        match fields.as_slice() {
            [path, _, _] if !path.is_empty() && !path.contains('\0') => {
                paths.push((number, path.clone()));
            }
            _ => {
                let shown = super::view::shorten(text);
                return Err((number, format!("`{shown}` is not `path,hash,size`")));
            }
        }
    }
    Ok(paths)
}

/// One line of comma-separated values; a quote within quotes is doubled.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else {
            break;
        };
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => field.extend(chars.next()),
            ('"', true) => quoted = false,
            ('"', false) if field.is_empty() => quoted = true,
            (',', false) => fields.push(String::new()),
            (c, _) => field.push(c),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    Ok(fields)
}

/// `path` as seen from `base`, both relative to the root of the file system; an absolute
/// path is one from that root. None if it leads out of it.
pub(super) fn joined(base: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    let base = if path.starts_with(b"/") { b"" } else { base };
    for part in base.split(|&b| b == b'/').chain(path.split(|&b| b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_requirements() {
        let text = "Metadata-Version: 2.1\nName: Foo.Bar__baz\nVersion: 1\nRequires-Dist: Zope.Interface[test]>=4 ; python_version < '3'\nRequires-Dist: requests (>=2,<3)\nRequires-Dist: pytest; extra == 'test'\nRequires-Dist: x@https://example.org/x.whl\n\nName: body\n";
        let found = metadata(text);
        assert_eq!(found.name.as_deref(), Some("foo-bar-baz"));
        assert_eq!(found.version, "1");
        assert_eq!(found.requires, ["zope-interface", "requests", "x"]);
        assert_eq!(metadata("no header\nName: \n"), Metadata::default());
    }

    #[test]
    fn records() {
        let text = "a/b.py,sha256=x,12\r\n\"c,\"\"d\"\".py\",,\n../../bin/x,sha256=y,1\n\n";
        let expected = [(1, "a/b.py"), (2, "c,\"d\".py"), (3, "../../bin/x")];
        assert_eq!(
            record(text.as_bytes()).unwrap(),
            expected.map(|(l, p)| (l, p.to_owned()))
        );
        for (text, line, reason) in [
            ("a,,\nb", 2, "`b` is not `path,hash,size`"),
            ("a,b,c,d", 1, "`a,b,c,d` is not `path,hash,size`"),
            (",,", 1, "`,,` is not `path,hash,size`"),
            ("a,,\n\"b,,", 2, "a quote is not closed"),
        ] {
            assert_eq!(
                record(text.as_bytes()).unwrap_err(),
                (line, reason.to_owned())
            );
        }
        assert_eq!(record(b"\xff,,").unwrap_err().0, 1);
    }

    #[test]
    fn paths_stay_in_the_tree_or_are_none() {
        let of = |base: &str, path: &str| {
            joined(base.as_bytes(), path.as_bytes()).map(|p| String::from_utf8(p).unwrap())
        };
        assert_eq!(
            of("usr/lib/python3", "../../bin/x").as_deref(),
            Some("usr/bin/x")
        );
        assert_eq!(of("usr/lib", "./a//b/").as_deref(), Some("usr/lib/a/b"));
        assert_eq!(of("usr/lib", "/opt/x").as_deref(), Some("opt/x"));
        assert_eq!(of("usr/lib", "../../../etc/passwd"), None);
        assert_eq!(of("usr", "/../x"), None);
    }
}
