//! `check::verify` against `testdata/images`: every broken rule is told, and nothing else fails.

use plywood::check::{Fault, Level, verify};
use plywood::image::Image;
use plywood::layout::Layout;

use crate::images::{Description, descriptions};

/// Rules that a defect breaks beside its own, because one thing is wrong in two ways.
const TOGETHER: &[(u16, &[u16])] = &[
    // A document that cannot be read refers to nothing, so what it named is left over.
    (0, &[7]),
    (1, &[6]),
    (32, &[33]),
    (50, &[30]),
    (55, &[30]),
    (56, &[30]),
    (94, &[98]),
    (96, &[95]),
    (110, &[98]),
];

fn shown(faults: &[Fault]) -> String {
    let lines: Vec<_> = faults
        .iter()
        .map(|f| format!("  {:?} {f}", f.level))
        .collect();
    lines.join("\n")
}

fn goes_with(case: &Description, fault: &Fault) -> bool {
    fault.rule == case.rule
        || TOGETHER
            .iter()
            .any(|(rule, more)| (*rule == case.rule || *rule == 0) && more.contains(&fault.rule))
}

#[test]
fn every_broken_layout_is_caught_by_its_rule() {
    let cases = descriptions("bad");
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let made = case.make();
        let faults = verify(&made.path).unwrap();
        let level = case.level.as_deref().unwrap_or("fails");
        let caught = faults
            .iter()
            .any(|f| f.rule == case.rule && f.fails() == (level == "fails"));
        let others = faults.iter().any(|fault| !goes_with(case, fault));
        if !caught || others {
            wrong.push(format!(
                "{} (rule {}):\n{}",
                case.name,
                case.rule,
                shown(&faults)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn good_layouts_pass() {
    for case in descriptions("good") {
        let made = case.make();
        let faults = verify(&made.path).unwrap();
        assert!(faults.is_empty(), "{}:\n{}", case.name, shown(&faults));
    }
}

#[test]
fn a_base_is_told_and_not_held_against_the_image() {
    let mut case = descriptions("bad")
        .into_iter()
        .find(|case| case.name == "one file in two layers")
        .unwrap();
    let fails = |case: &Description| verify(&case.make().path).unwrap().iter().any(Fault::fails);
    assert!(fails(&case));
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let base = serde_json::json!({"org.opencontainers.image.base.digest": digest});
    case.manifest.insert("/annotations".into(), base);
    assert!(!fails(&case));
}

#[test]
fn the_list_is_the_same_every_time() {
    let case = descriptions("bad")
        .into_iter()
        .find(|case| case.name == "no order")
        .unwrap();
    let made = case.make();
    let first = verify(&made.path).unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(verify(&made.path).unwrap(), first);
}

#[test]
fn what_is_not_there_is_an_error() {
    let error = verify("/nonexistent/layout".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "could not read /nonexistent/layout");
}

#[test]
fn what_breaks_a_must_of_a_document_is_not_loaded() {
    for case in descriptions("bad") {
        let made = case.make();
        // Layers are not read by then, and docker's manifest not at all.
        let documents = (13..=76).contains(&case.rule) && ![24, 65].contains(&case.rule);
        let faults = verify(&made.path).unwrap();
        let must = faults
            .iter()
            .any(|f| f.rule == case.rule && f.level == Level::Must);
        if !must || !documents || case.archive.is_some() {
            continue;
        }
        let loaded = Layout::open(&made.path)
            .map_err(|e| e.to_string())
            .and_then(|layout| {
                let entry = layout.resolve(Some("v1")).map_err(|e| e.to_string())?;
                Image::load(layout.blobs(), &entry, None).map_err(|e| e.to_string())
            });
        // An artifact beside the image does not keep the image from being read.
        assert!(loaded.is_err() || !case.also.is_empty(), "{}", case.name);
    }
}
