//! Where the blobs of a build are kept, and how the image gets from there to all outputs.

use std::path::{Path, PathBuf};

use super::{BuildError, BuildRequest, Output, OutputForm, content};
use crate::Error;
use crate::blob::{BlobStore, SpoolStore};
use crate::image::{Annotations, Image, IndexEntry, annotations};
use crate::layout::{Layout, WriteOptions};
use crate::source::Closure;
use crate::target::{DockerArchive, LayoutTarget, OciArchive, Target};
use crate::tree::{Exclude, TreePath};

/// The outputs of a build, opened: the first layout holds the blobs for all, or an
/// unnamed store does if there is none.
pub(super) struct Delivery {
    layouts: Vec<(usize, Layout)>,
    spool: SpoolStore,
}

impl Delivery {
    pub(super) fn open(request: &BuildRequest) -> Result<Self, Error> {
        let mut layouts = Vec::new();
        for (number, output) in request.outputs.iter().enumerate() {
            if let (OutputForm::Layout, Some(path)) = (output.form, &output.path) {
                layouts.push((number, Layout::create_or_open(path, &options(request))?));
            }
        }
        Ok(Self {
            layouts,
            spool: SpoolStore::new(&request.temporary),
        })
    }

    pub(super) fn store(&self) -> &dyn BlobStore {
        self.layouts
            .first()
            .map_or(&self.spool as &dyn BlobStore, |(_, layout)| layout.blobs())
    }

    /// Copies the image to every output and names it there.
    pub(super) fn send(&self, request: &BuildRequest, image: &Image) -> Result<(), Error> {
        for (number, output) in request.outputs.iter().enumerate() {
            let entries = entries(request, output, image);
            let layout = self.layouts.iter().find(|(n, _)| *n == number);
            match (layout, output.form) {
                (Some((_, layout)), _) => LayoutTarget::new(layout).send(self.store(), &entries)?,
                (None, OutputForm::DockerArchive) => {
                    DockerArchive::new(place(request, output)).send(self.store(), &entries)?;
                }
                (None, OutputForm::OciArchive { docker_manifest }) => {
                    let place = place(request, output);
                    let mut archive = match docker_manifest {
                        true => OciArchive::new(place),
                        false => OciArchive::without_docker_manifest(place),
                    };
                    archive.send(self.store(), &entries)?;
                }
                (None, OutputForm::Layout) => return Err(BuildError::NoOutput.into()),
            }
        }
        Ok(())
    }
}

fn options(request: &BuildRequest) -> WriteOptions {
    WriteOptions {
        sync: request.sync,
        lock_timeout: request.lock_timeout,
        on_wait: request.on_wait.clone(),
        ..WriteOptions::default()
    }
}

fn place(request: &BuildRequest, output: &Output) -> crate::target::Output {
    match &output.path {
        Some(path) => crate::target::Output::File {
            path: path.clone(),
            sync: request.sync,
        },
        None => crate::target::Output::Stream {
            name: "standard output".to_owned(),
            writer: Box::new(std::io::stdout()),
        },
    }
}

/// One descriptor for every name: what `index.json` of this output says.
fn entries(request: &BuildRequest, output: &Output, image: &Image) -> Vec<IndexEntry> {
    let mut named: Vec<Annotations> = request
        .names
        .iter()
        .map(|name| name.annotations())
        .collect();
    let tagged = |said: &Annotations, tag: &String| said.get(annotations::REF_NAME) == Some(tag);
    if let Some(tag) = output
        .tag
        .as_ref()
        .filter(|tag| !named.iter().any(|said| tagged(said, tag)))
    {
        named.push(Annotations::from([(
            annotations::REF_NAME.to_owned(),
            tag.clone(),
        )]));
    }
    if named.is_empty() {
        named.push(Annotations::new());
    }
    named.into_iter().map(|said| image.entry(said)).collect()
}

/// An output inside a source would be read while it is written, and change the next
/// build: refused, unless a pattern leaves it out.
pub(super) fn check_outputs(request: &BuildRequest, closure: &Closure) -> Result<(), Error> {
    if request.outputs.is_empty() {
        return Err(BuildError::NoOutput.into());
    }
    let exclude = Exclude::new(&request.exclude)?;
    let inputs = closure.components.iter().flat_map(|c| {
        content::hosts(c)
            .into_iter()
            .map(move |h| (h, c.path.as_str()))
    });
    let inputs: Vec<_> = inputs
        .chain(request.top.iter().map(|top| (top.as_path(), "/")))
        .collect();
    for output in request
        .outputs
        .iter()
        .filter_map(|output| output.path.as_deref())
    {
        let real = real(output)?;
        for (input, dest) in &inputs {
            let Ok(input) = std::fs::canonicalize(input) else {
                continue;
            };
            let inside = real.strip_prefix(&input).ok().filter(|_| input.is_dir());
            if inside.is_some_and(|rest| !excluded(&exclude, dest, rest)) {
                return Err(BuildError::OutputInside {
                    output: output.to_owned(),
                    input,
                }
                .into());
            }
        }
    }
    Ok(())
}

fn excluded(exclude: &Exclude, dest: &str, rest: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Ok(dest) = TreePath::from_absolute(dest) else {
        return false;
    };
    let Ok(path) = dest.join(rest.as_os_str().as_bytes()) else {
        return false;
    };
    exclude.covers(&path)
}

/// The real place of something that need not exist yet.
fn real(path: &Path) -> Result<PathBuf, BuildError> {
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|source| BuildError::Examine {
        path: path.to_owned(),
        source,
    })?;
    let mut missing = Vec::new();
    let mut above = absolute.as_path();
    loop {
        if let Ok(found) = std::fs::canonicalize(above) {
            return Ok(missing
                .iter()
                .rev()
                .fold(found, |path: PathBuf, name| path.join(name)));
        }
        match (above.parent(), above.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name.to_owned());
                above = parent;
            }
            _ => return Ok(absolute),
        }
    }
}
