//! `diff`: what an update from one image to another downloads, and why.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::view::{Detail, Shown, View, ViewError, name_of};
use crate::blob::{BlobStore, Digest};
use crate::image::{Image, annotations, parse_strict};
use crate::tree::{Kind, TreePath};

/// Layers of two images, told apart by the digests of their blobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageDiff {
    /// In both; nothing to download. In the order of the new image.
    pub shared: Vec<LayerNote>,
    /// Only in the new image, lowest first.
    pub new: Vec<LayerNote>,
    /// Only in the old image, lowest first.
    pub gone: Vec<LayerNote>,
}

/// One layer, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerNote {
    /// The blob.
    pub digest: Digest,
    /// Its length in bytes: what a download costs.
    pub size: u64,
    /// The components in it, in the order of the plan; empty if the image does not say.
    pub components: Vec<String>,
    /// Their versions, in the order of the components; empty if the image does not say.
    pub versions: Vec<Option<String>>,
    /// Of these, the ones that the other image does not have, or has in another version: they
    /// caused the layer.
    pub causes: Vec<String>,
    /// What its history says.
    pub created_by: Option<String>,
}

impl ImageDiff {
    /// Whether both images have the same layers.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty()
    }

    /// The sum of the new layers' lengths in bytes.
    pub fn download(&self) -> u64 {
        self.new.iter().map(|layer| layer.size).sum()
    }

    /// The JSON of `diff --json`, version 1.
    pub fn to_json(&self) -> Value {
        let list = |notes: &[LayerNote]| -> Value {
            let notes = notes.iter().map(|note| {
                json!({
                    "digest": note.digest.to_string(),
                    "size": note.size,
                    "components": note.components,
                    "causes": note.causes,
                })
            });
            notes.collect()
        };
        let bytes = |notes: &[LayerNote]| notes.iter().map(|note| note.size).sum::<u64>();
        json!({
            "version": 1,
            "shared": {"bytes": bytes(&self.shared), "layers": list(&self.shared)},
            "new": {"bytes": self.download(), "layers": list(&self.new)},
            "gone": {"bytes": bytes(&self.gone), "layers": list(&self.gone)},
        })
    }
}

/// Compares the layers of two images.
pub fn diff(old: &Image, new: &Image) -> ImageDiff {
    let (before, after) = (notes(old), notes(new));
    let in_list =
        |list: &[LayerNote], note: &LayerNote| list.iter().any(|n| n.digest == note.digest);
    let (shared, fresh): (Vec<_>, Vec<_>) =
        { after.iter().cloned() }.partition(|n| in_list(&before, n));
    let gone = { before.iter() }.filter(|note| !in_list(&after, note));
    let gone = gone.cloned();
    ImageDiff {
        shared,
        new: caused(fresh, &before),
        gone: caused(gone.collect(), &after),
    }
}

fn notes(image: &Image) -> Vec<LayerNote> {
    let history = image.config.value.created_by();
    let layers = image.layers().zip(history);
    let notes = layers.map(|((layer, _), created_by)| LayerNote {
        digest: layer.descriptor.digest.clone(),
        size: layer.descriptor.size,
        components: list(layer.annotations.get(annotations::LAYER_PATHS)),
        versions: list(layer.annotations.get(annotations::LAYER_VERSIONS)),
        causes: Vec::new(),
        created_by: created_by.map(str::to_owned),
    });
    notes.collect()
}

/// A list that plywood noted on a layer.
fn list<T: serde::de::DeserializeOwned>(note: Option<&String>) -> Vec<T> {
    let list = note.and_then(|text| parse_strict(text.as_bytes()).ok());
    let list = list.and_then(|value| serde_json::from_value(value).ok());
    list.unwrap_or_default()
}

impl LayerNote {
    /// Components with their versions, as far as those are known.
    fn parts(&self) -> impl Iterator<Item = (&String, Option<&String>)> {
        let versions = self.versions.iter().map(Option::as_ref);
        self.components
            .iter()
            .zip(versions.chain(std::iter::repeat(None)))
    }
}

/// Names the components that the other image does not have like this; if it has them all, they
/// are in other company, and all of them are named.
fn caused(mut layers: Vec<LayerNote>, other: &[LayerNote]) -> Vec<LayerNote> {
    let known: BTreeSet<_> = other.iter().flat_map(LayerNote::parts).collect();
    for layer in &mut layers {
        let strangers = layer.parts().filter(|part| !known.contains(part));
        layer.causes = strangers.map(|(path, _)| path.clone()).collect();
        if layer.causes.is_empty() {
            layer.causes.clone_from(&layer.components);
        }
    }
    layers
}

/// One path at which two images differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Where.
    pub path: TreePath,
    /// How.
    pub kind: ChangeKind,
    /// Length of the file in bytes before and after, where it is one.
    pub sizes: [Option<u64>; 2],
}

/// How two images differ at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only in the new image.
    Added,
    /// Only in the old image.
    Removed,
    /// In both; what differs, in words.
    Changed(Vec<&'static str>),
}

/// Compares the files of two images as containers see them, content included.
///
/// The list is in the order of the paths; which layer a file is in does not matter.
///
/// # Errors
/// [`ViewError`] naming the layer that cannot be read.
pub fn diff_files(
    old: (&dyn BlobStore, &Image),
    new: (&dyn BlobStore, &Image),
) -> Result<Vec<FileChange>, ViewError> {
    let before = View::of_image(old.0, old.1, Detail::Contents)?;
    let after = View::of_image(new.0, new.1, Detail::Contents)?;
    let mut paths: BTreeMap<&TreePath, [Option<&Shown>; 2]> = BTreeMap::new();
    for (i, view) in [&before, &after].into_iter().enumerate() {
        for shown in view.files() {
            let pair = paths.entry(&shown.entry.path).or_default();
            if let Some(place) = pair.get_mut(i) {
                *place = Some(shown);
            }
        }
    }
    let changes = paths.into_iter().filter_map(|(path, pair)| {
        Some(FileChange {
            path: path.clone(),
            kind: change(pair)?,
            sizes: pair.map(|shown| shown.and_then(size)),
        })
    });
    Ok(changes.collect())
}

fn change(pair: [Option<&Shown>; 2]) -> Option<ChangeKind> {
    match pair {
        [None, Some(_)] => Some(ChangeKind::Added),
        [Some(_), None] => Some(ChangeKind::Removed),
        [Some(old), Some(new)] => {
            let words = differences(old, new);
            (!words.is_empty()).then_some(ChangeKind::Changed(words))
        }
        [None, None] => None,
    }
}

fn differences(old: &Shown, new: &Shown) -> Vec<&'static str> {
    let (a, b) = (&old.entry, &new.entry);
    let checks = [
        ("type", class(&a.kind) != class(&b.kind)),
        ("content", old.content != new.content),
        ("target", !is_file(&a.kind) && a.kind != b.kind),
        ("mode", a.meta.mode != b.meta.mode),
        (
            "owner",
            (a.meta.uid, a.meta.gid) != (b.meta.uid, b.meta.gid),
        ),
        ("time", a.meta.mtime != b.meta.mtime),
        ("attributes", a.xattrs != b.xattrs),
    ];
    let differing = checks.into_iter().filter(|(_, differs)| *differs);
    let words: Vec<_> = differing.map(|(word, _)| word).collect();
    match words.as_slice() {
        // Of another type, everything else follows.
        ["type", ..] => vec!["type"],
        _ => words,
    }
}

/// What an entry is once unpacked: there a hard link is a file like any other.
fn class(kind: &Kind) -> &'static str {
    match kind {
        Kind::HardLink { .. } => name_of(&Kind::File { size: 0 }),
        kind => name_of(kind),
    }
}

fn is_file(kind: &Kind) -> bool {
    matches!(kind, Kind::File { .. } | Kind::HardLink { .. })
}

fn size(shown: &Shown) -> Option<u64> {
    match shown.entry.kind {
        Kind::File { size } => Some(size),
        _ => None,
    }
}
