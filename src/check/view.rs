//! [`View`]: the files of an image as a container sees them, layers laid over each other.

mod sheet;

use std::collections::BTreeMap;
use std::io::{self, Read};

use rayon::prelude::*;

use crate::blob::{BlobError, BlobStore, Digest};
use crate::error::ErrorKind;
use crate::fault::Fault;
use crate::image::{Image, ImageError};
use crate::tree::{Entry, Kind, TreePath};

use sheet::{Gone, Sheet, each, open, unreadable};

/// A file of an image, and the layer that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it is.
    pub entry: Entry,
    /// Number of the layer, lowest first.
    pub layer: usize,
    /// Of a regular file's content, where it was asked for.
    pub content: Option<Digest>,
}

/// The file tree of an image, or of one of its layers.
#[derive(Clone, Debug, Default)]
pub struct View {
    files: BTreeMap<TreePath, Shown>,
}

/// How much of the files a view takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Names and attributes.
    Names,
    /// A digest of every file's content, too.
    Contents,
}

/// A file tree that could not be read from an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The store refused.
    #[error(transparent)]
    Blob(#[from] crate::blob::BlobError),
    /// The image refused.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A layer cannot be unpacked.
    #[error("layer {digest} cannot be unpacked: {fault}")]
    Layer {
        /// The layer's blob.
        digest: Digest,
        /// Where and why.
        fault: Fault,
    },
    /// Reading a layer failed.
    #[error("could not read layer {digest}")]
    Io {
        /// The layer's blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// There is no such layer.
    #[error("there is no layer {number}: the image has {count}, counted from 0")]
    NoLayer {
        /// What was asked for.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// There is no such path in the image.
    #[error("{} is not in the image", path.display())]
    Missing {
        /// The path.
        path: TreePath,
    },
    /// The path is something without content.
    #[error("{} is {what}, not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: TreePath,
        /// What it is.
        what: &'static str,
    },
}

impl ViewError {
    /// A blob that is damaged says so when its end is reached.
    pub(super) fn unreadable(digest: Digest, error: io::Error) -> Self {
        match error.downcast::<BlobError>() {
            Ok(damage) => Self::Blob(damage),
            Err(source) => Self::Io { digest, source },
        }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Blob(error) => error.kind(),
            Self::Image(error) => error.kind(),
            // What the operating system said, as opposed to a decoder.
            Self::Io { source, .. } if source.raw_os_error().is_some() => ErrorKind::Io,
            Self::Layer { .. } | Self::Io { .. } => ErrorKind::Invalid,
            Self::NoLayer { .. } | Self::Missing { .. } | Self::NotAFile { .. } => ErrorKind::Usage,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Blob(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Layer { .. } => Some("`plywood verify` lists all faults of an image".to_owned()),
            Self::Missing { .. } => Some("`plywood ls` lists what there is".to_owned()),
            _ => None,
        }
    }
}

impl View {
    /// The merged tree: every layer in order, whiteouts heeded.
    ///
    /// Every layer is held against its digest.
    ///
    /// # Errors
    /// [`ViewError`] naming the layer that cannot be read.
    pub fn of_image(
        store: &dyn BlobStore,
        image: &Image,
        detail: Detail,
    ) -> Result<Self, ViewError> {
        let layers: Vec<_> = image.layers().enumerate().collect();
        let sheets = layers
            .par_iter()
            .map(|(number, (layer, _))| Sheet::read(store, &layer.descriptor, *number, detail));
        let sheets = sheets.collect::<Result<Vec<_>, ViewError>>()?;
        let mut view = Self::default();
        sheets.into_iter().for_each(|sheet| view.lay_over(sheet));
        Ok(view)
    }

    /// The entries of one layer as they stand there, whiteouts included.
    ///
    /// # Errors
    /// [`ViewError::NoLayer`], or whatever keeps the layer from being read.
    pub fn of_layer(
        store: &dyn BlobStore,
        image: &Image,
        number: usize,
        detail: Detail,
    ) -> Result<Self, ViewError> {
        let count = image.layers().len();
        let (layer, _) =
            { image.layers().nth(number) }.ok_or(ViewError::NoLayer { number, count })?;
        let mut view = Self::default();
        each(store, &layer.descriptor, detail, |entry, content| {
            view.insert(entry, number, content);
        })?;
        Ok(view)
    }

    /// All files in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = &Shown> {
        self.files.values()
    }

    /// What stands at a path, links not followed.
    pub fn get(&self, path: &TreePath) -> Option<&Shown> {
        self.files.get(path)
    }

    /// What is at `path` or below it.
    pub fn below(&self, path: &TreePath) -> impl Iterator<Item = &Shown> {
        let within = path.clone();
        let from = self.files.range(path.clone()..);
        from.take_while(move |(at, _)| within.contains(at))
            .map(|(_, shown)| shown)
    }

    fn lay_over(&mut self, sheet: Sheet) {
        for gone in sheet.removed {
            self.remove(&gone);
        }
        for (path, shown) in sheet.own.files {
            // What is no directory leaves nothing below it.
            if shown.entry.kind != Kind::Dir {
                self.remove(&Gone::Path(path.clone()));
            }
            self.files.insert(path, shown);
        }
    }

    fn insert(&mut self, entry: Entry, layer: usize, content: Option<Digest>) {
        // One more name of a file has that file's content.
        let content = match &entry.kind {
            Kind::HardLink { target } => self.files.get(target).and_then(|t| t.content.clone()),
            _ => content,
        };
        let path = entry.path.clone();
        let shown = Shown {
            entry,
            layer,
            content,
        };
        self.files.insert(path, shown);
    }

    fn remove(&mut self, gone: &Gone) {
        let (Gone::Path(top) | Gone::Below(top)) = gone;
        let paths: Vec<_> = { self.below(top) }
            .map(|shown| shown.entry.path.clone())
            .filter(|path| matches!(gone, Gone::Path(_)) || path != top)
            .collect();
        for path in paths {
            self.files.remove(&path);
        }
    }

    /// The path that `path` means once all symbolic links on the way are followed.
    ///
    /// # Errors
    /// [`ViewError::Missing`], also for links that lead nowhere or in circles.
    pub fn resolve(&self, path: &TreePath) -> Result<TreePath, ViewError> {
        const MOST_LINKS: usize = 40;
        let missing = || ViewError::Missing { path: path.clone() };
        let mut links = 0;
        let mut todo: Vec<Vec<u8>> = path.parts().map(<[u8]>::to_vec).collect();
        todo.reverse();
        let mut at = TreePath::root();
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    at = at.parent().unwrap_or_default();
                    continue;
                }
                _ => {}
            }
            let next = at.join(&part).map_err(|_| missing())?;
            match self.files.get(&next).map(|shown| &shown.entry.kind) {
                Some(Kind::Symlink { target }) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(missing());
                    }
                    if target.starts_with(b"/") {
                        at = TreePath::root();
                    }
                    let parts = target.split(|&b| b == b'/').map(<[u8]>::to_vec);
                    todo.extend(parts.rev());
                }
                Some(_) => at = next,
                // A directory may have content without an entry of its own.
                None if self.below(&next).next().is_some() => at = next,
                None => return Err(missing()),
            }
        }
        Ok(at)
    }
}

/// The content of a file of an image, links followed, as a stream.
///
/// All layers are read and verified before the first byte comes.
///
/// # Errors
/// [`ViewError::Missing`], [`ViewError::NotAFile`], or whatever keeps a layer from being read.
pub fn open_file<'s>(
    store: &'s dyn BlobStore,
    image: &Image,
    path: &TreePath,
) -> Result<Box<dyn Read + 's>, ViewError> {
    let view = View::of_image(store, image, Detail::Names)?;
    let at = view.resolve(path)?;
    let shown = view.get(&at).ok_or(ViewError::NotAFile {
        path: path.clone(),
        what: "a directory",
    })?;
    let at = match &shown.entry.kind {
        Kind::File { .. } => at,
        Kind::HardLink { target } => target.clone(),
        kind => {
            let (path, what) = (path.clone(), name_of(kind));
            return Err(ViewError::NotAFile { path, what });
        }
    };
    let (layer, _) = { image.layers().nth(shown.layer) }.ok_or(ViewError::NoLayer {
        number: shown.layer,
        count: image.layers().len(),
    })?;
    let mut reader = open(store, &layer.descriptor)?;
    let failed = |error| unreadable(&layer.descriptor, error);
    while let Some(raw) = reader.next_entry().map_err(failed)? {
        if raw.path.as_ref() == Some(&at) {
            return Ok(Box::new(reader));
        }
    }
    Err(ViewError::Missing { path: at })
}

/// What an entry is, in words.
pub fn name_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Dir => "a directory",
        Kind::File { .. } => "a regular file",
        Kind::Symlink { .. } => "a symbolic link",
        Kind::HardLink { .. } => "a hard link",
        Kind::Char(_) => "a character device",
        Kind::Block(_) => "a block device",
        Kind::Fifo => "a named pipe",
    }
}
