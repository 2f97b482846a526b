//! A layout under any series of operations says what a simple model says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use plywood::blob::{SyncMode, read_all};
use plywood::layout::{GcOptions, Layout, LayoutError, WriteOptions};
use plywood::target::closure;
use proptest::prelude::*;

use crate::layout::{assert_no_litter, image};

#[derive(Clone, Debug)]
enum Op {
    /// Build this content under this name.
    Publish(u8, u8),
    /// The same through the writer that is kept open, if there is one.
    PublishByOther(u8, u8),
    Untag(u8),
    Gc,
    /// Break the blob of this number, by turns in several ways.
    Damage(u8),
    /// What a killed process leaves.
    Litter(u8),
    OpenOther,
    CloseOther,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4u8, 0..3u8).prop_map(|(content, name)| Op::Publish(content, name)),
        2 => (0..4u8, 0..3u8).prop_map(|(content, name)| Op::PublishByOther(content, name)),
        2 => (0..3u8).prop_map(Op::Untag),
        2 => Just(Op::Gc),
        1 => any::<u8>().prop_map(Op::Damage),
        1 => any::<u8>().prop_map(Op::Litter),
        1 => Just(Op::OpenOther),
        1 => Just(Op::CloseOther),
    ]
}

fn options() -> WriteOptions {
    WriteOptions {
        sync: SyncMode::None,
        lock_timeout: Some(Duration::ZERO),
        ..WriteOptions::default()
    }
}

struct World {
    home: tempfile::TempDir,
    other: Option<Layout>,
    /// Which content each name has.
    names: BTreeMap<u8, u8>,
    /// Whether some blob may be broken that no build has put right yet.
    damaged: bool,
}

impl World {
    fn new() -> Self {
        let world = Self {
            home: tempfile::tempdir().unwrap(),
            other: None,
            names: BTreeMap::new(),
            damaged: false,
        };
        drop(world.open());
        world
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn open(&self) -> Layout {
        Layout::create_or_open(self.path(), &options()).unwrap()
    }

    fn publish(&mut self, layout: &Layout, content: u8, name: u8) {
        let entry = image(layout.blobs(), &content.to_string(), &format!("n{name}"));
        layout.publish(&[entry]).unwrap();
        self.names.insert(name, content);
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Publish(content, name) => {
                let layout = self.open();
                self.publish(&layout, content, name);
            }
            Op::PublishByOther(content, name) => {
                if let Some(layout) = self.other.take() {
                    self.publish(&layout, content, name);
                    self.other = Some(layout);
                }
            }
            Op::Untag(name) => {
                let untagged = self.open().untag(&[format!("n{name}")]);
                assert_eq!(untagged.is_ok(), self.names.remove(&name).is_some());
            }
            Op::Gc => match self.open().gc(GcOptions::default()) {
                Ok(_) => assert!(self.other.is_none()),
                Err(LayoutError::Locked { .. }) => assert!(self.other.is_some()),
                Err(LayoutError::Graph { .. }) => assert!(self.damaged),
                Err(error) => panic!("{error}"),
            },
            Op::Damage(number) => self.damage(number),
            Op::Litter(number) => {
                fs::write(self.path().join(format!(".plywood-1-{number}")), "half").unwrap();
            }
            Op::OpenOther => self.other = Some(self.open()),
            Op::CloseOther => self.other = None,
        }
    }

    fn damage(&mut self, number: u8) {
        let blobs = self.path().join("blobs/sha256");
        let mut blobs: Vec<_> = fs::read_dir(blobs)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        blobs.sort();
        let Some(blob) = blobs.get(usize::from(number) % blobs.len().max(1)) else {
            return;
        };
        self.damaged = true;
        if blob.is_dir() {
            return;
        }
        match number % 3 {
            0 => fs::write(blob, "").unwrap(),
            1 => fs::remove_file(blob).unwrap(),
            _ => {
                fs::remove_file(blob).unwrap();
                fs::create_dir(blob).unwrap();
            }
        }
    }

    /// Names are what the model says; with the damage built over, so is every byte.
    fn check(&mut self) {
        let index = Layout::open(self.path());
        let index = match index {
            Ok(layout) => layout.index().unwrap().value,
            Err(LayoutError::NotALayout { .. }) if self.names.is_empty() => return,
            Err(error) => panic!("{error}"),
        };
        let names = index
            .manifests
            .iter()
            .map(|e| e.ref_name().unwrap().to_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        let wanted: Vec<_> = self.names.keys().map(|name| format!("n{name}")).collect();
        assert_eq!(names, wanted);
    }

    fn finish(mut self) {
        self.other = None;
        for (name, content) in self.names.clone() {
            let layout = self.open();
            self.publish(&layout, content, name);
        }
        let mut layout = self.open();
        layout.gc(GcOptions::default()).unwrap();
        for entry in layout.index().unwrap().value.manifests {
            for blob in closure(layout.blobs(), &[entry.descriptor]).unwrap() {
                read_all(layout.blobs(), &blob, u64::MAX).unwrap();
            }
        }
        assert_no_litter(self.path());
        let different: std::collections::BTreeSet<_> = self.names.values().collect();
        let count = fs::read_dir(self.path().join("blobs/sha256"))
            .unwrap()
            .count();
        assert_eq!(count, 3 * different.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_series(ops in prop::collection::vec(op(), 1..30)) {
        let mut world = World::new();
        for op in &ops {
            world.apply(op);
            world.check();
        }
        world.finish();
    }
}
