//! Docker's archive, and the `manifest.json` that makes an OCI archive one: rules 113 to 116.

use std::io;

use rayon::prelude::*;
use serde_json::Value;

use super::layer::{self, Hashing};
use super::layout::read_json;
use super::place::{FileKind, Place};
use crate::blob::{Algorithm, Digest};
use crate::fault::{Fault, Faults, Level};
use crate::image::{Document, ImageConfig, ImageName, Node, media, parse_strict};

/// One image of the archive, as far as it could be read.
struct Item {
    where_: String,
    config: Option<ImageConfig>,
    layers: Vec<String>,
}

/// Everything that can be checked of a docker archive.
pub(super) fn verify(place: &dyn Place) -> Vec<Fault> {
    let mut faults = Faults::default();
    let items = items(place, &mut faults);
    let mut jobs = Vec::new();
    for item in &items {
        let ids = item.config.iter().flat_map(|config| &config.diff_ids);
        for (layer, id) in item.layers.iter().zip(ids) {
            jobs.push((layer.as_str(), &id.0));
        }
    }
    jobs.sort();
    jobs.dedup();
    let found: Vec<_> = { jobs.par_iter() }
        .map(|(file, id)| check_layer(place, file, id))
        .collect();
    let mut list = faults.into_vec();
    list.extend(found.into_iter().flatten());
    list
}

/// What `manifest.json` adds to a layout, whose blobs are checked anyway.
pub(super) fn verify_beside_layout(place: &dyn Place) -> Vec<Fault> {
    let mut faults = Faults::default();
    items(place, &mut faults);
    faults.into_vec()
}

fn items(place: &dyn Place, faults: &mut Faults) -> Vec<Item> {
    let Some(value) = read_json(place, "manifest.json", 113, faults) else {
        return Vec::new();
    };
    let mut found = Faults::default();
    let document = Node::document(&value);
    let items = document.items(113, &mut found);
    let items: Vec<_> = { items.iter() }
        .filter_map(|node| item(place, node, &mut found))
        .collect();
    for fault in found.into_vec() {
        // Pointers are within manifest.json; other places already say which file they mean.
        let inside = fault.where_.starts_with('/') || fault.where_.is_empty();
        let where_ = format!("manifest.json#{}", fault.where_);
        faults.push(if inside {
            Fault { where_, ..fault }
        } else {
            fault
        });
    }
    items
}

fn item(place: &dyn Place, node: &Node, faults: &mut Faults) -> Option<Item> {
    node.object(113, faults)?;
    check_tags(node, faults);
    let config = node.need("Config", 113, faults)?;
    let config = config
        .text(113, faults)
        .and_then(|file| read_config(place, &config, file, faults));
    let layers = node.need("Layers", 113, faults)?;
    let files = layers.texts(113, faults);
    for file in &files {
        check_file(place, &layers, file, faults);
    }
    let ids = config.as_ref().map(|config| config.diff_ids.len());
    if ids.is_some_and(|ids| ids != files.len()) {
        let text = format!(
            "{} layers for {} diff_ids",
            files.len(),
            ids.unwrap_or_default()
        );
        faults.must(115, &layers.pointer, text);
    }
    Some(Item {
        where_: node.pointer.clone(),
        config,
        layers: files.into_iter().map(str::to_owned).collect(),
    })
    .filter(|item| !item.where_.is_empty())
}

fn check_tags(node: &Node, faults: &mut Faults) {
    let Some(tags) = node.get("RepoTags").filter(|tags| !tags.value.is_null()) else {
        return;
    };
    for tag in tags.texts(116, faults) {
        let tagged = tag
            .rsplit_once(':')
            .is_some_and(|(_, tag)| !tag.contains('/'));
        if ImageName::parse(tag).is_err() || !tagged {
            faults.must(116, &tags.pointer, format!("`{tag}` is not NAME:TAG"));
        }
    }
}

fn check_file(place: &dyn Place, node: &Node, file: &str, faults: &mut Faults) -> bool {
    let relative = !file.starts_with('/') && !file.split('/').any(|part| part == "..");
    if !relative {
        faults.must(
            113,
            &node.pointer,
            format!("`{file}` leads out of the archive"),
        );
        return false;
    }
    let there = place.files().get(file);
    // Old archives hold links to layers that other images have, too.
    let there = there.is_some_and(|info| matches!(info.kind, FileKind::File | FileKind::Link));
    if !there {
        faults.must(
            113,
            &node.pointer,
            format!("`{file}` is not in the archive"),
        );
    }
    there
}

fn read_config(
    place: &dyn Place,
    node: &Node,
    file: &str,
    faults: &mut Faults,
) -> Option<ImageConfig> {
    if !check_file(place, node, file, faults) {
        return None;
    }
    let bytes = super::layout::read_file(place, file, 113, faults)?;
    let digest = Digest::of(&bytes);
    let name = file.rsplit('/').next().unwrap_or(file);
    if name.strip_suffix(".json").unwrap_or(name) != digest.hex() {
        faults.must(
            114,
            &node.pointer,
            format!("the digest of `{file}` is {digest}"),
        );
    }
    let value: Value = match parse_strict(&bytes) {
        Ok(value) => value,
        Err(fault) => {
            faults.must(fault.rule, file, fault.to_string());
            return None;
        }
    };
    let mut found = Faults::default();
    let config = ImageConfig::read(&Node::document(&value), &mut found);
    // In a layout the config is judged as a blob.
    if !place.files().contains_key("oci-layout") {
        for fault in found.into_vec() {
            let where_ = format!("{file}#{}", fault.where_);
            faults.push(Fault { where_, ..fault });
        }
    }
    config
}

/// A layer is whatever its first bytes are; its tar has the digest of the config.
fn check_layer(place: &dyn Place, file: &str, promised: &Digest) -> Vec<Fault> {
    let Some(info) = place
        .files()
        .get(file)
        .filter(|info| info.kind == FileKind::File)
    else {
        return Vec::new();
    };
    let read = || -> io::Result<Vec<Fault>> {
        let media_type = sniff(place, file)?;
        let algorithm = promised.algorithm();
        let reader = place.open(file)?;
        let report = layer::read(
            reader,
            Algorithm::Sha256,
            media_type,
            info.size,
            &[algorithm],
        )?;
        let mut faults: Vec<_> = { report.faults.into_iter() }
            .map(|f| f.inside(file))
            .collect();
        if !report.diff_ids.is_empty() && !report.diff_ids.contains(promised) {
            let text = format!("does not unpack to {promised}, as its config says");
            faults.push(Fault::new(Level::Must, 65, file, text));
        }
        Ok(faults)
    };
    read().unwrap_or_else(|error| {
        vec![Fault::new(
            Level::Must,
            113,
            file,
            format!("cannot be read: {error}"),
        )]
    })
}

fn sniff(place: &dyn Place, file: &str) -> io::Result<&'static str> {
    let mut start = Vec::new();
    let reader = Hashing::new(place.open(file)?, &[]);
    io::Read::read_to_end(&mut io::Read::take(reader, 4), &mut start)?;
    Ok(match start.as_slice() {
        [0x1f, 0x8b, ..] => media::LAYER_GZIP,
        [0x28, 0xb5, 0x2f, 0xfd] => media::LAYER_ZSTD,
        _ => media::LAYER,
    })
}
