//! Strict JSON: no duplicate members, no byte order mark, bounded nesting; whatever is wrong
//! has a place.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Place;

/// A JSON value that borrows its strings from the document where it can.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    /// Members in the order of the document, each name once.
    Object(Vec<Member<'a>>),
}

/// A member of an object: its name and value.
pub(super) type Member<'a> = (Cow<'a, str>, Value<'a>);

/// What is wrong with a document, and where.
pub(super) type Fault = (Place, String);

/// Text of a document: UTF-8 without a byte order mark.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| (line_and_column(bytes, e.valid_up_to()), "not UTF-8".into()))?;
    if text.starts_with('\u{feff}') {
        return Err((Place::Column(1, 1), "starts with a byte order mark".into()));
    }
    Ok(text)
}

fn line_and_column(bytes: &[u8], at: usize) -> Place {
    let before = bytes.get(..at).unwrap_or(bytes);
    let line_start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |newline| newline + 1);
    let line = before.split(|b| *b == b'\n').count();
    Place::Column(line, at - line_start + 1)
}

/// Parses one JSON document.
pub(super) fn parse(text: &str) -> Result<Value<'_>, Fault> {
    // serde_json gives up at 128 levels, long before any stack does.
    serde_json::from_str(text).map_err(|error| {
        let place = Place::Column(error.line(), error.column());
        let reason = error.to_string();
        // The place stands at the end of serde_json's text as well.
        let reason = reason
            .rsplit_once(" at line ")
            .map_or(reason.as_str(), |(reason, _)| reason);
        let reason = match reason.strip_prefix("EOF ") {
            Some(reason) => format!("the document ends {reason}"),
            None if reason.starts_with("recursion limit") => "nested too deeply".to_owned(),
            None => reason.to_owned(),
        };
        (place, reason)
    })
}

impl Value<'_> {
    /// The type, as an error text names it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// The member of an object; none of anything else.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        members
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

/// A JSON pointer one member further down (RFC 6901).
pub(super) fn pointer(above: &str, member: impl fmt::Display) -> String {
    let member = member.to_string().replace('~', "~0").replace('/', "~1");
    format!("{above}/{member}")
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        let number = serde_json::Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<Member<'de>> = Vec::new();
        let mut names = std::collections::HashSet::new();
        while let Some(Name(name)) = entries.next_key()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("duplicate member `{name}`")));
            }
            members.push((name, entries.next_value()?));
        }
        Ok(Value::Object(members))
    }
}

/// A member's name, borrowed where it can be.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self(name)),
            other => Err(D::Error::custom(format_args!(
                "expected a name, found {}",
                other.kind()
            ))),
        }
    }
}
