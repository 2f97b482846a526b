//! A tar's entries, read to the end.

use std::io::{self, Read};

use crate::fault::Fault;
use crate::layer::read::{Audit, LayerPaths, PathKey, TarReader, fault_of};

/// Reads all entries of a tar, noting its faults; the reader is left wherever it had to stop.
pub(super) fn read_all(reader: impl Read) -> (Vec<Fault>, LayerPaths, Option<io::Error>) {
    let mut reader = TarReader::new(reader);
    let mut audit = Audit::default();
    let stopped = loop {
        match reader.next_entry() {
            Ok(Some(entry)) => audit.entry(&entry),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let (audited, paths) = audit.finish();
    let mut faults = reader.take_faults();
    // What comes after a fault that ends the reading is not told from what was cut off.
    if stopped.is_none() {
        faults.extend(audited);
    }
    let stopped = stopped.and_then(|error| match fault_of(&error) {
        Some(fault) => {
            faults.push(fault.clone());
            None
        }
        None => Some(error),
    });
    (faults, paths, stopped)
}

/// The names of some paths, by reading the tar once more.
pub(super) fn names(reader: impl Read, wanted: &[PathKey]) -> Vec<Option<String>> {
    let mut names = vec![None; wanted.len()];
    let mut reader = TarReader::new(reader);
    while let Ok(Some(entry)) = reader.next_entry() {
        let Some(path) = &entry.path else {
            continue;
        };
        // Directories without an entry of their own are known by their content.
        for path in path.ancestors().chain([path.clone()]) {
            let key = PathKey::of(&path);
            for (name, _) in names.iter_mut().zip(wanted).filter(|(_, w)| **w == key) {
                *name = Some(path.display());
            }
        }
        if names.iter().all(Option::is_some) {
            break;
        }
    }
    names
}
