//! Where the blobs of a build are kept, and how the image gets from there to all outputs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BuildError, BuildRequest, Output, OutputForm, content};
use crate::Error;
use crate::blob::{BlobStore, DirStore, Ledger, SpoolStore};
use crate::cache::{Cache, TreeMemory};
use crate::image::{Annotations, ImageName, IndexEntry, annotations};
use crate::layer::Progress;
use crate::layout::{Layout, WriteOptions};
use crate::source::Closure;
use crate::target::{DockerArchive, LayoutTarget, OciArchive, Target};
use crate::tree::{Exclude, TreePath};

/// The outputs of a build, opened: the first layout holds the blobs for all, or an
/// unnamed store does if there is none.
pub(super) struct Delivery {
    layouts: Vec<(usize, Layout)>,
    cache: Option<Cache>,
    spool: SpoolStore,
}

impl Delivery {
    pub(super) fn open(request: &BuildRequest, progress: &dyn Progress) -> Result<Self, Error> {
        let cache = request
            .cache
            .as_ref()
            .and_then(|cache| open_cache(cache, request, progress));
        let ledger = cache.as_ref().map(Cache::ledger).unwrap_or_default();
        let mut layouts = Vec::new();
        for (number, output) in request.outputs.iter().enumerate() {
            if let (OutputForm::Layout, Some(path)) = (output.form, &output.path) {
                layouts.push((
                    number,
                    Layout::create_or_open(path, &options(request, &ledger))?,
                ));
            }
        }
        Ok(Self {
            layouts,
            cache,
            spool: SpoolStore::new(&request.temporary),
        })
    }

    pub(super) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// The directory that holds the blobs, if they are in one.
    pub(super) fn directory(&self) -> Option<&DirStore> {
        let layout = self.layouts.first().map(|(_, layout)| layout.blobs());
        layout.or_else(|| self.cache.as_ref().map(Cache::blobs))
    }

    pub(super) fn store(&self) -> &dyn BlobStore {
        self.directory()
            .map_or(&self.spool as &dyn BlobStore, |store| store)
    }

    /// Remembers what was learnt about blobs, and keeps the cache within its size.
    pub(super) fn close(mut self, request: &BuildRequest, trees: Option<&TreeMemory>) {
        self.layouts.clear();
        let Some(cache) = &mut self.cache else { return };
        cache.close(trees);
        if let Err(error) = cache.tidy(request.cache_size) {
            tracing::debug!(%error, "the cache was not pruned");
        }
    }

    /// Copies the image to every output and names it there.
    pub(super) fn send(
        &self,
        request: &BuildRequest,
        image: &IndexEntry,
        attached: &[IndexEntry],
    ) -> Result<(), Error> {
        for (number, output) in request.outputs.iter().enumerate() {
            let mut entries = entries(request, output, image);
            // Docker's archive has no place for them.
            if output.form != OutputForm::DockerArchive {
                entries.extend_from_slice(attached);
            }
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

/// Opens the cache; if that cannot be, the build goes on without it.
fn open_cache(cache: &Path, request: &BuildRequest, progress: &dyn Progress) -> Option<Cache> {
    match Cache::open(cache, request.sync) {
        Ok(cache) => Some(cache),
        Err(error) => {
            let error = Error::from(error);
            let why = std::error::Error::source(&error).map(|why| format!(": {why}"));
            progress.warn(&format!(
                "building without the cache: {error}{}",
                why.unwrap_or_default()
            ));
            None
        }
    }
}

fn options(request: &BuildRequest, ledger: &Arc<Ledger>) -> WriteOptions {
    WriteOptions {
        sync: request.sync,
        lock_timeout: request.lock_timeout,
        on_wait: request.on_wait.clone(),
        ledger: Arc::clone(ledger),
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
fn entries(request: &BuildRequest, output: &Output, image: &IndexEntry) -> Vec<IndexEntry> {
    let mut named: Vec<Annotations> = request.names.iter().map(ImageName::annotations).collect();
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
    let entries = named.into_iter().map(|annotations| IndexEntry {
        annotations,
        ..image.clone()
    });
    entries.collect()
}

/// An output inside a source would be read while it is written, and change the next
/// build: refused, unless a pattern leaves it out.
pub(super) fn check_outputs(request: &BuildRequest, closure: &Closure) -> Result<(), Error> {
    if request.outputs.is_empty() {
        return Err(BuildError::NoOutput.into());
    }
    let exclude = Exclude::new(&request.exclude)?;
    let inputs: Vec<_> = content::hosts(closure)
        .into_iter()
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
