//! Layouts made to harm: every verb that reads them ends soon, in little memory, with a clear refusal.
//!
//! What single rules of the specification say is in `testdata/images`; here is what only a run of
//! the program shows: exit codes, texts, time, memory, and that nothing was written.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use plywood::blob::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::crash::{self, snapshot};
use crate::kit::Tree;
use crate::tarball;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A layout in the making.
struct Bad {
    home: TempDir,
}

impl Bad {
    fn new() -> Self {
        let home = TempDir::with_prefix("plybad").unwrap();
        let bad = Self { home };
        fs::create_dir_all(bad.at("blobs/sha256")).unwrap();
        fs::write(bad.at("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        bad
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join("bad").join(path)
    }

    fn file(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().unwrap();
        self.at("blobs").join(digest.replace(':', "/"))
    }

    fn blob(&self, media_type: &str, bytes: impl AsRef<[u8]>) -> Value {
        let bytes = bytes.as_ref();
        let digest = Digest::of(bytes).to_string();
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        fs::write(self.file(&descriptor), bytes).unwrap();
        descriptor
    }

    fn document(&self, media_type: &str, value: &Value) -> Value {
        self.blob(media_type, value.to_string())
    }

    fn layer(&self) -> Value {
        self.blob(LAYER, plain())
    }

    fn config(&self) -> Value {
        self.document(CONFIG, &config(&plain()))
    }

    fn manifest(&self, config: &Value, layer: &Value) -> Value {
        self.document(MANIFEST, &manifest(config, layer))
    }

    /// An image of one layer, its blob not what it should be.
    fn packed(&self, codec: &str, bytes: &[u8]) {
        let layer = self.blob(&format!("{LAYER}{codec}"), bytes);
        self.index(&self.manifest(&self.config(), &layer));
    }

    fn index(&self, image: &Value) {
        let mut image = image.clone();
        image["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
        image["platform"] = json!({"os": "linux", "architecture": "amd64"});
        self.raw_index(&json!([image]));
    }

    fn raw_index(&self, manifests: &Value) {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        fs::write(self.at("index.json"), index.to_string()).unwrap();
    }

    fn good(&self) -> [Value; 3] {
        let (config, layer) = (self.config(), self.layer());
        let manifest = self.manifest(&config, &layer);
        self.index(&manifest);
        [manifest, config, layer]
    }

    /// A good image, one of whose blobs is something else.
    fn replaced(&self, which: usize, by: impl FnOnce(&Path)) {
        let file = self.file(&self.good()[which]);
        by(&file);
    }
}

fn plain() -> Vec<u8> {
    tarball::archive(&["file f text=hello".to_owned()])
}

fn config(tar: &[u8]) -> Value {
    let ids = [Digest::of(tar).to_string()];
    json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}})
}

fn manifest(config: &Value, layer: &Value) -> Value {
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// So many gigabytes of zeros after a tar, in a few megabytes.
fn bomb(pack: impl Fn(&[u8]) -> Vec<u8>, gigabytes: usize) -> Vec<u8> {
    let zeros = pack(&vec![0; 16 << 20]);
    [pack(&plain()), zeros.repeat(gigabytes * 64)].concat()
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    // In what a layer's file holds, where no checksum of the tar is.
    let place = bytes.len() / 4 + 3;
    bytes[place] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// Name, what is made, the codes of `verify`, `inspect`, `ls`, `copy` and `build`, what `verify`
/// says, and what the others that refuse it say.
type Case = (&'static str, fn(&Bad), [i32; 5], &'static str, &'static str);

const REFUSED: [i32; 5] = [1, 3, 3, 3, 3];
/// What is wrong inside a layer is nothing that a copy looks at.
const LAYER_REFUSED: [i32; 5] = [1, 3, 3, 0, 3];

fn with_digest(bad: &Bad, digest: &str) {
    let mut image = bad.good()[0].clone();
    image["digest"] = digest.into();
    bad.index(&image);
}

const CASES: &[Case] = &[
    (
        "traversal",
        |bad| with_digest(bad, "sha256:../../../../etc/passwd"),
        REFUSED,
        "rule 22: index.json#/manifests/0/digest",
        "because of /manifests/0/digest: `sha256:../../../../etc/passwd` is not as many lower-case hexadecimal digits",
    ),
    (
        "upper case",
        |bad| with_digest(bad, &format!("sha256:{}", "A".repeat(64))),
        REFUSED,
        "rule 22: index.json#/manifests/0/digest",
        "because of /manifests/0/digest: `sha256:AAAA",
    ),
    (
        "wrong length",
        |bad| with_digest(bad, "sha256:abcd"),
        REFUSED,
        "rule 22: index.json#/manifests/0/digest",
        "because of /manifests/0/digest: `sha256:abcd` is not as many",
    ),
    (
        "md5",
        |bad| with_digest(bad, "md5:d41d8cd98f00b204e9800998ecf8427e"),
        REFUSED,
        "rule 22: index.json#/manifests/0/digest",
        "`md5:d41d8cd98f00b204e9800998ecf8427e` uses an algorithm other than sha256 and sha512",
    ),
    (
        "traversal below",
        |bad| {
            let mut layer = bad.layer();
            layer["digest"] = "sha256:../../index.json".into();
            bad.index(&bad.manifest(&bad.config(), &layer));
        },
        REFUSED,
        "#/layers/0/digest: `sha256:../../index.json` is not as many",
        "because of /layers/0/digest: `sha256:../../index.json` is not as many",
    ),
    (
        "manifests and layers",
        |bad| {
            let mut both = manifest(&bad.config(), &bad.layer());
            both["manifests"] = json!([]);
            bad.index(&bad.document(MANIFEST, &both));
        },
        REFUSED,
        "#/manifests: `manifests` belongs to another kind of document",
        "because of /manifests: `manifests` belongs to another kind of document",
    ),
    (
        "size of a layer",
        |bad| {
            let mut layer = bad.layer();
            layer["size"] = 7.into();
            bad.index(&bad.manifest(&bad.config(), &layer));
        },
        REFUSED,
        "#/layers/0: size is 7,",
        "is damaged: it has 2048 bytes instead of 7",
    ),
    (
        "size of a manifest",
        |bad| {
            let mut image = bad.good()[0].clone();
            image["size"] = 7.into();
            bad.index(&image);
        },
        REFUSED,
        "index.json#/manifests/0: size is 7,",
        "is damaged: it has 397 bytes instead of 7",
    ),
    (
        "size below nothing",
        |bad| {
            let mut image = bad.good()[0].clone();
            image["size"] = (-1).into();
            bad.index(&image);
        },
        REFUSED,
        "rule 24: index.json#/manifests/0/size",
        "because of /manifests/0/size: `-1` is not a size: a whole number from 0 to 2^63-1",
    ),
    (
        "a bit of a manifest",
        |bad| bad.replaced(0, flip),
        REFUSED,
        "its bytes have the digest",
        "is damaged: its bytes have the digest",
    ),
    (
        "a bit of a config",
        |bad| bad.replaced(1, flip),
        REFUSED,
        "its bytes have the digest",
        "is damaged: its bytes have the digest",
    ),
    (
        "a bit of a layer",
        |bad| bad.replaced(2, flip),
        REFUSED,
        "its bytes have the digest",
        "is damaged: its bytes have the digest",
    ),
    (
        "no manifest",
        |bad| bad.replaced(0, |f| fs::remove_file(f).unwrap()),
        REFUSED,
        "is missing",
        "is missing from bad",
    ),
    (
        "no config",
        |bad| bad.replaced(1, |f| fs::remove_file(f).unwrap()),
        REFUSED,
        "is missing",
        "is missing from bad",
    ),
    (
        "no layer",
        |bad| bad.replaced(2, |f| fs::remove_file(f).unwrap()),
        REFUSED,
        "is missing",
        "is missing from bad",
    ),
    (
        "a link for a manifest",
        |bad| bad.replaced(0, link),
        REFUSED,
        "is a link, not a regular file",
        "is damaged: it is a symbolic link, not a file",
    ),
    (
        "a link for a layer",
        |bad| bad.replaced(2, link),
        REFUSED,
        "is a link, not a regular file",
        "is damaged: it is a symbolic link, not a file",
    ),
    (
        "a FIFO for a config",
        |bad| bad.replaced(1, fifo),
        REFUSED,
        "is a special file, not a regular file",
        "is damaged: it is a FIFO, not a file",
    ),
    (
        "a FIFO for a layer",
        |bad| bad.replaced(2, fifo),
        REFUSED,
        "is a special file, not a regular file",
        "is damaged: it is a FIFO, not a file",
    ),
    (
        "a directory for a layer",
        |bad| bad.replaced(2, directory),
        REFUSED,
        "is a directory, not a regular file",
        "is damaged: it is a directory, not a file",
    ),
    (
        "a directory for a manifest",
        |bad| bad.replaced(0, directory),
        REFUSED,
        "is a directory, not a regular file",
        "is damaged: it is a directory, not a file",
    ),
    (
        "nested 1000 deep",
        |bad| {
            let mut image = bad.good()[0].clone();
            for _ in 0..1000 {
                image = bad.document(
                    INDEX,
                    &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [image]}),
                );
            }
            bad.index(&image);
        },
        REFUSED,
        "an index nested more than 8 deep",
        "is nested more than 8 deep, or in itself",
    ),
    (
        "nested in itself",
        |bad| {
            let own = json!({"mediaType": INDEX, "digest": format!("sha256:{}", "a".repeat(64)), "size": 300});
            let text =
                json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [own]}).to_string();
            fs::write(bad.file(&own), format!("{text:300}")).unwrap();
            bad.index(&own);
        },
        REFUSED,
        "its bytes have the digest",
        "is damaged: its bytes have the digest",
    ),
    (
        "a config of 200 MiB",
        |bad| {
            let mut config = bad.config();
            config["size"] = (200 << 20).into();
            fs::File::options()
                .write(true)
                .open(bad.file(&config))
                .unwrap()
                .set_len(200 << 20)
                .unwrap();
            bad.index(&bad.manifest(&config, &bad.layer()));
        },
        [1, 3, 3, 3, 3],
        "a config above 4 MiB, which registries refuse",
        "more than the 4194304 that a document may have",
    ),
    (
        "a config nested 10000 deep",
        |bad| {
            let deep = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
            bad.index(&bad.manifest(&bad.blob(CONFIG, deep), &bad.layer()));
        },
        LAYER_REFUSED,
        "/x/0/0/0/0/0/0",
        "recursion limit",
    ),
    (
        "a config with a mark before it",
        |bad| {
            let text = format!("\u{feff}{}", config(&plain()));
            bad.index(&bad.manifest(&bad.blob(CONFIG, text), &bad.layer()));
        },
        LAYER_REFUSED,
        "line 1 column 1: starts with a byte-order mark",
        "line 1 column 1: starts with a byte-order mark",
    ),
    (
        "a config with a member twice",
        |bad| {
            let text = config(&plain())
                .to_string()
                .replacen('{', "{\"os\":\"plan9\",", 1);
            bad.index(&bad.manifest(&bad.blob(CONFIG, text), &bad.layer()));
        },
        LAYER_REFUSED,
        "at /os: a member of this name stands here twice",
        "at /os: a member of this name stands here twice",
    ),
    (
        "a config that is no text",
        |bad| {
            bad.index(&bad.manifest(&bad.blob(CONFIG, b"{\"os\":\"\xff\xfe\"}"), &bad.layer()));
        },
        LAYER_REFUSED,
        "at /os: invalid unicode code point",
        "at /os: invalid unicode code point",
    ),
    (
        "other diff_ids",
        |bad| {
            bad.index(&bad.manifest(&bad.document(CONFIG, &config(b"other")), &bad.layer()));
        },
        [1, 0, 0, 0, 3],
        "#/rootfs/diff_ids/0: sha256:",
        "and its config promises",
    ),
    (
        "too few diff_ids",
        |bad| {
            let mut config = config(&plain());
            config["rootfs"]["diff_ids"] = json!([]);
            bad.index(&bad.manifest(&bad.document(CONFIG, &config), &bad.layer()));
        },
        LAYER_REFUSED,
        "0 diff_ids for the 1 layers",
        "because of /rootfs/diff_ids: 0 diff_ids for the 1 layers",
    ),
    (
        "gzip bomb",
        |bad| bad.packed("+gzip", &bomb(gzip, 2)),
        LAYER_REFUSED,
        "has more than 1 MiB of zeros after its end",
        "has more than 1 MiB of zeros after its end",
    ),
    (
        "zstd bomb",
        |bad| {
            bad.packed(
                "+zstd",
                &bomb(|bytes| zstd::bulk::compress(bytes, 1).unwrap(), 64),
            );
        },
        LAYER_REFUSED,
        "has more than 1 MiB of zeros after its end",
        "has more than 1 MiB of zeros after its end",
    ),
    (
        "gzip cut",
        |bad| {
            let whole = gzip(&plain());
            bad.packed("+gzip", &whole[..whole.len() - 9]);
        },
        LAYER_REFUSED,
        "ends within a gzip member",
        "ends within a gzip member",
    ),
    (
        "gzip and junk",
        |bad| bad.packed("+gzip", &[gzip(&plain()), b"junk junk".to_vec()].concat()),
        LAYER_REFUSED,
        "ends within a gzip member",
        "ends within a gzip member",
    ),
    (
        "zstd and junk",
        |bad| {
            let whole = zstd::bulk::compress(&plain(), 1).unwrap();
            bad.packed("+zstd", &[whole, b"junk junk".to_vec()].concat());
        },
        LAYER_REFUSED,
        "is damaged, or followed by what is not zstd",
        "is damaged, or followed by what is not zstd",
    ),
    (
        "gzip of many members",
        |bad| {
            bad.packed(
                "+gzip",
                &[gzip(&plain()), gzip(b"").repeat(20_000)].concat(),
            );
        },
        [0; 5],
        "",
        "",
    ),
    (
        "zstd of many frames",
        |bad| {
            let empty = zstd::bulk::compress(b"", 1).unwrap();
            bad.packed(
                "+zstd",
                &[
                    zstd::bulk::compress(&plain(), 1).unwrap(),
                    empty.repeat(20_000),
                ]
                .concat(),
            );
        },
        [0; 5],
        "",
        "",
    ),
    (
        "a tar of traversal",
        |bad| tar(bad, &["file ../../evil text=x"]),
        LAYER_REFUSED,
        "../../evil: has a `..` in its name",
        "../../evil: cannot stand in a file tree",
    ),
    (
        "a tar of an endless name",
        |bad| {
            tar(
                bad,
                &[
                    &format!("longname {}f", "a/".repeat(100_000)),
                    "file f text=x",
                ],
            );
        },
        LAYER_REFUSED,
        "a/a/a/a/a/",
        "cannot be unpacked: a/a/a/a/a/",
    ),
    (
        "an empty index",
        |bad| fs::write(bad.at("index.json"), "").unwrap(),
        REFUSED,
        "rule 13: index.json: line 1 column 1: is empty",
        "line 1 column 1: is empty",
    ),
    (
        "a cut index",
        |bad| {
            bad.good();
            fs::File::options()
                .write(true)
                .open(bad.at("index.json"))
                .unwrap()
                .set_len(50)
                .unwrap();
        },
        REFUSED,
        "EOF while parsing a string",
        "EOF while parsing a string",
    ),
    (
        "an index of 200 MiB",
        |bad| {
            fs::File::create(bad.at("index.json"))
                .unwrap()
                .set_len(200 << 20)
                .unwrap();
        },
        REFUSED,
        "has 209715200 bytes, more than readers take",
        "bad/index.json has more than 67108864 bytes",
    ),
    (
        "a link for an index",
        |bad| {
            bad.good();
            fs::rename(bad.at("index.json"), bad.at("../index.json")).unwrap();
            symlink("../index.json", bad.at("index.json")).unwrap();
        },
        REFUSED,
        "rule 3: index.json: is a link",
        "bad/index.json is a symbolic link, not a file",
    ),
    (
        "a FIFO for an index",
        |bad| fifo(&bad.at("index.json")),
        REFUSED,
        "rule 3: index.json: is a special file",
        "bad/index.json is a FIFO, not a file",
    ),
    (
        "a FIFO for a marker",
        |bad| {
            bad.good();
            fifo(&bad.at("oci-layout"));
        },
        REFUSED,
        "rule 2: oci-layout: is a special file",
        "oci-layout is a FIFO, not a file",
    ),
];

fn link(file: &Path) {
    let _ = fs::remove_file(file);
    symlink("/etc/passwd", file).unwrap();
}

fn fifo(file: &Path) {
    let _ = fs::remove_file(file);
    assert!(crash::tool("mkfifo", &[file.to_str().unwrap()]));
}

fn directory(file: &Path) {
    fs::remove_file(file).unwrap();
    fs::create_dir(file).unwrap();
}

fn tar(bad: &Bad, lines: &[&str]) {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let tar = tarball::archive(&lines);
    let layer = bad.blob(LAYER, &tar);
    bad.index(&bad.manifest(&bad.document(CONFIG, &config(&tar)), &layer));
}

/// Runs a verb within 400 MiB of address space and 60 seconds.
fn run(bad: &Bad, words: &[&str]) -> (i32, String) {
    let mut command = Command::new("timeout");
    command.args(["60", "bash", "-c", "ulimit -v 400000; exec \"$@\"", "bash"]);
    command.arg(env!("CARGO_BIN_EXE_plywood")).args(words);
    command
        .current_dir(bad.home.path())
        .stdin(std::process::Stdio::null());
    let ran = command.output().unwrap();
    let text = [ran.stdout, ran.stderr].concat();
    (
        ran.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn every_verb_answers() {
    let top = Tree::new().file("app", "app");
    let top = top.path().to_str().unwrap();
    let mut wrong = Vec::new();
    for (name, make, codes, verified, refused) in CASES {
        let bad = Bad::new();
        make(&bad);
        let before = shape(&bad.at(""));
        let verbs: [&[&str]; 5] = [
            &["verify", "bad"],
            &["inspect", "bad:v1"],
            &["ls", "bad:v1"],
            &["copy", "bad:v1", "oci:copied"],
            &[
                "build",
                "-q",
                "--no-cache",
                "-b",
                "bad:v1",
                "-o",
                "oci:built",
                top,
            ],
        ];
        for (verb, code) in verbs.into_iter().zip(codes) {
            let (ended, said) = run(&bad, verb);
            let text = match verb[0] {
                "verify" => verified,
                // A copy reads no config, and so notices only that this one is not what it says.
                "copy" if name.contains("200 MiB") && !name.contains("index") => "is damaged",
                _ => refused,
            };
            let harmless = !said.contains("panicked") && said.len() < 40_000;
            if ended != *code || (ended != 0 && !said.contains(text)) || !harmless {
                wrong.push(format!(
                    "{name}: {} ended with {ended}, not {code}:\n{said:.400}",
                    verb[0]
                ));
            }
        }
        assert_eq!(shape(&bad.at("")), before, "{name}");
        assert_eq!(
            bad.home.path().join("built").exists(),
            codes[4] == 0,
            "{name}"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names and lengths: FIFOs cannot be read, and some files are large.
fn shape(root: &Path) -> Vec<(PathBuf, u64)> {
    let entries = walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap);
    let shapes = entries.map(|entry| {
        let length = entry.metadata().unwrap().len();
        (entry.into_path(), length)
    });
    shapes.collect()
}

/// A damaged layout is not written to either.
#[test]
fn nothing_is_written_into_damage() {
    let top = Tree::new().file("app", "app");
    for (name, make, ..) in CASES
        .iter()
        .filter(|case| case.0.contains("index") && !case.0.contains("200"))
    {
        let bad = Bad::new();
        make(&bad);
        let before = shape(&bad.at(""));
        for verb in [
            &[
                "build",
                "-q",
                "--no-cache",
                "-o",
                "oci:bad:v2",
                top.path().to_str().unwrap(),
            ][..],
            &["tag", "bad:v1", "v2"],
            &["untag", "bad", "v1"],
            &["gc", "bad"],
        ] {
            let (code, said) = run(&bad, verb);
            assert_eq!(code, 3, "{name}: {verb:?}: {said}");
            assert_eq!(shape(&bad.at("")), before, "{name}: {verb:?}");
        }
    }
}

/// A digest may be listed as a mere file and as the manifest that it is.
#[test]
fn garbage_is_nothing_that_any_name_needs() {
    for order in [[0, 1], [1, 0]] {
        let bad = Bad::new();
        let [image, ..] = bad.good();
        let mut file = image.clone();
        file["mediaType"] = "application/octet-stream".into();
        let mut named = [image, file];
        for (entry, name) in named.iter_mut().zip(["v1", "v2"]) {
            entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        }
        bad.raw_index(&order.map(|i| named[i].clone()).into());
        let before = snapshot(&bad.at(""));
        assert_eq!(run(&bad, &["gc", "bad"]).0, 0);
        assert_eq!(snapshot(&bad.at("")), before);
        assert_eq!(run(&bad, &["copy", "--all", "bad", "oci:all"]).0, 0);
        assert_eq!(run(&bad, &["ls", "all:v1"]).0, 0);
    }
}

/// Names, labels, commands and tags with control characters are shown without them.
#[test]
fn no_text_steers_a_terminal() {
    let bad = Bad::new();
    let evil = "\u{1b}]0;owned\u{7}\u{9b}31m";
    let tar = tarball::archive(&[format!("file {evil} text=x")]);
    let layer = bad.blob(LAYER, &tar);
    let mut config = config(&tar);
    config["author"] = evil.into();
    config["config"] = json!({"Env": [format!("A={evil}")], "Cmd": [evil], "Labels": {evil: evil}});
    config["history"] = json!([{"created_by": evil, "comment": evil}]);
    let mut image = bad.manifest(&bad.document(CONFIG, &config), &layer);
    image["annotations"] = json!({"org.opencontainers.image.ref.name": evil, evil: evil});
    bad.raw_index(&json!([image]));
    for verb in [
        &["verify", "bad"][..],
        &["verify", "--json", "bad"],
        &["inspect", "bad"],
        &["inspect", "--json", "bad"],
        &["ls", "bad"],
        &["ls", "--json", "bad"],
        &["inspect", "bad:nothing"],
        &["tag", "bad:nothing", "x"],
        &["diff", "bad", "bad"],
        &["gc", "bad"],
    ] {
        let (_, said) = run(&bad, verb);
        assert!(
            !said.contains(['\u{1b}', '\u{7}', '\u{9b}']),
            "{verb:?}: {said:?}"
        );
    }
}
