//! Inputs → the one closure of an image: joined, and cut down to what its roots need.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{BuildRequest, Input};
use crate::Error;
use crate::image::ConfigSpec;
use crate::source::{Closure, Source, SplitRequest, split};
use crate::tree::{Exclude, Memory};

/// Loads all inputs and keeps the closure of the roots.
///
/// Roots are what inputs name as such, `--contents`, and every path that the
/// configuration mentions; of an input in which nothing is named so, all of it.
///
/// Plain directories are split by the package databases in them; beside the closure come
/// warnings about what was passed over.
pub(super) fn closure(
    request: &BuildRequest,
    memory: Option<&dyn Memory>,
) -> Result<(Closure, Vec<String>), Error> {
    let texts = texts(&request.config);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut roots: BTreeSet<String> = request.contents.iter().cloned().collect();
    let mut closures = Vec::new();
    for input in &request.inputs {
        let closure = load(input)?.without(&request.wrappers);
        roots.extend(own_roots(&closure, request, &texts));
        closures.push(closure);
    }
    let joined = Closure::join(closures)?;
    // Those of the joined closure, because a tree that lands inside another is found at its place.
    roots.extend(joined.roots.iter().cloned());
    roots.extend(joined.mentioned_in(&texts));
    let roots: Vec<String> = roots.into_iter().collect();
    let closure = joined.restrict_to_roots(&roots)?;
    let by = SplitRequest {
        split: request.split,
        exclude: &Exclude::new(&request.exclude)?,
        policy: &request.policy,
        threads: request.jobs,
        temporary: &request.temporary,
        memory,
    };
    Ok(split(closure, &by)?)
}

fn load(input: &Input) -> Result<Closure, Error> {
    Ok(match input {
        Input::Graph(source) => source.load()?,
        Input::Nix(source) => source.load()?,
        Input::Dir(source) => source.load()?,
    })
}

fn own_roots(closure: &Closure, request: &BuildRequest, texts: &[&str]) -> Vec<String> {
    let wanted = |path: &String| closure.graph.find(path).is_some();
    let asked = request.contents.iter().any(wanted) || !closure.mentioned_in(texts).is_empty();
    match (closure.roots.is_empty(), asked) {
        (true, false) => closure.graph.paths().to_vec(),
        _ => Vec::new(),
    }
}

/// Every text of a configuration that may name a path.
fn texts(config: &ConfigSpec) -> Vec<String> {
    let mut texts = Vec::new();
    texts.extend(config.env.iter().map(|(_, value)| value.clone()));
    texts.extend(
        config
            .entrypoint
            .iter()
            .chain(&config.cmd)
            .flatten()
            .cloned(),
    );
    texts.extend(config.working_dir.clone());
    texts.extend(config.labels.values().cloned());
    config
        .healthcheck
        .iter()
        .for_each(|value| collect(value, &mut texts));
    let start = config.start.iter().flat_map(serde_json::Map::values);
    start.for_each(|value| collect(value, &mut texts));
    texts
}

/// The strings in a JSON value; members' names too, since volumes are such.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            texts.push(name.clone());
            collect(value, texts);
        }),
        _ => {}
    }
}
