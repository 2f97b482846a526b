//! How results look: tables, JSON, sizes, colours; and text from outside made harmless.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use super::args::ColorWhen;
use super::exit::{Done, Failure};

/// Whether standard error gets colours.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colored: bool,
}

impl Style {
    /// As asked, or as the terminal and `NO_COLOR` suggest.
    pub fn choose(when: ColorWhen) -> Self {
        let wanted = || std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let colored = match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => io::stderr().is_terminal() && wanted(),
        };
        Self { colored }
    }

    pub fn is_colored(self) -> bool {
        self.colored
    }

    pub fn error(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub fn warning(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    pub fn hint(self, text: &str) -> String {
        self.paint("1;36", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colored {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Whether a terminal could take `c` for something other than a character to draw.
pub fn meddles(c: char) -> bool {
    let turns_text_around =
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    c.is_control() || turns_text_around || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Text of several lines made harmless: control characters escaped, further lines indented.
pub fn shown(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(cell).collect();
    lines.join("\n  ")
}

/// Longer than any path; of longer text, which only a hostile document has, nobody reads the end.
const LONGEST: usize = 8192;

/// Text of one line made harmless.
pub fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            out.push('…');
            break;
        }
        if meddles(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Writes a finished text to standard output.
pub fn print(text: &str) -> Done {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|fault| Failure::io("write to standard output", &fault))
}

/// A JSON document of ours with a final newline; nothing in it can steer a terminal.
pub fn json_text(value: &serde_json::Value) -> String {
    let raw = format!("{value:#}\n");
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        // Only strings can hold such characters, and there the escape means the same.
        if meddles(c) && c != '\n' {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A size as people read it: `1.4 MB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // Tenths of the unit, so that no float is needed and 999,950 is 1.0 MB.
    let mut tenths = u128::from(bytes) / 100 + u128::from(bytes % 100 >= 50);
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths = tenths / 1000 + u128::from(tenths % 1000 >= 500);
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `1 layer`, `2 layers`.
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Which side of its column a cell stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A table for people: columns padded, the last one left ragged.
pub fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let header: Vec<_> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(&header)
        .chain(rows)
        .map(|row| row.iter().map(|text| cell(text)).collect())
        .collect();
    let width = |i: usize| {
        let cells = rows.iter().filter_map(|row| row.get(i));
        cells.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    rows.iter().fold(String::new(), |mut out, row| {
        out.push_str(line(columns, &widths, row).trim_end());
        out.push('\n');
        out
    })
}

fn line(columns: &[(&str, Align)], widths: &[usize], row: &[String]) -> String {
    let cells = row.iter().zip(columns).zip(widths);
    let padded = cells.map(|((text, (_, align)), width)| match align {
        Align::Left => format!("{text:<width$}"),
        Align::Right => format!("{text:>width$}"),
    });
    padded.collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1449, "1.4 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(
            cell("a\u{1b}]0;x\u{7}\u{9b}b\u{202e}é\n"),
            "a\\u{1b}]0;x\\u{7}\\u{9b}b\\u{202e}é\\n"
        );
        assert_eq!(cell(&"é".repeat(LONGEST)), "é".repeat(LONGEST));
        assert_eq!(cell(&"é".repeat(1 << 20)), "é".repeat(LONGEST) + "…");
        let json = json_text(&serde_json::json!({ "a\u{9b}": "\u{1b}\u{202e}é" }));
        assert_eq!(json, "{\n  \"a\\u009b\": \"\\u001b\\u202eé\"\n}\n");
    }

    #[test]
    fn tables_line_up() {
        let columns = [
            ("#", Align::Right),
            ("path", Align::Left),
            ("size", Align::Right),
        ];
        let rows = [
            vec!["1".into(), "/a".into(), "5 B".into()],
            vec!["10".into(), "/long".into(), "1.0 kB".into()],
        ];
        assert_eq!(
            table(&columns, &rows),
            " #  path     size\n 1  /a        5 B\n10  /long  1.0 kB\n"
        );
    }
}
