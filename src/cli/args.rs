//! What people type: flags as they stand on the command line or in `image.toml`.
//!
//! Nothing is checked here beyond its shape; [`request`](super::request) says what is meant.

// Doc comments here are the program's help, where backticks around names would be noise.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use super::image_args::ImageArgs;
pub use super::verb_args::{
    Artifact, ArtifactVerb, Attach, Cat, Copy, CreateArtifact, CreateIndex, Diff, FilesAndType,
    Index, IndexVerb, Inspect, Ls,
};

/// Turns file trees into OCI images: no daemon, one layer for every popular path, the same bytes every time.
#[derive(Debug, Parser)]
#[command(name = "plywood", version = super::version::text(), propagate_version = true)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub struct Program {
    #[command(flatten)]
    pub manners: Manners,
    #[command(subcommand)]
    pub verb: Verb,
}

/// How much is said, and how it looks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Manners")]
pub struct Manners {
    /// Say more: -v what is done, -vv every step
    ///
    /// RUST_LOG, where set, decides instead.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,

    /// Say nothing but errors and the result
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Progress on standard error
    ///
    /// `auto` draws bars on a terminal and nothing elsewhere; `plain` writes a line for every finished layer.
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    pub progress: ProgressStyle,

    /// Colours on standard error
    ///
    /// `auto` colours a terminal unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressStyle {
    Auto,
    Plain,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build an image and write it to layouts, archives or standard output
    ///
    /// The manifest digest is printed, alone, on standard output; everything else goes to standard error. When the
    /// image itself goes to standard output (no -o in a pipe, or `-o -`), no digest is printed.
    Build(Box<Build>),
    /// Show which path would go into which layer; reads graphs, writes nothing
    ///
    /// Takes the arguments of `build`. From graph files alone, no store path is read on disk.
    Plan(Box<Plan>),
    /// Hold a layout or an archive, whoever wrote it, against the rules of the image specification
    ///
    /// Prints a line for each rule that is broken, and exits with 1 if there is one. Warnings are what the
    /// specification only advises.
    Verify(Verify),
    /// Tell what an image is and what its layers hold; --html draws it
    Inspect(Inspect),
    /// List the files of an image as a container sees them, or of one layer
    Ls(Ls),
    /// Write a file of an image to standard output
    Cat(Cat),
    /// Tell what an update from one image to another downloads, and why
    ///
    /// Exits with 1 if the images differ.
    Diff(Diff),
    /// Copy an image between layouts, archives and streams; its digest stays
    ///
    /// A docker-archive has no manifest: there it is the configuration's digest, the image ID, that stays.
    Copy(Copy),
    /// Make one image for several platforms
    Index(Index),
    /// Make artifacts: files that are no image, in a layout
    Artifact(Artifact),
    /// Give an image of a layout one more name
    Tag(Tag),
    /// Take names away from the images of a layout; their blobs stay until `gc`
    Untag(Untag),
    /// Remove the blobs of a layout that no name leads to, and what dead processes left
    Gc(Gc),
    /// See and empty the cache of finished layers
    Cache(Cache),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page of plywood or of one verb
    Man(Man),
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A layout directory, an OCI archive or a docker-archive
    #[arg(value_name = "LAYOUT|ARCHIVE")]
    pub image: PathBuf,

    /// Print the faults as JSON ("version": 1)
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Tag {
    /// The image: a layout directory, with a tag or digest if it holds several images
    #[arg(value_name = "[oci:]DIR[:TAG|@DIGEST]")]
    pub image: PathBuf,

    /// The new name: TAG alone keeps the repository that the image is named after
    #[arg(value_name = "[REPO:]TAG", required = true)]
    pub names: Vec<String>,

    #[command(flatten)]
    pub writing: Writing,
}

#[derive(Debug, Args)]
pub struct Untag {
    /// The layout directory
    #[arg(value_name = "[oci:]DIR")]
    pub layout: PathBuf,

    /// The tags to take away
    #[arg(value_name = "TAG", required = true)]
    pub tags: Vec<String>,

    #[command(flatten)]
    pub writing: Writing,
}

#[derive(Debug, Args)]
pub struct Cache {
    #[command(subcommand)]
    pub what: CacheVerb,
}

#[derive(Debug, Subcommand)]
pub enum CacheVerb {
    /// Where the cache is and what it holds
    Info(CachePlace),
    /// Forget the layers used longest ago until the rest fits
    Prune(CachePrune),
    /// Forget all layers
    Clear(CachePlace),
}

#[derive(Debug, Args)]
pub struct CachePlace {
    /// The cache [default: the user's cache directory]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,

    /// Print JSON ("version": 1)
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CachePrune {
    #[command(flatten)]
    pub place: CachePlace,

    /// Most that may stay
    #[arg(long, value_name = "BYTES|SIZE", default_value = "20G")]
    pub cache_size: String,
}

#[derive(Debug, Args)]
pub struct Gc {
    /// The layout directory
    #[arg(value_name = "[oci:]DIR")]
    pub layout: PathBuf,

    /// Only tell what would be removed
    #[arg(long)]
    pub dry_run: bool,

    /// Keep what was written less long ago; plywood's own writers are safe in any case
    #[arg(long, value_name = "SECS|Nm|Nh|Nd", default_value = "0")]
    pub min_age: String,

    /// Tell what is removed as JSON ("version": 1)
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub writing: Writing,
}

/// How an existing layout is changed.
#[derive(Debug, Args)]
pub struct Writing {
    /// Give up after so many seconds of waiting for other writers [default: wait]
    #[arg(long, value_name = "SECS")]
    pub lock_timeout: Option<u64>,

    /// Whether the change is on stable storage when plywood ends
    #[arg(long, value_name = "full|none", default_value = "full")]
    pub sync: String,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// Shell to write for
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// The verb; without it the page of plywood itself
    pub verb: Option<String>,

    /// Write all pages into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    pub image: ImageArgs,

    /// Read further arguments from this file (TOML): the same keys as the long flags
    ///
    /// Flags win: a flag given here replaces the file's value; --env, --label and --annotation are joined, by name.
    /// Relative paths in the file start at the file's directory. Unknown keys are errors.
    #[arg(long, value_name = "IMAGE.TOML", help_heading = "Inputs")]
    pub file: Option<PathBuf>,

    /// Print the arguments in effect as an `image.toml` and build nothing
    #[arg(long, help_heading = "Outputs")]
    pub print_config: bool,
}

#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    pub build: Build,

    /// Print the plan as JSON ("version": 1) instead of a table
    #[arg(long, help_heading = "Plan")]
    pub json: bool,

    /// Explain where this path goes and why: a component's path or name, or a path inside one
    #[arg(
        long,
        value_name = "PATH",
        help_heading = "Plan",
        conflicts_with = "json"
    )]
    pub explain: Option<String>,

    /// Say what a client that has this image downloads, and which components cause it
    ///
    /// OLD is what `plan --json` printed, or an image. Components count as changed if their path, hash or size is
    /// another; an image keeps paths only. Bytes are those of the components, uncompressed. Told twice: for stores
    /// that know layers by their blobs, and for those that reuse a layer only if all below it are the same.
    #[arg(
        long,
        value_name = "PLAN|[oci:|oci-archive:]IMAGE",
        help_heading = "Plan",
        conflicts_with = "explain"
    )]
    pub compare: Option<PathBuf>,

    /// Print the graph and its layers for Graphviz
    #[arg(long, help_heading = "Plan", conflicts_with_all = ["json", "explain", "compare", "svg"])]
    pub dot: bool,

    /// Print the graph and its layers as a picture (SVG) for a browser
    #[arg(long, help_heading = "Plan", conflicts_with_all = ["json", "explain", "compare"])]
    pub svg: bool,
}
