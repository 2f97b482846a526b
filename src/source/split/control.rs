//! Debian's control format: stanzas of `Name: value`, continued on lines that start with a
//! space (deb822(5)).

/// One stanza, with the fields that were asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stanza {
    /// Number of its first line, from 1.
    pub line: usize,
    fields: Vec<(String, String)>,
}

impl Stanza {
    /// A field's value, continuation lines joined by newlines; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self
            .fields
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// All stanzas of a document, reduced to some fields.
///
/// # Errors
/// The number of the line that is no field, and why.
pub(super) fn stanzas(text: &str, wanted: &[&str]) -> Result<Vec<Stanza>, (usize, String)> {
    let mut all = Vec::new();
    let mut open: Option<Stanza> = None;
    let mut keeps = false;
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() {
            all.extend(open.take());
        } else if let Some(rest) = line.strip_prefix([' ', '\t']) {
            let Some(stanza) = &mut open else {
                return Err((number, "continues a field where none began".to_owned()));
            };
            if let (true, Some((_, value))) = (keeps, stanza.fields.last_mut()) {
                value.push('\n');
                value.push_str(rest.trim());
            }
        } else {
            let Some((name, value)) = line.split_once(':').filter(|(name, _)| is_field(name))
            else {
                let shown = super::view::shorten(line);
                return Err((number, format!("`{shown}` is no `Field: value`")));
            };
            let stanza = open.get_or_insert_with(|| Stanza {
                line: number,
                ..Stanza::default()
            });
            keeps = wanted.iter().any(|w| w.eq_ignore_ascii_case(name));
            if keeps {
                let field = (name.to_owned(), value.trim().to_owned());
                stanza.fields.push(field);
            }
        }
    }
    all.extend(open);
    Ok(all)
}

fn is_field(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::stanzas;

    #[test]
    fn fields_may_go_on_over_lines() {
        let text = "Package: a\nConffiles:\n /etc/a 1\n /etc/b 2\nOther: x\n y\n\n\nPackage:  b \n";
        let found = stanzas(text, &["Package", "Conffiles"]).unwrap();
        let facts: Vec<_> = found
            .iter()
            .map(|s| (s.line, s.get("package"), s.get("Conffiles")))
            .collect();
        assert_eq!(facts, [(1, "a", "\n/etc/a 1\n/etc/b 2"), (9, "b", "")]);
        assert!(stanzas("", &[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_field_is_refused_by_its_line() {
        let fault = |text: &str| stanzas(text, &["Package"]).unwrap_err();
        assert_eq!(
            fault("Package: a\nrubbish\n"),
            (2, "`rubbish` is no `Field: value`".into())
        );
        assert_eq!(
            fault("Package: a\n\n more\n"),
            (3, "continues a field where none began".into())
        );
        assert_eq!(fault("a b: c").0, 1);
        assert_eq!(fault("\u{0}\u{1}").0, 1);
    }
}
