//! Where an image goes, and how its layers are stored for those who take it there.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plywood::layer::Codec;

use super::args::ImageArgs;
use super::exit::Failure;
use super::values::{codec, refused};

/// What an output is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Layout,
    OciArchive,
    DockerArchive,
}

/// The prefixes of `--output`.
pub const PREFIXES: [(&str, Form); 3] = [
    ("oci:", Form::Layout),
    ("oci-archive:", Form::OciArchive),
    ("docker-archive:", Form::DockerArchive),
];

/// One `--output`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub form: Form,
    /// `None` is standard output.
    pub path: Option<PathBuf>,
    pub tag: Option<String>,
}

/// Where the image goes.
pub fn places(args: &ImageArgs) -> Result<Vec<Place>, Failure> {
    let mut places: Vec<_> = args
        .output
        .iter()
        .map(|o| place(o))
        .collect::<Result<_, _>>()?;
    if places.is_empty() {
        places.push(Place {
            form: Form::OciArchive,
            path: None,
            tag: None,
        });
    }
    let streams = places.iter().filter(|place| place.path.is_none()).count();
    if streams > 1 {
        return Err(Failure::usage("standard output can take one image only"));
    }
    if streams == 1 && std::io::stdout().is_terminal() {
        return Err(
            Failure::usage("an image would go to standard output, which is a terminal")
                .hint("`-o oci:DIR` writes a layout directory; or pipe it, as in `| podman load`"),
        );
    }
    Ok(places)
}

fn place(output: &Path) -> Result<Place, Failure> {
    let bytes = output.as_os_str().as_bytes();
    let shown = output.to_string_lossy();
    let prefixed = PREFIXES
        .iter()
        .find_map(|(prefix, form)| Some((*form, bytes.strip_prefix(prefix.as_bytes())?)));
    let (form, rest) = match prefixed {
        Some(known) => known,
        None if bytes == b"-" => (Form::OciArchive, bytes),
        None => (Form::Layout, bytes),
    };
    // As in containers/image: the path ends at the first colon, because a tag may have some of its own.
    let (path, tag) = match rest.iter().position(|&b| b == b':') {
        Some(colon) => (&rest[..colon], Some(&rest[colon + 1..])),
        None => (rest, None),
    };
    let tag = tag.map(|tag| match std::str::from_utf8(tag) {
        Ok(tag) if !tag.is_empty() => Ok(tag.to_owned()),
        _ => Err(refused("output", &shown, "has a `:` with no tag after it")),
    });
    if path.is_empty() {
        return Err(refused("output", &shown, "has no path"));
    }
    if prefixed.is_none() && path.ends_with(b".tar") {
        return Err(refused(
            "output",
            &shown,
            "looks like an archive and would become a directory",
        )
        .hint(format!(
            "write oci-archive:{shown}, or oci:{shown} if a directory is meant"
        )));
    }
    let path = (path != b"-").then(|| PathBuf::from(OsStr::from_bytes(path)));
    if path.is_none() && form == Form::Layout {
        return Err(
            refused("output", &shown, "cannot be: a layout is a directory")
                .hint("`-o oci-archive:-` streams the same image"),
        );
    }
    Ok(Place {
        form,
        path,
        tag: tag.transpose()?,
    })
}

/// How layers are stored, from `--compression`, `--compat` and the kinds of output.
pub fn chosen_codec(args: &ImageArgs, places: &[Place]) -> Result<Codec, Failure> {
    let asked = args.compression.as_deref().map(codec).transpose()?;
    let docker20 = match args.compat.as_deref() {
        None => false,
        Some("docker20") => true,
        Some(other) => return Err(refused("compat", other, "is not known; `docker20` is")),
    };
    match (asked, docker20) {
        (Some(Codec::Zstd(_)), true) => Err(Failure::usage(
            "--compat docker20 and zstd contradict each other: that Docker cannot read zstd",
        )),
        (Some(codec), _) => Ok(codec),
        (None, true) => Ok(Codec::Gzip(6)),
        (None, false) if places.iter().any(|p| p.form == Form::DockerArchive) => Ok(Codec::None),
        (None, false) => Ok(Codec::Zstd(3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(text: &str) -> Place {
        place(Path::new(text)).unwrap()
    }

    #[test]
    fn outputs() {
        for (text, form, path, tag) in [
            ("oci:a/b", Form::Layout, Some("a/b"), None),
            ("app", Form::Layout, Some("app"), None),
            ("app:1.0", Form::Layout, Some("app"), Some("1.0")),
            (
                "oci:d:localhost/app:1",
                Form::Layout,
                Some("d"),
                Some("localhost/app:1"),
            ),
            (
                "oci-archive:x.tar:v1",
                Form::OciArchive,
                Some("x.tar"),
                Some("v1"),
            ),
            ("docker-archive:-", Form::DockerArchive, None, None),
            ("-", Form::OciArchive, None, None),
        ] {
            let tag = tag.map(ToOwned::to_owned);
            let path = path.map(PathBuf::from);
            assert_eq!(place_of(text), Place { form, path, tag }, "{text}");
        }
        for text in [
            "",
            "oci:",
            "oci:-",
            "oci:a:",
            "x.tar",
            ":tag",
            "oci-archive:",
        ] {
            assert!(place(Path::new(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn codec_follows_the_outputs() {
        let codec_for = |text: &str, args: &ImageArgs| chosen_codec(args, &[place_of(text)]);
        let none = ImageArgs::default();
        let compat = ImageArgs {
            compat: Some("docker20".into()),
            ..ImageArgs::default()
        };
        assert_eq!(codec_for("oci:a", &none).unwrap(), Codec::Zstd(3));
        assert_eq!(codec_for("docker-archive:a", &none).unwrap(), Codec::None);
        assert_eq!(
            codec_for("docker-archive:a", &compat).unwrap(),
            Codec::Gzip(6)
        );
        let both = ImageArgs {
            compression: Some("zstd".into()),
            ..compat
        };
        assert!(codec_for("oci:a", &both).is_err());
    }
}
