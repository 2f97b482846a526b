//! Which paths of a closure a text names.

use std::collections::BTreeSet;

use super::name::has_hash;
use super::{Closure, Content};
use crate::graph::Graph;

impl Closure {
    /// Store paths that any of the texts names, sorted: a command, a variable, a label.
    ///
    /// A name must be whole: after `/nix/store/…-git` may come `/`, `:` or the end, but not
    /// `-doc`. In front of it may stand anything that does not make it part of another path
    /// (`-I/nix/store/…` and `PATH=/bin:/nix/store/…` name it, `/mnt/nix/store/…` does not),
    /// and anything at all if the store path has a hash: that is not there by accident.
    pub fn mentioned_in(&self, texts: &[&str]) -> Vec<String> {
        let mut found = BTreeSet::new();
        for text in texts {
            for (at, _) in text.match_indices('/') {
                if let Some(path) = longest_at(&self.graph, &text[at..])
                    && self.is_store_path(path)
                    && (has_hash(path) || starts_a_path(&text[..at]))
                {
                    found.insert(path.to_owned());
                }
            }
        }
        found.into_iter().collect()
    }

    fn is_store_path(&self, path: &str) -> bool {
        let node = self.graph.find(path);
        node.is_some_and(|node| matches!(self.component(node).content, Content::Store { .. }))
    }
}

/// The longest path of the graph that the text starts with as a whole name.
fn longest_at<'a>(graph: &'a Graph, text: &str) -> Option<&'a str> {
    let paths = graph.paths();
    let mut text_up_to = text.len();
    loop {
        // A path that the text starts with sorts at or before it, and so do all between them
        // that agree with the text for longer: whatever is found shortens the search.
        let wanted = &text[..text_up_to];
        let at = paths.partition_point(|path| path.as_str() <= wanted);
        let path = paths.get(at.checked_sub(1)?)?;
        let common = common_prefix(path, wanted);
        if common == path.len() && ends_a_name(&text[common..]) {
            return Some(path);
        }
        let shorter = if common == path.len() {
            common - 1
        } else {
            common
        };
        text_up_to = (0..=shorter).rev().find(|at| text.is_char_boundary(*at))?;
        if text_up_to == 0 {
            return None;
        }
    }
}

fn common_prefix(one: &str, other: &str) -> usize {
    one.bytes()
        .zip(other.bytes())
        .take_while(|(a, b)| a == b)
        .count()
}

/// Whether what follows does not continue a store path's name.
fn ends_a_name(rest: &str) -> bool {
    let continues = |b: u8| !b.is_ascii() || b.is_ascii_alphanumeric() || b"+-_".contains(&b);
    let mut rest = rest.bytes();
    match rest.next() {
        // The end of a sentence, not of `-1.0`.
        Some(b'.') => !rest.next().is_some_and(|b| continues(b) || b == b'.'),
        // `?` and `=` may stand in a name, but a name with them is longer and found first.
        Some(b) => !continues(b),
        None => true,
    }
}

/// Whether a `/` after this begins a path rather than continuing one.
fn starts_a_path(before: &str) -> bool {
    let before = before.trim_end_matches('/');
    let in_a_name = |c: char| c.is_alphanumeric() || "+-_./~@%${}".contains(c);
    let word = before
        .rfind(|c| !in_a_name(c))
        .map_or(before, |at| &before[at + 1..]);
    !word.contains('/') && !word.starts_with(['.', '~', '$'])
}
