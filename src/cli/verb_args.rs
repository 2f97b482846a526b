//! What people type after the verbs that look at images, copy them, and make what is no image.

// Doc comments here are the program's help, where backticks around names would be noise.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::Writing;

/// What all references look like.
const IMAGE: &str = "[oci:|oci-archive:|docker-archive:]PATH[:TAG|@DIGEST]";

#[derive(Debug, Args)]
pub struct Inspect {
    /// The image
    #[arg(value_name = IMAGE)]
    pub image: PathBuf,

    /// Which, of an image for several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,

    /// Print JSON ("version": 1)
    #[arg(long)]
    pub json: bool,

    /// List what is attached to the image: bills of materials, signatures and other artifacts
    #[arg(long, conflicts_with_all = ["html", "platform"])]
    pub referrers: bool,

    /// Draw the image into this file: one page that needs no network and no scripts
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// On that page, also show what an update from this image downloads
    #[arg(long, value_name = IMAGE, requires = "html")]
    pub compare: Option<PathBuf>,

    /// On that page, take references and popularity from this graph [default: an attached CycloneDX document]
    #[arg(long, value_name = "FILE", requires = "html")]
    pub graph: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Ls {
    /// The image
    #[arg(value_name = IMAGE)]
    pub image: PathBuf,

    /// Only this path and what is below it
    #[arg(value_name = "PATH")]
    pub path: Option<String>,

    /// The entries of this layer, counted from 0, whiteouts included
    #[arg(long, value_name = "N")]
    pub layer: Option<usize>,

    /// Which, of an image for several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,

    /// Print JSON ("version": 1)
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Cat {
    /// The image
    #[arg(value_name = IMAGE)]
    pub image: PathBuf,

    /// An absolute path in it; links are followed inside the image
    #[arg(value_name = "PATH")]
    pub path: String,

    /// Which, of an image for several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
}

#[derive(Debug, Args)]
pub struct Diff {
    /// The image that is there
    #[arg(value_name = "OLD")]
    pub old: PathBuf,

    /// The image that shall be there
    #[arg(value_name = "NEW")]
    pub new: PathBuf,

    /// Compare the files as well, content included
    #[arg(long)]
    pub files: bool,

    /// Which, of images for several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,

    /// Print JSON ("version": 1)
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Copy {
    /// The image; `-` reads an archive from standard input
    #[arg(value_name = "FROM")]
    pub from: PathBuf,

    /// Where it goes, as for `build -o`; `-` is standard output
    #[arg(value_name = "TO", required = true)]
    pub to: Vec<PathBuf>,

    /// Name of the copy [default: as the image is named]
    #[arg(short, long, value_name = "REPO[:TAG]")]
    pub tag: Vec<String>,

    /// Copy only the image for this platform [default: all that there are]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,

    /// Copy every image of the layout or archive, with its names
    #[arg(long, conflicts_with_all = ["tag", "platform"])]
    pub all: bool,

    /// Copy what is attached to the image as well
    #[arg(long)]
    pub referrers: bool,

    /// Leave Docker's manifest.json out of an oci-archive
    #[arg(long)]
    pub no_docker_manifest: bool,

    #[command(flatten)]
    pub writing: Writing,
}

#[derive(Debug, Args)]
pub struct Index {
    #[command(subcommand)]
    pub what: IndexVerb,
}

#[derive(Debug, Subcommand)]
pub enum IndexVerb {
    /// Put images for one platform each into one image; readers take the one that fits
    Create(CreateIndex),
}

#[derive(Debug, Args)]
pub struct CreateIndex {
    /// The images, best first; of an image for several platforms, all
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,

    /// The layout that the index goes to
    #[arg(short, long, value_name = "[oci:]DIR[:TAG]")]
    pub output: PathBuf,

    /// Name of the index
    #[arg(short, long, value_name = "REPO[:TAG]")]
    pub tag: Vec<String>,

    /// Annotation of the index
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub annotation: Vec<String>,

    #[command(flatten)]
    pub writing: Writing,
}

#[derive(Debug, Args)]
pub struct Artifact {
    #[command(subcommand)]
    pub what: ArtifactVerb,
}

#[derive(Debug, Subcommand)]
pub enum ArtifactVerb {
    /// Put files into a layout as an artifact with a name of its own
    Create(CreateArtifact),
    /// Put files into an image's layout as an artifact about that image
    Attach(Attach),
}

#[derive(Debug, Args)]
pub struct CreateArtifact {
    #[command(flatten)]
    pub files: FilesAndType,

    /// The layout that the artifact goes to
    #[arg(short, long, value_name = "[oci:]DIR[:TAG]")]
    pub output: PathBuf,

    /// Name of the artifact
    #[arg(short, long, value_name = "REPO[:TAG]")]
    pub tag: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Attach {
    /// The image that the artifact is about
    #[arg(long, value_name = "[oci:]DIR[:TAG|@DIGEST]")]
    pub subject: PathBuf,

    #[command(flatten)]
    pub files: FilesAndType,
}

#[derive(Debug, Args)]
pub struct FilesAndType {
    /// Files, each with its media type [default type: application/octet-stream]
    #[arg(value_name = "FILE[:TYPE/SUBTYPE]")]
    pub files: Vec<PathBuf>,

    /// What kind of thing the artifact is: a media type
    #[arg(
        long = "type",
        value_name = "TYPE/SUBTYPE",
        default_value = "",
        hide_default_value = true
    )]
    pub artifact_type: String,

    /// A configuration of its own [default: the empty one]
    #[arg(long, value_name = "FILE:TYPE/SUBTYPE")]
    pub config: Option<PathBuf>,

    /// Annotation of the artifact
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub annotation: Vec<String>,

    #[command(flatten)]
    pub writing: Writing,
}
