//! All blobs of a layout, hashed and, where they are layers, unpacked: in parallel, each once.

use std::collections::BTreeMap;
use std::io;

use rayon::prelude::*;

use super::documents::{FoundImage, Walk};
use super::layer::{self, Hashing};
use super::layout::digest_of;
use super::place::{FileKind, Place};
use super::stack;
use crate::blob::{Algorithm, Digest};
use crate::fault::{Fault, Level};
use crate::layer::read::LayerPaths;

/// What is to be done with one blob.
struct Job<'a> {
    file: &'a str,
    digest: Digest,
    size: u64,
    layer: Option<LayerJob<'a>>,
}

/// How images use a layer.
struct LayerJob<'a> {
    media_type: &'a str,
    /// Digests that configs promise for its tar, and where.
    diff_ids: Vec<(&'a Digest, &'a str)>,
    /// Whether all images that hold it stand on another image.
    lenient: bool,
}

/// Faults of all blobs, and of layers against each other.
pub(super) fn verify(place: &dyn Place, walk: Walk) -> Vec<Fault> {
    let jobs = jobs(place, &walk.images);
    let results: Vec<_> = jobs.par_iter().map(|job| run(place, job)).collect();
    let mut faults = walk.faults;
    let mut paths = BTreeMap::new();
    for (job, (found, seen)) in jobs.iter().zip(results) {
        faults.extend(found);
        if let Some(seen) = seen {
            paths.insert(job.file, seen);
        }
    }
    for image in &walk.images {
        faults.extend(stack::verify(place, image, &paths));
    }
    faults
}

fn jobs<'a>(place: &'a dyn Place, images: &'a [FoundImage]) -> Vec<Job<'a>> {
    let mut layers: BTreeMap<&str, LayerJob> = BTreeMap::new();
    for image in images {
        for layer in &image.layers {
            let job = layers.entry(&layer.file).or_insert_with(|| LayerJob {
                media_type: &layer.media_type,
                diff_ids: Vec::new(),
                lenient: true,
            });
            job.lenient &= image.has_base;
            let promise = layer.diff_id.as_ref().map(|id| (id, &*layer.config));
            job.diff_ids.extend(promise);
        }
    }
    let files = place.files().iter();
    let blobs = files.filter(|(_, info)| info.kind == FileKind::File);
    let blobs = blobs.filter_map(|(file, info)| {
        let digest = digest_of(file.strip_prefix("blobs/")?)?;
        Some(Job {
            layer: layers.remove(file.as_str()),
            size: info.size,
            digest,
            file,
        })
    });
    blobs.collect()
}

fn run(place: &dyn Place, job: &Job) -> (Vec<Fault>, Option<LayerPaths>) {
    let read = match &job.layer {
        None => hash(place, job).map(|faults| (faults, None)),
        Some(layer) => check_layer(place, job, layer),
    };
    read.unwrap_or_else(|error| {
        let text = format!("cannot be read: {error}");
        (vec![Fault::new(Level::Must, 4, job.file, text)], None)
    })
}

fn hash(place: &dyn Place, job: &Job) -> io::Result<Vec<Fault>> {
    let algorithm = job.digest.algorithm();
    let mut reader = Hashing::new(place.open(job.file)?, &[algorithm]);
    io::copy(&mut reader, &mut io::sink())?;
    let real = reader.finish();
    Ok(wrong_digest(job, &real).into_iter().collect())
}

fn wrong_digest(job: &Job, real: &[Digest]) -> Option<Fault> {
    let text = format!("its bytes have the digest {}", real.first()?);
    let wrong = !real.contains(&job.digest);
    wrong.then(|| Fault::new(Level::Must, 4, job.file, text))
}

fn check_layer(
    place: &dyn Place,
    job: &Job,
    layer: &LayerJob,
) -> io::Result<(Vec<Fault>, Option<LayerPaths>)> {
    let mut algorithms: Vec<Algorithm> = layer
        .diff_ids
        .iter()
        .map(|(id, _)| id.algorithm())
        .collect();
    algorithms.sort();
    algorithms.dedup();
    let reader = place.open(job.file)?;
    let report = layer::read(
        reader,
        job.digest.algorithm(),
        layer.media_type,
        job.size,
        &algorithms,
    )?;
    if let Some(fault) = wrong_digest(job, &[report.digest]) {
        // Of damaged bytes nothing else is worth saying.
        return Ok((vec![fault], None));
    }
    let mut faults: Vec<_> = { report.faults.into_iter() }
        .map(|fault| soften(fault, layer.lenient).inside(job.file))
        .collect();
    if !report.diff_ids.is_empty() {
        for (promised, where_) in &layer.diff_ids {
            if !report.diff_ids.contains(promised) {
                let real: Vec<_> = report.diff_ids.iter().map(ToString::to_string).collect();
                let text = format!(
                    "{promised}, but {} unpacks to {}",
                    job.file,
                    real.join(", ")
                );
                faults.push(Fault::new(Level::Must, 65, where_, text));
            }
        }
    }
    Ok((faults, Some(report.paths)))
}

/// What a base brings along is told, not held against the image.
pub(super) fn soften(mut fault: Fault, lenient: bool) -> Fault {
    if lenient && fault.level == Level::Field {
        fault.level = Level::Should;
    }
    fault
}
