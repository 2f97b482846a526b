use super::*;
use crate::graph::{Graph, NodeSpec};
use crate::source::Content;

fn closure() -> Closure {
    let hello = "/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-hello-2.12.1";
    let glibc = "/nix/store/1n2l5law9g3b77hcfyp50vrhhssbrj5g-glibc-locales";
    let spec = |path: &str, references: &[&str]| NodeSpec {
        path: path.to_owned(),
        references: references.iter().map(|r| (*r).to_owned()).collect(),
    };
    let graph = Graph::new(vec![spec(hello, &[hello, glibc]), spec(glibc, &[])]).unwrap();
    let component = |path: &String| Component {
        path: path.clone(),
        name: None,
        version: None,
        purl: None,
        size: None,
        hash: Some("sha256-LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=".to_owned()),
        volatile: false,
        own: false,
        content: Content::Store { host: path.into() },
    };
    Closure {
        components: graph.paths().iter().map(component).collect(),
        graph,
        roots: Vec::new(),
    }
}

fn subject() -> Subject {
    Subject {
        name: "docker.io/library/hello".to_owned(),
        version: Some("1".to_owned()),
        digest: Some(format!("sha256:{}", "ab".repeat(32))),
        created: 0,
    }
}

#[test]
fn names_and_versions() {
    let split = |path: &str, name: Option<&str>| {
        let mut component = closure().components.swap_remove(0);
        component.path = path.to_owned();
        component.name = name.map(str::to_owned);
        let (name, version) = name::split(&component);
        format!("{name} {}", version.unwrap_or_default())
    };
    let hash = "0c5b8vw40dy178xlpddw65q9gf1h2186";
    for (base, both) in [
        (format!("/nix/store/{hash}-hello-2.12.1"), "hello 2.12.1"),
        (
            format!("/nix/store/{hash}-glibc-2.39-52-bin"),
            "glibc 2.39-52-bin",
        ),
        (format!("/nix/store/{hash}-glibc-locales"), "glibc-locales "),
        (format!("/nix/store/{hash}"), &*format!("{hash} ")),
        ("/srv/app".to_owned(), "app "),
        ("/".to_owned(), "/ "),
    ] {
        assert_eq!(split(&base, None), both);
    }
    assert_eq!(split("/x", Some("bash-5.2")), "bash 5.2");
}

#[test]
fn hashes_in_three_forms() {
    let hex = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    for text in [
        "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "sha256-LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=",
        "sha256:1bp7cri8hplaz6hbz0v4f0nl44rl84q1sg25kgwqzipzd1mv89ic",
    ] {
        assert_eq!(hash::sha256(text).as_deref(), Some(hex), "{text}");
    }
    for bad in [
        "",
        "md5:00",
        "sha256:xyz",
        "sha256-!!!!",
        "sha256:zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    ] {
        assert_eq!(hash::sha256(bad), None, "{bad}");
    }
}

#[test]
fn spdx_says_who_depends_on_whom() {
    let document = spdx(&closure(), &subject());
    assert_eq!(document["packages"].as_array().unwrap().len(), 3);
    assert_eq!(document["packages"][1]["name"], "hello");
    assert_eq!(document["packages"][1]["versionInfo"], "2.12.1");
    assert_eq!(document["creationInfo"]["created"], "1970-01-01T00:00:00Z");
    let relations: Vec<_> = { document["relationships"].as_array().unwrap().iter() }
        .map(|r| {
            format!(
                "{} {} {}",
                r["spdxElementId"], r["relationshipType"], r["relatedSpdxElement"]
            )
            .replace('"', "")
        })
        .collect();
    assert_eq!(
        relations,
        [
            "SPDXRef-DOCUMENT DESCRIBES SPDXRef-Image",
            "SPDXRef-Image CONTAINS SPDXRef-Package-0",
            "SPDXRef-Image CONTAINS SPDXRef-Package-1",
            "SPDXRef-Image DEPENDS_ON SPDXRef-Package-0",
            "SPDXRef-Package-0 DEPENDS_ON SPDXRef-Package-1",
        ]
    );
    assert_eq!(spdx(&closure(), &subject()), document);
    let other = Subject {
        version: None,
        ..subject()
    };
    assert_ne!(
        spdx(&closure(), &other)["documentNamespace"],
        document["documentNamespace"]
    );
}

#[test]
fn cyclonedx_says_who_depends_on_whom() {
    let document = cyclonedx(&closure(), &subject());
    assert_eq!(document["components"][0]["name"], "hello");
    assert_eq!(
        document["dependencies"][0]["dependsOn"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        document["dependencies"][1]["dependsOn"][0],
        closure().components[1].path
    );
    let serial = document["serialNumber"].as_str().unwrap();
    assert_eq!(serial.len(), 45);
    assert_eq!(cyclonedx(&closure(), &subject()), document);
}
