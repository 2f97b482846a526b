//! The layers of one image against each other: rules 93 and 95 to 97, and 79.

use std::collections::{BTreeMap, HashMap};

use super::blobs::soften;
use super::documents::FoundImage;
use super::entries;
use super::place::Place;
use crate::fault::{Fault, Level};
use crate::layer::read::{LayerPaths, PathKey, SeenKind, decompress, tar_limit};
use crate::tree::TreePath;

/// What the layers below say of a path.
struct Lower {
    kind: SeenKind,
    attributes: u32,
    layer: u32,
}

/// A path that two layers say different things about.
struct Clash {
    rule: u16,
    key: PathKey,
    lower: u32,
}

/// So many paths of a layer are told by name.
const TOLD: usize = 10;

/// Faults that only show when layers are stacked.
pub(super) fn verify(
    place: &dyn Place,
    image: &FoundImage,
    paths: &BTreeMap<&str, LayerPaths>,
) -> Vec<Fault> {
    let layers: Vec<_> = image
        .layers
        .iter()
        .map(|layer| paths.get(&*layer.file))
        .collect();
    // A layer that could not be read leaves nothing to compare.
    let Some(layers) = layers.into_iter().collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    let files: Vec<_> = image
        .layers
        .iter()
        .map(|layer| layer.file.clone())
        .collect();
    let mut below: HashMap<PathKey, Lower> = HashMap::new();
    let mut faults = Vec::new();
    let removing = layers.iter().any(|layer| !layer.removed.is_empty());
    for (i, layer) in layers.iter().enumerate() {
        // One blob twice is told once, where the manifest lists it.
        let again = image
            .layers
            .iter()
            .take(i)
            .any(|l| Some(&l.file) == files.get(i));
        if !again {
            let clashes = clashes(layer, &below);
            faults.extend(tell(place, image, i, &clashes, removing));
        }
        for key in &layer.removed {
            below.remove(key);
        }
        // Nothing comes after the last one to be held against it.
        let last = i + 1 == layers.len();
        for seen in layer.seen.iter().filter(|_| !last) {
            if !matches!(seen.kind, SeenKind::Whiteout | SeenKind::Implied) {
                let lower = Lower {
                    kind: seen.kind,
                    attributes: seen.attributes,
                    layer: i as u32,
                };
                below.insert(seen.key, lower);
            }
        }
    }
    faults.extend(prefixes(image, &layers));
    faults.extend(missing_program(image, &layers));
    { faults.into_iter() }
        .map(|fault| soften(fault, image.has_base))
        .collect()
}

fn clashes(layer: &LayerPaths, below: &HashMap<PathKey, Lower>) -> Vec<Clash> {
    let seen = layer.seen.iter();
    let clashes = seen.filter_map(|seen| {
        let lower = below.get(&seen.key)?;
        let rule = match (lower.kind, seen.kind) {
            (_, SeenKind::Whiteout) | (SeenKind::Whiteout, _) => return None,
            (SeenKind::Symlink, SeenKind::Dir | SeenKind::Implied) => 96,
            (SeenKind::Dir, SeenKind::Dir) if lower.attributes != seen.attributes => 95,
            // A directory over a file replaces it, as a file over a directory does.
            (SeenKind::Dir | SeenKind::Implied, _) | (_, SeenKind::Dir | SeenKind::Implied) => {
                return None;
            }
            _ => 97,
        };
        Some(Clash {
            rule,
            key: seen.key,
            lower: lower.layer,
        })
    });
    clashes.collect()
}

fn tell(
    place: &dyn Place,
    image: &FoundImage,
    upper: usize,
    clashes: &[Clash],
    removing: bool,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (rule, text) in [
        (95, "has other attributes than in layer"),
        (96, "is a directory over the symbolic link of layer"),
        (97, "stands in layer"),
    ] {
        let clashes: Vec<_> = clashes.iter().filter(|clash| clash.rule == rule).collect();
        let keys: Vec<_> = clashes.iter().take(TOLD).map(|clash| clash.key).collect();
        let Some(layer) = image.layers.get(upper).filter(|_| !keys.is_empty()) else {
            continue;
        };
        // What was removed with its directory and comes again is not stored twice for nothing,
        // and hashes do not tell what was below a directory.
        let level = if rule == 97 && removing {
            Level::Should
        } else {
            Level::Field
        };
        let size = place.files().get(&layer.file).map_or(0, |info| info.size);
        let names = match place.open(&layer.file) {
            Ok(reader) => entries::names(
                decompress(&layer.media_type, reader, tar_limit(size)),
                &keys,
            ),
            Err(_) => vec![None; keys.len()],
        };
        for (name, clash) in names.into_iter().zip(&clashes) {
            let name = name.unwrap_or_else(|| "a path".to_owned());
            let more = if rule == 97 { " already" } else { "" };
            let text = format!("{text} {}{more}", clash.lower);
            faults.push(Fault::new(
                level,
                rule,
                format!("{}: {name}", layer.file),
                text,
            ));
        }
        if clashes.len() > TOLD {
            let text = format!("{} more faults of this rule", clashes.len() - TOLD);
            faults.push(Fault::new(level, rule, &layer.file, text));
        }
    }
    faults
}

/// Names start with `./` in all layers or in none.
fn prefixes(image: &FoundImage, layers: &[&LayerPaths]) -> Option<Fault> {
    let mut told = layers.iter().filter_map(|layer| layer.dotted);
    let first = told.next()?;
    let mixed = told.any(|dotted| dotted != first);
    let text = "some layers write names as `./a`, others as `a`";
    mixed.then(|| Fault::new(Level::Field, 93, &image.file, text))
}

/// An absolute program should be in the image; behind a symbolic link it may be.
fn missing_program(image: &FoundImage, layers: &[&LayerPaths]) -> Option<Fault> {
    let program = image.entrypoint.as_deref()?;
    let path = TreePath::from_absolute(program).ok()?;
    let find = |path: &TreePath| {
        let key = PathKey::of(path);
        layers.iter().find_map(|layer| {
            let place = layer
                .seen
                .binary_search_by_key(&key, |seen| seen.key)
                .ok()?;
            layer.seen.get(place).map(|seen| seen.kind)
        })
    };
    let linked = path
        .ancestors()
        .any(|above| find(&above) == Some(SeenKind::Symlink));
    let text = format!("the config runs {program}, which is in no layer");
    (!linked && find(&path).is_none()).then(|| Fault::new(Level::Field, 79, &image.file, text))
}
