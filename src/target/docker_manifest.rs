//! `manifest.json` of docker's archives: which members make which image, and its names.

use serde_json::{Value, json};

use crate::image::annotations::CONTAINERD_NAME;
use crate::image::{ImageName, IndexEntry, canonical};

/// One image of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Member with the config.
    pub(super) config: String,
    /// Names as docker shows them.
    pub(super) tags: Vec<String>,
    /// Members with the layers, lowest first.
    pub(super) layers: Vec<String>,
}

/// Adds an image, or its names to the same image.
pub(super) fn add(items: &mut Vec<Item>, new: Item) {
    let same = |old: &&mut Item| old.config == new.config && old.layers == new.layers;
    let Some(old) = items.iter_mut().find(same) else {
        return items.push(new);
    };
    for tag in new.tags {
        if !old.tags.contains(&tag) {
            old.tags.push(tag);
        }
    }
}

/// The name of an entry as docker wants it.
pub(super) fn tag_of(entry: &IndexEntry) -> Option<String> {
    let name = entry.annotations.get(CONTAINERD_NAME)?;
    ImageName::parse(name).ok().map(|name| name.familiar())
}

/// The document.
pub(super) fn render(items: &[Item]) -> Vec<u8> {
    let list = items.iter().map(|item| {
        json!({
            "Config": item.config,
            "RepoTags": if item.tags.is_empty() { Value::Null } else { json!(item.tags) },
            "Layers": item.layers,
        })
    });
    canonical(&Value::Array(list.collect()))
}

/// Reads the document, or says what is wrong with it.
pub(super) fn parse(value: &Value) -> Result<Vec<Item>, String> {
    let list = value.as_array().ok_or("manifest.json is no array")?;
    let items = list.iter().enumerate().map(|(i, item)| {
        let fault = |member| format!("manifest.json: /{i}/{member} is missing or of a wrong type");
        let texts = |value: &Value| -> Option<Vec<String>> {
            let list = value.as_array()?.iter();
            list.map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let config = item.get("Config").and_then(Value::as_str);
        let layers = item.get("Layers").and_then(texts);
        let tags = match item.get("RepoTags") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(tags) => texts(tags),
        };
        Ok(Item {
            config: config.ok_or_else(|| fault("Config"))?.to_owned(),
            tags: tags.ok_or_else(|| fault("RepoTags"))?,
            layers: layers.ok_or_else(|| fault("Layers"))?,
        })
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_names_and_reads_back() {
        let item = |tag: &str| Item {
            config: "c".to_owned(),
            tags: vec![tag.to_owned()],
            layers: vec!["l".to_owned()],
        };
        let mut items = Vec::new();
        for tag in ["a:1", "b:1", "a:1"] {
            add(&mut items, item(tag));
        }
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].tags, ["a:1", "b:1"]);
        let value = serde_json::from_slice(&render(&items)).unwrap();
        assert_eq!(parse(&value), Ok(items));
        for bad in ["{}", "[{}]", r#"[{"Config":"a","Layers":[1]}]"#] {
            assert!(parse(&serde_json::from_str(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
