//! `CycloneDX` 1.5 (ECMA-424), as JSON.

use serde_json::{Map, Value, json};

use super::{Closure, Item, Subject, fingerprint, items, tops};

const IMAGE: &str = "image";

/// The closure as a `CycloneDX` 1.5 document: one component each, and who depends on whom.
///
/// Hashes are those of the source: for Nix, of the path's NAR serialisation.
pub fn cyclonedx(closure: &Closure, subject: &Subject) -> Value {
    let items = items(closure);
    let name_of = |&i: &usize| items.get(i).map(|item| item.path);
    let refer = |from: &str, to: &[usize]| -> Value {
        let to: Vec<_> = to.iter().filter_map(name_of).collect();
        json!({"ref": from, "dependsOn": to})
    };
    let components: Vec<_> = items.iter().map(component).collect();
    let mut dependencies = vec![refer(IMAGE, &tops(closure, &items))];
    dependencies.extend(items.iter().map(|item| refer(item.path, &item.references)));
    let content = json!([components, dependencies]);
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial(&fingerprint(&content, subject)),
        "version": 1,
        "metadata": {
            "timestamp": subject.date(),
            "tools": {"components": [{
                "type": "application", "name": "plywood", "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": image(subject),
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn image(subject: &Subject) -> Value {
    let mut map = bare("container", IMAGE, &subject.name);
    if let Some(version) = &subject.version {
        map.insert("version".into(), version.clone().into());
    }
    if let Some(hex) = subject.sha256() {
        map.insert("hashes".into(), hashes(hex));
    }
    map.into()
}

fn component(item: &Item) -> Value {
    let mut map = bare("library", item.path, &item.name);
    if let Some(version) = &item.version {
        map.insert("version".into(), version.clone().into());
    }
    if let Some(purl) = item.purl {
        map.insert("purl".into(), purl.into());
    }
    if let Some(hex) = &item.sha256 {
        map.insert("hashes".into(), hashes(hex));
    }
    let property = json!([{"name": "dev.plywood:path", "value": item.path}]);
    map.insert("properties".into(), property);
    map.into()
}

fn bare(kind: &str, reference: &str, name: &str) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("type".into(), kind.into());
    map.insert("bom-ref".into(), reference.into());
    map.insert("name".into(), name.into());
    map
}

fn hashes(hex: &str) -> Value {
    json!([{"alg": "SHA-256", "content": hex}])
}

/// A UUID of version 8 (RFC 9562): the rest is ours to fill.
fn serial(hex: &str) -> String {
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let parts = [
        part(0, 8),
        part(8, 12),
        &format!("8{}", part(13, 16)),
        &format!("8{}", part(17, 20)),
        part(20, 32),
    ];
    format!("urn:uuid:{}", parts.join("-"))
}
