//! `artifact`: files that are no image, alone or about one.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plywood::blob::{BlobStore, BlobWriter, Descriptor};
use plywood::image::{Annotations, ArtifactFile, ArtifactSpec, IndexEntry};
use plywood::layout::Layout;

use super::args::{self, ArtifactVerb, Attach, CreateArtifact, FilesAndType};
use super::exit::{Done, Failure};
use super::index::{annotations, entry_names, layout_output};
use super::{Context, names, reference, report};

pub fn run(args: &args::Artifact, context: &Context) -> Done {
    match &args.what {
        ArtifactVerb::Create(args) => create(args, context),
        ArtifactVerb::Attach(args) => attach(args, context),
    }
}

fn create(args: &CreateArtifact, context: &Context) -> Done {
    let (path, tag) = layout_output(&args.output)?;
    let named = entry_names(&args.tag, tag)?;
    rehearse(&args.files, None)?;
    let layout = Layout::create_or_open(&path, &names::options(&args.files.writing, context)?)?;
    publish(&layout, &args.files, None, named)
}

fn attach(args: &Attach, context: &Context) -> Done {
    let reference = reference::layout(&args.subject)?;
    // Closed at once: whoever reads a layout keeps it from being swept.
    let subject = reference::Opened::new(&args.subject)?
        .entry(None)?
        .descriptor;
    rehearse(&args.files, Some(&subject))?;
    let options = names::options(&args.files.writing, context)?;
    let layout = Layout::open_to_change(&reference.path, &options)?;
    publish(
        &layout,
        &args.files,
        Some(subject),
        vec![Annotations::new()],
    )
}

/// Refuses, before anything is written, what cannot become an artifact.
fn rehearse(args: &FilesAndType, subject: Option<&Descriptor>) -> Done {
    let store = plywood::blob::MemoryStore::default();
    let stand_in = |path: &PathBuf, required: bool| -> Result<Descriptor, Failure> {
        let (path, media_type) = typed(path, required)?;
        let found = path.metadata();
        let found =
            found.map_err(|fault| Failure::io(&format!("read {}", path.display()), &fault))?;
        let text: &[u8] = if found.len() == 0 { b"" } else { b"x" };
        Ok(store.put(&media_type, text))
    };
    let mut spec = ArtifactSpec {
        artifact_type: args.artifact_type.clone(),
        subject: subject.cloned(),
        annotations: annotations(&args.annotation)?,
        ..ArtifactSpec::default()
    };
    for path in &args.files {
        spec.files.push(ArtifactFile {
            blob: stand_in(path, false)?,
            title: Some(title(path)?),
            annotations: Annotations::new(),
        });
    }
    spec.config = { args.config.as_ref() }
        .map(|path| stand_in(path, true))
        .transpose()?;
    plywood::image::Artifact::new(&spec)?;
    Ok(())
}

fn publish(
    layout: &Layout,
    args: &FilesAndType,
    subject: Option<Descriptor>,
    named: Vec<Annotations>,
) -> Done {
    let mut spec = ArtifactSpec {
        artifact_type: args.artifact_type.clone(),
        subject,
        annotations: annotations(&args.annotation)?,
        ..ArtifactSpec::default()
    };
    for path in &args.files {
        spec.files.push(ArtifactFile {
            blob: put(layout.blobs(), path, false)?,
            title: Some(title(path)?),
            annotations: Annotations::new(),
        });
    }
    let config = args.config.as_ref();
    spec.config = config
        .map(|path| put(layout.blobs(), path, true))
        .transpose()?;
    let artifact = plywood::image::Artifact::new(&spec)?;
    artifact.write_to(layout.blobs())?;
    let entries: Vec<IndexEntry> = named.into_iter().map(|said| artifact.entry(said)).collect();
    layout.publish(&entries)?;
    report::print(&format!("{}\n", artifact.manifest.descriptor.digest))
}

/// Puts a file into a store.
fn put(store: &dyn BlobStore, path: &Path, required: bool) -> Result<Descriptor, Failure> {
    let (path, media_type) = typed(path, required)?;
    let failed = |fault: std::io::Error| Failure::io(&format!("read {}", path.display()), &fault);
    let mut file = File::open(&path).map_err(failed)?;
    let mut writer: Box<dyn BlobWriter> = store.create()?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(writer.finish(&media_type)?),
            count => writer.write(&buffer[..count])?,
        }
    }
}

/// `FILE:TYPE/SUBTYPE`; what follows the last colon is a type if it has a slash inside.
fn typed(text: &Path, required: bool) -> Result<(PathBuf, String), Failure> {
    let bytes = text.as_os_str().as_bytes();
    let colon = bytes.iter().rposition(|&b| b == b':');
    let split = colon.map(|at| (&bytes[..at], &bytes[at + 1..]));
    let is_type = |kind: &[u8]| kind.contains(&b'/') && !kind.starts_with(b"/");
    match split {
        Some((path, kind)) if is_type(kind) && !text.exists() => {
            let path = std::ffi::OsStr::from_bytes(path).into();
            Ok((path, String::from_utf8_lossy(kind).into_owned()))
        }
        _ if required => Err(Failure::usage(format!(
            "--config `{}` has no media type",
            text.display()
        ))
        .hint("write FILE:TYPE/SUBTYPE")),
        _ => Ok((text.to_owned(), "application/octet-stream".to_owned())),
    }
}

/// What a file is called when it is fetched: its name without its directory.
fn title(text: &Path) -> Result<String, Failure> {
    let (path, _) = typed(text, false)?;
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!(
            "`{}` has no name that JSON can hold",
            path.display()
        ))
    })
}
