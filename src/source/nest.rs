//! Plain trees that land inside each other.
//!
//! They may name one directory twice, so they must share a layer: they become one
//! component, and what they disagree about shows when it is listed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Closure, Component, Content};
use crate::graph::Graph;

/// Moves every closure of a single plain tree to the place of the uppermost tree
/// that it lands in.
pub(super) fn uppermost(mut closures: Vec<Closure>) -> Vec<Closure> {
    let places: BTreeSet<String> = closures
        .iter()
        .filter_map(place)
        .map(str::to_owned)
        .collect();
    let above: BTreeMap<&String, &String> = places
        .iter()
        .filter_map(|inner| Some((inner, places.iter().find(|outer| lands_in(inner, outer))?)))
        .collect();
    for closure in &mut closures {
        let target = place(closure).and_then(|path| above.get(&path.to_owned()));
        if let Some(target) = target {
            move_to(closure, target);
        }
    }
    closures
}

/// The path of a closure that is one plain tree.
fn place(closure: &Closure) -> Option<&str> {
    match closure.components.as_slice() {
        [
            Component {
                path,
                content: Content::Trees { .. },
                ..
            },
        ] => Some(path),
        _ => None,
    }
}

/// Places are sorted, so the first that contains a path is the uppermost.
fn lands_in(inner: &str, outer: &str) -> bool {
    outer == "/"
        || inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn move_to(closure: &mut Closure, path: &str) {
    let node = crate::graph::NodeSpec {
        path: path.to_owned(),
        references: Vec::new(),
    };
    // One node without references cannot dangle.
    let Ok(graph) = Graph::new(vec![node]) else {
        return;
    };
    closure.graph = graph;
    closure.roots = vec![path.to_owned()];
    for component in &mut closure.components {
        path.clone_into(&mut component.path);
    }
}
