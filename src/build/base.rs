//! The image that another one is built on: opened, verified, and what it says about paths.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::BuildError;
use crate::blob::{BlobStore, Descriptor};
use crate::check::{Detail, Shown, View, name_of, verify_layers};
use crate::image::{Image, Platform};
use crate::target::{ImageRef, Origin, TargetError};
use crate::tree::{Entry, Kind, Listing, Meta, Part, TreeError, TreePath, Xattrs};

/// A base image, whose documents were read.
pub(super) struct Base {
    name: String,
    origin: Origin,
    pub image: Image,
}

impl Base {
    /// Opens and reads the base that a request names, for its platform.
    pub(super) fn open(
        reference: Option<&ImageRef>,
        platform: Option<&Platform>,
    ) -> Result<Option<Self>, BuildError> {
        let Some(reference) = reference else {
            return Ok(None);
        };
        let name = reference.to_string();
        let opened = || -> Result<_, TargetError> {
            let origin = Origin::open(reference)?;
            let image = origin.image(reference.name.as_deref(), platform)?;
            Ok((origin, image))
        };
        match opened() {
            Ok((origin, image)) => Ok(Some(Self {
                name,
                origin,
                image,
            })),
            Err(error) => Err(BuildError::base(name, error)),
        }
    }

    /// How many layers it has.
    pub(super) fn depth(base: Option<&Self>) -> usize {
        base.map_or(0, |base| base.image.layers().len())
    }

    /// Reads all layers: their digests, their diff IDs, and where everything is.
    pub(super) fn ground(&self, rules: Rules) -> Result<Ground, BuildError> {
        let store = self.origin.store();
        let view = verify_layers(store, &self.image)
            .and_then(|()| View::of_image(store, &self.image, Detail::Names))
            .map_err(|error| BuildError::base(self.name.clone(), error))?;
        Ok(Ground { view, rules })
    }

    /// Puts the layers into a store, each verified.
    pub(super) fn copy_to(&self, store: &dyn BlobStore) -> Result<(), BuildError> {
        let layers: Vec<&Descriptor> = self.image.layers().map(|(l, _)| &l.descriptor).collect();
        let copied = layers.par_iter().try_for_each(|layer| {
            if !store.contains(layer)? {
                store.import(self.origin.store(), layer)?;
            }
            Ok(())
        });
        copied.map_err(|error: crate::blob::BlobError| BuildError::base(self.name.clone(), error))
    }
}

/// What may be done to the files of a base.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What goes through a link of the base is put at the place that it leads to.
    pub follow_links: bool,
    /// Links, and things of another kind, give way.
    pub replace: bool,
}

/// The files of a base image, on which all layers are laid.
pub(super) struct Ground {
    view: View,
    rules: Rules,
}

impl Ground {
    /// The directories, whose attributes hold for the layers above as well.
    pub(super) fn directories(&self) -> impl Iterator<Item = (TreePath, (Meta, Xattrs))> + '_ {
        let all = self.view.files().map(|shown| &shown.entry);
        let dirs = all.filter(|entry| entry.kind == Kind::Dir && !entry.path.is_root());
        dirs.map(|entry| (entry.path.clone(), (entry.meta, entry.xattrs.clone())))
    }

    /// Whether the base has anything at a path or below it.
    pub(super) fn knows(&self, path: &TreePath) -> bool {
        self.view.below(path).next().is_some()
    }

    /// Puts a tree where the base's links say that it goes, in pieces if need be.
    pub(super) fn place(&self, part: Part) -> Result<Vec<Part>, TreeError> {
        let mut open = vec![part];
        let mut placed = Vec::new();
        while let Some(part) = open.pop() {
            let mut dest = self.real(&part.dest)?;
            let mut part = part.at(dest.clone());
            if let Some(to) = self.leads_to(&dest).filter(|_| self.rules.follow_links)
                && part.has_dir(&dest)? == Some(true)
            {
                dest = to;
                part = part.at(dest);
            }
            for link in self.links_below(&part.dest) {
                if *link == part.dest || part.has_dir(link)? != Some(true) {
                    continue;
                }
                let Some(to) = self.leads_to(link).filter(|_| self.rules.follow_links) else {
                    // Told with all others of its layer, unless nothing is to be said.
                    continue;
                };
                open.push(part.moved(link, to)?);
                part = part.without(link.clone());
            }
            placed.push(part);
        }
        placed.reverse();
        Ok(placed)
    }

    /// Puts an entry that is no file on disk where it goes.
    pub(super) fn place_made(&self, mut entry: Entry) -> Result<Entry, TreeError> {
        entry.path = self.real(&entry.path)?;
        if entry.kind == Kind::Dir
            && self.rules.follow_links
            && let Some(to) = self.leads_to(&entry.path)
        {
            entry.path = to;
        }
        Ok(entry)
    }

    /// Refuses, before anything is written, trees whose directories stand in the place of links.
    pub(super) fn check_parts<'p>(
        &self,
        parts: impl Iterator<Item = &'p Part>,
    ) -> Result<(), TreeError> {
        let mut faults = Faults::default();
        for part in parts.filter(|_| !self.rules.replace) {
            for link in self.links_below(&part.dest) {
                if part.has_dir(link)? == Some(true) {
                    faults.add(self.misfit(link, &Kind::Dir));
                }
            }
        }
        faults.done()
    }

    /// Holds a layer's entries against the base.
    pub(super) fn check(&self, listing: &Listing) -> Result<(), TreeError> {
        let mut faults = Faults::default();
        for entry in listing.entries().filter(|_| !self.rules.replace) {
            faults.add(self.misfit(&entry.path, &entry.kind));
        }
        faults.done()
    }

    /// The whiteout that takes a path of the base away.
    pub(super) fn whiteout(&self, path: &str, epoch: i64) -> Result<(TreePath, Entry), BuildError> {
        let refuse = |why: String| BuildError::Remove {
            path: path.to_owned(),
            why,
        };
        let wanted = TreePath::from_absolute(path.trim_end_matches('/'))
            .map_err(|fault| refuse(fault.to_string()))?;
        let parent = wanted
            .parent()
            .ok_or_else(|| refuse("is all that there is".to_owned()))?;
        let real = self.real(&wanted).map_err(|_| {
            let real = self.view.resolve(&parent).ok();
            let real = real.and_then(|dir| dir.join(wanted.name()).ok());
            match real.filter(|real| self.knows(real)) {
                Some(real) => refuse(format!(
                    "goes through a link of the base image: it is {}",
                    real.display()
                )),
                None => refuse("is not in the base image".to_owned()),
            }
        })?;
        if !self.knows(&real) {
            return Err(refuse("is not in the base image".to_owned()));
        }
        let name = [b".wh.", real.name()].concat();
        let place = real
            .parent()
            .unwrap_or_default()
            .join(name)
            .map_err(|fault| refuse(fault.to_string()))?;
        let entry = Entry {
            path: place,
            kind: Kind::File { size: 0 },
            meta: Meta {
                mode: 0o644,
                uid: 0,
                gid: 0,
                mtime: crate::tree::Mtime {
                    secs: epoch,
                    nanos: 0,
                },
            },
            xattrs: Xattrs::new(),
        };
        Ok((real, entry))
    }

    /// Where a path is once the links above it are followed, if they may be.
    fn real(&self, path: &TreePath) -> Result<TreePath, TreeError> {
        let barrier = path.ancestors().find(|above| {
            let there = self.view.get(above);
            there.is_some_and(|there| there.entry.kind != Kind::Dir)
        });
        let Some(barrier) = barrier else {
            return Ok(path.clone());
        };
        let to = self.leads_to(&barrier);
        let Some(to) = to.filter(|_| self.rules.follow_links) else {
            if self.rules.replace {
                return Ok(path.clone());
            }
            let mut faults = Faults::default();
            faults.add(self.misfit(&barrier, &Kind::Dir));
            return faults.done().map(|()| path.clone());
        };
        let rest = path.as_bytes().get(barrier.as_bytes().len() + 1..);
        let real = to.join(rest.unwrap_or_default());
        let real = real.map_err(|fault| TreeError::Refused {
            path: path.display().into(),
            why: format!("its place in the base image {fault}"),
        })?;
        // The place that a link leads to has no more links in it; what is below it may.
        self.real(&real)
    }

    /// The directory that a link of the base leads to in the end.
    fn leads_to(&self, link: &TreePath) -> Option<TreePath> {
        let shown = self.view.get(link)?;
        if !matches!(shown.entry.kind, Kind::Symlink { .. }) {
            return None;
        }
        let to = self.view.resolve(link).ok()?;
        let is_dir = |shown: &Shown| shown.entry.kind == Kind::Dir;
        self.view.get(&to).is_none_or(is_dir).then_some(to)
    }

    fn links_below<'g>(&'g self, dest: &TreePath) -> impl Iterator<Item = &'g TreePath> + use<'g> {
        let below: Vec<_> = self.view.below(dest).collect();
        let links = below
            .into_iter()
            .filter(|shown| matches!(shown.entry.kind, Kind::Symlink { .. }));
        links.map(|shown| &shown.entry.path)
    }

    /// What keeps an entry from its place.
    fn misfit(&self, path: &TreePath, kind: &Kind) -> Option<Misfit> {
        let there = &self.view.get(path)?.entry.kind;
        let fits = match (there, kind) {
            (Kind::Dir, Kind::Dir) => true,
            (Kind::Dir, _) | (_, Kind::Dir) => false,
            (Kind::Symlink { .. }, _) => there == kind,
            _ => true,
        };
        if fits {
            return None;
        }
        let to = self.leads_to(path);
        Some(Misfit {
            path: path.clone(),
            found: name_of(kind),
            below: match there {
                Kind::Symlink { target } => {
                    format!("a symbolic link to {}", target.escape_ascii())
                }
                there => name_of(there).to_owned(),
            },
            advice: match (kind, to) {
                (Kind::Dir, Some(to)) => format!(
                    "--follow-links puts what is in it at {}, --replace puts it in the link's place",
                    to.display()
                ),
                _ => "--replace lets it take that place; --exclude leaves it out".to_owned(),
            },
        })
    }
}

struct Misfit {
    path: TreePath,
    found: &'static str,
    below: String,
    advice: String,
}

/// The first misfit, and how many there are; several pieces of a tree may tell of one.
#[derive(Default)]
struct Faults {
    first: Option<Misfit>,
    places: BTreeSet<TreePath>,
}

impl Faults {
    fn add(&mut self, misfit: Option<Misfit>) {
        self.places.extend(misfit.iter().map(|m| m.path.clone()));
        self.first = self.first.take().or(misfit);
    }

    fn done(self) -> Result<(), TreeError> {
        match self.first {
            None => Ok(()),
            Some(first) => Err(TreeError::Below {
                place: first.path.display(),
                found: first.found.to_owned(),
                below: first.below,
                advice: first.advice,
                more: self.places.len() - 1,
            }),
        }
    }
}
