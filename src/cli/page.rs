//! `inspect --html`: one page about an image, which needs no network and reads without scripts.

mod references;
mod treemap;

use std::fmt::Write as _;

use plywood::check::{ImageDiff, diff};
use plywood::image::Image;
use serde_json::json;

use super::args::Inspect;
use super::diff::by_chain;
use super::exit::Failure;
use super::inspect::Layer;
use super::reference::{Opened, platform};
use super::report;
use references::References;
use treemap::{Rect, squarify};

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

/// What the page is about.
struct Page<'p> {
    image: &'p Image,
    layers: &'p [Layer],
    references: References,
    update: Option<Update>,
    title: String,
}

/// What an update from another image downloads.
struct Update {
    from: String,
    diff: ImageDiff,
    by_chain: u64,
}

/// The page.
pub fn draw(
    args: &Inspect,
    opened: &Opened,
    image: &Image,
    layers: &[Layer],
) -> Result<String, Failure> {
    let references = References::find(args.graph.as_deref(), opened, image)?;
    let update = match &args.compare {
        None => None,
        Some(text) => {
            let wanted = platform(args.platform.as_ref())?;
            let old = Opened::new(text)?;
            let before = old.image(wanted.as_ref())?;
            Some(Update {
                from: old.reference.to_string(),
                diff: diff(&before, image),
                by_chain: by_chain(&before, image),
            })
        }
    };
    let title = image.name.clone();
    let page = Page {
        image,
        layers,
        references,
        update,
        title: title.unwrap_or_else(|| opened.reference.to_string()),
    };
    Ok(page.text())
}

impl Page<'_> {
    fn text(&self) -> String {
        let title = escape(&self.title);
        let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{title} – plywood</title>\n\
             <style>\n{}</style>\n</head>\n<body>\n",
            include_str!("page/style.css")
        );
        out += &self.head();
        out += &self.update_section();
        out += "<h2>Layers by size</h2>\n<p class=\"dim\">Areas are compressed bytes; what a layer holds \
                is drawn by its files’ bytes. A click shows references.</p>\n";
        out += &self.map();
        out += &self.legend();
        out += "<section id=\"panel\" hidden></section>\n<h2>What each layer holds</h2>\n";
        for (number, layer) in self.layers.iter().enumerate() {
            out += &self.details(number, layer);
        }
        out += &self.configuration();
        let data = json!({
            "paths": self.references.paths,
            "to": self.references.to,
        });
        // `</script>` must not end what it stands in.
        let data = data.to_string().replace('<', "\\u003c");
        let _ = write!(
            out,
            "<script type=\"application/json\" id=\"references\">{data}</script>\n<script>\n{}</script>\n</body>\n</html>\n",
            include_str!("page/script.js")
        );
        out
    }

    fn head(&self) -> String {
        let size: u64 = self.layers.iter().map(|l| l.entry.descriptor.size).sum();
        let unpacked: u64 = self.layers.iter().map(|l| l.unpacked).sum();
        let facts = [
            ("Platform", self.image.platform().to_string()),
            ("Layers", self.layers.len().to_string()),
            ("Download", report::size(size)),
            ("Unpacked", report::size(unpacked)),
            ("Paths known", self.references.paths.len().to_string()),
        ];
        let facts: String = facts
            .iter()
            .map(|(name, text)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", escape(text)))
            .collect();
        format!(
            "<header>\n<h1>{}</h1>\n<code class=\"dim\">{}</code>\n<dl>{facts}</dl>\n</header>\n",
            escape(&self.title),
            self.image.manifest.descriptor.digest
        )
    }

    fn update_section(&self) -> String {
        let Some(update) = &self.update else {
            return String::new();
        };
        let shared: u64 = update.diff.shared.iter().map(|note| note.size).sum();
        let new = update.diff.download();
        let percent = |part: u64| part * 1000 / (shared + new).max(1);
        let width = |part: u64| format!("{}.{}%", percent(part) / 10, percent(part) % 10);
        let mut rows = String::new();
        for note in &update.diff.new {
            let causes = note.causes.iter().take(40).map(|path| escape(path));
            let causes: Vec<_> = causes.collect();
            let text = match causes.is_empty() {
                true => escape(note.created_by.as_deref().unwrap_or_default()),
                false => causes.join("<br>"),
            };
            let _ = write!(
                rows,
                "<tr><td class=\"r\">{}</td><td class=\"mono\">{text}</td></tr>",
                report::size(note.size)
            );
        }
        format!(
            "<section id=\"update\">\n<h2>Update from {}</h2>\n\
             <p><strong>{}</strong> to download in {}, <strong>{}</strong> stay as they are. \
             Programs that know layers by what lies below them download {}.</p>\n\
             <div class=\"bar\"><span class=\"shared\" style=\"width:{}\"></span><span class=\"fresh\" style=\"width:{}\"></span></div>\n\
             <table><thead><tr><th class=\"r\">Size</th><th>Because of</th></tr></thead><tbody>{rows}</tbody></table>\n</section>\n",
            escape(&update.from),
            report::size(new),
            report::count(update.diff.new.len(), "new layer"),
            report::size(shared),
            report::size(update.by_chain),
            width(shared),
            width(new)
        )
    }

    fn map(&self) -> String {
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
            if rect.width * rect.height < 6.0 {
                continue;
            }
            let (number, says) = match self.references.number(path) {
                Some(number) => (
                    format!(" data-n=\"{number}\" href=\"#c{number}\""),
                    self.references.says(number),
                ),
                None => (format!(" href=\"#l{number}\""), String::new()),
            };
            let title = format!("{path}\n{}{says}", report::size(*bytes));
            let _ = write!(
                out,
                "<a{number}><g><title>{}</title>{}</g>",
                escape(&title),
                cell(rect, kind, "cell")
            );
            if rect.height > 15.0 && rect.width > 34.0 {
                let text = fitted(short(path), rect.width);
                let _ = write!(out, "{}", label(rect.x + 4.0, rect.y + 12.0, "", &text));
            }
            *out += "</a>";
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

    fn is_new(&self, layer: &Layer) -> bool {
        let digest = &layer.entry.descriptor.digest;
        let update = self.update.as_ref();
        update.is_some_and(|update| update.diff.new.iter().any(|note| note.digest == *digest))
    }

    fn legend(&self) -> String {
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

    fn details(&self, number: usize, layer: &Layer) -> String {
        let mut rows = String::new();
        for (path, bytes) in &layer.holds {
            let known = self.references.number(path);
            let id = known.map_or(String::new(), |n| format!(" id=\"c{n}\""));
            let name = match known {
                Some(n) => format!("<a data-n=\"{n}\" href=\"#c{n}\">{}</a>", escape(path)),
                None => escape(path),
            };
            let (popularity, to, from) = match known {
                Some(n) => self.references.counts(n),
                None => Default::default(),
            };
            let _ = write!(
                rows,
                "<tr{id}><td class=\"mono\">{name}</td><td class=\"r\">{}</td><td class=\"r\">{}</td><td class=\"r\">{to}</td><td class=\"r\">{from}</td></tr>",
                report::size(*bytes),
                escape(&popularity)
            );
        }
        let what = layer.created_by.as_deref().unwrap_or_default();
        let what = what.strip_prefix("plywood: ").unwrap_or(what);
        let new = if self.is_new(layer) {
            "<span class=\"tag fresh\">new</span>"
        } else {
            ""
        };
        format!(
            "<details id=\"l{number}\"><summary><strong>{number}</strong>\
             <span class=\"tag\" style=\"background:var(--{})\">{}</span>{new}\
             <span class=\"grow\">{}</span><span class=\"r\">{}</span></summary>\n<div>\
             <p class=\"dim\"><code>{}</code><br>{} · {} entries · {} unpacked</p>\
             <table><thead><tr><th>Path</th><th class=\"r\">Files</th><th class=\"r\">Popularity</th><th class=\"r\">Refers to</th><th class=\"r\">Referred to by</th></tr></thead><tbody>{rows}</tbody></table>\n</div></details>\n",
            class(&layer.kind),
            escape(&layer.kind),
            escape(what),
            report::size(layer.entry.descriptor.size),
            layer.entry.descriptor.digest,
            escape(&layer.entry.descriptor.media_type),
            layer.entries,
            report::size(layer.unpacked)
        )
    }

    fn configuration(&self) -> String {
        let config = self.image.config.value.document.get("config");
        let members = config.and_then(serde_json::Value::as_object);
        let mut rows: String = members
            .into_iter()
            .flatten()
            .map(|(name, value)| row(name, &value.to_string()))
            .collect();
        let said = &self.image.manifest.value.annotations;
        rows += &{ said.iter() }
            .map(|(key, value)| row(key, value))
            .collect::<String>();
        format!("<h2>Configuration and annotations</h2>\n<table><tbody>{rows}</tbody></table>\n")
    }
}

fn row(name: &str, value: &str) -> String {
    let (name, value) = (escape(name), escape(value));
    format!("<tr><td>{name}</td><td class=\"mono\">{value}</td></tr>")
}

/// The colour of a kind of layer; kinds of other programs look like a base.
fn class(kind: &str) -> &'static str {
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

/// Text as it may stand in HTML, between quotes too.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' => out.push('\n'),
            c if report::meddles(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_markup() {
        assert_eq!(
            escape("<a href=\"x\">'&\u{202e}\u{7}</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;\\u{202e}\\u{7}&lt;/a&gt;"
        );
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
