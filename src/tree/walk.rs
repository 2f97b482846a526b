//! Disk → [`Dir`]s: one part, listed by several threads, never following a link.
//!
//! Every directory is opened beneath the part's root, read to its end and closed
//! before its subdirectories are: depth costs neither stack nor descriptors.

use std::ffi::{CString, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::{AtFlags, FileType, RawDir, Statx, StatxFlags, readlinkat, statx};
use rustix::io::Errno;

use super::node::{Dir, Node, Span, Tag};
use super::part::{Flavour, Part};
use super::root::retry;
use super::xattr::{self, XattrFault};
use super::{PATH_LIMIT, PathFault, Policy, TreeError, TreePath};

/// What is left out of plain trees: patterns in the usual glob syntax.
///
/// A pattern with a `/` is matched against the whole path in the image, another
/// against each name. What matches is left out with everything below it.
#[derive(Clone, Debug, Default)]
pub struct Exclude {
    names: GlobSet,
    paths: GlobSet,
}

impl Exclude {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`TreeError::Pattern`] naming the one that is malformed.
    pub fn new(patterns: &[String]) -> Result<Self, TreeError> {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in patterns {
            let fail = |why: globset::Error| TreeError::Pattern {
                pattern: pattern.clone(),
                why: why.kind().to_string(),
            };
            let bare = pattern.trim_matches('/');
            let glob = GlobBuilder::new(bare)
                .literal_separator(true)
                .build()
                .map_err(fail)?;
            if pattern.contains('/') {
                paths.add(glob)
            } else {
                names.add(glob)
            };
        }
        let fail = |why: globset::Error| TreeError::Pattern {
            pattern: patterns.join(" "),
            why: why.to_string(),
        };
        Ok(Self {
            names: names.build().map_err(fail)?,
            paths: paths.build().map_err(fail)?,
        })
    }

    /// Whether an entry is left out, itself or with a directory above it.
    pub fn covers(&self, path: &TreePath) -> bool {
        let mut above = path.ancestors().chain([path.clone()]);
        above.any(|path| self.matches(&path.parent().unwrap_or_default(), path.name()))
    }

    fn matches(&self, dir: &TreePath, name: &[u8]) -> bool {
        if self.names.is_empty() && self.paths.is_empty() {
            return false;
        }
        let candidate = |bytes: &[u8]| {
            self.paths
                .is_match_candidate(&Candidate::new(Path::new(OsStr::from_bytes(bytes))))
        };
        self.names.is_match(Path::new(OsStr::from_bytes(name)))
            || if dir.is_root() {
                candidate(name)
            } else {
                candidate(&[dir.as_bytes(), b"/", name].concat())
            }
    }
}

/// Device numbers, interned: equal numbers get equal indices within one listing.
#[derive(Debug, Default)]
pub(super) struct Devices(Mutex<Vec<(u32, u32)>>);

impl Devices {
    fn index(&self, device: (u32, u32)) -> u16 {
        let mut known = lock(&self.0);
        let at = known.iter().position(|&d| d == device).unwrap_or_else(|| {
            known.push(device);
            known.len() - 1
        });
        at as u16
    }
}

/// What all directories of one walk share.
pub(super) struct Walk<'a> {
    pub part: &'a Part,
    /// Number of the part within its listing.
    pub index: u32,
    pub policy: &'a Policy,
    pub exclude: &'a Exclude,
    pub devices: &'a Devices,
    pub threads: usize,
}

/// A walked part: fragments to be attached at their own paths.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Directories by number; the `data` of a directory node is such a number.
    pub dirs: Vec<Dir>,
    /// Which of `dirs` hang on no node of this walk.
    pub loose: Vec<u32>,
    pub warnings: Vec<String>,
}

/// Lists one part.
pub(super) fn walk(walk: &Walk) -> Result<Walked, TreeError> {
    let state = Mutex::new(State::default());
    match (&walk.part.only, walk.part.is_whole_root()) {
        (Some(only), _) => walk.pick(only, &mut lock(&state))?,
        (None, true) => drop(lock(&state).enqueue_loose(walk.part.dest.clone())),
        (None, false) => walk.top(&mut lock(&state))?,
    }
    walk.run(&state)?;
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let dirs = state
        .dirs
        .into_iter()
        .map(Option::unwrap_or_default)
        .collect();
    Ok(Walked {
        dirs,
        loose: state.loose,
        warnings: state.warnings,
    })
}

#[derive(Default)]
struct State {
    queue: Vec<(u32, TreePath)>,
    dirs: Vec<Option<Dir>>,
    loose: Vec<u32>,
    warnings: Vec<String>,
    busy: usize,
    failed: Option<(TreePath, TreeError)>,
}

impl State {
    fn enqueue(&mut self, path: TreePath) -> u32 {
        let number = self.dirs.len() as u32;
        self.dirs.push(None);
        self.queue.push((number, path));
        number
    }

    fn enqueue_loose(&mut self, path: TreePath) -> u32 {
        let number = self.enqueue(path);
        self.loose.push(number);
        number
    }

    /// Puts a scanned directory into its place and its subdirectories into the queue.
    fn accept(&mut self, number: u32, mut scan: Scan) -> Result<(), TreeError> {
        for &child in &scan.subdirs {
            let path = scan.dir.path.join(scan.dir.name(&scan.dir.children[child]));
            let path = path.map_err(|why| {
                refused(Path::new(OsStr::from_bytes(scan.dir.path.as_bytes())), why)
            })?;
            scan.dir.children[child].data = u64::from(self.enqueue(path));
        }
        self.warnings.append(&mut scan.warnings);
        self.dirs[number as usize] = Some(scan.dir);
        Ok(())
    }

    /// Of several failures the one with the first path is told, whoever came first.
    fn fail(&mut self, path: TreePath, error: TreeError) {
        if self.failed.as_ref().is_none_or(|(first, _)| path < *first) {
            self.failed = Some((path, error));
        }
    }
}

/// How many directories one thread lists before others are started to help.
const WORTH_HELP: usize = 24;

/// What one directory holds.
struct Scan {
    dir: Dir,
    subdirs: Vec<usize>,
    warnings: Vec<String>,
}

impl Walk<'_> {
    fn run(&self, state: &Mutex<State>) -> Result<(), TreeError> {
        let turned = Condvar::new();
        for _ in 0..WORTH_HELP {
            if !self.step(state, &turned, false) {
                break;
            }
        }
        if self.threads > 1 && !lock(state).queue.is_empty() {
            std::thread::scope(|scope| {
                for _ in 1..self.threads {
                    scope.spawn(|| while self.step(state, &turned, true) {});
                }
                while self.step(state, &turned, true) {}
            });
        } else {
            while self.step(state, &turned, false) {}
        }
        lock(state)
            .failed
            .take()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Lists one directory; false when none is left (and, if told to wait, none can come).
    fn step(&self, state: &Mutex<State>, turned: &Condvar, wait: bool) -> bool {
        let mut held = lock(state);
        let (number, path) = loop {
            if held.failed.is_some() {
                held.queue.clear();
            }
            match held.queue.pop() {
                Some(job) => break job,
                None if wait && held.busy > 0 => {
                    held = turned.wait(held).unwrap_or_else(PoisonError::into_inner);
                }
                None => {
                    turned.notify_all();
                    return false;
                }
            }
        };
        held.busy += 1;
        drop(held);
        let scanned = self.scan(path.clone());
        let mut held = lock(state);
        held.busy -= 1;
        if let Err(error) = scanned.and_then(|scan| held.accept(number, scan)) {
            held.fail(path, error);
        }
        turned.notify_all();
        true
    }

    fn scan(&self, path: TreePath) -> Result<Scan, TreeError> {
        let source = self.part.source_of(path.as_bytes());
        let host = || self.part.host_of(path.as_bytes());
        let fd = self
            .part
            .root
            .open_dir(&source)
            .map_err(|e| TreeError::io("open directory", &host(), e))?;
        let names = read_names(&fd).map_err(|e| TreeError::io("list directory", &host(), e))?;
        let names = names
            .iter()
            .filter(|name| !self.exclude_applies(&path, name));
        self.stat_all(fd, path.clone(), names.map(Vec::as_slice))
    }

    fn exclude_applies(&self, dir: &TreePath, name: &[u8]) -> bool {
        self.part.flavour == Flavour::Plain && self.exclude.matches(dir, name)
    }

    fn stat_all<'n>(
        &self,
        fd: OwnedFd,
        path: TreePath,
        names: impl Iterator<Item = &'n [u8]>,
    ) -> Result<Scan, TreeError> {
        let mut scanner = Scanner {
            walk: self,
            fd,
            buffer: Vec::new(),
            last_dev: None,
        };
        let mut scan = Scan {
            dir: Dir::at(path),
            subdirs: Vec::new(),
            warnings: Vec::new(),
        };
        for name in names {
            scanner.add(&mut scan, name, name)?;
        }
        Ok(scan)
    }

    /// A part that is one named thing: a file, a link, or a store path.
    fn top(&self, state: &mut State) -> Result<(), TreeError> {
        let dest = &self.part.dest;
        let Some(parent) = dest.parent() else {
            return Err(TreeError::Refused {
                path: self.part.host_of(b""),
                why: "it is a file, and cannot be the root of the image".into(),
            });
        };
        let (dir, name) = match self.part.base.iter().rposition(|&b| b == b'/') {
            Some(at) => (&self.part.base[..at], &self.part.base[at + 1..]),
            None => (&b""[..], &self.part.base[..]),
        };
        let fail = |e| TreeError::io("open directory", self.part.root.host(), e);
        let fd = self.part.root.open_dir(dir).map_err(fail)?;
        let mut scanner = Scanner {
            walk: self,
            fd,
            buffer: Vec::new(),
            last_dev: None,
        };
        let mut scan = Scan {
            dir: Dir::at(parent),
            subdirs: Vec::new(),
            warnings: Vec::new(),
        };
        scanner.add(&mut scan, name, dest.name())?;
        state.dirs.push(None);
        state.loose.push(0);
        state.accept(0, scan)
    }

    /// Only the given entries, without descending into any.
    fn pick(&self, only: &[TreePath], state: &mut State) -> Result<(), TreeError> {
        for group in only.chunk_by(|a, b| a.parent() == b.parent()) {
            let Some(parent) = group.first().and_then(TreePath::parent) else {
                continue;
            };
            let source = self.part.source_of(parent.as_bytes());
            let fail =
                |e| TreeError::io("open directory", &self.part.host_of(parent.as_bytes()), e);
            let fd = self.part.root.open_dir(&source).map_err(fail)?;
            let mut scan = self.stat_all(fd, parent, group.iter().map(TreePath::name))?;
            for child in std::mem::take(&mut scan.subdirs) {
                let path = scan.dir.path.join(scan.dir.name(&scan.dir.children[child]));
                scan.dir.children[child].data = state.dirs.len() as u64;
                state.dirs.push(Some(Dir::at(path.unwrap_or_default())));
            }
            state.loose.push(state.dirs.len() as u32);
            state.warnings.append(&mut scan.warnings);
            state.dirs.push(Some(scan.dir));
        }
        Ok(())
    }
}

fn read_names(fd: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 16 * 1024];
    let mut entries = RawDir::new(fd, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) => {
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    names.push(name.to_owned());
                }
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Reads the facts of the children of one open directory.
struct Scanner<'w> {
    walk: &'w Walk<'w>,
    fd: OwnedFd,
    buffer: Vec<u8>,
    last_dev: Option<((u32, u32), u16)>,
}

impl Scanner<'_> {
    /// Adds the child `found` (its name on disk) under `name` (that in the image).
    fn add(&mut self, scan: &mut Scan, found: &[u8], name: &[u8]) -> Result<(), TreeError> {
        match self.try_add(scan, found, name) {
            Ok(true) => {}
            Ok(false) => {
                let shown = self
                    .host(scan, found, name)
                    .into_os_string()
                    .as_bytes()
                    .escape_ascii()
                    .to_string();
                scan.warnings.push(format!(
                    "skipped the socket {shown}: a layer cannot hold one"
                ));
            }
            Err(fault) => return Err(fault.at(&self.host(scan, found, name))),
        }
        Ok(())
    }

    /// False for a socket.
    fn try_add(&mut self, scan: &mut Scan, found: &[u8], name: &[u8]) -> Result<bool, Fault> {
        let stat = self.stat(found)?;
        if name.starts_with(b".wh.") {
            return Err(Fault::Refused(
                "names that start with `.wh.` mean removal in a layer".into(),
            ));
        }
        if scan.dir.path.as_bytes().len() + 1 + name.len() > PATH_LIMIT {
            return Err(Fault::Refused(format!(
                "its path in the image {}",
                PathFault::TooLong
            )));
        }
        let Some(mut node) = self.node(&stat, &mut scan.dir, found)? else {
            return Ok(false);
        };
        node.name = scan.dir.store(name);
        let attributes = self.xattrs(found)?;
        if !attributes.is_empty() {
            scan.dir.xattrs.push(attributes);
            node.xattrs = scan.dir.xattrs.len() as u32;
        }
        if node.tag == Tag::Dir {
            scan.subdirs.push(scan.dir.children.len());
        }
        scan.dir.children.push(node);
        Ok(true)
    }

    fn stat(&self, found: &[u8]) -> Result<Statx, Fault> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        retry(|| statx(&self.fd, found, flags, StatxFlags::BASIC_STATS)).map_err(
            |errno| match errno {
                // What a user named may be missing; what a directory listed has gone since.
                Errno::NOENT if self.walk.part.is_whole_root() && self.walk.part.only.is_none() => {
                    Fault::Vanished
                }
                errno => Fault::Io("examine", errno.into()),
            },
        )
    }

    fn host(&self, scan: &Scan, found: &[u8], name: &[u8]) -> PathBuf {
        self.walk
            .part
            .root
            .host()
            .join(OsStr::from_bytes(&self.source(scan, found, name)))
    }

    fn source(&self, scan: &Scan, found: &[u8], name: &[u8]) -> Vec<u8> {
        match scan.dir.path.join(name) {
            Ok(path) => self.walk.part.source_of(path.as_bytes()),
            Err(_) => [
                &self.walk.part.source_of(scan.dir.path.as_bytes()),
                &b"/"[..],
                found,
            ]
            .concat(),
        }
    }

    /// The facts of an entry; `None` for a socket.
    fn node(&mut self, stat: &Statx, dir: &mut Dir, found: &[u8]) -> Result<Option<Node>, Fault> {
        let (tag, data) = match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
            FileType::Directory => (Tag::Dir, 0),
            FileType::RegularFile => (Tag::File, stat.stx_size),
            FileType::Symlink => (Tag::Symlink, self.target(dir, found)?.pack()),
            FileType::Fifo => (Tag::Fifo, 0),
            FileType::CharacterDevice => (Tag::Char, device(stat)),
            FileType::BlockDevice => (Tag::Block, device(stat)),
            FileType::Socket => return Ok(None),
            FileType::Unknown => return Err(Fault::Refused("its type is unknown".into())),
        };
        if tag == Tag::Char && data == 0 {
            return Err(Fault::Refused(
                "a character device 0:0 means removal on an overlay file system".into(),
            ));
        }
        let plain = self.walk.part.flavour == Flavour::Plain;
        Ok(Some(Node {
            data,
            secs: stat.stx_mtime.tv_sec,
            ino: stat.stx_ino,
            name: Span { at: 0, len: 0 },
            nanos: stat.stx_mtime.tv_nsec,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            xattrs: 0,
            part: self.walk.index,
            mode: stat.stx_mode & 0o7777,
            dev: self.dev((stat.stx_dev_major, stat.stx_dev_minor)),
            tag,
            linked: plain && tag != Tag::Dir && stat.stx_nlink > 1,
        }))
    }

    fn target(&self, dir: &mut Dir, found: &[u8]) -> Result<Span, Fault> {
        let target = readlinkat(&self.fd, found, Vec::new())
            .map_err(|e| Fault::Io("read the link", e.into()))?;
        Ok(dir.store(target.as_bytes()))
    }

    fn dev(&mut self, device: (u32, u32)) -> u16 {
        match self.last_dev {
            Some((known, index)) if known == device => index,
            _ => {
                let index = self.walk.devices.index(device);
                self.last_dev = Some((device, index));
                index
            }
        }
    }

    fn xattrs(&mut self, found: &[u8]) -> Result<super::Xattrs, Fault> {
        if self.walk.policy.xattrs == super::XattrRule::None {
            return Ok(super::Xattrs::new());
        }
        // There is no call relative to a directory; this path is one, and cannot be diverted.
        let path = [
            format!("/proc/self/fd/{}/", self.fd.as_raw_fd()).as_bytes(),
            found,
        ]
        .concat();
        let path = CString::new(path).map_err(|e| Fault::Refused(e.to_string()))?;
        xattr::read(&path, self.walk.policy, &mut self.buffer).map_err(|fault| match fault {
            XattrFault::Io(error) => Fault::Io("read the extended attributes of", error),
            XattrFault::Refused(why) => Fault::Refused(why),
        })
    }
}

fn device(stat: &Statx) -> u64 {
    u64::from(stat.stx_rdev_major) << 32 | u64::from(stat.stx_rdev_minor)
}

/// A fault of one entry whose path is not known yet.
enum Fault {
    Io(&'static str, std::io::Error),
    Refused(String),
    Vanished,
}

impl Fault {
    fn at(self, path: &Path) -> TreeError {
        match self {
            Self::Io(action, source) => TreeError::io(action, path, source),
            Self::Refused(why) => TreeError::Refused {
                path: path.to_owned(),
                why,
            },
            Self::Vanished => {
                let what = "it vanished while its directory was listed";
                TreeError::Changed {
                    path: path.to_owned(),
                    what,
                }
            }
        }
    }
}

fn refused(path: &Path, why: PathFault) -> TreeError {
    TreeError::Refused {
        path: path.to_owned(),
        why: format!("its path in the image {why}"),
    }
}

/// A worker that panicked has failed the build already; its lock tells nothing new.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
