//! What a store path is called when its hash and version are taken off.

/// The identity of a Nix or Guix store path over its versions, and none for other paths.
///
/// The version starts at the first `-` that no letter follows, as in `builtins.parseDrvName`;
/// a last part without digits names an output and stays.
///
/// ```
/// use plywood::source::store_name;
///
/// let path = "/nix/store/7xq5mkn6jlz1dg466j2gymzdsd9gr8ld-gcc-12.2.0-lib";
/// assert_eq!(store_name(path).as_deref(), Some("gcc-lib"));
/// assert_eq!(store_name("/opt/gcc-12"), None);
/// ```
pub fn store_name(path: &str) -> Option<String> {
    let base = path.rsplit('/').next()?;
    if !has_hash(path) {
        return None;
    }
    let name = base.get(HASH + 1..)?;
    let Some((package, version)) = split_version(name) else {
        return Some(name.to_owned());
    };
    match version.rsplit_once('-') {
        Some((_, output)) if !output.is_empty() && output.chars().all(char::is_alphabetic) => {
            Some(format!("{package}-{output}"))
        }
        _ => Some(package.to_owned()),
    }
}

/// Length of a store path's hash in its base name.
const HASH: usize = 32;

/// Whether the base name starts with a store path's hash.
pub(super) fn has_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default().as_bytes();
    let digit = |b: &u8| b"0123456789abcdfghijklmnpqrsvwxyz".contains(b);
    match name.split_at_checked(HASH) {
        Some((hash, rest)) => rest.len() > 1 && rest[0] == b'-' && hash.iter().all(digit),
        None => false,
    }
}

fn split_version(name: &str) -> Option<(&str, &str)> {
    let starts = |at: &usize| name[at + 1..].starts_with(|c: char| !c.is_ascii_alphabetic());
    let (at, _) = name
        .match_indices('-')
        .find(|(at, _)| *at > 0 && starts(at))?;
    Some((&name[..at], &name[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::store_name;

    #[test]
    fn names_without_hash_and_version() {
        for (name, expected) in [
            ("glibc-2.36-9", "glibc"),
            ("bash-5.1-p12", "bash"),
            ("gcc-12.2.0-lib", "gcc-lib"),
            ("openssl-3.0.15-bin", "openssl-bin"),
            ("python3.11-requests-2.31.0", "python3.11-requests"),
            ("foo-unstable-2024-01-01", "foo-unstable"),
            ("hello", "hello"),
            ("builder.pl", "builder.pl"),
            ("-1", "-1"),
            ("a-", "a-"),
            ("é-1", "é"),
        ] {
            let path = format!("/nix/store/{}-{name}", "0".repeat(32));
            assert_eq!(store_name(&path).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn other_paths_have_none() {
        for path in ["", "/", "/nix/store", "/nix/store/x-hello-1", "A", "/opt/ü"] {
            assert_eq!(store_name(path), None, "{path}");
        }
        let upper = format!("/nix/store/{}-x", "E".repeat(32));
        assert_eq!(store_name(&upper), None);
    }
}
