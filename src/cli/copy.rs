//! `copy`: images from one form and place to others, their digests kept.

use std::io;

use plywood::build::{Output, OutputForm};
use plywood::image::annotations::REF_NAME;
use plywood::image::{Annotations, ImageName, IndexEntry, Platform, referrers};
use plywood::layout::Layout;
use plywood::target::{self, DockerArchive, LayoutTarget, OciArchive, Target};
use tempfile::NamedTempFile;

use super::args::{Copy, Writing};
use super::exit::{Done, Failure};
use super::reference::{Opened, platform};
use super::request::sync;
use super::{Context, names, outputs, report};

pub fn run(args: &Copy, context: &Context) -> Done {
    let outputs = args.to.iter().map(|to| outputs::output("the target", to));
    let outputs: Vec<_> = outputs.collect::<Result<_, _>>()?;
    outputs::check_streams(&outputs)?;
    for path in outputs.iter().filter_map(|output| output.path.as_ref()) {
        Layout::sweep_the_dead(path);
    }
    let spooled;
    let opened = match args.from.as_os_str() == "-" {
        true => {
            spooled = standard_input()?;
            Opened::archive(spooled.path().to_owned())?
        }
        false => Opened::new(&args.from)?,
    };
    let chosen = chosen(args, &opened)?;
    for output in &outputs {
        let mut entries = named(&chosen, args, output)?;
        if args.referrers {
            entries.extend(attached(&opened, &chosen)?);
        }
        send(&opened, &entries, output, args, context)?;
    }
    if outputs.iter().any(|output| output.path.is_none()) {
        return Ok(());
    }
    let mut digests: Vec<_> = chosen
        .iter()
        .map(|e| e.descriptor.digest.to_string())
        .collect();
    digests.dedup();
    report::print(
        &digests
            .iter()
            .map(|digest| format!("{digest}\n"))
            .collect::<String>(),
    )
}

/// What is copied, with the names that it has.
fn chosen(args: &Copy, opened: &Opened) -> Result<Vec<IndexEntry>, Failure> {
    if args.all {
        return Ok(opened.index()?.manifests);
    }
    let platform = platform(args.platform.as_ref())?;
    let entry = opened.entry(platform.as_ref())?;
    Ok(match platform {
        None => vec![entry],
        Some(platform) => vec![only(opened, &entry, &platform)?],
    })
}

/// One image of an index, under the index's name.
fn only(opened: &Opened, entry: &IndexEntry, platform: &Platform) -> Result<IndexEntry, Failure> {
    let image = plywood::image::Image::load(opened.store(), entry, Some(platform))?;
    Ok(image.entry(entry.annotations.clone()))
}

/// The entries under the names that they get at the target.
fn named(entries: &[IndexEntry], args: &Copy, output: &Output) -> Result<Vec<IndexEntry>, Failure> {
    let names: Result<Vec<_>, _> = args.tag.iter().map(|tag| ImageName::parse(tag)).collect();
    let mut names: Vec<Annotations> = names?.iter().map(ImageName::annotations).collect();
    if let Some(tag) = &output.tag {
        if args.all {
            return Err(Failure::usage("one tag cannot name all images")
                .hint("leave the target's tag out: all names are kept"));
        }
        names.push(tagged(&entries[0].annotations, tag));
    }
    if names.is_empty() {
        return Ok(entries.to_vec());
    }
    let renamed = names.iter().flat_map(|name| {
        entries.iter().map(|entry| IndexEntry {
            annotations: name.clone(),
            ..entry.clone()
        })
    });
    Ok(renamed.collect())
}

/// The new tag; the full name stays if it has that tag already.
fn tagged(old: &Annotations, tag: &str) -> Annotations {
    match old.get(REF_NAME).map(String::as_str) {
        Some(known) if known == tag => old.clone(),
        _ => Annotations::from([(REF_NAME.to_owned(), tag.to_owned())]),
    }
}

fn attached(opened: &Opened, to: &[IndexEntry]) -> Result<Vec<IndexEntry>, Failure> {
    let index = opened.index()?;
    let mut found = Vec::new();
    for entry in to {
        let about = referrers(opened.store(), &index, &entry.descriptor.digest)?;
        found.extend(about.into_iter().map(|referrer| IndexEntry {
            annotations: Annotations::new(),
            ..referrer
        }));
    }
    Ok(found)
}

fn send(
    opened: &Opened,
    entries: &[IndexEntry],
    output: &Output,
    args: &Copy,
    context: &Context,
) -> Done {
    let store = opened.store();
    if let (OutputForm::Layout, Some(path)) = (output.form, &output.path) {
        let layout = Layout::create_or_open(path, &names::options(&args.writing, context)?)?;
        return Ok(LayoutTarget::new(&layout).send(store, entries)?);
    }
    let place = place(output, &args.writing)?;
    match output.form {
        OutputForm::DockerArchive => DockerArchive::new(place).send(store, entries)?,
        _ if args.no_docker_manifest => {
            OciArchive::without_docker_manifest(place).send(store, entries)?;
        }
        _ => OciArchive::new(place).send(store, entries)?,
    }
    Ok(())
}

fn place(output: &Output, writing: &Writing) -> Result<target::Output, Failure> {
    Ok(match &output.path {
        Some(path) => target::Output::File {
            path: path.clone(),
            sync: sync(Some(&writing.sync))?,
        },
        None => target::Output::Stream {
            name: "standard output".to_owned(),
            writer: Box::new(io::stdout()),
        },
    })
}

/// What is on standard input, in a file that can be read at any place.
fn standard_input() -> Result<NamedTempFile, Failure> {
    let failed = |fault| Failure::io("read standard input", &fault);
    let mut file = NamedTempFile::with_prefix("plywood-").map_err(failed)?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
    Ok(file)
}
