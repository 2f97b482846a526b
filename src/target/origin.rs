//! [`ImageRef`] and [`Origin`]: where an image comes from, as it is named and as it was found.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{ArchiveStore, TargetError};
use crate::blob::{BlobStore, Descriptor};
use crate::fault::printable;
use crate::image::{Image, ImageName, IndexEntry, Platform, annotations, media};
use crate::layout::{Layout, LayoutError};

/// How an image on disk is named: `[oci:|oci-archive:|docker-archive:]PATH[:NAME|@DIGEST]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRef {
    /// In what it is kept; told by looking if not said.
    pub form: Option<Form>,
    /// The directory or file.
    pub path: PathBuf,
    /// A tag, a full name, or `@` and a digest.
    pub name: Option<String>,
}

/// What images are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A layout directory.
    Layout,
    /// A layout packed as a tar.
    OciArchive,
    /// Docker's own archive.
    DockerArchive,
}

impl Form {
    /// All forms, with the prefixes that name them.
    pub const ALL: [(&'static str, Self); 3] = [
        ("oci:", Self::Layout),
        ("oci-archive:", Self::OciArchive),
        ("docker-archive:", Self::DockerArchive),
    ];
}

impl ImageRef {
    /// Takes a reference apart. As in containers/image the path ends at the first colon,
    /// because a name may have some of its own.
    ///
    /// # Errors
    /// [`TargetError::Reference`] without a path, or with nothing after the colon.
    pub fn parse(text: &OsStr) -> Result<Self, TargetError> {
        let bytes = text.as_bytes();
        let refuse = |fault| TargetError::Reference {
            text: printable(&text.to_string_lossy()),
            fault,
        };
        let prefixed = Form::ALL
            .iter()
            .find_map(|(prefix, form)| Some((*form, bytes.strip_prefix(prefix.as_bytes())?)));
        let (form, rest) = match prefixed {
            Some((form, rest)) => (Some(form), rest),
            None => (None, bytes),
        };
        let digest = rest
            .windows(8)
            .position(|part| part == b"@sha256:" || part == b"@sha512:");
        let cut = digest.or_else(|| rest.iter().position(|&b| b == b':'));
        let (path, name) = rest.split_at(cut.unwrap_or(rest.len()));
        let name = match digest {
            Some(_) => Some(name),
            None => name.strip_prefix(b":"),
        };
        if path.is_empty() {
            return Err(refuse("has no path"));
        }
        let name = name.map(|name| std::str::from_utf8(name).unwrap_or_default());
        if name == Some("") {
            return Err(refuse("has no name after its `:`"));
        }
        Ok(Self {
            form,
            path: OsStr::from_bytes(path).into(),
            name: name.map(str::to_owned),
        })
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = Form::ALL.iter().find(|(_, form)| Some(*form) == self.form);
        let prefix = prefix.map_or("", |(prefix, _)| prefix);
        let path = printable(&self.path.to_string_lossy());
        write!(f, "{prefix}{path}")?;
        match &self.name {
            Some(name) if name.starts_with('@') => write!(f, "{name}"),
            Some(name) => write!(f, ":{}", printable(name)),
            None => Ok(()),
        }
    }
}

/// A layout or archive opened for reading.
pub struct Origin {
    place: Place,
    path: PathBuf,
}

enum Place {
    Layout(Box<Layout>),
    Archive(Box<ArchiveStore>),
}

impl Origin {
    /// Opens what a reference names; the image itself is not looked for yet.
    ///
    /// # Errors
    /// [`TargetError::Layout`] or [`TargetError::NotAnArchive`], which say what is wrong.
    pub fn open(reference: &ImageRef) -> Result<Self, TargetError> {
        let path = reference.path.clone();
        let form = reference.form.unwrap_or_else(|| guess(&path));
        let place = match form {
            Form::Layout => Place::Layout(Box::new(Layout::open(&path)?)),
            _ => Place::Archive(Box::new(ArchiveStore::open(&path)?)),
        };
        Ok(Self { place, path })
    }

    /// Its blobs.
    pub fn store(&self) -> &dyn BlobStore {
        match &self.place {
            Place::Layout(layout) => layout.blobs(),
            Place::Archive(archive) => &**archive,
        }
    }

    /// All that its index names, in order.
    ///
    /// # Errors
    /// [`TargetError::Layout`] if `index.json` cannot be read.
    pub fn entries(&self) -> Result<Vec<IndexEntry>, TargetError> {
        Ok(match &self.place {
            Place::Layout(layout) => layout.index()?.value.manifests,
            Place::Archive(archive) => archive.entries().to_vec(),
        })
    }

    /// The entry that a name means; without a name, the only image.
    ///
    /// A name is a tag, a full name (`localhost/app:1`) or `@` and a digest. Where two images
    /// bear it, the one for `platform` is meant.
    ///
    /// # Errors
    /// [`LayoutError::UnknownName`], [`LayoutError::Ambiguous`] and [`TargetError::Twice`], which
    /// list what there is.
    pub fn entry(
        &self,
        name: Option<&str>,
        platform: Option<&Platform>,
    ) -> Result<IndexEntry, TargetError> {
        let entries = self.entries()?;
        let mut found = match name {
            Some(name) => entries.iter().filter(|e| is_named(e, name)).collect(),
            None => images(&entries),
        };
        let mut seen: Vec<&Descriptor> = Vec::new();
        found.retain(|entry| {
            let new = !seen.contains(&&entry.descriptor);
            seen.push(&entry.descriptor);
            new
        });
        if let (true, Some(wanted)) = (found.len() > 1, platform) {
            let serves = |entry: &&IndexEntry| {
                let theirs = entry.platform.as_ref();
                theirs.is_some_and(|theirs| theirs.serves(wanted))
            };
            if found.iter().filter(|entry| serves(entry)).count() == 1 {
                found.retain(serves);
            }
        }
        let path = || self.path.clone();
        match (found.as_slice(), name) {
            ([entry], _) => Ok((*entry).clone()),
            ([], Some(name)) => Err(LayoutError::UnknownName {
                path: path(),
                name: printable(name),
                known: names(&entries),
            }
            .into()),
            (_, None) => Err(LayoutError::Ambiguous {
                path: path(),
                count: found.len(),
                known: names(&entries),
            }
            .into()),
            (several, Some(name)) => Err(TargetError::Twice {
                path: path(),
                name: printable(name),
                choices: several.iter().map(|entry| shown(entry)).collect(),
            }),
        }
    }

    /// The image that a reference means, read and held against the rules.
    ///
    /// # Errors
    /// As [`entry`](Self::entry) and [`Image::load`].
    pub fn image(
        &self,
        name: Option<&str>,
        platform: Option<&Platform>,
    ) -> Result<Image, TargetError> {
        let entry = self.entry(name, platform)?;
        Ok(Image::load(self.store(), &entry, platform)?)
    }
}

/// A directory is a layout; a file is an archive, which tells itself which.
fn guess(path: &Path) -> Form {
    match path.is_file() {
        true => Form::OciArchive,
        false => Form::Layout,
    }
}

/// Images before artifacts: what is attached to an image must not make it ambiguous.
fn images(entries: &[IndexEntry]) -> Vec<&IndexEntry> {
    let is_image = |entry: &&IndexEntry| {
        let media_type = &entry.descriptor.media_type;
        let runs = media::is_manifest(media_type) || media::is_index(media_type);
        runs && entry.artifact_type.is_none()
    };
    let images: Vec<_> = entries.iter().filter(is_image).collect();
    match images.is_empty() {
        true => entries.iter().collect(),
        false => images,
    }
}

fn is_named(entry: &IndexEntry, name: &str) -> bool {
    if let Some(digest) = name.strip_prefix('@') {
        return entry.descriptor.digest.to_string() == digest;
    }
    let full = entry.annotations.get(annotations::CONTAINERD_NAME);
    let is_full = |full: &String| {
        full == name || ImageName::parse(name).is_ok_and(|meant| meant.to_string() == *full)
    };
    entry.ref_name() == Some(name) || full.is_some_and(is_full)
}

fn names(entries: &[IndexEntry]) -> Vec<String> {
    let names = entries.iter().filter_map(IndexEntry::ref_name);
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.dedup();
    names
}

fn shown(entry: &IndexEntry) -> String {
    let digest = &entry.descriptor.digest;
    let full = entry.annotations.get(annotations::CONTAINERD_NAME);
    match (&entry.platform, full) {
        (_, Some(full)) => format!("{} ({digest})", printable(full)),
        (Some(platform), None) => format!("{platform} ({digest})"),
        (None, None) => digest.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<ImageRef, String> {
        ImageRef::parse(OsStr::new(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn references() {
        let digest = format!("@sha256:{}", "0".repeat(64));
        let digested = format!("oci:a{digest}");
        for (text, form, path, name) in [
            ("oci:a/b", Some(Form::Layout), "a/b", None),
            ("a:v1", None, "a", Some("v1")),
            (
                "oci:a:localhost/x:1",
                Some(Form::Layout),
                "a",
                Some("localhost/x:1"),
            ),
            (&digested, Some(Form::Layout), "a", Some(&*digest)),
            ("user@host", None, "user@host", None),
            (
                "oci-archive:x.tar:1",
                Some(Form::OciArchive),
                "x.tar",
                Some("1"),
            ),
            (
                "docker-archive:x.tar",
                Some(Form::DockerArchive),
                "x.tar",
                None,
            ),
        ] {
            let found = parsed(text).unwrap();
            assert_eq!(found.to_string(), text);
            let name = name.map(str::to_owned);
            let path = PathBuf::from(path);
            assert_eq!(found, ImageRef { form, path, name }, "{text}");
        }
        assert_eq!(
            parsed("oci:").unwrap_err(),
            "`oci:` names no image: it has no path"
        );
        assert_eq!(
            parsed("a:").unwrap_err(),
            "`a:` names no image: it has no name after its `:`"
        );
    }
}
