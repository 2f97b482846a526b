//! What goes in: `PATH[:DEST]`, `--graph`, `--nix` → the sources of a closure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plywood::source::{DirSource, GraphSource, NixSource};

use super::args::ImageArgs;
use super::config::read;
use super::exit::Failure;
use super::values::refused;

/// Standard input can be read once.
pub fn check_stdin(args: &ImageArgs) -> Result<(), Failure> {
    let readers = args.graph.iter().chain(&args.config_json);
    match readers.filter(|path| *path == Path::new("-")).count() {
        0 | 1 => Ok(()),
        _ => Err(Failure::usage("standard input can be read once only")),
    }
}

/// The graphs, read.
pub fn graphs(args: &ImageArgs) -> Result<Vec<GraphSource>, Failure> {
    let graphs = args.graph.iter().map(|path| {
        Ok(GraphSource {
            text: read(path)?,
            origin: match path.to_string_lossy() {
                name if name == "-" => "standard input".to_owned(),
                name => name.into_owned(),
            },
            store_prefix: args.store_prefix.clone(),
        })
    });
    graphs.collect()
}

/// The store paths whose closure the local Nix is asked for.
pub fn nix(args: &ImageArgs) -> Option<NixSource> {
    let paths: Vec<_> = args.nix.iter().map(PathBuf::from).collect();
    (!paths.is_empty()).then_some(NixSource { paths })
}

/// The directories and files.
pub fn directories(args: &ImageArgs) -> Result<Vec<DirSource>, Failure> {
    args.paths.iter().map(|path| directory(path)).collect()
}

fn directory(input: &Path) -> Result<DirSource, Failure> {
    let bytes = input.as_os_str().as_bytes();
    // A destination is absolute; any other colon belongs to the path.
    let colon = bytes.windows(2).rposition(|pair| pair == b":/");
    let (host, dest) = match colon {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    };
    let shown = || input.to_string_lossy().into_owned();
    let dest = dest.map(|dest| match std::str::from_utf8(dest) {
        Ok(dest) => Ok(dest.to_owned()),
        Err(_) => Err(Failure::usage(format!(
            "the destination of `{}` is not UTF-8",
            shown()
        ))),
    });
    if host.is_empty() {
        return Err(Failure::usage(format!(
            "`{}` has no path before the `:`",
            shown()
        )));
    }
    Ok(DirSource {
        host: OsStr::from_bytes(host).into(),
        dest: dest.transpose()?,
    })
}

/// `--store-prefix` without a graph would silently do nothing.
pub fn check_prefix(args: &ImageArgs) -> Result<(), Failure> {
    match &args.store_prefix {
        Some(prefix) if args.graph.is_empty() => {
            let prefix = prefix.to_string_lossy();
            Err(refused(
                "store-prefix",
                &prefix,
                "is for the paths of a --graph, and there is none",
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_absolute() {
        for (text, host, dest) in [
            ("root", "root", None),
            ("root:/opt", "root", Some("/opt")),
            ("/a:b", "/a:b", None),
            ("a:b:/", "a:b", Some("/")),
            ("x:/y:/z/", "x:/y", Some("/z/")),
        ] {
            let source = directory(Path::new(text)).unwrap();
            assert_eq!(
                (source.host.to_str(), source.dest.as_deref()),
                (Some(host), dest),
                "{text}"
            );
        }
        assert!(directory(Path::new(":/x")).is_err());
    }
}
