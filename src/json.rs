//! JSON as the image specification wants it read and written (considerations chapter).
//!
//! A leaf that any room may use. Reading is strict (RFC 7493, I-JSON); writing is canonical.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why bytes are not one strict JSON value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} column {column}{}: {text}", at(pointer))]
pub struct JsonFault {
    /// Which rule of `spec-rules.md` is broken: 13 to 16.
    pub rule: u16,
    /// 1-based.
    pub line: usize,
    /// 1-based, in bytes.
    pub column: usize,
    /// JSON pointer (RFC 6901) of the innermost value that was being read; empty for the document.
    pub pointer: String,
    /// What is wrong, in words.
    pub text: String,
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() {
        return String::new();
    }
    format!(" at {}", crate::fault::printable(pointer))
}

/// Reads exactly one JSON value, and refuses what readers disagree about.
///
/// No byte-order mark, no member twice in one object, no lone surrogates or
/// noncharacters, nothing after the value, at most 128 levels, and no number
/// that a reader could not hold exactly (integers beyond 64 bits, fractions
/// beyond 2^53).
///
/// # Errors
/// [`JsonFault`] with line, column and JSON pointer.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, JsonFault> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(plain_fault("starts with a byte-order mark"));
    }
    if bytes.is_empty() {
        return Err(plain_fault("is empty"));
    }
    let place = Place::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict(&place)
        .deserialize(&mut reader)
        .map_err(|e| place.fault(&e))?;
    reader.end().map_err(|e| place.fault(&e))?;
    Ok(value)
}

fn plain_fault(text: &str) -> JsonFault {
    JsonFault {
        rule: 13,
        line: 1,
        column: 1,
        pointer: String::new(),
        text: text.to_owned(),
    }
}

/// Where the reader is, and which rule its last complaint was about.
#[derive(Default)]
struct Place {
    pointer: RefCell<String>,
    rule: Cell<Option<u16>>,
}

impl Place {
    fn inside<T, E>(&self, part: &str, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let outer = self.pointer.borrow().len();
        let part = part.replace('~', "~0").replace('/', "~1");
        self.pointer.borrow_mut().extend(["/", &part]);
        let result = read()?;
        self.pointer.borrow_mut().truncate(outer);
        Ok(result)
    }

    fn refuse<E: de::Error>(&self, rule: u16, text: impl fmt::Display) -> E {
        self.rule.set(Some(rule));
        E::custom(text)
    }

    fn check_text<E: de::Error>(&self, text: &str) -> Result<(), E> {
        match noncharacter(text) {
            None => Ok(()),
            Some(c) => Err(self.refuse(16, format!("has the noncharacter U+{:04X}", u32::from(c)))),
        }
    }

    fn fault(&self, error: &serde_json::Error) -> JsonFault {
        let text = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        let text = text.strip_suffix(&position).unwrap_or(&text).to_owned();
        let surrogate = text.contains("surrogate") || text.contains("hex escape");
        let rule = self.rule.get().unwrap_or(if surrogate { 16 } else { 13 });
        JsonFault {
            rule,
            line: error.line(),
            column: error.column(),
            pointer: self.pointer.borrow().clone(),
            text,
        }
    }
}

/// The first character of `text` that I-JSON forbids (RFC 7493, 2.1).
pub(crate) fn noncharacter(text: &str) -> Option<char> {
    text.chars()
        .find(|&c| matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe)
}

#[derive(Clone, Copy)]
struct Strict<'p>(&'p Place);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let number = Number::from_f64(value).filter(|_| value.abs() <= EXACT);
        number
            .map(Value::Number)
            .ok_or_else(|| self.0.refuse(15, "a number too large to be held exactly"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.0.check_text(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = self
            .0
            .inside(&list.len().to_string(), || items.next_element_seed(self))?
        {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.0.check_text(&name)?;
            let value = self.0.inside(&name, || {
                if map.contains_key(&name) {
                    return Err(self.0.refuse(14, "a member of this name stands here twice"));
                }
                members.next_value_seed(self)
            })?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// The canonical bytes of a JSON value (RFC 8785, with integers beyond 2^53 kept exact).
///
/// Members sorted by UTF-16 code units, compact, UTF-8, only what must be
/// escaped is, no final newline: equal values give equal bytes.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_value(value, &mut out);
    out
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number_text(number).as_bytes()),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => write_list(b'[', items, b']', out, write_value),
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            write_list(b'{', sorted, b'}', out, |(name, value), out| {
                write_text(name, out);
                out.push(b':');
                write_value(value, out);
            });
        }
    }
}

fn write_list<T>(
    open: u8,
    items: impl IntoIterator<Item = T>,
    close: u8,
    out: &mut Vec<u8>,
    write: impl Fn(T, &mut Vec<u8>),
) {
    out.push(open);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(close);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// As ECMAScript writes numbers, except that integers are never rounded.
fn number_text(number: &Number) -> String {
    let Some(value) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    if value == 0.0 {
        return "0".to_owned();
    }
    // Rust prints the shortest digits that read back the same, as ECMAScript does;
    // only the limits beyond which an exponent is used must be said.
    if (1e-6..1e21).contains(&value.abs()) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    if text.contains("e-") {
        text
    } else {
        text.replace('e', "e+")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        String::from_utf8(canonical(&parse_strict(text.as_bytes()).unwrap())).unwrap()
    }

    #[test]
    fn writes_as_rfc_8785_shows() {
        for (given, written) in [
            (
                "{ \"b\" : [ 1 , true,null ],\"a\":{} }\n",
                r#"{"a":{},"b":[1,true,null]}"#,
            ),
            // Code units, not code points: a surrogate pair sorts before U+FB33.
            (
                "{\"\u{fb33}\":1,\"\u{1f600}\":2,\"\\r\":3,\"1\":4}",
                "{\"\\r\":3,\"1\":4,\"\u{1f600}\":2,\"\u{fb33}\":1}",
            ),
            (
                r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/""#,
                "\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"",
            ),
            (
                "[333.5,4.50,2e-3,0.000001,1e-7,-0.0,1.0]",
                "[333.5,4.5,0.002,0.000001,1e-7,0,1]",
            ),
            (
                "[18446744073709551615,-9223372036854775808]",
                "[18446744073709551615,-9223372036854775808]",
            ),
            ("\"\u{7f}\u{2028}\"", "\"\u{7f}\u{2028}\""),
        ] {
            assert_eq!(rewritten(given), written);
        }
    }

    #[test]
    fn refuses_what_readers_disagree_about() {
        for (text, rule, pointer) in [
            (&b"\xef\xbb\xbf{}"[..], 13, ""),
            (b"", 13, ""),
            (b"{} {}", 13, ""),
            (b"{\"a\":1,}", 13, ""),
            (b"[\"\xff\"]", 13, "/0"),
            (b"{\"a\":{\"b/c\":1,\"b/c\":2}}", 14, "/a/b~1c"),
            (b"{\"a\":1,\"\\u0061\":2}", 14, "/a"),
            (b"[0,1e300]", 15, "/1"),
            (b"[18446744073709551616]", 15, "/0"),
            (b"[1e999]", 13, "/0"),
            (b"[\"\\ud800\"]", 16, "/0"),
            (b"[\"\xef\xbf\xbf\"]", 16, "/0"),
        ] {
            let fault = parse_strict(text).unwrap_err();
            assert_eq!((fault.rule, &*fault.pointer), (rule, pointer), "{fault}");
        }
    }

    #[test]
    fn faults_say_where() {
        let fault = parse_strict(b"{\n  \"config\": {\"a\": 1, \"a\": 2}}").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "line 2 column 24 at /config/a: a member of this name stands here twice"
        );
    }

    #[test]
    fn depth_is_bounded() {
        let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
        assert!(
            parse_strict(&deep)
                .unwrap_err()
                .text
                .contains("recursion limit")
        );
    }
}
