//! [`Node`]: a JSON value that knows where it stands, for reading documents of others.

use serde_json::{Map, Value};

use crate::fault::Faults;

/// A value inside a document.
#[derive(Clone, Debug)]
pub(crate) struct Node<'v> {
    pub value: &'v Value,
    /// JSON pointer; empty for the document itself.
    pub pointer: String,
}

impl<'v> Node<'v> {
    pub fn document(value: &'v Value) -> Self {
        let pointer = String::new();
        Self { value, pointer }
    }

    /// The member of this name, if there is one.
    pub fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name)?;
        Some(self.child(name, value))
    }

    fn child(&self, name: &str, value: &'v Value) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{}/{name}", self.pointer);
        Self { value, pointer }
    }

    /// The member of this name; its absence breaks `rule`.
    pub fn need(&self, name: &str, rule: u16, faults: &mut Faults) -> Option<Self> {
        let member = self.get(name);
        if member.is_none() {
            faults.must(rule, &self.pointer, format!("`{name}` is missing"));
        }
        member
    }

    pub fn text(&self, rule: u16, faults: &mut Faults) -> Option<&'v str> {
        self.expect(self.value.as_str(), "a string", rule, faults)
    }

    pub fn object(&self, rule: u16, faults: &mut Faults) -> Option<&'v Map<String, Value>> {
        self.expect(self.value.as_object(), "an object", rule, faults)
    }

    /// The items of an array.
    pub fn items(&self, rule: u16, faults: &mut Faults) -> Vec<Self> {
        let items = self.expect(self.value.as_array(), "an array", rule, faults);
        let items = items.map(Vec::as_slice).unwrap_or_default().iter();
        items
            .enumerate()
            .map(|(i, value)| self.child(&i.to_string(), value))
            .collect()
    }

    /// The members of an object, by name.
    pub fn members(&self, rule: u16, faults: &mut Faults) -> Vec<(&'v str, Self)> {
        let Some(members) = self.object(rule, faults) else {
            return Vec::new();
        };
        let members = members.iter();
        members
            .map(|(name, value)| (name.as_str(), self.child(name, value)))
            .collect()
    }

    /// Strings of an array.
    pub fn texts(&self, rule: u16, faults: &mut Faults) -> Vec<&'v str> {
        let items = self.items(rule, faults);
        items
            .iter()
            .filter_map(|item| item.text(rule, faults))
            .collect()
    }

    /// Whether the value is `null`, which breaks `rule` where readers still take it as absent.
    pub fn is_null(&self, rule: u16, faults: &mut Faults) -> bool {
        if self.value.is_null() {
            faults.field(rule, &self.pointer, "is null: leave it out instead");
        }
        self.value.is_null()
    }

    fn expect<T>(&self, got: Option<T>, what: &str, rule: u16, faults: &mut Faults) -> Option<T> {
        if got.is_none() {
            let found = kind_of(self.value);
            faults.must(rule, &self.pointer, format!("is {found}, not {what}"));
        }
        got
    }

    /// Notes members whose names differ from known ones in case only: Go reads them, others do not.
    pub fn check_case(&self, known: &[&str], faults: &mut Faults) {
        let Some(members) = self.value.as_object() else {
            return;
        };
        for name in members.keys().filter(|name| !known.contains(&&***name)) {
            if let Some(meant) = known.iter().find(|k| k.eq_ignore_ascii_case(name)) {
                let text = format!("member `{name}` is spelt `{meant}` in the specification");
                faults.must(18, &self.pointer, text);
            }
        }
    }
}

pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The members of `value` that are not in `known`.
pub(crate) fn others(value: &Value, known: &[&str]) -> Map<String, Value> {
    let members = value.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
