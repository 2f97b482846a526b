//! Disk → [`Dir`]s: one part, listed by several threads, never following a link.
//!
//! Every directory is opened beneath the part's root, read to its end and closed
//! before its subdirectories are: depth costs neither stack nor descriptors.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::RawDir;
use rustix::io::Errno;

use super::memory::Identity;
use super::node::{Dir, Span, Tag};
use super::part::{Flavour, Part};
use super::scan::{Devices, Scan, Scanner, changed};
use super::{Exclude, PathFault, Policy, TreeError, TreePath};

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
    /// The directory at the top, if the part is all of one.
    pub top: Option<Top>,
    /// What tells it from all others, if that is known and can be relied on.
    pub identity: Option<Identity>,
}

/// What tells a state of the top directory, which is an entry of nothing, from others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Top {
    pub dev: u16,
    pub ino: u64,
    /// As in a [`Node`](super::node::Node).
    pub changed: i64,
}

/// Lists one part.
pub(super) fn walk(walk: &Walk) -> Result<Walked, TreeError> {
    let top = walk.look_at_top();
    let mut state = State::default();
    match (&walk.part.only, walk.part.is_whole_root()) {
        (Some(only), _) => walk.pick(only, &mut state)?,
        (None, true) => drop(state.enqueue_loose(walk.part.dest.clone())),
        (None, false) => walk.top(&mut state)?,
    }
    walk.finish(state, top)
}

/// Lists those directories of a walked part anew that are stale, and what is new below them.
pub(super) fn walk_stale(walk: &Walk, walked: Walked, stale: &[bool]) -> Result<Walked, TreeError> {
    let top = walk.look_at_top();
    let mut state = State {
        loose: walked.loose,
        ..State::default()
    };
    let mut below_stale = vec![false; stale.len()];
    for (dir, _) in walked.dirs.iter().zip(stale).filter(|(_, stale)| **stale) {
        let dirs = dir.children.iter().filter(|node| node.tag == Tag::Dir);
        dirs.for_each(|node| below_stale[node.data as usize] = true);
    }
    for (number, dir) in (0..).zip(walked.dirs) {
        if !stale[number as usize] {
            state.dirs.push(Some(dir));
            continue;
        }
        state.dirs.push(None);
        // Whether the others are still there shows in the directories above them.
        if !below_stale[number as usize] {
            state.queue.push((number, dir.path.clone()));
        }
        state.before.insert(number, dir);
    }
    walk.finish(state, top)
}

#[derive(Default)]
struct State {
    /// What was known of directories that are listed anew.
    before: HashMap<u32, Dir>,
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
        let before = self.before.remove(&number);
        for &child in &scan.subdirs {
            let path = scan.dir.path.join(scan.dir.name(&scan.dir.children[child]));
            let path = path.map_err(|why| {
                refused(Path::new(OsStr::from_bytes(scan.dir.path.as_bytes())), why)
            })?;
            let node = &scan.dir.children[child];
            let before = before.as_ref();
            let known = before.and_then(|before| before.directory(scan.dir.name(node), node));
            let number = match known {
                Some(number) => self.take_over(number, path),
                None => self.enqueue(path),
            };
            scan.dir.children[child].data = u64::from(number);
        }
        self.warnings.append(&mut scan.warnings);
        scan.dir.trim();
        self.dirs[number as usize] = Some(scan.dir);
        Ok(())
    }

    /// Keeps a directory that was known, unless it has to be listed anew itself.
    fn take_over(&mut self, number: u32, path: TreePath) -> u32 {
        if self.before.contains_key(&number) {
            self.queue.push((number, path));
        }
        number
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

/// So many directories are asked for at a time, because a disk is fastest when many
/// wait for it.
const READERS: usize = 8;

impl Walk<'_> {
    /// Before anything below it is listed, so that whatever changes meanwhile is seen later.
    fn look_at_top(&self) -> Option<Top> {
        if !self.part.is_whole_root() {
            return None;
        }
        let found = self.part.root.examine().ok()?;
        Some(Top {
            dev: self
                .devices
                .index((found.stx_dev_major, found.stx_dev_minor)),
            ino: found.stx_ino,
            changed: changed(&found),
        })
    }

    fn finish(&self, state: State, top: Option<Top>) -> Result<Walked, TreeError> {
        let state = Mutex::new(state);
        self.run(&state)?;
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let dirs = state.dirs.into_iter().map(Option::unwrap_or_default);
        Ok(Walked {
            dirs: dirs.collect(),
            loose: state.loose,
            warnings: state.warnings,
            top,
            identity: None,
        })
    }

    fn run(&self, state: &Mutex<State>) -> Result<(), TreeError> {
        let turned = Condvar::new();
        for _ in 0..WORTH_HELP {
            if !self.step(state, &turned, false) {
                break;
            }
        }
        if self.threads > 1 && !lock(state).queue.is_empty() {
            std::thread::scope(|scope| {
                for _ in 1..self.threads.max(READERS) {
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
        let before = held.queue.len();
        if let Err(error) = scanned.and_then(|scan| held.accept(number, scan)) {
            held.fail(path, error);
        }
        // This thread takes one of the new directories itself.
        for _ in before + 1..held.queue.len() {
            turned.notify_one();
        }
        if held.busy == 0 && held.queue.is_empty() {
            turned.notify_all();
        }
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
        let names = Names::read(&fd).map_err(|e| TreeError::io("list directory", &host(), e))?;
        let names = names
            .iter()
            .filter(|name| !self.exclude_applies(&path, name));
        self.stat_all(fd, path.clone(), names)
    }

    fn exclude_applies(&self, dir: &TreePath, name: &[u8]) -> bool {
        self.part.leaves_out(dir, name)
            || self.part.flavour == Flavour::Plain && self.exclude.matches(dir, name)
    }

    fn stat_all<'n>(
        &self,
        fd: OwnedFd,
        path: TreePath,
        names: impl Iterator<Item = &'n [u8]>,
    ) -> Result<Scan, TreeError> {
        let mut scanner = Scanner::new(self, fd, &self.part.source_of(path.as_bytes()));
        let mut scan = Scan::at(path);
        for name in names {
            scanner.add(&mut scan, name, name)?;
        }
        // Of a million entries even the slack is felt.
        scan.dir.children.shrink_to_fit();
        scan.dir.names.shrink_to_fit();
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
        let (dir, name) = self.part.source_of_top();
        let fail = |e| TreeError::io("open directory", self.part.root.host(), e);
        let fd = self.part.root.open_dir(dir).map_err(fail)?;
        let mut scanner = Scanner::new(self, fd, dir);
        let mut scan = Scan::at(parent);
        scanner.add(&mut scan, name, dest.name())?;
        state.dirs.push(None);
        state.loose.push(0);
        state.accept(0, scan)
    }

    /// Only the given entries, without descending into any.
    fn pick(&self, only: &[TreePath], state: &mut State) -> Result<(), TreeError> {
        let mut of_dir: BTreeMap<TreePath, Vec<&[u8]>> = BTreeMap::new();
        for path in only {
            let Some(parent) = path.parent() else {
                continue;
            };
            of_dir.entry(parent).or_default().push(path.name());
        }
        for (parent, names) in of_dir {
            let source = self.part.source_of(parent.as_bytes());
            let fail =
                |e| TreeError::io("open directory", &self.part.host_of(parent.as_bytes()), e);
            let fd = self.part.root.open_dir(&source).map_err(fail)?;
            let mut scan = self.stat_all(fd, parent, names.into_iter())?;
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

/// The names in a directory, one after another in one piece: of a million even the
/// pointers would be felt.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Names {
    fn read(fd: &OwnedFd) -> rustix::io::Result<Self> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 16 * 1024];
        let mut entries = RawDir::new(fd, &mut buffer);
        let mut names = Self::default();
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) => names.add(entry.file_name().to_bytes()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        let Self { bytes, spans } = &mut names;
        spans.sort_unstable_by(|a, b| a.of(bytes).cmp(b.of(bytes)));
        Ok(names)
    }

    fn add(&mut self, name: &[u8]) {
        if name != b"." && name != b".." {
            let (at, len) = (self.bytes.len() as u32, name.len() as u16);
            self.bytes.extend_from_slice(name);
            self.spans.push(Span { at, len });
        }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|span| span.of(&self.bytes))
    }
}

fn refused(path: &Path, why: PathFault) -> TreeError {
    TreeError::Refused {
        path: path.to_owned(),
        why: format!("its path in the image {why}"),
    }
}

/// A worker that panicked has failed the build already; its lock tells nothing new.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
