//! [`Walk`]: from `index.json` through indexes and manifests to configs and layers.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{file_of, read_file};
use super::place::{FileKind, Place};
use crate::blob::{Digest, Hasher};
use crate::fault::{Fault, Faults};
use crate::image::{
    Annotations, DOCUMENT_LIMIT, Document, ImageConfig, Index, IndexEntry, Manifest, NESTING_LIMIT,
    Node, Platform, annotations, media, parse_strict,
};

/// What was found on the way.
pub(super) struct Walk<'p> {
    place: &'p dyn Place,
    pub faults: Vec<Fault>,
    pub images: Vec<FoundImage>,
    /// Blobs by file, with the sizes that descriptors promise.
    pub reached: BTreeMap<String, Digest>,
    visited: BTreeSet<(Digest, &'static str)>,
}

/// An image whose documents could be read.
pub(super) struct FoundImage {
    /// Where its manifest is.
    pub file: String,
    pub layers: Vec<FoundLayer>,
    /// Whether it says that it stands on another image.
    pub has_base: bool,
    /// An absolute program that the config wants to run.
    pub entrypoint: Option<String>,
}

/// A layer as an image describes it.
pub(super) struct FoundLayer {
    pub file: String,
    pub media_type: String,
    pub diff_id: Option<Digest>,
    /// The config that says so.
    pub config: String,
}

impl<'p> Walk<'p> {
    pub fn new(place: &'p dyn Place) -> Self {
        Self {
            place,
            faults: Vec::new(),
            images: Vec::new(),
            reached: BTreeMap::new(),
            visited: BTreeSet::new(),
        }
    }

    /// Whether anything refers to this blob.
    pub fn reaches(&self, file: &str) -> bool {
        self.reached.contains_key(file)
    }

    /// Starts the walk.
    pub fn index_json(&mut self) {
        const FILE: &str = "index.json";
        let mut faults = Faults::default();
        let bytes = read_file(self.place, FILE, 3, &mut faults);
        self.faults.extend(faults.into_vec());
        let index = bytes.and_then(|bytes| self.read::<Index>(FILE, &bytes));
        let Some((index, _)) = index else {
            return;
        };
        self.check_names(&index);
        self.index(FILE, &index, 0);
    }

    /// One entry a name; several platforms of a name belong into a nested index.
    fn check_names(&mut self, index: &Index) {
        let mut faults = Faults::default();
        let entries = &index.manifests;
        // Artifacts are found by what they are about.
        let images = entries.iter().filter(|entry| entry.artifact_type.is_none());
        let unnamed = images.filter(|entry| entry.ref_name().is_none());
        let place = "index.json#/manifests";
        match unnamed.count() {
            // Named ones beside it are found all the same.
            1 if entries.len() > 1 => {
                faults.should(55, place, "one entry has no name, others have");
            }
            0 | 1 => {}
            some => faults.field(55, place, format!("{some} entries without a name")),
        }
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, entry) in entries.iter().enumerate() {
            let Some(name) = entry.ref_name() else {
                continue;
            };
            let place = format!("index.json#/manifests/{i}");
            if !crate::image::is_ref_name(name) {
                faults.should(
                    57,
                    &place,
                    format!("`{name}` is not a well-formed reference name"),
                );
            }
            let Some(&first) = seen.get(name) else {
                seen.insert(name, i);
                continue;
            };
            let other = entries.get(first).and_then(|entry| entry.platform.as_ref());
            if other == entry.platform.as_ref() {
                faults.field(56, place, format!("`{name}` names entry {first} too"));
            } else {
                let text = format!("`{name}` names entry {first} too, for another platform");
                faults.field(55, place, text);
            }
        }
        self.faults.extend(faults.into_vec());
    }

    fn index(&mut self, file: &str, index: &Index, depth: usize) {
        for (i, entry) in index.manifests.iter().enumerate() {
            let place = format!("{file}#/manifests/{i}");
            if depth > 0 && entry.ref_name().is_some() {
                self.should(
                    57,
                    &place,
                    "a name, which only entries of index.json should have",
                );
            }
            self.entry(&place, entry, depth);
        }
        // The manifest that an index is about may be elsewhere; here it is kept.
        if let Some(subject) = &index.subject {
            self.subject(file, subject, depth);
        }
    }

    fn subject(&mut self, file: &str, subject: &IndexEntry, depth: usize) {
        if self
            .place
            .files()
            .contains_key(&file_of(&subject.descriptor.digest))
        {
            self.entry(&format!("{file}#/subject"), subject, depth);
        }
    }

    fn entry(&mut self, place: &str, entry: &IndexEntry, depth: usize) {
        let media_type = entry.descriptor.media_type.as_str();
        if media::is_index(media_type) {
            if depth >= NESTING_LIMIT {
                let text = format!("an index nested more than {NESTING_LIMIT} deep");
                self.must(47, place, &text);
                self.reach(place, entry);
                return;
            }
            if let Some((file, index)) = self.document::<Index>(place, entry) {
                self.index(&file, &index, depth + 1);
            }
        } else if media::is_manifest(media_type) {
            if let Some((file, manifest)) = self.document::<Manifest>(place, entry) {
                self.manifest(place, &file, entry, &manifest, depth);
            }
        } else {
            self.reach(place, entry);
        }
    }

    fn manifest(
        &mut self,
        place: &str,
        file: &str,
        entry: &IndexEntry,
        manifest: &Manifest,
        depth: usize,
    ) {
        for (i, layer) in manifest.layers.iter().enumerate() {
            // What may not be distributed need not be here.
            let place = format!("{file}#/layers/{i}");
            let foreign = media::is_foreign(&layer.descriptor.media_type);
            if !foreign
                || self
                    .place
                    .files()
                    .contains_key(&file_of(&layer.descriptor.digest))
            {
                self.reach(&place, layer);
            }
        }
        if let Some(subject) = &manifest.subject {
            self.subject(file, subject, depth);
        }
        let config_place = format!("{file}#/config");
        if !manifest.is_image() {
            self.reach(&config_place, &manifest.config);
            self.check_artifact_type(place, entry, manifest);
            return;
        }
        let Some((config_file, config)) =
            self.document::<ImageConfig>(&config_place, &manifest.config)
        else {
            return;
        };
        self.check_platform(place, entry, &config.platform);
        let (layers, ids) = (manifest.layers.len(), config.diff_ids.len());
        if layers != ids {
            let place = format!("{config_file}#/rootfs/diff_ids");
            self.must(
                64,
                &place,
                &format!("{ids} diff_ids for the {layers} layers of {file}"),
            );
        }
        self.images.push(FoundImage {
            file: file.to_owned(),
            layers: found_layers(manifest, &config, &config_file),
            has_base: names_base(&manifest.annotations),
            entrypoint: absolute_program(&config),
        });
    }

    fn check_platform(&mut self, place: &str, entry: &IndexEntry, config: &Platform) {
        match &entry.platform {
            Some(platform) if platform != config => {
                let text = format!("the platform is {platform}, the config says {config}");
                self.field(53, place, &text);
            }
            Some(_) => {}
            None => self.should(30, place, "an image without `platform`"),
        }
    }

    fn check_artifact_type(&mut self, place: &str, entry: &IndexEntry, manifest: &Manifest) {
        let config = &manifest.config.descriptor.media_type;
        let own = manifest.artifact_type.as_ref().unwrap_or(config);
        if entry.artifact_type.as_ref().is_some_and(|said| said != own) {
            self.must(
                29,
                place,
                &format!("the artifactType is not that of the manifest, `{own}`"),
            );
        }
    }

    /// Reads what a descriptor points at; `None` if it cannot be, or was read before.
    fn document<T: Document>(&mut self, place: &str, entry: &IndexEntry) -> Option<(String, T)> {
        let file = self.reach(place, entry)?;
        let digest = &entry.descriptor.digest;
        let first = self.visited.insert((digest.clone(), T::NAME));
        // An image is judged once a descriptor; its config may be shared.
        if !first && T::NAME != ImageConfig::NAME {
            return None;
        }
        if entry.descriptor.size > DOCUMENT_LIMIT {
            self.must(
                28,
                &file,
                &format!("a {} above 4 MiB, which registries refuse", T::NAME),
            );
            return None;
        }
        let mut faults = Faults::default();
        let bytes = read_file(self.place, &file, 6, &mut faults);
        self.faults.extend(faults.into_vec());
        let bytes = bytes?;
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update(&bytes);
        if hasher.finish() != *digest {
            // Said once, when all blobs are hashed; what it says is of no account.
            return None;
        }
        let (document, own_type) = self.read::<T>(&file, &bytes)?;
        if let Some(own) = own_type.filter(|own| *own != entry.descriptor.media_type) {
            let text = format!(
                "calls itself `{own}`, its descriptor says `{}`",
                entry.descriptor.media_type
            );
            self.must(33, &format!("{file}#/mediaType"), &text);
        }
        Some((file, document))
    }

    /// Reads a document, and the media type that it gives itself.
    fn read<T: Document>(&mut self, file: &str, bytes: &[u8]) -> Option<(T, Option<String>)> {
        let value = match parse_strict(bytes) {
            Ok(value) => value,
            Err(fault) => {
                self.must(fault.rule, file, &fault.to_string());
                return None;
            }
        };
        let mut faults = Faults::default();
        let document = T::read(&Node::document(&value), &mut faults);
        let found = faults.into_vec().into_iter().map(|mut fault| {
            let pointer = if fault.where_.is_empty() { "" } else { "#" };
            fault.where_ = format!("{file}{pointer}{}", fault.where_);
            fault
        });
        self.faults.extend(found);
        let own = value.get("mediaType").and_then(|own| own.as_str());
        let own = own.filter(|_| T::NAME != ImageConfig::NAME);
        Some((document?, own.map(str::to_owned)))
    }

    /// Notes that a blob is referred to, and whether it is there in the size that is promised.
    fn reach(&mut self, place: &str, entry: &IndexEntry) -> Option<String> {
        let digest = &entry.descriptor.digest;
        let file = file_of(digest);
        let info = self.place.files().get(&file);
        self.reached.insert(file.clone(), digest.clone());
        match info {
            None => {
                self.must(6, place, &format!("{file} is missing"));
                None
            }
            Some(info) if info.kind != FileKind::File => None,
            Some(info) if info.size != entry.descriptor.size => {
                let (said, real) = (entry.descriptor.size, info.size);
                self.must(
                    24,
                    place,
                    &format!("size is {said}, {file} has {real} bytes"),
                );
                Some(file)
            }
            Some(_) => Some(file),
        }
    }

    fn must(&mut self, rule: u16, place: &str, text: &str) {
        self.faults
            .push(Fault::new(super::Level::Must, rule, place, text));
    }

    fn field(&mut self, rule: u16, place: &str, text: &str) {
        self.faults
            .push(Fault::new(super::Level::Field, rule, place, text));
    }

    fn should(&mut self, rule: u16, place: &str, text: &str) {
        self.faults
            .push(Fault::new(super::Level::Should, rule, place, text));
    }
}

fn found_layers(manifest: &Manifest, config: &ImageConfig, config_file: &str) -> Vec<FoundLayer> {
    let layers = manifest.layers.iter().enumerate();
    let layers = layers.filter_map(|(i, layer)| {
        Some(FoundLayer {
            file: file_of(&layer.descriptor.digest),
            media_type: media::layer(&layer.descriptor.media_type)?.to_owned(),
            diff_id: config.diff_ids.get(i).map(|id| id.0.clone()),
            config: format!("{config_file}#/rootfs/diff_ids/{i}"),
        })
    });
    layers.collect()
}

fn names_base(notes: &Annotations) -> bool {
    [annotations::BASE_DIGEST, annotations::BASE_NAME]
        .iter()
        .any(|key| notes.get(*key).is_some_and(|value| !value.is_empty()))
}

/// The program that runs: the first word of `Entrypoint`, or of `Cmd` without one.
fn absolute_program(config: &ImageConfig) -> Option<String> {
    let runtime = config.runtime()?;
    let first = |name: &str| runtime.get(name)?.as_array()?.first()?.as_str();
    let program = first("Entrypoint").or_else(|| first("Cmd"))?;
    program.starts_with('/').then(|| program.to_owned())
}
