//! A plan and its graph as pictures: text for Graphviz, or an SVG that needs nothing else.

use std::fmt::Write as _;

use super::{LayerPlan, PlanLayer};
use crate::graph::Graph;

mod svg;

pub use svg::svg;

/// The graph for Graphviz: a cluster for every layer, an edge for every reference.
///
/// ```
/// use plywood::graph::Graph;
/// use plywood::plan::{Items, Limits, Request, Strategy, dot, draw};
///
/// let graph = Graph::unconnected(vec!["/a".into()]);
/// let request = Request::new(Strategy::Balanced1, Limits::default());
/// let (plan, _) = draw(Items::new(&graph, Vec::new()), &request)?;
/// assert!(dot(&graph, &plan).contains("label=\"/a\""));
/// # Ok::<(), plywood::plan::PlanError>(())
/// ```
pub fn dot(graph: &Graph, plan: &LayerPlan) -> String {
    let mut out = String::from(
        "digraph plywood {\n  rankdir=TB;\n  node [shape=box, fontname=\"monospace\", fontsize=10];\n  \
         edge [color=\"#00000060\", arrowsize=0.6];\n",
    );
    for (number, layer) in plan.layers.iter().enumerate() {
        let title = quoted(&title(number, layer));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  subgraph cluster_{} {{", number + 1);
        let _ = writeln!(
            out,
            "    label={title}; style=rounded; fontname=\"sans-serif\";"
        );
        if layer.members.is_empty() {
            let _ = writeln!(out, "    l{} [label=\"\", style=invis];", number + 1);
        }
        for member in &layer.members {
            if let Some(node) = graph.find(&member.path) {
                let (label, tip) = (quoted(label(member.identity())), quoted(&member.path));
                let _ = writeln!(out, "    n{} [label={label}, tooltip={tip}];", node.0);
            }
        }
        out.push_str("  }\n");
    }
    for node in graph.nodes() {
        for to in graph.references(node) {
            let _ = writeln!(out, "  n{} -> n{};", node.0, to.0);
        }
    }
    out.push_str("}\n");
    out
}

/// A string of the DOT language.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c => out.push(drawn(c)),
        }
    }
    out.push('"');
    out
}

/// The character, unless it could do something other than be seen.
fn drawn(c: char) -> char {
    let turns_text_around =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // XML has no way to write most control characters.
    let unwritable = c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    if turns_text_around || unwritable {
        '\u{fffd}'
    } else {
        c
    }
}

/// A name as it is; of a path that is a store path's the part after the hash.
fn label(name: &str) -> &str {
    let base = name.rsplit('/').next().unwrap_or(name);
    match base.split_once('-') {
        Some((hash, rest)) if hash.len() == 32 && !rest.is_empty() => rest,
        _ => name,
    }
}

/// `layer 3: single, 1.2 MB`.
fn title(number: usize, layer: &PlanLayer) -> String {
    let name = layer.name.as_deref().map(|name| format!(" {name}"));
    let name = name.unwrap_or_default();
    let size = match layer.size() {
        Some(bytes) if !layer.members.is_empty() => format!(", {}", size(bytes)),
        _ => String::new(),
    };
    format!("layer {}: {}{name}{size}", number + 1, layer.kind.name())
}

/// `1.2 MB`.
fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = 1_u64;
    let mut names = units.iter();
    let mut name = names.next().unwrap_or(&"");
    while bytes / unit >= 1_000 {
        unit *= 1_000;
        name = names.next().unwrap_or(&"");
    }
    match unit {
        1 => format!("{bytes} {name}"),
        _ => format!("{}.{} {name}", bytes / unit, bytes % unit / (unit / 10)),
    }
}
