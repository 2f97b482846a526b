//! [`ImageName`]: what people call an image, in full (Docker's reference grammar).

use std::fmt;
use std::str::FromStr;

use super::ImageError;
use super::annotations::{Annotations, CONTAINERD_NAME, REF_NAME};

/// A repository and a tag, as `-t REPO:TAG` gives them.
///
/// Normalised as Docker does: `hello` is `docker.io/library/hello:latest`. Docker,
/// podman and containerd all find an image so named again when asked for `hello`;
/// a name with a registry in front (`localhost/hello`) stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    /// In full, with its registry: `docker.io/library/hello`.
    pub repository: String,
    /// `latest` unless given.
    pub tag: String,
}

const DEFAULT_DOMAIN: &str = "docker.io";
const OFFICIAL: &str = "library/";

impl ImageName {
    /// Reads `[REGISTRY[:PORT]/]PATH[:TAG]`.
    ///
    /// # Errors
    /// [`ImageError::Wish`] for anything else, and for a digest, which cannot be given.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let refuse = |fault: &str| ImageError::wish("image name", text, fault);
        if text.contains('@') {
            return Err(refuse("has a digest: the digest follows from the content"));
        }
        let (name, tag) = split_tag(text);
        let tag = tag.unwrap_or("latest");
        if !is_tag(tag) {
            return Err(
                refuse("has a tag that is not made of letters, digits and _.-").with_hint(
                    "a tag has 1 to 128 of [A-Za-z0-9_.-] and does not start with . or -",
                ),
            );
        }
        let repository = normalise(name);
        if repository.len() > 255 {
            return Err(refuse("is longer than 255 characters"));
        }
        let (domain, path) = repository.split_once('/').unwrap_or_default();
        if !is_domain(domain) {
            return Err(refuse("does not start with a registry's host name"));
        }
        if !path.split('/').all(is_path_component) {
            let hint = if text.bytes().any(|b| b.is_ascii_uppercase()) {
                format!("write it in lower case: {}", name.to_lowercase())
            } else {
                "a repository is made of a-z, 0-9 and single separators . _ - /".to_owned()
            };
            return Err(refuse("is not a repository name").with_hint(hint));
        }
        Ok(Self {
            repository,
            tag: tag.to_owned(),
        })
    }

    /// The short form that Docker shows and writes into archives: `hello:latest`.
    pub fn familiar(&self) -> String {
        let path = self.repository.strip_prefix(DEFAULT_DOMAIN);
        let path = path.and_then(|path| path.strip_prefix('/'));
        let path = path.map(|path| {
            path.strip_prefix(OFFICIAL)
                .filter(|p| !p.contains('/'))
                .unwrap_or(path)
        });
        format!("{}:{}", path.unwrap_or(&self.repository), self.tag)
    }

    /// The annotations by which every tool finds the image in a layout: the tag
    /// alone as `ref.name`, the full name for containerd and docker.
    pub fn annotations(&self) -> Annotations {
        Annotations::from([
            (REF_NAME.to_owned(), self.tag.clone()),
            (CONTAINERD_NAME.to_owned(), self.to_string()),
        ])
    }
}

impl FromStr for ImageName {
    type Err = ImageError;
    fn from_str(text: &str) -> Result<Self, ImageError> {
        Self::parse(text)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// A colon after the last slash starts the tag; one before it is a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// Puts the registry and `library/` in front where they are left out.
fn normalise(name: &str) -> String {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, name),
    };
    let domain = if domain == "index.docker.io" {
        DEFAULT_DOMAIN
    } else {
        domain
    };
    let official = domain == DEFAULT_DOMAIN && !path.contains('/');
    format!("{domain}/{}{path}", if official { OFFICIAL } else { "" })
}

fn looks_like_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first != first.to_lowercase()
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let port_fits = port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    let address = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_fits = match address {
        Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_host_label),
    };
    port_fits && host_fits
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let word = |b: char| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separators = part.split(word).filter(|s| !s.is_empty());
    part.starts_with(word) && part.ends_with(word) && { separators }
        .all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

/// Whether `text` is a tag: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}` (distribution specification).
pub fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// Whether `text` may stand as `org.opencontainers.image.ref.name` (annotations chapter).
pub fn is_ref_name(text: &str) -> bool {
    text.split('/').all(|component| {
        let word = |c: char| c.is_ascii_alphanumeric();
        let separators = component.split(word).filter(|s| !s.is_empty());
        component.starts_with(word) && component.ends_with(word) && { separators }
            .all(|s| s == "--" || (s.len() == 1 && "-._:@+".contains(s)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_as_docker_does() {
        for (given, full, short) in [
            ("hello", "docker.io/library/hello:latest", "hello:latest"),
            ("app:1.0", "docker.io/library/app:1.0", "app:1.0"),
            ("me/app", "docker.io/me/app:latest", "me/app:latest"),
            (
                "docker.io/app",
                "docker.io/library/app:latest",
                "app:latest",
            ),
            (
                "index.docker.io/library/app:1",
                "docker.io/library/app:1",
                "app:1",
            ),
            ("localhost/app:1", "localhost/app:1", "localhost/app:1"),
            (
                "localhost:5000/a/b__c:x",
                "localhost:5000/a/b__c:x",
                "localhost:5000/a/b__c:x",
            ),
            ("[::1]:5000/a:v", "[::1]:5000/a:v", "[::1]:5000/a:v"),
            (
                "GHCR.io/me/a---b",
                "GHCR.io/me/a---b:latest",
                "GHCR.io/me/a---b:latest",
            ),
        ] {
            let name = ImageName::parse(given).unwrap();
            assert_eq!(name.to_string(), full);
            assert_eq!(name.familiar(), short);
        }
    }

    #[test]
    fn refuses_what_docker_refuses() {
        let long = format!("a:{}", "t".repeat(129));
        for bad in [
            "",
            ":",
            ":tag",
            "a:",
            "a:.x",
            "a:-x",
            "A",
            "a/B",
            "a//b",
            "/a",
            "a/",
            "a___b",
            "a..b",
            "-a",
            "a b",
            "a:t g",
            "../x",
            "a:../x",
            "x.y:z/a",
            "a@sha256:00",
            "é",
            &long,
            "[::z]/a",
        ] {
            assert!(ImageName::parse(bad).is_err(), "{bad}");
        }
        let hint = ImageName::parse("App:1").unwrap_err().hint();
        assert_eq!(hint.as_deref(), Some("write it in lower case: app"));
    }

    #[test]
    fn ref_names() {
        for good in [
            "v1",
            "1.0",
            "a/b",
            "a--b",
            "docker.io/library/app:1.0",
            "a@b+c",
        ] {
            assert!(is_ref_name(good), "{good}");
        }
        for bad in ["", "a/", "a//b", "a b", "..", "-a", "a---b", "a_-b", "é"] {
            assert!(!is_ref_name(bad), "{bad}");
        }
    }
}
