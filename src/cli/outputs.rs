//! Where an image goes, and how its layers are stored for those who take it there.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plywood::build::{Output, OutputForm};
use plywood::image::is_ref_name;
use plywood::layer::Codec;

use super::args::ImageArgs;
use super::exit::Failure;
use super::values::{self, refused};

/// The prefixes of `--output`.
pub const PREFIXES: [(&str, OutputForm); 3] = [
    ("oci:", OutputForm::Layout),
    ("oci-archive:", HYBRID),
    ("docker-archive:", OutputForm::DockerArchive),
];

const HYBRID: OutputForm = OutputForm::OciArchive {
    docker_manifest: true,
};

/// Where the image goes.
pub fn outputs(args: &ImageArgs) -> Result<Vec<Output>, Failure> {
    let mut outputs: Vec<_> = args
        .output
        .iter()
        .map(|text| output("--output", text))
        .collect::<Result<_, _>>()?;
    if outputs.is_empty() {
        outputs.push(Output {
            form: HYBRID,
            path: None,
            tag: None,
        });
    }
    if args.no_docker_manifest {
        refuse_manifest(&mut outputs)?;
    }
    check_streams(&outputs)?;
    Ok(outputs)
}

/// Standard output takes one image, and a terminal none.
pub fn check_streams(outputs: &[Output]) -> Result<(), Failure> {
    let streams = outputs
        .iter()
        .filter(|output| output.path.is_none())
        .count();
    if streams > 1 {
        return Err(Failure::usage("standard output can take one image only"));
    }
    if streams == 1 && std::io::stdout().is_terminal() {
        return Err(
            Failure::usage("an image would go to standard output, which is a terminal")
                .hint("`-o oci:DIR` writes a layout directory; or pipe it, as in `| podman load`"),
        );
    }
    Ok(())
}

fn refuse_manifest(outputs: &mut [Output]) -> Result<(), Failure> {
    let archives = outputs.iter_mut().filter(|output| output.form == HYBRID);
    let changed = archives.map(|output| {
        output.form = OutputForm::OciArchive {
            docker_manifest: false,
        }
    });
    match changed.count() {
        0 => Err(Failure::usage(
            "--no-docker-manifest is for an oci-archive, and none is written",
        )),
        _ => Ok(()),
    }
}

/// One place that an image goes to; `what` names it in messages.
pub fn output(what: &str, text: &Path) -> Result<Output, Failure> {
    let refused = |text: &str, why: &str| Failure::usage(format!("{what} `{text}` {why}"));
    let bytes = text.as_os_str().as_bytes();
    let shown = text.to_string_lossy();
    let prefixed = PREFIXES
        .iter()
        .find_map(|(prefix, form)| Some((*form, bytes.strip_prefix(prefix.as_bytes())?)));
    let (form, rest) = match prefixed {
        Some(known) => known,
        None if bytes == b"-" => (HYBRID, bytes),
        None => (OutputForm::Layout, bytes),
    };
    // As in containers/image: the path ends at the first colon, because a tag may have some of its own.
    let (path, tag) = match rest.iter().position(|&b| b == b':') {
        Some(colon) => (&rest[..colon], Some(&rest[colon + 1..])),
        None => (rest, None),
    };
    let tag = tag.map(|tag| match std::str::from_utf8(tag) {
        Ok("") => Err(refused(&shown, "has a `:` with no tag after it")),
        Ok(tag) if is_ref_name(tag) => Ok(tag.to_owned()),
        _ => Err(refused(&shown, "has a tag that is no reference name")
            .hint("letters and digits, joined by one of -._:@+/ or by --")),
    });
    if path.is_empty() {
        return Err(refused(&shown, "has no path"));
    }
    if prefixed.is_none() && path.ends_with(b".tar") {
        return Err(
            refused(&shown, "looks like an archive and would become a directory").hint(format!(
                "write oci-archive:{shown}, or oci:{shown} if a directory is meant"
            )),
        );
    }
    let path = (path != b"-").then(|| PathBuf::from(OsStr::from_bytes(path)));
    if path.is_none() && form == OutputForm::Layout {
        return Err(refused(&shown, "cannot be: a layout is a directory")
            .hint("`-o oci-archive:-` streams the same image"));
    }
    Ok(Output {
        form,
        path,
        tag: tag.transpose()?,
    })
}

/// How layers are stored, from `--compression`, `--compat` and the kinds of output.
pub fn codec(args: &ImageArgs, outputs: &[Output]) -> Result<Codec, Failure> {
    let asked = args.compression.as_deref().map(values::codec).transpose()?;
    let docker20 = match args.compat.as_deref() {
        None => false,
        Some("docker20") => true,
        Some(other) => return Err(refused("compat", other, "is not known; `docker20` is")),
    };
    let to_docker = outputs
        .iter()
        .any(|output| output.form == OutputForm::DockerArchive);
    match (asked, docker20) {
        (Some(Codec::Zstd(_)), true) => Err(Failure::usage(
            "--compat docker20 and zstd contradict each other: that Docker cannot read zstd",
        )),
        (Some(codec), _) => Ok(codec),
        (None, true) => Ok(Codec::Gzip(6)),
        (None, false) if to_docker => Ok(Codec::None),
        (None, false) => Ok(Codec::Zstd(3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output_of(text: &str) -> Output {
        output("--output", Path::new(text)).unwrap()
    }

    #[test]
    fn forms() {
        let docker = OutputForm::DockerArchive;
        for (text, form, path, tag) in [
            ("oci:a/b", OutputForm::Layout, Some("a/b"), None),
            ("app", OutputForm::Layout, Some("app"), None),
            ("app:1.0", OutputForm::Layout, Some("app"), Some("1.0")),
            (
                "oci:d:localhost/app:1",
                OutputForm::Layout,
                Some("d"),
                Some("localhost/app:1"),
            ),
            ("oci-archive:x.tar:v1", HYBRID, Some("x.tar"), Some("v1")),
            ("docker-archive:-", docker, None, None),
            ("-", HYBRID, None, None),
        ] {
            let tag = tag.map(ToOwned::to_owned);
            let path = path.map(PathBuf::from);
            assert_eq!(output_of(text), Output { form, path, tag }, "{text}");
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
            assert!(output("--output", Path::new(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn codec_follows_the_outputs() {
        let codec_for = |text: &str, args: &ImageArgs| codec(args, &[output_of(text)]);
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
