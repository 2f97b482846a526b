//! The layers of a page, drawn: areas are bytes.

use std::fmt::Write as _;

use super::treemap::{Rect, squarify};
use super::{Layer, Page, escape};
use crate::cli::report;

/// The map, in the units of its SVG.
const MAP: Rect = Rect {
    x: 0.0,
    y: 0.0,
    width: 1200.0,
    height: 620.0,
};
/// Space for a layer's own line above what it holds.
const HEAD: f64 = 17.0;
/// So many components of a layer are drawn one by one, the largest.
const DRAWN: usize = 400;

impl Page<'_> {
    /// Layers by size, each with what it holds.
    pub(super) fn map(&self) -> String {
        let mut order: Vec<usize> = (0..self.layers.len()).collect();
        let size = |&number: &usize| self.layers[number].entry.descriptor.size;
        order.sort_by_key(|number| std::cmp::Reverse(size(number)));
        let weights: Vec<u64> = order.iter().map(size).collect();
        let rects = squarify(&weights, MAP);
        let mut out = format!(
            "<div class=\"map\"><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"layers by size\">\n",
            MAP.width, MAP.height
        );
        for (number, rect) in order.into_iter().zip(rects) {
            self.draw_layer(number, rect, &mut out);
        }
        out + "</svg></div>\n"
    }

    fn draw_layer(&self, number: usize, rect: Rect, out: &mut String) {
        let layer = &self.layers[number];
        let kind = class(&layer.kind);
        let size = report::size(layer.entry.descriptor.size);
        let title = format!("layer {number}, {}, {size}", layer.kind);
        let tall = rect.height > 44.0 && rect.width > 60.0;
        let _ = write!(
            out,
            "<a href=\"#l{number}\"><g><title>{}</title>{}</g>",
            escape(&title),
            cell(rect, kind, "cell")
        );
        if tall {
            let whole = format!("{number} · {size}");
            let text = match fitted(&whole, rect.width) {
                cut if cut.ends_with('…') => number.to_string(),
                whole => whole,
            };
            let _ = write!(out, "{}", label(rect.x + 5.0, rect.y + 13.0, "head", &text));
        }
        *out += "</a>";
        let inside = rect.shrunk(2.0, if tall { HEAD } else { 2.0 });
        let drawn: Vec<_> = { layer.holds.iter() }
            .filter(|(_, bytes)| *bytes > 0)
            .take(DRAWN)
            .collect();
        let weights: Vec<u64> = drawn.iter().map(|(_, bytes)| *bytes).collect();
        for ((path, bytes), rect) in drawn.into_iter().zip(squarify(&weights, inside)) {
            // Nobody can see or hit less.
            if rect.width * rect.height >= 6.0 {
                self.draw_component(number, path, *bytes, kind, rect, out);
            }
        }
        let new = self.is_new(layer);
        let _ = writeln!(
            out,
            "<rect class=\"layer{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            if new { " new" } else { "" },
            rect.x + 1.0,
            rect.y + 1.0,
            (rect.width - 2.0).max(0.0),
            (rect.height - 2.0).max(0.0)
        );
    }

    /// A component, or whatever else a layer holds.
    fn draw_component(
        &self,
        layer: usize,
        path: &str,
        bytes: u64,
        kind: &str,
        rect: Rect,
        out: &mut String,
    ) {
        let (link, says) = match self.references.number(path) {
            Some(number) => (
                format!(" data-n=\"{number}\" href=\"#c{number}\""),
                self.references.says(number),
            ),
            None => (format!(" href=\"#l{layer}\""), String::new()),
        };
        let title = format!("{path}\n{}{says}", report::size(bytes));
        let _ = write!(
            out,
            "<a{link}><g><title>{}</title>{}</g>",
            escape(&title),
            cell(rect, kind, "cell")
        );
        if rect.height > 15.0 && rect.width > 34.0 {
            let text = fitted(short(path), rect.width);
            let _ = write!(out, "{}", label(rect.x + 4.0, rect.y + 12.0, "", &text));
        }
        *out += "</a>";
    }

    /// Whether an update downloads it.
    pub(super) fn is_new(&self, layer: &Layer) -> bool {
        let digest = &layer.entry.descriptor.digest;
        let update = self.update.as_ref();
        update.is_some_and(|update| update.diff.new.iter().any(|note| note.digest == *digest))
    }

    /// Which colour is which kind of layer.
    pub(super) fn legend(&self) -> String {
        let mut kinds: Vec<&str> = self.layers.iter().map(|l| l.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut out: String = kinds
            .iter()
            .map(|kind| {
                let (color, kind) = (class(kind), escape(kind));
                format!("<span><i style=\"background:var(--{color})\"></i>{kind}</span>")
            })
            .collect();
        if self.update.is_some() {
            out += "<span><i style=\"background:var(--new)\"></i>framed: new in this image</span>";
        }
        format!("<div class=\"legend\">{out}</div>\n")
    }
}

/// The colour of a kind of layer; kinds of other programs look like a base.
pub(super) fn class(kind: &str) -> &'static str {
    const KNOWN: [&str; 7] = [
        "single",
        "rest",
        "customisation",
        "pinned",
        "volatile",
        "balanced",
        "base",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == kind)
        .unwrap_or("base")
}

fn cell(rect: Rect, kind: &str, class: &str) -> String {
    let Rect {
        x,
        y,
        width,
        height,
    } = rect;
    format!(
        "<rect class=\"{class}\" style=\"fill:var(--{kind})\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
    )
}

fn label(x: f64, y: f64, class: &str, text: &str) -> String {
    format!(
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
        escape(text)
    )
}

/// As much of a text as there is room for, at about six units a letter.
fn fitted(text: &str, width: f64) -> String {
    #[allow(clippy::cast_sign_loss)]
    let most = ((width - 6.0) / 6.3).max(0.0) as usize;
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A path's last part, without the hash of a Nix store path.
fn short(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.split_once('-') {
        Some((hash, rest))
            if hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            rest
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_kinds_look_like_a_base() {
        assert_eq!(class("\"><script>"), "base");
    }

    #[test]
    fn labels_fit() {
        assert_eq!(fitted("abcdef", 20.0), "a…");
        assert_eq!(fitted("abc", 100.0), "abc");
        assert_eq!(
            short("/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-glibc-2.39"),
            "glibc-2.39"
        );
        assert_eq!(short("/usr/lib/a-b"), "a-b");
    }
}
