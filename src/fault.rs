//! [`Fault`]: one broken rule of the specification, and where.
//!
//! A leaf of its own because tar reading, image documents and `check` all speak it.

use std::collections::BTreeMap;
use std::fmt;

/// How binding a broken rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The specification's MUST, or its schema: nothing that breaks it is read as an image.
    Must,
    /// What consumers need though the text does not say it: `verify` fails, reading does not.
    Field,
    /// The specification's SHOULD: a warning.
    Should,
}

/// One broken rule.
///
/// Ordered by place, then rule, so that a sorted list is stable from run to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    /// File of the layout, entry of a layer or JSON pointer; printable.
    pub where_: String,
    /// Number in the list of rules that the tests cite.
    pub rule: u16,
    /// How binding the rule is.
    pub level: Level,
    /// What is wrong, in words, printable.
    pub text: String,
}

impl Fault {
    /// A fault whose texts are made printable.
    pub fn new(level: Level, rule: u16, where_: impl AsRef<str>, text: impl AsRef<str>) -> Self {
        Self {
            where_: printable(where_.as_ref()),
            rule,
            level,
            text: printable(text.as_ref()),
        }
    }

    /// The same fault, found inside `outer`.
    pub fn inside(mut self, outer: &str) -> Self {
        let separator = if self.where_.is_empty() { "" } else { ": " };
        self.where_ = format!("{outer}{separator}{}", self.where_);
        self
    }

    /// Whether this is more than a warning.
    pub fn fails(&self) -> bool {
        self.level != Level::Should
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.where_.is_empty() {
            write!(f, "{}: ", self.where_)?;
        }
        write!(f, "{} (rule {})", self.text, self.rule)
    }
}

impl std::error::Error for Fault {}

/// A list of faults that stays short: ten of a rule in full, then their number.
#[derive(Debug, Default)]
pub struct Faults {
    list: Vec<Fault>,
    counts: BTreeMap<(u16, Level), usize>,
}

/// So many faults of one rule are told one by one.
const TOLD: usize = 10;

impl Faults {
    /// Notes a fault.
    pub fn push(&mut self, fault: Fault) {
        let count = self.counts.entry((fault.rule, fault.level)).or_default();
        *count += 1;
        if *count <= TOLD {
            self.list.push(fault);
        }
    }

    /// Notes a broken MUST.
    pub fn must(&mut self, rule: u16, where_: impl AsRef<str>, text: impl AsRef<str>) {
        self.push(Fault::new(Level::Must, rule, where_, text));
    }

    /// Notes what consumers will stumble over.
    pub fn field(&mut self, rule: u16, where_: impl AsRef<str>, text: impl AsRef<str>) {
        self.push(Fault::new(Level::Field, rule, where_, text));
    }

    /// Notes a broken SHOULD.
    pub fn should(&mut self, rule: u16, where_: impl AsRef<str>, text: impl AsRef<str>) {
        self.push(Fault::new(Level::Should, rule, where_, text));
    }

    /// The first fault because of which a document is not read.
    pub fn refusal(&self) -> Option<&Fault> {
        self.list.iter().find(|fault| fault.level == Level::Must)
    }

    /// All that was noted, the untold ones as a number.
    pub fn into_vec(mut self) -> Vec<Fault> {
        let more = self.counts.iter().filter(|&(_, &count)| count > TOLD);
        let more = more.map(|(&(rule, level), count)| {
            let text = format!("{} more faults of this rule", count - TOLD);
            Fault::new(level, rule, "", text)
        });
        self.list.extend(more);
        self.list
    }
}

/// Text from outside, safe for a terminal: control characters escaped, cut after 300 characters.
pub fn printable(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| {
            let plain = !c.is_control() && !is_bidirectional(c);
            let escaped = (!plain).then(|| c.escape_default());
            escaped.into_iter().flatten().chain(plain.then_some(c))
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// Characters that reorder what a terminal shows.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_faults_are_counted() {
        let mut faults = Faults::default();
        for i in 0..25 {
            faults.must(87, format!("e{i}"), "twice");
        }
        let list = faults.into_vec();
        assert_eq!(list.len(), 11);
        assert_eq!(list[10].text, "15 more faults of this rule");
    }

    #[test]
    fn text_is_made_printable() {
        assert_eq!(printable("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
        assert_eq!(printable(&"x".repeat(301)).chars().count(), 301);
    }
}
