//! The public error: which room failed, what kind of failure it is, and what to do.

/// What sort of failure an [`Error`] is; decides the exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request contradicts itself or names something that does not exist.
    Usage,
    /// A given document or tree is malformed.
    Input,
    /// Well-formed, but nothing that plywood can do.
    Unsupported,
    /// An existing image or layout breaks the specification.
    Invalid,
    /// Two things claim one place.
    Conflict,
    /// The operating system refused.
    Io,
    /// A fault of plywood itself.
    Internal,
}

/// Any failure of the library; each room has an enum of its own inside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request that cannot be carried out.
    #[error(transparent)]
    Build(#[from] crate::build::BuildError),
    /// Opening or pruning the cache.
    #[error(transparent)]
    Cache(#[from] crate::cache::CacheError),
    /// Reading graphs, stores and directories.
    #[error(transparent)]
    Source(#[from] crate::source::SourceError),
    /// Building the reference graph.
    #[error(transparent)]
    Graph(#[from] crate::graph::GraphError),
    /// Planning layers.
    #[error(transparent)]
    Plan(#[from] crate::plan::PlanError),
    /// Walking and reading file trees.
    #[error(transparent)]
    Tree(#[from] crate::tree::TreeError),
    /// Encoding layers.
    #[error(transparent)]
    Layer(#[from] crate::layer::LayerError),
    /// Reading and writing blobs.
    #[error(transparent)]
    Blob(#[from] crate::blob::BlobError),
    /// Making or reading image documents.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
    /// The image-layout directory.
    #[error(transparent)]
    Layout(#[from] crate::layout::LayoutError),
    /// Sending an image somewhere.
    #[error(transparent)]
    Target(#[from] crate::target::TargetError),
    /// Looking inside an image.
    #[error(transparent)]
    View(#[from] crate::check::ViewError),
}

macro_rules! each_room {
    ($self:ident, $e:ident => $call:expr) => {
        match $self {
            Error::Build($e) => $call,
            Error::Cache($e) => $call,
            Error::Source($e) => $call,
            Error::Graph($e) => $call,
            Error::Plan($e) => $call,
            Error::Tree($e) => $call,
            Error::Layer($e) => $call,
            Error::Blob($e) => $call,
            Error::Image($e) => $call,
            Error::Layout($e) => $call,
            Error::Target($e) => $call,
            Error::View($e) => $call,
        }
    };
}

impl Error {
    /// The sort of failure.
    pub fn kind(&self) -> ErrorKind {
        each_room!(self, e => e.kind())
    }

    /// What the caller can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        each_room!(self, e => e.hint())
    }
}
