//! `inspect --html`: one page about an image, which needs no network and reads without scripts.

mod drawing;
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
use drawing::class;
use references::References;

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
    }
}
