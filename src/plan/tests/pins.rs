//! Pinned layers by flag and by file.

use super::super::*;
use super::{closure_of, items, limits};
use crate::source::Closure;

fn closure() -> Closure {
    let path = |name: &str| format!("/nix/store/{}-{name}", "0".repeat(32));
    let names = ["glibc-2.36", "glibc-2.36-doc", "gcc-12-lib", "hello-1"];
    let nodes = names
        .iter()
        .enumerate()
        .map(|(i, name)| (path(name), Vec::new(), i as u64));
    closure_of(nodes.chain([("/opt/app".to_owned(), Vec::new(), 9)]))
}

fn shape(pins: Pins, strategy: Strategy, max: usize) -> Result<Vec<String>, PlanError> {
    let request = Request {
        pins,
        ..Request::new(strategy, limits(max))
    };
    let (plan, _) = draw(items(&closure()), &request)?;
    let line = |layer: &PlanLayer| {
        let names: Vec<&str> = layer.members.iter().map(Member::identity).collect();
        format!(
            "{} {}: {}",
            layer.kind.name(),
            layer.name.as_deref().unwrap_or("-"),
            names.join(" ")
        )
    };
    Ok(plan.layers.iter().map(line).collect())
}

fn flags(texts: &[&str]) -> Result<Pins, PlanError> {
    let mut pins = Pins::default();
    texts.iter().try_for_each(|text| pins.add_flag(text))?;
    Ok(pins)
}

#[test]
fn pinned_layers_lie_lowest_in_the_order_of_the_flags() {
    let pins = flags(&["app=/opt/**", "rt=glibc", "rt=/nix/store/*-gcc-*-lib"]).unwrap();
    let expected = [
        "pinned app: /opt/app",
        "pinned rt: gcc-lib glibc",
        "single -: glibc-doc",
        "single -: hello",
        "customisation -: ",
    ];
    for strategy in [Strategy::Size1, Strategy::Balanced1] {
        assert_eq!(shape(pins.clone(), strategy, 9).unwrap(), expected);
    }
    let tight = shape(pins, Strategy::Popularity1, 4).unwrap();
    assert_eq!(tight[2..], ["rest -: glibc-doc hello", "customisation -: "]);
}

#[test]
fn the_first_pin_that_matches_has_it() {
    let shape = shape(flags(&["a=glibc*", "b=*"]).unwrap(), Strategy::Size1, 3).unwrap();
    assert_eq!(
        shape[..2],
        [
            "pinned a: glibc glibc-doc",
            "pinned b: /opt/app gcc-lib hello"
        ]
    );
}

#[test]
fn flags_that_make_no_sense() {
    for (flag, text) in [
        ("glibc", "--layer glibc: expected NAME=GLOB"),
        ("=glibc", "--layer =glibc: the layer needs a name"),
        ("a=", "--layer a=: an empty glob"),
        (
            "a=[",
            "--layer a=[: error parsing glob '[': unclosed character class; missing ']'",
        ),
    ] {
        assert_eq!(flags(&[flag]).unwrap_err().to_string(), text);
    }
    let error = shape(
        flags(&["a=glibc", "a=nothing*"]).unwrap(),
        Strategy::Size1,
        9,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "--layer a=nothing*: no component matches nothing*"
    );
    let error = shape(flags(&["a=glibc", "b=hello"]).unwrap(), Strategy::Size1, 3).unwrap_err();
    let text = "--layer b=hello: 2 pinned and volatile layers and one for everything else do not fit into 2";
    assert_eq!(error.to_string(), text);
    assert_eq!(
        error.hint().unwrap(),
        "allow 1 more with --max-layers, or pin fewer layers"
    );
}

#[cfg(feature = "cli")]
mod file {
    use super::{Pins, Strategy, shape};

    fn file(text: &str) -> Result<Pins, super::PlanError> {
        let mut pins = Pins::default();
        pins.add_file(text, "layers.toml")?;
        Ok(pins)
    }

    #[test]
    fn a_file_says_more() {
        let pins = file(
            r#"
            [[layer]]
            name = "app"
            match = ["/opt/*"]
            top = true
            [[layer]]
            name = "c"
            match = ["glibc*"]
            except = ["*-doc"]
            [[layer]]
            name = "none"
            match = ["perl*"]
            optional = true
            "#,
        );
        let expected = [
            "pinned c: glibc",
            "single -: gcc-lib",
            "single -: glibc-doc",
            "single -: hello",
            "pinned app: /opt/app",
            "customisation -: ",
        ];
        assert_eq!(shape(pins.unwrap(), Strategy::Size1, 9).unwrap(), expected);
        assert_eq!(
            shape(file("").unwrap(), Strategy::Size1, 9).unwrap().len(),
            6
        );
    }

    #[test]
    fn faults_name_file_and_line() {
        for (text, expected) in [
            (
                "[[layer]]\nname = 1\n",
                "layers.toml, line 2: invalid type: integer `1`, expected a string",
            ),
            (
                "\n[[layer]\n",
                "layers.toml, line 2: unclosed array table, expected `]`",
            ),
            (
                "[[layer]]\nname = \"a\"\nmatch = []\n",
                "layers.toml, line 2: nothing for the layer `a` to match",
            ),
            (
                "[[layer]]\nname = \"a\"\nmatch = [\n\"x\",\n\"[\"]\n",
                "layers.toml, line 5: error parsing glob '[': unclosed character class; missing ']'",
            ),
            (
                "[[layer]]\nname = \"a\"\nmatch = [\"x\"]\n[[layer]]\nname = \"a\"\nmatch = [\"x\"]\n",
                "layers.toml, line 5: a second layer `a`",
            ),
            (
                "[[layer]]\nnam = 1\n",
                "layers.toml, line 2: unknown field `nam`, expected one of `name`, `match`, `except`, `top`, `optional`",
            ),
        ] {
            assert_eq!(file(text).unwrap_err().to_string(), expected);
        }
        let unmatched = file("[[layer]]\nname = \"a\"\nmatch = [\"glibc\",\n\"x*\"]\n").unwrap();
        let error = shape(unmatched, Strategy::Size1, 9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "layers.toml, line 4: no component matches x*"
        );
    }
}
