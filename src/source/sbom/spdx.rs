//! SPDX 2.3 (ISO/IEC 5962), as JSON.

use serde_json::{Map, Value, json};

use super::{Closure, Item, Subject, fingerprint, items, tops};

const IMAGE: &str = "SPDXRef-Image";

/// The closure as an SPDX 2.3 document: one package a component, what depends on what.
///
/// Checksums are those of the source: for Nix, of the path's NAR serialisation.
pub fn spdx(closure: &Closure, subject: &Subject) -> Value {
    let items = items(closure);
    let mut packages = vec![image(subject)];
    packages.extend(items.iter().enumerate().map(|(i, item)| package(i, item)));
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE)];
    for i in 0..items.len() {
        relationships.push(relationship(IMAGE, "CONTAINS", &id(i)));
    }
    for top in tops(closure, &items) {
        relationships.push(relationship(IMAGE, "DEPENDS_ON", &id(top)));
    }
    for (i, item) in items.iter().enumerate() {
        let others = item.references.iter();
        relationships.extend(others.map(|&other| relationship(&id(i), "DEPENDS_ON", &id(other))));
    }
    let content = json!([packages, relationships]);
    let unique = fingerprint(&content, subject);
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": subject.name,
        "documentNamespace": format!("https://spdx.org/spdxdocs/plywood-{unique}"),
        "creationInfo": {
            "created": subject.date(),
            "creators": [format!("Tool: plywood-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    })
}

fn id(number: usize) -> String {
    format!("SPDXRef-Package-{number}")
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

fn image(subject: &Subject) -> Value {
    let mut package = bare(
        IMAGE,
        &subject.name,
        subject.version.as_deref(),
        subject.sha256(),
    );
    package.insert("primaryPackagePurpose".into(), "CONTAINER".into());
    package.into()
}

fn package(number: usize, item: &Item) -> Value {
    let version = item.version.as_deref();
    let mut package = bare(&id(number), &item.name, version, item.sha256.as_deref());
    if let Some(purl) = item.purl {
        let reference = json!([{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl,
        }]);
        package.insert("externalRefs".into(), reference);
    }
    package.insert("packageFileName".into(), item.path.into());
    package.into()
}

fn bare(id: &str, name: &str, version: Option<&str>, sha256: Option<&str>) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("SPDXID".into(), id.into());
    map.insert("name".into(), name.into());
    map.insert("downloadLocation".into(), "NOASSERTION".into());
    map.insert("filesAnalyzed".into(), false.into());
    if let Some(version) = version {
        map.insert("versionInfo".into(), version.into());
    }
    if let Some(hex) = sha256 {
        let sum = json!([{"algorithm": "SHA256", "checksumValue": hex}]);
        map.insert("checksums".into(), sum);
    }
    map
}
