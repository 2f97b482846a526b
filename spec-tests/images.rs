//! Layouts made from the descriptions in `testdata/images`; see the README there.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use plywood::blob::Digest;
use plywood::image::canonical;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::tarball;

/// One description.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Description {
    pub name: String,
    pub rule: u16,
    pub level: Option<String>,
    pub layers: Option<Vec<Layer>>,
    pub config: Map<String, Value>,
    pub manifest: Map<String, Value>,
    pub index: Map<String, Value>,
    pub marker: Map<String, Value>,
    pub text: Vec<[String; 3]>,
    pub nest: usize,
    pub also: Vec<Vec<String>>,
    pub disk: Vec<String>,
    pub archive: Option<String>,
    pub members: Vec<[String; 2]>,
    pub gzip: bool,
    pub cut: Option<usize>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layer {
    pub codec: Option<String>,
    pub media_type: Option<String>,
    pub tar: Option<Vec<String>>,
    /// Hexadecimal.
    pub append: String,
    /// Bytes taken off the end.
    pub cut: usize,
}

#[derive(Deserialize)]
struct File {
    case: Vec<Description>,
}

/// The descriptions of a folder, sorted by file, then as they stand there.
pub fn descriptions(folder: &str) -> Vec<Description> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/images");
    let entries = walkdir::WalkDir::new(root.join(folder)).sort_by_file_name();
    let files = entries.into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    let cases = files.flat_map(|entry| {
        let text = fs::read_to_string(entry.path()).unwrap();
        let file: File =
            toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", entry.path().display()));
        file.case
    });
    cases.collect()
}

/// A layout on disk; gone when dropped.
pub struct Made {
    _dir: TempDir,
    /// The directory or the archive.
    pub path: PathBuf,
}

impl Description {
    /// Makes it.
    pub fn make(&self) -> Made {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("image");
        let mut maker = Maker {
            root,
            names: BTreeMap::new(),
        };
        maker.layout(self);
        let path = match self.archive.as_deref() {
            None => maker.root.clone(),
            Some(kind) => maker.archive(self, kind, &dir.path().join("image.tar")),
        };
        Made { _dir: dir, path }
    }
}

struct Maker {
    root: PathBuf,
    /// What `{…}` stands for.
    names: BTreeMap<String, String>,
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

impl Maker {
    fn layout(&mut self, case: &Description) {
        fs::create_dir_all(self.root.join("blobs/sha256")).unwrap();
        let layers = case
            .layers
            .clone()
            .unwrap_or_else(|| vec![Layer::default()]);
        let mut descriptors = Vec::new();
        let mut diff_ids = Vec::new();
        for (i, layer) in layers.iter().enumerate() {
            let lines = layer.tar.clone();
            let tar = tarball::archive(&lines.unwrap_or_else(|| {
                vec![
                    "dir bin/ mode=755".into(),
                    "file bin/app text=app mode=755".into(),
                ]
            }));
            let mut bytes = compress(layer.codec.as_deref(), &tar);
            bytes.truncate(bytes.len() - layer.cut);
            bytes.extend(tarball::unhex(&layer.append));
            let codec = layer
                .codec
                .as_deref()
                .unwrap_or_default()
                .split('-')
                .next()
                .unwrap();
            let suffix = if codec.is_empty() {
                String::new()
            } else {
                format!("+{codec}")
            };
            let media_type = layer
                .media_type
                .clone()
                .unwrap_or(format!("{LAYER}{suffix}"));
            descriptors.push(self.blob(&format!("layer{i}"), &media_type, &bytes));
            // An uncompressed layer that was cut is what it is.
            let plain = if codec.is_empty() { &bytes } else { &tar };
            diff_ids.push(Digest::of(plain).to_string());
        }
        let history: Vec<_> = layers
            .iter()
            .map(|_| json!({"created_by": "test"}))
            .collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
        });
        let config = self.document("config", case, &case.config, config);
        let config = self.blob(
            "config",
            "application/vnd.oci.image.config.v1+json",
            &config,
        );
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": descriptors});
        let manifest = self.document("manifest", case, &case.manifest, manifest);
        let mut entry = self.blob("manifest", MANIFEST, &manifest);
        entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
        for depth in 0..case.nest {
            let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
            entry = self.blob(&format!("nested{depth}"), INDEX, &canonical(&index));
        }
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        let index = self.document("index", case, &case.index, index);
        let index = self.beside(case, index);
        fs::write(self.root.join("index.json"), index).unwrap();
        let marker = json!({"imageLayoutVersion": "1.0.0"});
        let marker = self.document("marker", case, &case.marker, marker);
        fs::write(self.root.join("oci-layout"), marker).unwrap();
        for step in &case.disk {
            self.disk(step);
        }
    }

    /// Further documents, each with an entry of its own in the index.
    fn beside(&mut self, case: &Description, index: Vec<u8>) -> Vec<u8> {
        if case.also.is_empty() {
            return index;
        }
        let mut index: Value = serde_json::from_slice(&index).unwrap();
        for also in &case.also {
            let mut entry = self.blob("also", &also[0], also[1].as_bytes());
            if let Some(members) = also.get(2) {
                let members: Map<String, Value> = serde_json::from_str(members).unwrap();
                entry.as_object_mut().unwrap().extend(members);
            }
            index["manifests"].as_array_mut().unwrap().push(entry);
        }
        canonical(&index)
    }

    fn blob(&mut self, name: &str, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        let file = format!("blobs/sha256/{}", digest.hex());
        fs::write(self.root.join(&file), bytes).unwrap();
        self.names.insert(format!("{{{name}}}"), file);
        self.names
            .insert(format!("{{{name}.digest}}"), digest.to_string());
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    }

    fn fill(&self, text: &str) -> String {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        let filled = text.replace("{deep}", &deep);
        let names = self.names.iter();
        names.fold(filled, |text, (name, value)| text.replace(name, value))
    }

    fn document(
        &self,
        name: &str,
        case: &Description,
        changes: &Map<String, Value>,
        mut document: Value,
    ) -> Vec<u8> {
        for (pointer, value) in changes {
            let value = self.value(value);
            set(&mut document, pointer, value);
        }
        let mut text = String::from_utf8(canonical(&document)).unwrap();
        for [_, old, new] in case.text.iter().filter(|[of, ..]| of == name) {
            assert!(text.contains(old), "{}: no {old} in {text}", case.name);
            text = text.replace(old, &self.fill(new));
        }
        text.into_bytes()
    }

    /// A value of a description: names filled in, `"null"` for null.
    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text == "null" => Value::Null,
            Value::String(text) => self.fill(text).into(),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => {
                let members = members.iter();
                members.map(|(k, v)| (k.clone(), self.value(v))).collect()
            }
            other => other.clone(),
        }
    }

    fn disk(&self, step: &str) {
        let step = self.fill(step);
        let mut words = step.splitn(3, ' ');
        let (verb, first) = (words.next().unwrap(), words.next().unwrap());
        let second = words.next().unwrap_or_default();
        let path = self.root.join(first);
        match verb {
            "rm" if path.is_dir() => fs::remove_dir_all(path).unwrap(),
            "rm" => fs::remove_file(path).unwrap(),
            "write" => fs::write(path, second).unwrap(),
            "mkdir" => fs::create_dir(path).unwrap(),
            "move" => fs::rename(path, self.root.join(second)).unwrap(),
            "copy" => drop(fs::copy(path, self.root.join(second)).unwrap()),
            "link" => symlink(second, path).unwrap(),
            "chmod" => {
                let mode = fs::Permissions::from_mode(u32::from_str_radix(first, 8).unwrap());
                fs::set_permissions(self.root.join(second), mode).unwrap();
            }
            "fifo" => {
                let mode = rustix::fs::Mode::from_raw_mode(0o644);
                rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)
                    .unwrap();
            }
            "flip" => {
                let mut bytes = fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(path, bytes).unwrap();
            }
            other => panic!("no such step: {other}"),
        }
    }

    fn archive(&self, case: &Description, kind: &str, path: &Path) -> PathBuf {
        let mut members: Vec<(String, Vec<u8>)> = Vec::new();
        if kind == "docker" {
            self.docker_members(&mut members);
        } else {
            let entries = walkdir::WalkDir::new(&self.root).sort_by_file_name();
            for entry in entries.into_iter().map(Result::unwrap) {
                if entry.file_type().is_file() {
                    let name = entry.path().strip_prefix(&self.root).unwrap();
                    members.push((
                        name.to_str().unwrap().to_owned(),
                        fs::read(entry.path()).unwrap(),
                    ));
                }
            }
        }
        let more = case.members.iter();
        members.extend(more.map(|[name, text]| (name.clone(), text.clone().into_bytes())));
        let mut bytes: Vec<u8> = Vec::new();
        for (name, content) in &members {
            bytes.extend(tarball::member(name, content));
        }
        bytes.extend([0; 1024]);
        if case.gzip {
            bytes = compress(Some("gzip"), &bytes);
        }
        bytes.truncate(bytes.len() - case.cut.unwrap_or(0));
        fs::write(path, bytes).unwrap();
        path.to_owned()
    }

    fn docker_members(&self, members: &mut Vec<(String, Vec<u8>)>) {
        let read = |name: &str| fs::read(self.root.join(&self.names[name])).unwrap();
        let config = self.names["{config}"].replace("blobs/sha256/", "") + ".json";
        let item = json!([{"Config": config, "RepoTags": ["app:1"], "Layers": ["layer.tar"]}]);
        members.push((config, read("{config}")));
        members.push(("layer.tar".to_owned(), read("{layer0}")));
        members.push(("manifest.json".to_owned(), canonical(&item)));
    }
}

fn compress(codec: Option<&str>, tar: &[u8]) -> Vec<u8> {
    use flate2::{Compression, GzBuilder};
    let gzip = |bytes: &[u8], builder: GzBuilder| {
        let mut writer = builder.write(Vec::new(), Compression::new(6));
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    };
    let zstd = |bytes: &[u8], window: u32| {
        let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        writer
            .set_parameter(zstd::stream::raw::CParameter::WindowLog(window))
            .unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    };
    let (first, second) = tar.split_at(tar.len() / 2);
    match codec {
        None => tar.to_vec(),
        Some("gzip") => gzip(tar, GzBuilder::new()),
        Some("gzip-name") => gzip(tar, GzBuilder::new().filename("layer.tar")),
        Some("gzip-time") => gzip(tar, GzBuilder::new().mtime(1_700_000_000)),
        Some("gzip-many") => [
            gzip(first, GzBuilder::new()),
            gzip(second, GzBuilder::new()),
        ]
        .concat(),
        Some("zstd") => zstd(tar, 20),
        Some("zstd-long") => zstd(tar, 24),
        Some("zstd-many") => {
            let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
            [zstd(first, 20), skippable, zstd(second, 20)].concat()
        }
        Some(other) => panic!("no such codec: {other}"),
    }
}

/// Sets the member that a pointer names; `"-"` removes it.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("no parent of {pointer}"));
    match parent {
        Value::Array(items) => {
            let place: usize = name.parse().unwrap();
            items.resize(items.len().max(place + 1), Value::Null);
            items[place] = value;
        }
        Value::Object(members) if value == "-" => drop(members.remove(name).unwrap()),
        other => other[name] = value,
    }
}
