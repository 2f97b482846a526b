//! Images on disk as they are typed: `[oci:|oci-archive:|docker-archive:]PATH[:TAG|@DIGEST]`.

use std::path::{Path, PathBuf};

use plywood::blob::BlobStore;
use plywood::image::{Image, Index, IndexEntry, Platform};
use plywood::target::{Form, ImageRef, Origin};

use super::exit::Failure;

/// A reference, taken apart.
pub fn parse(text: &Path) -> Result<ImageRef, Failure> {
    Ok(ImageRef::parse(text.as_os_str())?)
}

/// A reference that can only be to a layout directory.
pub fn layout(text: &Path) -> Result<ImageRef, Failure> {
    let reference = parse(text)?;
    match reference.form {
        None | Some(Form::Layout) => Ok(reference),
        Some(_) => Err(Failure::usage(format!(
            "{reference} is an archive, which cannot be changed"
        ))
        .hint("`plywood copy` makes a layout of it")),
    }
}

/// `--platform`.
pub fn platform(text: Option<&String>) -> Result<Option<Platform>, Failure> {
    Ok(text.map(|text| Platform::parse(text)).transpose()?)
}

/// An opened layout or archive, and what is meant in it.
pub struct Opened {
    pub reference: ImageRef,
    origin: Origin,
}

impl Opened {
    pub fn new(text: &Path) -> Result<Self, Failure> {
        let reference = parse(text)?;
        let origin = Origin::open(&reference)?;
        Ok(Self { reference, origin })
    }

    /// An archive that has no name of its own, such as one from standard input.
    pub fn archive(path: PathBuf) -> Result<Self, Failure> {
        let form = Some(Form::OciArchive);
        let reference = ImageRef {
            form,
            path,
            name: None,
        };
        let origin = Origin::open(&reference)?;
        Ok(Self { reference, origin })
    }

    pub fn store(&self) -> &dyn BlobStore {
        self.origin.store()
    }

    /// All that there is.
    pub fn index(&self) -> Result<Index, Failure> {
        Ok(Index {
            manifests: self.origin.entries()?,
            ..Index::default()
        })
    }

    pub fn entry(&self, platform: Option<&Platform>) -> Result<IndexEntry, Failure> {
        Ok(self
            .origin
            .entry(self.reference.name.as_deref(), platform)?)
    }

    pub fn image(&self, platform: Option<&Platform>) -> Result<Image, Failure> {
        Ok(self
            .origin
            .image(self.reference.name.as_deref(), platform)?)
    }
}
