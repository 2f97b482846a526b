//! [`Platform`]: which machines an image runs on (image-index chapter).

use std::fmt;
use std::str::FromStr;

use oci_spec::image::{Arch, Os};
use serde_json::{Map, Value};

use super::ImageError;

/// Operating system and processor of an image (image-index chapter).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// GOOS value.
    pub os: String,
    /// GOARCH value.
    pub architecture: String,
    /// `v8`, `v3`, … where the specification has a table for the architecture.
    pub variant: Option<String>,
}

impl Platform {
    /// Reads `OS/ARCHITECTURE[/VARIANT]`, or a lone `ARCHITECTURE` of Linux.
    ///
    /// The variant is kept if it is given and never invented.
    ///
    /// # Errors
    /// [`ImageError::Wish`] for values that Go does not know; the hint names
    /// what was probably meant (`amd64` for `x86_64`).
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let parts: Vec<_> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [architecture] => ("linux", architecture, None),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => {
                return Err(wish(
                    text,
                    "is not of the form OS/ARCHITECTURE[/VARIANT]",
                    None,
                ));
            }
        };
        if !is_goos(os) {
            let meant = meant_os(os).map(|os| format!("{os}/{architecture}"));
            return Err(wish(text, "names no known operating system", meant));
        }
        if !is_goarch(architecture) {
            let meant = meant_architecture(architecture).map(|meant| format!("{os}/{meant}"));
            return Err(wish(text, "names no known processor architecture", meant));
        }
        if variant
            .as_deref()
            .is_some_and(|v| !is_variant(architecture, v))
        {
            return Err(wish(
                text,
                "names no known variant of its architecture",
                None,
            ));
        }
        let (os, architecture) = (os.to_owned(), architecture.to_owned());
        Ok(Self {
            os,
            architecture,
            variant,
        })
    }

    /// Whether an image for `self` is what somebody asking for `wanted` means.
    ///
    /// `arm64` and `arm64/v8` are the same, as are `amd64` and `amd64/v1`, and
    /// `arm` and `arm/v7`; any other variant must be asked for by name.
    pub fn serves(&self, wanted: &Self) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && self.effective_variant() == wanted.effective_variant()
    }

    fn effective_variant(&self) -> Option<&str> {
        let assumed = match self.architecture.as_str() {
            "arm64" => Some("v8"),
            "amd64" => Some("v1"),
            "arm" => Some("v7"),
            _ => None,
        };
        self.variant.as_deref().or(assumed)
    }

    /// The platform object of a descriptor.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("os".into(), self.os.clone().into());
        map.insert("architecture".into(), self.architecture.clone().into());
        if let Some(variant) = &self.variant {
            map.insert("variant".into(), variant.clone().into());
        }
        map
    }
}

impl FromStr for Platform {
    type Err = ImageError;
    fn from_str(text: &str) -> Result<Self, ImageError> {
        Self::parse(text)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|v| write!(f, "/{v}"))
    }
}

fn wish(text: &str, fault: &str, meant: Option<String>) -> ImageError {
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "give Go's names, such as linux/amd64 or linux/arm/v7".to_owned(),
    };
    ImageError::wish("platform", text, fault).with_hint(hint)
}

/// Whether `name` is one of Go's operating systems.
pub fn is_goos(name: &str) -> bool {
    let more = ["ios", "wasip1", "zos"];
    !matches!(Os::from(name), Os::Other(_)) || more.contains(&name)
}

/// Whether `name` is one of Go's architectures.
pub fn is_goarch(name: &str) -> bool {
    !matches!(Arch::from(name), Arch::Other(_))
}

/// Whether the specification's table has `variant` for `architecture`.
pub fn is_variant(architecture: &str, variant: &str) -> bool {
    let versions: &[&str] = match architecture {
        "arm" => &["v5", "v6", "v7", "v8"],
        "arm64" => return arm64_variant(variant),
        "amd64" => &["v1", "v2", "v3", "v4"],
        "ppc64le" | "ppc64" => &["power8", "power9", "power10"],
        "riscv64" => &["rva20u64", "rva22u64", "rva23u64"],
        _ => &[],
    };
    versions.contains(&variant)
}

fn arm64_variant(variant: &str) -> bool {
    let Some(version) = variant.strip_prefix('v') else {
        return false;
    };
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    matches!(major, "8" | "9") && matches!(minor.as_bytes(), [b'0'..=b'9'])
}

fn meant_architecture(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "amd64" | "x86_64" | "x86-64" | "x64" => "amd64",
        "aarch64" | "armv8" | "arm64" => "arm64",
        "i386" | "i486" | "i586" | "i686" | "x86" => "386",
        "armhf" | "armv7" | "armv7l" => "arm/v7",
        "armel" | "armv6" | "armv6l" => "arm/v6",
        "ppc64el" | "powerpc64le" => "ppc64le",
        "mips64el" => "mips64le",
        "mipsel" => "mipsle",
        "loongarch64" => "loong64",
        _ => return None,
    })
}

fn meant_os(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "linux" | "gnu/linux" => "linux",
        "macos" | "osx" | "darwin" => "darwin",
        "win" | "windows" => "windows",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for (given, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("arm64", "linux/arm64"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux/arm64/v8.2", "linux/arm64/v8.2"),
            ("windows/amd64", "windows/amd64"),
            ("s390x", "linux/s390x"),
            ("linux/loong64", "linux/loong64"),
        ] {
            assert_eq!(Platform::parse(given).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_with_a_hint() {
        for (given, hint) in [
            ("linux/x86_64", "did you mean `linux/amd64`?"),
            ("aarch64", "did you mean `linux/arm64`?"),
            ("Linux/amd64", "did you mean `linux/amd64`?"),
            ("linux/armhf", "did you mean `linux/arm/v7`?"),
            (
                "linux/amd64/v9",
                "give Go's names, such as linux/amd64 or linux/arm/v7",
            ),
            ("", "give Go's names, such as linux/amd64 or linux/arm/v7"),
            (
                "a/b/c/d",
                "give Go's names, such as linux/amd64 or linux/arm/v7",
            ),
        ] {
            assert_eq!(
                Platform::parse(given).unwrap_err().hint().as_deref(),
                Some(hint)
            );
        }
    }

    #[test]
    fn serves_what_is_meant() {
        let serves = |have: &str, want: &str| {
            Platform::parse(have)
                .unwrap()
                .serves(&Platform::parse(want).unwrap())
        };
        assert!(serves("arm64", "linux/arm64/v8"));
        assert!(serves("linux/arm/v7", "arm"));
        assert!(!serves("linux/arm/v6", "arm"));
        assert!(!serves("linux/amd64/v3", "amd64"));
        assert!(!serves("windows/amd64", "amd64"));
    }
}
