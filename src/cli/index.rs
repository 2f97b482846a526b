//! `index create`: one image for several platforms.

use std::path::Path;

use plywood::blob::{BlobStore, read_all};
use plywood::build::OutputForm;
use plywood::image::annotations::REF_NAME;
use plywood::image::{
    Annotations, DOCUMENT_LIMIT, Image, ImageError, ImageName, Index, IndexEntry, NESTING_LIMIT,
    media, wish, write,
};
use plywood::layout::Layout;
use plywood::target::copy_graph;

use super::args::{self, CreateIndex, IndexVerb};
use super::exit::{Done, Failure};
use super::reference::Opened;
use super::values::later_wins;
use super::{Context, names, outputs, report};

pub fn run(args: &args::Index, context: &Context) -> Done {
    match &args.what {
        IndexVerb::Create(args) => create(args, context),
    }
}

fn create(args: &CreateIndex, context: &Context) -> Done {
    let (path, tag) = layout_output(&args.output)?;
    let named = entry_names(&args.tag, tag)?;
    Layout::sweep_the_dead(&path);
    let opened = args.images.iter().map(|image| Opened::new(image));
    let opened: Vec<_> = opened.collect::<Result<_, _>>()?;
    let mut entries = Vec::new();
    for origin in &opened {
        entries.extend(platforms(origin.store(), origin.entry(None)?, 0)?);
    }
    let annotations = annotations(&args.annotation)?;
    let index = Index::for_platforms(entries.clone(), annotations)?;
    let layout = Layout::create_or_open(&path, &names::options(&args.writing, context)?)?;
    for origin in &opened {
        let entry = origin.entry(None)?;
        for entry in platforms(origin.store(), entry, 0)? {
            copy_graph(origin.store(), layout.blobs(), &entry.descriptor)?;
        }
    }
    write(layout.blobs(), &index)?;
    let entries = named.into_iter().map(|annotations| IndexEntry {
        annotations,
        ..IndexEntry::from(index.descriptor.clone())
    });
    layout.publish(&entries.collect::<Vec<_>>())?;
    report::print(&format!("{}\n", index.descriptor.digest))
}

/// The images behind an entry, each with the platform that its configuration says.
fn platforms(
    store: &dyn BlobStore,
    entry: IndexEntry,
    depth: usize,
) -> Result<Vec<IndexEntry>, Failure> {
    if !media::is_index(&entry.descriptor.media_type) {
        let image = Image::load(store, &entry, None)?;
        return Ok(vec![image.entry(Annotations::new())]);
    }
    if depth == NESTING_LIMIT {
        let (digest, limit) = (entry.descriptor.digest, NESTING_LIMIT);
        return Err(ImageError::Nested { digest, limit }.into());
    }
    let index = Index::parse(read_all(store, &entry.descriptor, DOCUMENT_LIMIT)?)?.value;
    let images = index.manifests.into_iter();
    let images = images.filter(|entry| entry.artifact_type.is_none());
    let lists: Result<Vec<_>, _> = images
        .map(|entry| platforms(store, entry, depth + 1))
        .collect();
    Ok(lists?.concat())
}

/// `[oci:]DIR[:TAG]`.
pub fn layout_output(text: &Path) -> Result<(std::path::PathBuf, Option<String>), Failure> {
    let output = outputs::output("--output", text)?;
    match (output.form, output.path) {
        (OutputForm::Layout, Some(path)) => Ok((path, output.tag)),
        _ => Err(Failure::usage(format!(
            "--output `{}` is not a layout directory",
            text.display()
        ))
        .hint("write it to oci:DIR and `plywood copy` it from there")),
    }
}

/// Annotations for each name, or one set without any.
pub fn entry_names(tags: &[String], tag: Option<String>) -> Result<Vec<Annotations>, Failure> {
    let names: Result<Vec<_>, _> = tags.iter().map(|tag| ImageName::parse(tag)).collect();
    let mut named: Vec<_> = names?.iter().map(ImageName::annotations).collect();
    let known = |tag: &String| named.iter().any(|said| said.get(REF_NAME) == Some(tag));
    if let Some(tag) = tag.filter(|tag| !known(tag)) {
        named.push(Annotations::from([(REF_NAME.to_owned(), tag)]));
    }
    if named.is_empty() {
        named.push(Annotations::new());
    }
    Ok(named)
}

/// `--annotation`.
pub fn annotations(given: &[String]) -> Result<Annotations, Failure> {
    let pairs: Result<Vec<_>, _> = given.iter().map(|text| wish::annotation(text)).collect();
    Ok(later_wins(pairs?).into_iter().collect())
}
