//! What reaches the disk in which order, read from the calls of a run.
//!
//! No power cut shows that the directory of the blobs is flushed: the file systems at hand write
//! names along with bytes. Others need not.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Scene, Start, told, tool};
use crate::kit::skipped;

/// What a run did to a layout, one thing after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The bytes of a file without a name, or of a temporary, are on the disk.
    Flushed,
    /// A blob got its name.
    Blob,
    /// The names of a directory of the layout are on the disk; of which.
    Names(String),
    /// `index.json` was replaced.
    Index,
}

/// The steps of a run by what strace wrote with `-y`, which names what handles are of.
fn steps(log: &str, layout: &Path) -> Vec<Step> {
    let layout = layout.display().to_string();
    let done = log.lines().filter(|line| !line.contains(" = -1 "));
    done.filter_map(|line| step(line, &layout)).collect()
}

fn step(line: &str, layout: &str) -> Option<Step> {
    let (call, rest) = line
        .trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
        .split_once('(')?;
    let place = |text: &str| -> Option<String> {
        let inside = text.split_once('<')?.1.split_once('>')?.0;
        Some(
            inside
                .strip_prefix(layout)?
                .trim_start_matches('/')
                .to_owned(),
        )
    };
    match call {
        "fsync" | "fdatasync" => {
            let place = place(rest)?;
            // Nameless files are shown by number, as if they had been removed.
            let file = place.contains('#') || place.contains(".plywood-");
            Some(if file {
                Step::Flushed
            } else {
                Step::Names(place)
            })
        }
        "linkat" | "renameat" | "renameat2" => {
            let to = rest
                .rsplit_once("\", ")
                .filter(|_| call == "linkat")
                .map_or(rest, |(head, _)| head);
            let (to, name) = to.rsplit_once(", \"")?;
            let directory = place(to.rsplit_once(", ").map_or(to, |(_, handle)| handle))?;
            let name = name.trim_end_matches(|c| c != '"').trim_end_matches('"');
            match (&*directory, name) {
                ("blobs/sha256", _) => Some(Step::Blob),
                ("", "index.json") => Some(Step::Index),
                _ => None,
            }
        }
        _ => None,
    }
}

#[test]
fn bytes_before_names_before_the_index() {
    if !tool("strace", &["-V"]) {
        return skipped("no strace");
    }
    let scene = Scene::new();
    let layout = scene.at("layout");
    let aside = scene.at("aside");
    scene.must(&aside, "new");
    let log = scene.at("trace");
    let calls = "trace=fsync,fdatasync,linkat,renameat,renameat2";
    let strace = [
        "strace",
        "-f",
        "-y",
        "-qqq",
        "-o",
        log.to_str().unwrap(),
        "-e",
        calls,
    ];
    for start in [Start::Nothing, Start::Old] {
        for verb in ["build", "copy"] {
            scene.prepare(&layout, start);
            let mut run = match verb {
                "build" => scene.command(&strace, &layout, "new"),
                _ => {
                    let mut run = Command::new(strace[0]);
                    run.args(&strace[1..])
                        .arg(env!("CARGO_BIN_EXE_plywood"))
                        .arg("copy");
                    run.arg(format!("{}:new", aside.display()));
                    run.arg(format!("oci:{}:new", layout.display()));
                    run
                }
            };
            let ran = run.output().unwrap();
            assert!(ran.status.success(), "{}", told(&ran));
            let steps = steps(&fs::read_to_string(&log).unwrap(), &layout);
            assert_order(&steps);
        }
    }
}

fn assert_order(steps: &[Step]) {
    let names = |place: &str| Step::Names(place.to_owned());
    let last = |step: &Step| {
        steps
            .iter()
            .rposition(|s| s == step)
            .unwrap_or_else(|| panic!("{step:?} of {steps:?}"))
    };
    let after = |from: usize, step: Step| {
        let found = steps[from..].iter().position(|s| *s == step);
        from + found.unwrap_or_else(|| panic!("no {step:?} after {from} of {steps:?}"))
    };
    // Every name is that of bytes that are on the disk.
    let mut flushed = 0;
    let mut named = 0;
    for step in steps {
        flushed += usize::from(*step == Step::Flushed);
        named += usize::from(matches!(step, Step::Blob | Step::Index));
        assert!(flushed >= named, "{steps:?}");
    }
    let blobs = steps.iter().filter(|step| **step == Step::Blob).count();
    assert!(blobs >= 3, "{steps:?}");
    // All blobs, their directories, then the bytes of the index, its name, and its directory.
    let directory = after(last(&Step::Blob), names("blobs/sha256"));
    let above = after(directory, names("blobs"));
    let bytes = after(above, Step::Flushed);
    let index = after(bytes, Step::Index);
    after(index, names(""));
    assert_eq!(last(&Step::Index), index, "{steps:?}");
}
