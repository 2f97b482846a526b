//! The flags that make an image: one table, read from the command line and from `image.toml`.

// Doc comments here are the program's help, where backticks around names would be noise.
#![allow(clippy::doc_markdown)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::file;

/// Everything that decides an image and where it goes; every member is a long flag and a key of `image.toml`.
#[derive(Clone, Debug, Default, Args, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageArgs {
    /// Directories and files: content of a directory lands at / (or DEST), a file at /NAME (or DEST)
    ///
    /// A destination is absolute; any other colon belongs to the path. A path with `:/` in its name needs a
    /// destination too.
    #[arg(value_name = "PATH[:DEST]", help_heading = "Inputs")]
    #[serde(rename = "paths", skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,

    /// Reference graph, in any form that Nix writes, told apart by its shape; `-` reads standard input
    ///
    /// Structured attributes (.attrs.json), `nix path-info --json` of any version, a plain list of
    /// {path, references}, the text of exportReferencesGraph, or registration text.
    #[arg(long, value_name = "FILE|-", help_heading = "Inputs")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub graph: Vec<PathBuf>,

    /// Where on this disk the absolute paths of graphs live, if not at /
    #[arg(long, value_name = "DIR", help_heading = "Inputs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_prefix: Option<PathBuf>,

    /// Ask the local Nix for the closure of this store path
    #[arg(long, value_name = "STORE_PATH", help_heading = "Inputs")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nix: Vec<String>,

    /// Add the closure of this path and join its tree at / by symbolic links, in the last layer
    #[arg(long, value_name = "PATH", help_heading = "Inputs")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contents: Vec<String>,

    /// Directory whose content goes on top, into the last layer
    #[arg(long, value_name = "DIR", help_heading = "Inputs")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<PathBuf>,

    /// Build on this image: its layers are carried as they are, its configuration is the ground of ours
    ///
    /// Of an image for several platforms, --platform chooses. Directories that the base has keep its attributes.
    #[arg(
        short,
        long,
        value_name = "[oci:|oci-archive:|docker-archive:]PATH[:TAG|@DIGEST]",
        help_heading = "Inputs"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<PathBuf>,

    /// Put what goes through a link of the base (bin/x, where the base has bin -> usr/bin) where the link leads
    ///
    /// Without it, a build that would write through or over a link of the base is refused.
    #[arg(long, help_heading = "Inputs")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follow_links: bool,

    /// Let links of the base, and what is of another kind (a directory where we have a file), give way to ours
    #[arg(long, help_heading = "Inputs")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,

    /// Take this path away from the base, by a whiteout in the last layer
    #[arg(long, value_name = "PATH", help_heading = "Inputs")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,

    /// Leave out of directories what matches: a name anywhere, or, with a `/` in it, a path from the image's root
    #[arg(long, value_name = "GLOB", help_heading = "Inputs")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,

    /// Owner of every entry: two numbers, or as found on disk [default: 0:0]
    #[arg(long, value_name = "UID:GID|keep", help_heading = "Inputs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,

    /// Permission bits as found, or 0755 and 0644 by executability [default: keep]
    #[arg(long, value_name = "keep|normalize", help_heading = "Inputs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,

    /// Modification time of every entry [default: SOURCE_DATE_EPOCH, else one second after 1970 began]
    ///
    /// With `keep` the times are those on disk, but none later than SOURCE_DATE_EPOCH where that is set.
    #[arg(
        long,
        value_name = "SECS|RFC3339|keep",
        help_heading = "Inputs",
        allow_hyphen_values = true
    )]
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "file::scalar"
    )]
    pub mtime: Option<String>,

    /// Extended attributes as found, or none [default: keep]
    #[arg(long, value_name = "keep|none", help_heading = "Inputs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xattrs: Option<String>,

    /// Environment variable of the container
    #[arg(short, long, value_name = "NAME=VALUE", help_heading = "Image")]
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "file::pairs"
    )]
    pub env: Vec<String>,

    /// File of NAME=VALUE lines; empty lines and lines that start with # are skipped; --env wins
    #[arg(long, value_name = "FILE", help_heading = "Image")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_file: Vec<PathBuf>,

    /// What runs: a JSON array, or the flag repeated for each word; never split at spaces
    #[arg(
        long,
        value_name = "WORD|JSON",
        help_heading = "Image",
        allow_hyphen_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none", with = "file::words_as_array")]
    pub entrypoint: Option<Vec<String>>,

    /// Arguments of the entry point, or what runs if there is none; written like --entrypoint
    #[arg(
        long,
        value_name = "WORD|JSON",
        help_heading = "Image",
        allow_hyphen_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none", with = "file::words_as_array")]
    pub cmd: Option<Vec<String>>,

    /// Who runs it: name or number, with group if wanted
    #[arg(short, long, value_name = "USER[:GROUP]", help_heading = "Image")]
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "file::scalar"
    )]
    pub user: Option<String>,

    /// Where it runs: an absolute path in the image
    #[arg(short, long, value_name = "PATH", help_heading = "Image")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,

    /// Label of the container's configuration
    #[arg(short, long, value_name = "NAME=VALUE", help_heading = "Image")]
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "file::pairs"
    )]
    pub label: Vec<String>,

    /// Annotation of the manifest
    #[arg(short, long, value_name = "NAME=VALUE", help_heading = "Image")]
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "file::pairs"
    )]
    pub annotation: Vec<String>,

    /// Port that the container listens on
    #[arg(long, value_name = "PORT[/tcp|udp]", help_heading = "Image")]
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "file::scalars"
    )]
    pub expose: Vec<String>,

    /// Directory of the container that is to be a volume
    #[arg(long, value_name = "PATH", help_heading = "Image")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volume: Vec<String>,

    /// Signal that ends the container
    #[arg(long, value_name = "SIGNAL", help_heading = "Image")]
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "file::scalar"
    )]
    pub stop_signal: Option<String>,

    /// Health check as Docker's configuration has it: a JSON object {"Test": […], "Interval": ns, …}, or `none`
    #[arg(long, value_name = "JSON|none", help_heading = "Image")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<String>,

    /// What it runs on [default: linux and this machine's architecture]
    ///
    /// Given several times, one image for all of them is built: what differs stands in image.toml, in tables such as
    /// [on."linux/arm64"] with the same keys.
    #[arg(
        long,
        value_name = "OS/ARCH[/VARIANT]",
        help_heading = "Image",
        conflicts_with = "arch"
    )]
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "file::one_or_more",
        deserialize_with = "file::one_or_several"
    )]
    pub platform: Vec<String>,

    /// Short for --platform linux/ARCH
    #[arg(long, value_name = "ARCH[/VARIANT]", help_heading = "Image")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,

    /// Who made the image
    #[arg(long, value_name = "TEXT", help_heading = "Image")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,

    /// When the image says that it was made [default: SOURCE_DATE_EPOCH, else it says nothing]
    ///
    /// Never touches a layer. `now` gives another digest each second.
    #[arg(long, value_name = "RFC3339|@SECS|now", help_heading = "Image")]
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "file::scalar"
    )]
    pub created: Option<String>,

    /// Configuration to start from: an OCI config, or what `docker inspect` prints; flags win
    #[arg(long, value_name = "FILE|-", help_heading = "Image")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_json: Option<PathBuf>,

    /// By what directories are split into components: auto, dpkg, apk, rpm, pip, node, xattr or none [default: auto]
    ///
    /// A component is never parted; `plan` shows which layer it goes into. Packages are components, by their names
    /// without versions; so is a file of 1 MiB or more that no package owns. All else, and the package databases
    /// themselves, go together into one layer near the top. `auto` asks xattr (the attribute user.component), dpkg,
    /// apk, rpm, pip and node in this order, and takes a directory without any of these whole.
    #[arg(long, value_name = "HOW", help_heading = "Layers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,

    /// Most layers that the image may have, the last layer included [default: 100]
    #[arg(long, value_name = "N", help_heading = "Layers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_layers: Option<u32>,

    /// How components are dealt out to layers [default: balanced; popularity with a --graph or --nix]
    ///
    /// `popularity` gives the paths that most others lead to a layer each, as dockerTools.buildLayeredImage of
    /// nixpkgs does; `size` the largest ones; `balanced` the largest ones too, and the others share layers by their
    /// names, so that one more touches few, and files of no package stay apart; `auto` is what nixpkgs does today.
    /// Without a version (`size@1`), the newest.
    #[arg(long, value_name = "NAME", help_heading = "Layers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,

    /// Put the components that match into a layer of this name; repeatable, the first is the lowest
    ///
    /// A glob with `/` is held against paths (`*` stops at `/`, `**` does not), one without against the names of
    /// components and the last parts of their paths. Globs of the same name share the layer. Whatever the strategy, it
    /// deals out the rest.
    #[arg(long, value_name = "NAME=GLOB", help_heading = "Layers")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layer: Vec<String>,

    /// Read such layers from a file (TOML): `[[layer]]` with name, match, except, top, optional
    ///
    /// `match` and `except` are lists of globs; `top = true` puts the layer above all that the strategy deals out;
    /// `optional = true` lets it match nothing.
    #[arg(long, value_name = "FILE", help_heading = "Layers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers_file: Option<PathBuf>,

    /// Stay close to the layers of an earlier image, or of what `plan --json` printed for it
    ///
    /// Components stay where they were; new ones go where an update costs least. If a fresh plan would be better by a
    /// tenth, or if there is no such image or it was planned otherwise, the plan is made afresh and a warning says so.
    #[arg(
        long,
        value_name = "[oci:|oci-archive:]IMAGE|PLAN",
        help_heading = "Layers"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<PathBuf>,

    /// Plan together with another image, so that what both contain is in shared layers; repeatable
    ///
    /// Takes what `plan --json` printed for that image (by any strategy), or the image itself. Give each image of the
    /// fleet the plans of all others: then all agree. The strategy is `fleet@1`: components that the same images
    /// contain share layers, which are split further as `balanced` does.
    #[arg(
        long,
        value_name = "PLAN|[oci:|oci-archive:]IMAGE",
        help_heading = "Layers"
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fleet: Vec<PathBuf>,

    /// Layer compression: none, gzip[:1-12], zstd[:1-22]
    ///
    /// Default: zstd:3; none if any output is a docker-archive; gzip with --compat docker20.
    #[arg(long, value_name = "CODEC[:LEVEL]", help_heading = "Layers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,

    /// Write what an old consumer can read: docker20 (Docker 20.10) means gzip layers
    #[arg(long, value_name = "CONSUMER", help_heading = "Layers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compat: Option<String>,

    /// Threads; 0 means one for each core. The bytes do not depend on it [default: 0]
    #[arg(short, long, value_name = "N", help_heading = "Layers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u16>,

    /// Where finished layers are kept for later builds [default: the user's cache directory]
    ///
    /// $XDG_CACHE_HOME/plywood, or ~/.cache/plywood. A layer whose files have not changed is not made again; what was
    /// found in directories is kept as well, and held against the disk.
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Layers",
        conflicts_with = "no_cache"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,

    /// Make every layer anew, and keep none
    #[arg(long, help_heading = "Layers")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_cache: bool,

    /// Most that the cache may keep: the layers used last [default: 20G]
    #[arg(long, value_name = "BYTES|SIZE", help_heading = "Layers")]
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "file::scalar"
    )]
    pub cache_size: Option<String>,

    /// Whether the image is on stable storage when plywood ends [default: full]
    #[arg(long, value_name = "full|none", help_heading = "Layers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,

    /// Where the image goes; repeatable; `-` is standard output
    ///
    /// oci: a layout directory, new or existing (other tags stay); oci-archive: one file that OCI tools and
    /// `docker load` take; docker-archive: one file in Docker's own form. Without a prefix: oci. Without -o, an
    /// oci-archive goes to standard output, unless that is a terminal.
    #[arg(
        short,
        long,
        value_name = "[oci:|oci-archive:|docker-archive:]PATH[:TAG]",
        help_heading = "Outputs"
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<PathBuf>,

    /// Give up after so many seconds of waiting for other writers of a layout [default: wait]
    #[arg(long, value_name = "SECS", help_heading = "Outputs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_timeout: Option<u64>,

    /// Name of the image in every output
    #[arg(short, long, value_name = "REPO[:TAG]", help_heading = "Outputs")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<String>,

    /// Leave Docker's manifest.json out of an oci-archive; docker load then no longer takes it
    #[arg(long, help_heading = "Outputs")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_docker_manifest: bool,

    /// Write the manifest digest into this file
    #[arg(long, value_name = "FILE", help_heading = "Outputs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digestfile: Option<PathBuf>,

    /// Write digests, sizes, layers and compressor versions into this file (JSON, "version": 1)
    #[arg(long, value_name = "FILE", help_heading = "Outputs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_file: Option<PathBuf>,

    /// Attach a bill of materials: what the image is made of, with versions, hashes and references; repeatable
    ///
    /// `plywood inspect --referrers` lists it. It is about what is built here, not about a base.
    #[arg(long, value_name = "spdx|cyclonedx", help_heading = "Outputs")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sbom: Vec<String>,

    /// What differs from platform to platform.
    #[arg(skip)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub on: BTreeMap<String, ImageArgs>,
}
