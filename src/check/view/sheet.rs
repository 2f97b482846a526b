//! One layer, read to its end.

use std::io::{self, Read};

use super::{Detail, View, ViewError};
use crate::blob::{Algorithm, BlobStore, Descriptor, Digest, Hasher};
use crate::fault::{Fault, Level};
use crate::layer::read::{Decompressor, TarReader, decompress, fault_of, tar_limit};
use crate::tree::{Entry, Kind, TreePath};

type Layer<'s> = TarReader<Decompressor<Box<dyn Read + Send + 's>>>;

/// One layer, read.
pub(super) struct Sheet {
    pub own: View,
    pub removed: Vec<Gone>,
}

impl Sheet {
    pub(super) fn read(
        store: &dyn BlobStore,
        layer: &Descriptor,
        number: usize,
        detail: Detail,
    ) -> Result<Self, ViewError> {
        let (mut own, mut removed) = (View::default(), Vec::new());
        each(store, layer, detail, |entry, content| {
            match whiteout(&entry) {
                Some(gone) => removed.push(gone),
                None => own.insert(entry, number, content),
            }
        })?;
        Ok(Self { own, removed })
    }
}

/// What a whiteout takes away.
pub(super) enum Gone {
    Path(TreePath),
    Below(TreePath),
}

fn whiteout(entry: &Entry) -> Option<Gone> {
    let name = entry.path.name().strip_prefix(b".wh.")?;
    let parent = entry.path.parent().unwrap_or_default();
    match name {
        b".wh..opq" => Some(Gone::Below(parent)),
        _ => parent.join(name).ok().map(Gone::Path),
    }
}

/// Hands every entry of a layer on, with the digest of its content if that is wanted.
pub(super) fn each(
    store: &dyn BlobStore,
    layer: &Descriptor,
    detail: Detail,
    mut take: impl FnMut(Entry, Option<Digest>),
) -> Result<(), ViewError> {
    let mut reader = open(store, layer)?;
    let failed = |error| unreadable(layer, error);
    while let Some(raw) = reader.next_entry().map_err(failed)? {
        let Some(entry) = raw.to_entry() else {
            let text = "cannot stand in a file tree";
            let fault = Fault::new(Level::Must, 93, raw.shown(), text);
            let digest = layer.digest.clone();
            return Err(ViewError::Layer { digest, fault });
        };
        let wanted = detail == Detail::Contents && matches!(entry.kind, Kind::File { .. });
        let content = wanted.then(|| hash(&mut reader)).transpose();
        take(entry, content.map_err(failed)?);
    }
    // The blob is verified when its end is reached.
    let mut rest = reader.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(failed)?;
    Ok(())
}

/// The entries of a layer; its blob is verified at its end.
pub(super) fn open<'s>(
    store: &'s dyn BlobStore,
    layer: &Descriptor,
) -> Result<Layer<'s>, ViewError> {
    let limit = tar_limit(layer.size);
    let blob = store.open(layer)?;
    Ok(TarReader::new(decompress(&layer.media_type, blob, limit)))
}

fn hash(reader: &mut impl Read) -> io::Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = [0; 16 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

pub(super) fn unreadable(layer: &Descriptor, error: io::Error) -> ViewError {
    let digest = layer.digest.clone();
    match fault_of(&error) {
        Some(fault) => ViewError::Layer {
            digest,
            fault: fault.clone(),
        },
        None => ViewError::unreadable(digest, error),
    }
}
