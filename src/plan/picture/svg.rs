//! The picture that a browser shows: layers as frames from the bottom up, components as boxes in
//! them, references as curves that stand out where the pointer is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{drawn, label, size, title};
use crate::graph::{Graph, NodeId};
use crate::plan::{LayerPlan, Member, PlanLayer};

/// In pixels.
const WIDTH: usize = 1600;
const MARGIN: usize = 16;
const GAP: usize = 10;
const ROW: usize = 24;
const BOX: usize = 18;
const LETTER: usize = 7;
const HEADER: usize = 20;
/// Letters of a name that are shown.
const SHOWN: usize = 32;

const STYLE: &str = "text{font:11px monospace;fill:#222}\
.t{font:11px sans-serif;fill:#555}\
.f{fill:#fafafa;stroke:#999}\
.b{stroke:#456;stroke-width:.7}\
.e{fill:none;stroke:#000;stroke-opacity:.1}\
g:hover>.e{stroke:#c00;stroke-opacity:.9;stroke-width:1.5}\
g:hover>.b{stroke:#c00;stroke-width:2}";

/// The plan and its graph as one SVG document that loads nothing.
///
/// The lowest layer is at the bottom; the darker a box, the larger its component. Pointing at
/// one shows its path and size, and what it refers to.
pub fn svg(graph: &Graph, plan: &LayerPlan) -> String {
    let frames: Vec<Frame<'_>> = { plan.layers.iter().enumerate() }
        .map(|(number, layer)| Frame::new(number, layer))
        .collect();
    let (places, height) = place(&frames);
    let mut centres = BTreeMap::new();
    for (frame, place) in frames.iter().zip(&places) {
        for item in &frame.items {
            let x = place.0 + item.x + item.width / 2;
            let y = place.1 + item.y + BOX / 2;
            centres.extend(graph.find(&item.member.path).map(|node| (node, (x, y))));
        }
    }
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text class=\"t\" x=\"{MARGIN}\" y=\"{MARGIN}\">{}</text>\n",
        escaped(&heading(graph, plan))
    );
    for (frame, place) in frames.iter().zip(&places) {
        frame.outline(&mut out, *place);
    }
    for (frame, place) in frames.iter().zip(&places) {
        for item in &frame.items {
            item.draw(&mut out, *place, graph, &centres);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn heading(graph: &Graph, plan: &LayerPlan) -> String {
    format!(
        "{} components in {} layers by {}; the lowest layer is at the bottom; darker is larger; \
         point at a component to see what it refers to",
        graph.len(),
        plan.layers.len(),
        plan.strategy
    )
}

/// A layer as it is drawn.
struct Frame<'p> {
    title: String,
    items: Vec<Item<'p>>,
    width: usize,
    height: usize,
}

/// A component, placed in its frame.
struct Item<'p> {
    member: &'p Member,
    text: String,
    x: usize,
    y: usize,
    width: usize,
}

impl<'p> Frame<'p> {
    fn new(number: usize, layer: &'p PlanLayer) -> Self {
        let title = title(number, layer);
        let text = |member: &Member| shortened(label(member.identity()));
        let widths = layer.members.iter().map(|m| box_width(&text(m)) + GAP);
        let area: usize = widths.sum::<usize>() * ROW;
        // About three times as wide as high, and never wider than the picture.
        let most = (3 * area).isqrt().clamp(200, WIDTH - 2 * MARGIN - 2 * GAP);
        let mut width = title.chars().count() * LETTER;
        let (mut x, mut y) = (0, 0);
        let mut items = Vec::new();
        for member in &layer.members {
            let text = text(member);
            let wide = box_width(&text);
            if x > 0 && x + wide > most {
                (x, y) = (0, y + ROW);
            }
            items.push(Item {
                member,
                text,
                x: x + GAP,
                y: y + HEADER + GAP / 2,
                width: wide,
            });
            x += wide + GAP;
            width = width.max(x - GAP);
        }
        let rows = if items.is_empty() { 0 } else { y + ROW };
        Self {
            title,
            items,
            width: width + 2 * GAP,
            height: HEADER + rows + GAP / 2,
        }
    }

    fn outline(&self, out: &mut String, (x, y): (usize, usize)) {
        let Self { width, height, .. } = self;
        let _ = writeln!(
            out,
            "<rect class=\"f\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\"/>\
             <text class=\"t\" x=\"{}\" y=\"{}\">{}</text>",
            x + GAP,
            y + 15,
            escaped(&self.title)
        );
    }
}

/// Frames in lines from the bottom up; where each is, and how high it all is.
fn place(frames: &[Frame<'_>]) -> (Vec<(usize, usize)>, usize) {
    // Distances from the bottom at first.
    let mut placed = Vec::new();
    let (mut x, mut below, mut line) = (MARGIN, MARGIN, 0);
    for frame in frames {
        if x > MARGIN && x + frame.width > WIDTH - MARGIN {
            (x, below, line) = (MARGIN, below + line + GAP, 0);
        }
        placed.push((x, below + frame.height));
        x += frame.width + GAP;
        line = line.max(frame.height);
    }
    let height = below + line + 2 * MARGIN;
    let turned = placed.into_iter().map(|(x, above)| (x, height - above));
    (turned.collect(), height)
}

impl Item<'_> {
    fn draw(
        &self,
        out: &mut String,
        (left, top): (usize, usize),
        graph: &Graph,
        centres: &BTreeMap<NodeId, (usize, usize)>,
    ) {
        let (x, y, width) = (left + self.x, top + self.y, self.width);
        let node = graph.find(&self.member.path);
        out.push_str("<g>");
        let references = node.map(|node| graph.references(node)).unwrap_or_default();
        if let Some((from_x, from_y)) = node.and_then(|node| centres.get(&node)) {
            for (to_x, to_y) in references.iter().filter_map(|to| centres.get(to)) {
                let middle = usize::midpoint(*from_y, *to_y);
                let _ = write!(
                    out,
                    "<path class=\"e\" d=\"M{from_x} {from_y}C{from_x} {middle} {to_x} {middle} {to_x} {to_y}\"/>"
                );
            }
        }
        let bytes = self.member.size.map(|bytes| format!(", {}", size(bytes)));
        let _ = writeln!(
            out,
            "<rect class=\"b\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\" rx=\"3\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{}\">{}</text><title>{}{}</title></g>",
            shade(self.member.size),
            x + 4,
            y + 13,
            escaped(&self.text),
            escaped(&self.member.path),
            bytes.unwrap_or_default()
        );
    }
}

/// From white for a few bytes to blue for gigabytes.
fn shade(bytes: Option<u64>) -> String {
    let digits = bytes.map_or(0, |bytes| bytes.max(1).ilog2().saturating_sub(10).min(20));
    let light = 255 - 6 * digits;
    format!("#{light:02x}{:02x}ff", 255 - 3 * digits)
}

fn box_width(text: &str) -> usize {
    text.chars().count() * LETTER + 8
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN - 1).chain(['…']).collect()
}

/// Text that XML takes.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(drawn(c)),
        }
    }
    out
}
