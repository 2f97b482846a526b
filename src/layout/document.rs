//! `index.json` as raw JSON: edited member by member, so that what plywood does not know survives.

use serde_json::{Value, json};

use crate::blob::{BlobStore, Descriptor};
use crate::image::annotations::REF_NAME;
use crate::image::{ImageError, Index, IndexEntry, Manifest, media, read_document};

/// An index without entries.
pub(crate) fn empty() -> Value {
    json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": []})
}

/// Puts an entry in the place of the one with its name; without a name, of its equal.
pub(crate) fn put(index: &mut Value, entry: &IndexEntry) {
    let Some(list) = entries(index) else { return };
    let digest = entry.descriptor.digest.to_string();
    let same = |value: &Value| match entry.ref_name() {
        Some(name) => name_of(value) == Some(name),
        None => name_of(value).is_none() && digest_of(value) == Some(&digest),
    };
    let place = list.iter().position(same).unwrap_or(list.len());
    list.retain(|value| !same(value));
    list.insert(place.min(list.len()), entry.to_json());
}

/// Removes images without a name whose place new ones without a name take.
///
/// Of two such images for one platform nobody could say which is meant (rule 55), and
/// readers refuse to choose: rebuilding without a tag would spoil the layout.
pub(super) fn supersede(index: &mut Value, new: &[IndexEntry]) {
    let Some(list) = entries(index) else { return };
    let unnamed = new.iter().filter(|entry| entry.ref_name().is_none());
    let new: Vec<_> = unnamed.map(IndexEntry::to_json).collect();
    list.retain(|value| name_of(value).is_some() || !new.iter().any(|new| rivals(value, new)));
}

/// Whether two descriptors are of runnable images that only a name could tell apart.
fn rivals(one: &Value, other: &Value) -> bool {
    let kind = |value: &Value| ["mediaType", "platform"].map(|key| value.get(key).cloned());
    kind(one) == kind(other) && one.get("platform").is_some() && one.get("artifactType").is_none()
}

/// Removes all entries of a name; whether there were any.
pub(super) fn remove(index: &mut Value, name: &str) -> bool {
    let Some(list) = entries(index) else {
        return false;
    };
    let before = list.len();
    list.retain(|value| name_of(value) != Some(name));
    list.len() < before
}

fn entries(index: &mut Value) -> Option<&mut Vec<Value>> {
    index.get_mut("manifests")?.as_array_mut()
}

fn name_of(descriptor: &Value) -> Option<&str> {
    descriptor.get("annotations")?.get(REF_NAME)?.as_str()
}

fn digest_of(descriptor: &Value) -> Option<&str> {
    descriptor.get("digest")?.as_str()
}

/// Whether documents of this type point to others.
pub(crate) fn is_branch(media_type: &str) -> bool {
    media::is_manifest(media_type) || media::is_index(media_type)
}

/// The descriptors that a document points to, in its order; none where it is not of that sort.
pub(crate) fn successors(
    store: &dyn BlobStore,
    document: &Descriptor,
) -> Result<Vec<Descriptor>, ImageError> {
    let entry = IndexEntry::from(document.clone());
    let listed = if media::is_index(&document.media_type) {
        read_document::<Index>(store, &entry)?.value.manifests
    } else if media::is_manifest(&document.media_type) {
        let manifest = read_document::<Manifest>(store, &entry)?.value;
        std::iter::once(manifest.config)
            .chain(manifest.layers)
            .collect()
    } else {
        Vec::new()
    };
    Ok(listed.into_iter().map(|entry| entry.descriptor).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Digest;

    fn entry(content: &[u8], name: Option<&str>) -> IndexEntry {
        let mut entry = IndexEntry::from(Descriptor {
            media_type: media::MANIFEST.to_owned(),
            digest: Digest::of(content),
            size: content.len() as u64,
        });
        let name = name.map(|name| (REF_NAME.to_owned(), name.to_owned()));
        entry.annotations.extend(name);
        entry
    }

    fn summary(index: &Value) -> Vec<(Option<&str>, &str)> {
        let list = index["manifests"].as_array().unwrap();
        list.iter()
            .map(|v| (name_of(v), digest_of(v).unwrap()))
            .collect()
    }

    #[test]
    fn one_entry_per_name_in_its_old_place() {
        let mut index = empty();
        index["x"] = json!({"kept": [1]});
        index["manifests"] = json!([
            {"digest": "a", "annotations": {REF_NAME: "v1"}},
            {"digest": "b", "y": 1},
            {"digest": "c", "annotations": {REF_NAME: "v1"}},
        ]);
        put(&mut index, &entry(b"1", Some("v1")));
        put(&mut index, &entry(b"2", Some("v2")));
        put(&mut index, &entry(b"3", None));
        put(&mut index, &entry(b"3", None));
        let [one, two, three] = [b"1", b"2", b"3"].map(|b| Digest::of(b).to_string());
        assert_eq!(
            summary(&index),
            [
                (Some("v1"), &*one),
                (None, "b"),
                (Some("v2"), &*two),
                (None, &*three)
            ]
        );
        assert_eq!(index["x"], json!({"kept": [1]}));
        assert_eq!(index["manifests"][1], json!({"digest": "b", "y": 1}));
        assert!(remove(&mut index, "v1"));
        assert!(!remove(&mut index, "v1"));
        assert_eq!(summary(&index).len(), 3);
    }
}
