//! [`BuildRequest`]: everything that decides an image and where it goes, as meant.

use std::path::PathBuf;
use std::time::Duration;

use crate::blob::SyncMode;
use crate::image::{Annotations, ConfigSpec, ImageName};
use crate::layer::Codec;
use crate::layout::OnWait;
use crate::plan::{LayerPlan, Pins, Previous};
use crate::source::{DirSource, GraphSource, NixSource, Split};
use crate::target::ImageRef;
use crate::tree::Policy;

/// One of the things that an image is made of.
#[derive(Clone, Debug)]
pub enum Input {
    /// A reference graph in any of the known forms.
    Graph(GraphSource),
    /// Paths of the local Nix store, with their closure.
    Nix(NixSource),
    /// A directory or file.
    Dir(DirSource),
}

/// Everything that decides an image and where it goes.
#[derive(Clone)]
pub struct BuildRequest {
    /// What goes in, in the order of the command line.
    pub inputs: Vec<Input>,
    /// The image that this one is built on.
    pub base: Option<ImageRef>,
    /// Puts what goes through links of the base at the places that they lead to.
    pub follow_links: bool,
    /// Lets links of the base, and things of another kind, give way.
    pub replace: bool,
    /// Absolute paths that are taken away from the base.
    pub remove: Vec<String>,
    /// Store paths whose closure goes in and which are joined at `/`.
    pub contents: Vec<String>,
    /// Directories whose content goes into the last layer.
    pub top: Vec<PathBuf>,
    /// Paths of the graph that hold others together and do not go in themselves:
    /// the file of the graph, of the configuration.
    pub wrappers: Vec<String>,
    /// By which package databases plain directories are split into components.
    pub split: Split,
    /// Patterns of what is left out of plain directories.
    pub exclude: Vec<String>,
    /// How the attributes of files are recorded.
    pub policy: Policy,
    /// What the image says about itself.
    pub config: ConfigSpec,
    /// Annotations of the manifest.
    pub annotations: Annotations,
    /// Name of the layering strategy, with or without its version; if none is named,
    /// `popularity` for reference graphs and `balanced` for directories alone.
    pub strategy: Option<String>,
    /// Components that are asked to share a layer.
    pub pins: Pins,
    /// The plan of an earlier image, to stay close to.
    pub previous: Option<Previous>,
    /// Plans of images that this one is planned together with; if there are any, neither
    /// `strategy` nor `previous` counts.
    pub fleet: Vec<LayerPlan>,
    /// Most layers that the image may have, everything counted.
    pub max_layers: usize,
    /// How layers are stored.
    pub codec: Codec,
    /// Workers; at least one.
    pub jobs: usize,
    /// Whether what is written survives a power cut.
    pub sync: SyncMode,
    /// How long to wait for other writers of a layout.
    pub lock_timeout: Option<Duration>,
    /// Told when another writer is waited for.
    pub on_wait: Option<OnWait>,
    /// Bills of materials that are attached to the image.
    pub bills: Vec<BillFormat>,
    /// Where the image goes.
    pub outputs: Vec<Output>,
    /// What it is called.
    pub names: Vec<ImageName>,
    /// Where finished layers are kept from build to build; `None` for nowhere.
    pub cache: Option<PathBuf>,
    /// Most bytes that the cache may keep.
    pub cache_size: u64,
    /// A directory for what has no place of its own while no output is a layout.
    pub temporary: PathBuf,
}

impl Default for BuildRequest {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            base: None,
            follow_links: false,
            replace: false,
            remove: Vec::new(),
            contents: Vec::new(),
            top: Vec::new(),
            wrappers: Vec::new(),
            split: Split::Auto,
            exclude: Vec::new(),
            policy: Policy::default(),
            config: ConfigSpec::default(),
            annotations: Annotations::new(),
            strategy: None,
            pins: Pins::default(),
            previous: None,
            fleet: Vec::new(),
            max_layers: 100,
            codec: Codec::Zstd(3),
            jobs: 1,
            sync: SyncMode::Full,
            lock_timeout: None,
            on_wait: None,
            bills: Vec::new(),
            outputs: Vec::new(),
            names: Vec::new(),
            cache: None,
            cache_size: 20 << 30,
            temporary: PathBuf::from("/tmp"),
        }
    }
}

/// How a bill of materials is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillFormat {
    /// SPDX 2.3.
    Spdx,
    /// `CycloneDX` 1.5.
    CycloneDx,
}

/// One place that the image goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// In which form.
    pub form: OutputForm,
    /// A path, or standard output if `None`.
    pub path: Option<PathBuf>,
    /// A name for `index.json` beside those of the request.
    pub tag: Option<String>,
}

/// The forms that an image can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputForm {
    /// An image layout directory.
    Layout,
    /// A layout in a tar archive, with docker's `manifest.json` unless it is refused.
    OciArchive {
        /// Whether docker's `manifest.json` is added.
        docker_manifest: bool,
    },
    /// What `docker save` wrote before it knew layouts.
    DockerArchive,
}
