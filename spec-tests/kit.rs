//! The test kit: file trees made at run time, and runs of the program with what is expected of them.
//!
//! ```ignore
//! let tree = Tree::new().file("bin/hello", "hi").mode("bin/hello", 0o755).symlink("sh", "bin/hello");
//! Case::new().arg("build").arg(tree.path()).args(["-o", "oci:out"]).success();
//! ```

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use tempfile::TempDir;

/// A file tree in a temporary directory; parents are made as needed, and all is removed with it.
pub struct Tree {
    dir: TempDir,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty directory where temporary files usually are.
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// An empty directory in `parent`, to choose the file system.
    pub fn within(parent: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("ply")
            .tempdir_in(parent)
            .unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    /// The tree's root.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The place of `path` on disk.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    fn fresh(&self, path: impl AsRef<Path>) -> PathBuf {
        let place = self.at(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    }

    /// A regular file.
    #[must_use]
    pub fn file(self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.fresh(path), content).unwrap();
        self
    }

    /// A regular file of `size` bytes that takes no space.
    #[must_use]
    pub fn sparse(self, path: impl AsRef<Path>, size: u64) -> Self {
        fs::File::create(self.fresh(path))
            .unwrap()
            .set_len(size)
            .unwrap();
        self
    }

    /// A directory.
    #[must_use]
    pub fn dir(self, path: impl AsRef<Path>) -> Self {
        fs::create_dir_all(self.at(path)).unwrap();
        self
    }

    /// A symbolic link that reads `target`.
    #[must_use]
    pub fn symlink(self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        symlink(target, self.fresh(path)).unwrap();
        self
    }

    /// One more name of the file at `target`, which is a path of this tree.
    #[must_use]
    pub fn hardlink(self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        // std's follows a link on some systems; linkat without a flag does not.
        let (target, path) = (self.at(target), self.fresh(path));
        rustix::fs::linkat(CWD, target, CWD, path, AtFlags::empty()).unwrap();
        self
    }

    /// A named pipe.
    #[must_use]
    pub fn fifo(self, path: impl AsRef<Path>) -> Self {
        let place = self.fresh(path);
        rustix::fs::mknodat(CWD, place, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        self
    }

    /// A socket with no one behind it.
    #[must_use]
    pub fn socket(self, path: impl AsRef<Path>) -> Self {
        drop(std::os::unix::net::UnixListener::bind(self.fresh(path)).unwrap());
        self
    }

    /// A character or block device, where this machine lets us make one; whether it did.
    pub fn device(&self, path: impl AsRef<Path>, kind: FileType, major: u32, minor: u32) -> bool {
        let number = rustix::fs::makedev(major, minor);
        let mode = Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(CWD, self.fresh(path), kind, mode, number).is_ok()
    }

    /// Permission bits.
    #[must_use]
    pub fn mode(self, path: impl AsRef<Path>, mode: u32) -> Self {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Modification time in seconds.
    #[must_use]
    pub fn mtime(self, path: impl AsRef<Path>, seconds: i64) -> Self {
        let moment = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: moment,
            last_modification: moment,
        };
        rustix::fs::utimensat(CWD, self.at(path), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        self
    }

    /// Owner and group, where this process may give files away.
    #[must_use]
    pub fn owner(self, path: impl AsRef<Path>, uid: u32, gid: u32) -> Self {
        let _ = std::os::unix::fs::lchown(self.at(path), Some(uid), Some(gid));
        self
    }

    /// An extended attribute, where the file system has them; whether it has.
    pub fn xattr(&self, path: impl AsRef<Path>, name: &str, value: &[u8]) -> bool {
        rustix::fs::lsetxattr(self.at(path), name, value, XattrFlags::empty()).is_ok()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Directories that their owner may not enter could not be removed.
        let dirs = walkdir::WalkDir::new(self.path()).into_iter();
        for dir in dirs.flatten().filter(|entry| entry.file_type().is_dir()) {
            let _ = fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700));
        }
    }
}

/// One run of the program: nothing of this process's environment reaches it but `PATH` and what is given.
#[derive(Clone)]
pub struct Case {
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    umask: Option<u32>,
    dir: Arc<TempDir>,
    cwd: Option<PathBuf>,
}

impl Default for Case {
    fn default() -> Self {
        Self::new()
    }
}

impl Case {
    /// The program without arguments, in an empty directory of its own.
    pub fn new() -> Self {
        Self {
            args: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            umask: None,
            dir: Arc::new(TempDir::with_prefix("plycase").unwrap()),
            cwd: None,
        }
    }

    /// `plywood build ARGS…`.
    pub fn build<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::new().arg("build").args(args)
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        self.args.extend(args);
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// What stands on standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// Runs in `dir` instead of the directory of its own.
    #[must_use]
    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.cwd = Some(dir.as_ref().to_owned());
        self
    }

    /// Runs under this umask.
    #[must_use]
    pub fn umask(mut self, mask: u32) -> Self {
        self.umask = Some(mask);
        self
    }

    /// The place of `path` in the directory that the program runs in.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.cwd.as_deref().unwrap_or(self.dir.path()).join(path)
    }

    /// The command, for tests that need to start or end it themselves.
    pub fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_plywood");
        let mut command = match self.umask {
            None => Command::new(program),
            // umask(2) belongs to the whole process; a shell sets it for one child only.
            Some(mask) => {
                let mut shell = Command::new("/bin/sh");
                shell
                    .arg("-c")
                    .arg(format!("umask {mask:04o}; exec \"$0\" \"$@\""))
                    .arg(program);
                shell
            }
        };
        command
            .args(&self.args)
            .current_dir(self.cwd.as_deref().unwrap_or(self.dir.path()))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program. Every image that it says it made is verified.
    pub fn run(&self) -> Ran {
        let mut child = self.command().spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let stdin = self.stdin.clone();
        // Apart, because the program may write before it has read everything, or never read.
        let feeder = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        let ran = Ran {
            line: format!("{:?}", self.args),
            code: output
                .status
                .code()
                .unwrap_or_else(|| 128 + output.status.signal().unwrap()),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            dir: self.dir.clone(),
        };
        if ran.code == 0 {
            self.verify_outputs();
        }
        ran
    }

    /// Runs the program, which must succeed.
    pub fn success(&self) -> Ran {
        self.run().code(0)
    }

    /// Which layers came from the cache, as `facts.json` says that `--metadata-file` named.
    pub fn cached(&self) -> Vec<bool> {
        let facts = fs::read(self.at("facts.json")).unwrap();
        let facts: serde_json::Value = serde_json::from_slice(&facts).unwrap();
        let layers = facts["layers"].as_array().unwrap().iter();
        layers
            .map(|layer| layer["cached"].as_bool().unwrap())
            .collect()
    }

    /// Some of the system calls of a run that must succeed; `None` where that cannot be had.
    pub fn traced(&self, calls: &str) -> Option<String> {
        let mut asked = Command::new("strace");
        if asked.arg("-V").stdout(Stdio::null()).status().is_err() {
            skipped("strace is missing");
            return None;
        }
        let (plain, trace) = (self.command(), self.at("trace"));
        let mut traced = Command::new("strace");
        traced.args(["-f", "-e", &format!("trace={calls}"), "-o"]);
        traced
            .arg(&trace)
            .arg(plain.get_program())
            .args(plain.get_args());
        traced.envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
        traced.current_dir(plain.get_current_dir().unwrap());
        traced.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(traced.status().unwrap().success());
        Some(fs::read_to_string(trace).unwrap())
    }

    /// Where `-o` sends images, as `verify` takes them.
    fn outputs(&self) -> impl Iterator<Item = PathBuf> {
        let after = self
            .args
            .windows(2)
            .filter(|pair| pair[0] == "-o" || pair[0] == "--output");
        let texts = after.map(|pair| pair[1].to_string_lossy().into_owned());
        let texts =
            texts.filter(|text| !text.ends_with('-') && !text.starts_with("docker-archive:"));
        texts.map(|text| {
            let rest = ["oci:", "oci-archive:"]
                .iter()
                .find_map(|p| text.strip_prefix(p));
            let path = rest.unwrap_or(&text).split(':').next().unwrap_or_default();
            self.at(path)
        })
    }

    fn verify_outputs(&self) {
        if self.args.first().is_none_or(|verb| verb != "build") {
            return;
        }
        for output in self.outputs().filter(|path| path.exists()) {
            crate::kit::verified(&output);
        }
    }
}

/// Holds every rule that can be held against the image at `path`.
pub fn verified(path: &Path) {
    let checked = Command::new(env!("CARGO_BIN_EXE_plywood"))
        .arg("verify")
        .arg(path)
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "plywood verify {}:\n{}{}",
        path.display(),
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr),
    );
}

/// What a run did.
pub struct Ran {
    line: String,
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
    /// Keeps the run's directory.
    dir: Arc<TempDir>,
}

impl Ran {
    fn expect(self, holds: bool, what: &str) -> Self {
        let stdout = self.stdout.escape_ascii();
        assert!(
            holds,
            "plywood {}\nexpected {what}\n-- code {}\n-- stdout {stdout:.2000}\n-- stderr\n{}",
            self.line, self.code, self.stderr
        );
        self
    }

    /// The exit code is this.
    pub fn code(self, code: i32) -> Self {
        let holds = self.code == code;
        self.expect(holds, &format!("code {code}"))
    }

    /// Standard output is this to the byte.
    pub fn stdout(self, text: impl AsRef<[u8]>) -> Self {
        let holds = self.stdout == text.as_ref();
        self.expect(holds, &format!("stdout {}", text.as_ref().escape_ascii()))
    }

    /// Standard output holds this.
    pub fn stdout_has(self, text: &str) -> Self {
        let holds = String::from_utf8_lossy(&self.stdout).contains(text);
        self.expect(holds, &format!("stdout with {text}"))
    }

    /// Standard error is this to the letter; `[CWD]` stands for the run's own directory.
    pub fn stderr(self, text: &str) -> Self {
        let place = self.dir.path().to_string_lossy().into_owned();
        let holds = self.stderr.replace(&place, "[CWD]") == text;
        self.expect(holds, &format!("stderr\n{text}"))
    }

    /// Standard error holds this.
    pub fn stderr_has(self, text: &str) -> Self {
        let holds = self.stderr.contains(text);
        self.expect(holds, &format!("stderr with {text}"))
    }

    /// Standard output without its final newline: a digest, mostly.
    pub fn digest(&self) -> String {
        String::from_utf8(self.stdout.clone())
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap()
    }
}

/// One entry of a layer, as the tar crate reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarEntry {
    pub path: Vec<u8>,
    pub kind: tar::EntryType,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds as the ustar header or its PAX record says them, with the fraction.
    pub mtime: String,
    pub link: Vec<u8>,
    pub device: (Option<u32>, Option<u32>),
    /// `SCHILY.xattr.` records without the prefix.
    pub xattrs: Vec<(String, Vec<u8>)>,
    pub size: u64,
    pub content: Vec<u8>,
}

/// A layout that a test made, opened without plywood's own reader.
pub struct Layout(pub PathBuf);

impl Layout {
    /// A document of the layout's blobs.
    pub fn document(&self, digest: &str) -> serde_json::Value {
        serde_json::from_slice(&self.blob(digest)).unwrap()
    }

    /// A blob's bytes.
    pub fn blob(&self, digest: &str) -> Vec<u8> {
        fs::read(self.0.join("blobs").join(digest.replace(':', "/"))).unwrap()
    }

    /// `index.json`.
    pub fn index(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.0.join("index.json")).unwrap()).unwrap()
    }

    /// The manifest of the only image.
    pub fn manifest(&self) -> serde_json::Value {
        let index = self.index();
        let entries = index["manifests"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "{index}");
        self.document(entries[0]["digest"].as_str().unwrap())
    }

    /// The configuration of the only image.
    pub fn config(&self) -> serde_json::Value {
        self.document(self.manifest()["config"]["digest"].as_str().unwrap())
    }

    /// All layers of the only image, lowest first.
    pub fn layers(&self) -> Vec<Vec<TarEntry>> {
        let manifest = self.manifest();
        let layers = manifest["layers"].as_array().unwrap().iter();
        layers
            .map(|layer| {
                let blob = self.blob(layer["digest"].as_str().unwrap());
                let kind = layer["mediaType"].as_str().unwrap();
                tar_entries(&decompressed(kind, &blob))
            })
            .collect()
    }

    /// The entries of an image that has one layer.
    pub fn only_layer(&self) -> Vec<TarEntry> {
        let mut layers = self.layers();
        assert_eq!(layers.len(), 1);
        layers.remove(0)
    }
}

fn decompressed(media_type: &str, blob: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    match media_type.rsplit_once('+').map(|(_, codec)| codec) {
        None => tar.extend_from_slice(blob),
        Some("gzip") => {
            flate2::read::MultiGzDecoder::new(blob)
                .read_to_end(&mut tar)
                .map(|_| ())
                .unwrap();
        }
        Some("zstd") => tar = zstd::decode_all(blob).unwrap(),
        Some(other) => panic!("{other}"),
    }
    tar
}

/// The entries of a tar, PAX records applied; strict where the tar crate forgives or stumbles
/// (it splits records at newlines, which values may have).
pub fn tar_entries(bytes: &[u8]) -> Vec<TarEntry> {
    let (mut rest, mut entries, mut pax) = (bytes, Vec::new(), Vec::new());
    loop {
        let (block, after) = rest.split_at(512);
        if block.iter().all(|&b| b == 0) {
            assert!(
                after.len() == 512 && after.iter().all(|&b| b == 0),
                "two zero blocks and nothing after"
            );
            return entries;
        }
        let header = tar::Header::from_byte_slice(block);
        let size = size_of(header, &pax);
        let (body, after) = after.split_at(usize::try_from(size.next_multiple_of(512)).unwrap());
        let (content, padding) = body.split_at(usize::try_from(size).unwrap());
        assert!(padding.iter().all(|&b| b == 0), "padding is zeros");
        rest = after;
        if header.entry_type().is_pax_local_extensions() {
            assert!(pax.is_empty(), "two extended headers for one entry");
            pax = pax_records(content);
            continue;
        }
        entries.push(tar_entry(header, content, &std::mem::take(&mut pax)));
    }
}

type Records = Vec<(String, Vec<u8>)>;

fn pax_records(mut bytes: &[u8]) -> Records {
    let mut records = Records::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|&b| b == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..space])
            .unwrap()
            .parse()
            .unwrap();
        let (record, rest) = bytes.split_at(length);
        let record = record[space + 1..]
            .strip_suffix(b"\n")
            .expect("a record ends in a newline");
        let equals = record.iter().position(|&b| b == b'=').unwrap();
        let key = String::from_utf8(record[..equals].to_vec()).unwrap();
        records.push((key, record[equals + 1..].to_vec()));
        bytes = rest;
    }
    assert!(
        records.is_sorted_by(|a, b| a.0 < b.0),
        "records are sorted, no keyword twice"
    );
    records
}

fn record<'a>(pax: &'a Records, key: &str) -> Option<&'a [u8]> {
    pax.iter()
        .find(|(known, _)| known == key)
        .map(|(_, value)| &**value)
}

fn number(pax: &Records, key: &str) -> Option<u64> {
    record(pax, key).map(|value| std::str::from_utf8(value).unwrap().parse().unwrap())
}

fn size_of(header: &tar::Header, pax: &Records) -> u64 {
    number(pax, "size").unwrap_or_else(|| header.entry_size().unwrap())
}

fn tar_entry(header: &tar::Header, content: &[u8], pax: &Records) -> TarEntry {
    assert_eq!(
        header.as_ustar().unwrap().magic,
        *b"ustar\0",
        "no GNU headers"
    );
    let text = |key: &str| record(pax, key).map(|value| String::from_utf8(value.to_vec()).unwrap());
    let xattrs = pax.iter().filter_map(|(key, value)| {
        let name = key.strip_prefix("SCHILY.xattr.")?;
        Some((name.to_owned(), value.clone()))
    });
    TarEntry {
        path: record(pax, "path").map_or_else(|| header.path_bytes().into_owned(), <[u8]>::to_vec),
        kind: header.entry_type(),
        mode: header.mode().unwrap(),
        uid: number(pax, "uid").unwrap_or_else(|| header.uid().unwrap()),
        gid: number(pax, "gid").unwrap_or_else(|| header.gid().unwrap()),
        mtime: text("mtime").unwrap_or_else(|| header.mtime().unwrap().to_string()),
        link: record(pax, "linkpath").map_or_else(
            || header.link_name_bytes().unwrap_or_default().into_owned(),
            <[u8]>::to_vec,
        ),
        device: (
            header.device_major().unwrap_or(None),
            header.device_minor().unwrap_or(None),
        ),
        xattrs: xattrs.collect(),
        size: size_of(header, pax),
        content: content.to_vec(),
    }
}

/// Whether the cases that take many minutes or gigabytes are wanted: `scripts/test --long`.
pub fn long() -> bool {
    std::env::var_os("PLYWOOD_LONG").is_some_and(|value| value == "1")
}

/// Says that a test did not test, so that nobody takes silence for success.
pub fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci.is_empty()),
        "nothing is skipped in CI: {why}"
    );
}
