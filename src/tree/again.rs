//! A part that an earlier run listed: what still looks as it did then is not listed again.
//!
//! Every entry is asked for its facts, which costs one call; names are read only in
//! directories that changed, and attributes, links and directories only of entries there.

use std::ffi::CStr;
use std::io::{BufReader, BufWriter, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, statx};

use super::TreeError;
use super::memory::{Identity, Memory, Settled};
use super::node::{Dir, Node, Tag};
use super::part::{Flavour, Part};
use super::record::{self, Recorded};
use super::root::retry;
use super::scan::changed;
use super::walk::{Walk, Walked, lock, walk, walk_stale};

/// Lists a part with what is remembered of it, and remembers it.
pub(super) fn walk_with(asked: &Walk, memory: &dyn Memory) -> Result<Walked, TreeError> {
    if asked.part.only.is_some() || !asked.part.without.is_empty() {
        return walk(asked);
    }
    let name = name(asked);
    let recorded = memory.recall(&name).and_then(|input| {
        let mut input = BufReader::with_capacity(1 << 16, input);
        record::read(&mut input, asked.index, asked.devices)
    });
    let mut walked = match recorded {
        None => walk(asked)?,
        Some(recorded) => {
            let stale = Look::new(asked, &recorded).stale();
            if !stale.contains(&true) {
                return Ok(Walked {
                    identity: Some(recorded.identity),
                    ..recorded.walked
                });
            }
            list_stale(asked, recorded.walked, &stale)?
        }
    };
    let identity = keep(&name, asked, &walked, memory);
    walked.identity = identity.filter(|_| is_settled(&walked, memory.settled()));
    Ok(walked)
}

/// Whether all that was found can be relied on.
fn is_settled(walked: &Walked, settled: Settled) -> bool {
    let nodes = walked.dirs.iter().flat_map(|dir| &dir.children);
    walked.top.is_none_or(|top| settled.trusts(top.changed)) && { nodes }
        .all(|node| settled.trusts(node.changed))
}

/// Everything that decides what a walk finds on an unchanged disk.
fn name(walk: &Walk) -> String {
    let part = walk.part;
    let exclude = match part.flavour {
        Flavour::Plain => walk.exclude.patterns(),
        Flavour::Store => &[],
    };
    let how = format!(
        "{:?} {:?} {}",
        part.flavour,
        walk.policy.xattrs,
        // Some attributes are shown to some users only.
        rustix::process::geteuid().as_raw()
    );
    let host = part.root.host().as_os_str().as_encoded_bytes();
    let texts = [host, &part.base, part.dest.as_bytes(), how.as_bytes()];
    let patterns = exclude.iter().map(String::as_bytes);
    Identity::of(texts.into_iter().chain(patterns)).to_string()
}

fn keep(name: &str, walk: &Walk, walked: &Walked, memory: &dyn Memory) -> Option<Identity> {
    let mut identity = None;
    memory.keep(name, &mut |out| {
        let mut out = BufWriter::with_capacity(1 << 16, out);
        let found = record::write(walked, walk.devices, memory.settled(), &mut out)?;
        out.flush()?;
        identity = Some(found);
        Ok(())
    });
    identity
}

/// Lists the directories anew that do not look as they did.
fn list_stale(asked: &Walk, walked: Walked, stale: &[bool]) -> Result<Walked, TreeError> {
    // Which directory a warning is about is not remembered, and what is beside a part that
    // is one thing is none of it. If something is odd by now, a walk from the top says it best.
    let top_only = !asked.part.is_whole_root() && stale.first() == Some(&true);
    if top_only || !walked.warnings.is_empty() {
        return walk(asked);
    }
    walk_stale(asked, walked, stale).or_else(|_| walk(asked))
}

/// Holds what was recorded against the disk.
struct Look<'a> {
    walk: &'a Walk<'a>,
    recorded: &'a Recorded,
    /// Device of each directory.
    devices: Vec<u16>,
    stale: Vec<AtomicBool>,
    /// Whether a device's file system tells by a directory's times that its names changed.
    telling: Mutex<Vec<(u16, bool)>>,
}

/// How many stretches of directories a thread takes at a time.
const STRIDE: usize = 16;

/// How many entries of one directory a thread looks at in one go.
const STRETCH: usize = 1024;

impl<'a> Look<'a> {
    fn new(walk: &'a Walk<'a>, recorded: &'a Recorded) -> Self {
        let dirs = &recorded.walked.dirs;
        let mut devices = vec![recorded.walked.top.map_or(0, |top| top.dev); dirs.len()];
        for dir in dirs {
            for node in dir.children.iter().filter(|node| node.tag == Tag::Dir) {
                devices[node.data as usize] = node.dev;
            }
        }
        Self {
            walk,
            recorded,
            devices,
            stale: dirs.iter().map(|_| AtomicBool::new(false)).collect(),
            telling: Mutex::default(),
        }
    }

    /// By directory: whether it must be listed anew.
    fn stale(self) -> Vec<bool> {
        let next = AtomicUsize::new(0);
        let stretches: Vec<(u32, u32)> = self.stretches().collect();
        let work = || {
            loop {
                let from = next.fetch_add(STRIDE, Ordering::Relaxed);
                let some = stretches.get(from..).unwrap_or_default();
                if some.is_empty() {
                    return;
                }
                let mine = some.iter().take(STRIDE);
                mine.for_each(|(number, from)| self.look(*number as usize, *from as usize));
            }
        };
        let workers = self.walk.threads.min(stretches.len() / STRIDE);
        std::thread::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(work);
            }
            work();
        });
        let stale = self.stale.into_iter();
        stale.map(AtomicBool::into_inner).collect()
    }

    /// (directory, its first entry to look at), one at least for each directory.
    fn stretches(&self) -> impl Iterator<Item = (u32, u32)> {
        let dirs = self.recorded.walked.dirs.iter().zip(0..);
        dirs.flat_map(|(dir, number)| {
            let starts = (0..dir.children.len().max(1)).step_by(STRETCH);
            starts.map(move |from| (number, from as u32))
        })
    }

    /// Looks at a stretch of a directory's entries, and marks it and those that changed.
    fn look(&self, number: usize, from: usize) {
        let walked = &self.recorded.walked;
        let dir = &walked.dirs[number];
        let part = self.walk.part;
        // A part that is one thing hangs in a directory of which nothing else is known.
        let above = number == 0 && !part.is_whole_root();
        let (source, renamed) = match (above, part.source_of_top()) {
            (true, (source, name)) => (source.to_owned(), Some(name)),
            (false, _) => (part.source_of(dir.path.as_bytes()), None),
        };
        let Ok(fd) = part.root.hold_dir(&source) else {
            return self.mark(number);
        };
        if !above && !self.is_telling(self.devices[number], &fd) {
            return self.mark(number);
        }
        if (number, from, above) == (0, 0, false) && !self.top_holds() {
            self.mark(number);
        }
        let mut path = Vec::new();
        for node in dir.children.iter().skip(from).take(STRETCH) {
            if !self.holds(&fd, dir, node, renamed, &mut path) {
                self.mark(number);
                if node.tag == Tag::Dir {
                    self.mark(node.data as usize);
                }
            }
        }
    }

    fn mark(&self, number: usize) {
        self.stale[number].store(true, Ordering::Relaxed);
    }

    /// Whether the top is as it was, which no directory of this tree tells.
    fn top_holds(&self) -> bool {
        let Ok(found) = self.walk.part.root.examine() else {
            return false;
        };
        self.recorded.walked.top.is_some_and(|top| {
            top.ino == found.stx_ino
                && top.changed == changed(&found)
                && self.recorded.settled.trusts(top.changed)
                && self.is_device(top.dev, &found)
        })
    }

    /// Whether a directory that was not touched must have the names that it had.
    fn is_telling(&self, device: u16, fd: &OwnedFd) -> bool {
        let mut known = lock(&self.telling);
        if let Some((_, telling)) = known.iter().find(|(known, _)| *known == device) {
            return *telling;
        }
        let telling = file_system(fd).is_some_and(is_telling);
        known.push((device, telling));
        telling
    }

    fn is_device(&self, device: u16, found: &Statx) -> bool {
        self.walk.devices.number(device) == (found.stx_dev_major, found.stx_dev_minor)
    }

    /// Whether an entry is as it was: whatever is done to it changes its ctime at least.
    fn holds(
        &self,
        fd: &OwnedFd,
        dir: &Dir,
        node: &Node,
        renamed: Option<&[u8]>,
        path: &mut Vec<u8>,
    ) -> bool {
        path.clear();
        path.extend_from_slice(renamed.unwrap_or_else(|| dir.name(node)));
        path.push(0);
        let Ok(name) = CStr::from_bytes_with_nul(path) else {
            return false;
        };
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let found = retry(|| statx(fd, name, flags, StatxFlags::BASIC_STATS));
        found.is_ok_and(|found| {
            self.recorded.settled.trusts(node.changed)
                && is_as_found(node, &found, self.walk.part)
                && self.is_device(node.dev, &found)
        })
    }
}

fn is_as_found(node: &Node, found: &Statx, part: &Part) -> bool {
    let file_type = match node.tag {
        Tag::Dir => FileType::Directory,
        Tag::File => FileType::RegularFile,
        Tag::Symlink => FileType::Symlink,
        Tag::Char => FileType::CharacterDevice,
        Tag::Block => FileType::BlockDevice,
        Tag::Fifo => FileType::Fifo,
    };
    let linked = part.flavour == Flavour::Plain && node.tag != Tag::Dir && found.stx_nlink > 1;
    FileType::from_raw_mode(u32::from(found.stx_mode)) == file_type
        && node.ino == found.stx_ino
        && node.changed == changed(found)
        && (node.secs, node.nanos) == (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec)
        && node.mode == found.stx_mode & 0o7777
        && (node.uid, node.gid) == (found.stx_uid, found.stx_gid)
        && node.linked == linked
        && (node.tag != Tag::File || node.data == found.stx_size)
}

// The type of this field differs from one architecture to the next.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
fn file_system(fd: &OwnedFd) -> Option<u64> {
    Some(rustix::fs::fstatfs(fd).ok()?.f_type as u64)
}

/// File systems of which it is known that a directory's times change with its names; the
/// numbers are those of linux/magic.h and of the file systems' own sources.
fn is_telling(file_system: u64) -> bool {
    const EXT: u64 = 0xEF53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683E;
    const TMPFS: u64 = 0x0102_1994;
    const F2FS: u64 = 0xF2F5_2010;
    const OVERLAY: u64 = 0x794C_7630;
    const BCACHEFS: u64 = 0xCA45_1A4E;
    const ZFS: u64 = 0x2FC1_2FC1;
    [EXT, XFS, BTRFS, TMPFS, F2FS, OVERLAY, BCACHEFS, ZFS].contains(&(file_system & 0xFFFF_FFFF))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;
    use std::io::{self, Read, Write};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::tree::{
        Entry, Exclude, Facts, ListRequest, Listing, Opener, Parents, Policy, TreePath, list,
    };

    /// Remembers in this process.
    struct Kept {
        all: Mutex<HashMap<String, Vec<u8>>>,
        settled: Settled,
    }

    impl Kept {
        fn until(settled: Settled) -> Self {
            Self {
                all: Mutex::default(),
                settled,
            }
        }

        fn of_everything() -> Self {
            Self::until(Settled::of_run(i64::MAX))
        }
    }

    impl Memory for Kept {
        fn recall(&self, name: &str) -> Option<Box<dyn Read>> {
            let bytes = lock(&self.all).get(name)?.clone();
            Some(Box::new(io::Cursor::new(bytes)))
        }

        fn keep(&self, name: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) {
            let mut bytes = Vec::new();
            write(&mut bytes).unwrap();
            lock(&self.all).insert(name.to_owned(), bytes);
        }

        fn settled(&self) -> Settled {
            self.settled
        }
    }

    fn listed(host: &Path, flavour: Flavour, memory: Option<&dyn Memory>) -> Listing {
        let dest = TreePath::new("some/where").unwrap();
        let part = Opener::default().open(host, dest, flavour).unwrap();
        let exclude = Exclude::new(&["*.tmp".to_owned()]).unwrap();
        let request = ListRequest {
            parts: vec![part],
            made: Vec::new(),
            policy: &Policy::default(),
            exclude: &exclude,
            parents: &Parents::default(),
            yielding: false,
            threads: 2,
            memory,
        };
        list(request).unwrap()
    }

    fn told(listing: &Listing) -> Vec<(Entry, Facts)> {
        let all = 0..listing.len();
        all.map(|at| (listing.entry(at), listing.facts(at)))
            .collect()
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/b/c", "a/b/d", "a/e", "f/g", "h"] {
            let dir = dir.path().join(name);
            fs::create_dir_all(&dir).unwrap();
            for file in 0..5 {
                fs::write(dir.join(format!("{file}")), name).unwrap();
            }
        }
        symlink("f/g/1", dir.path().join("link")).unwrap();
        dir
    }

    /// Longer than any tick of a file system's clock.
    fn tick() {
        std::thread::sleep(Duration::from_millis(25));
    }

    type Change = (&'static str, fn(&Path));

    const CHANGES: [Change; 19] = [
        ("content", |t| fs::write(t.join("a/b/c/1"), "new").unwrap()),
        ("new file", |t| fs::write(t.join("f/new"), "new").unwrap()),
        ("file gone", |t| fs::remove_file(t.join("f/new")).unwrap()),
        ("new at the top", |t| fs::write(t.join("top"), "").unwrap()),
        ("new directories", |t| {
            fs::create_dir_all(t.join("a/b/x/y")).unwrap();
            fs::write(t.join("a/b/x/y/z"), "z").unwrap();
        }),
        ("nothing", |_| {}),
        ("excluded", |t| fs::write(t.join("h/x.tmp"), "").unwrap()),
        ("directory moved", |t| {
            fs::rename(t.join("a/b/x"), t.join("h/x")).unwrap();
        }),
        ("content of the moved", |t| {
            fs::write(t.join("h/x/y/z"), "other").unwrap();
        }),
        ("directory swapped for another", |t| {
            fs::rename(t.join("a/e"), t.join("a/tmp")).unwrap();
            fs::rename(t.join("f/g"), t.join("a/e")).unwrap();
            fs::rename(t.join("a/tmp"), t.join("f/g")).unwrap();
        }),
        ("directory gone", |t| {
            fs::remove_dir_all(t.join("h/x")).unwrap();
        }),
        ("several at once", |t| {
            fs::remove_dir_all(t.join("a/b")).unwrap();
            fs::write(t.join("a/b"), "a file now").unwrap();
            fs::create_dir(t.join("a/new")).unwrap();
        }),
        ("mode", |t| {
            fs::set_permissions(t.join("h"), fs::Permissions::from_mode(0o700)).unwrap();
        }),
        ("link", |t| {
            fs::remove_file(t.join("link")).unwrap();
            symlink("h", t.join("link")).unwrap();
        }),
        ("second name", |t| {
            fs::hard_link(t.join("h/1"), t.join("f/one")).unwrap();
        }),
        ("second name gone", |t| {
            fs::remove_file(t.join("f/one")).unwrap();
        }),
        ("the same bytes again", |t| {
            let file = t.join("h/2");
            let before = fs::metadata(&file).unwrap().modified().unwrap();
            fs::write(&file, "H").unwrap();
            let file = fs::File::options().write(true).open(file).unwrap();
            file.set_modified(before).unwrap();
        }),
        ("all gone", |t| {
            for name in ["a", "f", "h"] {
                fs::remove_dir_all(t.join(name)).unwrap();
            }
        }),
        ("nothing again", |_| {}),
    ];

    #[test]
    fn finds_what_a_first_look_would_find_after_every_change() {
        for flavour in [Flavour::Plain, Flavour::Store] {
            let (dir, memory) = (tree(), Kept::of_everything());
            let mut identities = vec![listed(dir.path(), flavour, Some(&memory)).identities()];
            for (name, change) in CHANGES {
                tick();
                change(dir.path());
                tick();
                let again = listed(dir.path(), flavour, Some(&memory));
                let fresh = listed(dir.path(), flavour, None);
                assert_eq!(told(&again), told(&fresh), "{flavour:?}: {name}");
                let same = again.identities() == identities[identities.len() - 1];
                assert_eq!(same, name.starts_with("nothing"), "{flavour:?}: {name}");
                // A second memory knows nothing of the changes, and finds the same.
                let other = Kept::of_everything();
                let other = listed(dir.path(), flavour, Some(&other));
                assert_eq!(
                    again.identities(),
                    other.identities(),
                    "{flavour:?}: {name}"
                );
                identities.push(again.identities());
            }
            assert!(identities.iter().all(Option::is_some));
        }
    }

    #[test]
    fn what_changed_lately_is_looked_at_again_and_identifies_nothing() {
        let dir = tree();
        let memory = Kept::until(Settled::of_run(0));
        assert_eq!(
            listed(dir.path(), Flavour::Plain, Some(&memory)).identities(),
            None
        );
        // Nothing that was found then may be relied on, though no fact is another.
        let stale = stale(dir.path(), &memory);
        assert!(stale.len() == 9 && !stale.contains(&false), "{stale:?}");
        let later = Kept {
            all: Mutex::new(lock(&memory.all).clone()),
            settled: Settled::of_run(i64::MAX),
        };
        let again = listed(dir.path(), Flavour::Plain, Some(&later));
        let fresh = listed(dir.path(), Flavour::Plain, Some(&Kept::of_everything()));
        assert!(again.identities().is_some());
        assert_eq!(again.identities(), fresh.identities());
    }

    /// Which directories of a tree do not look as the memory has them.
    fn stale(host: &Path, memory: &Kept) -> Vec<bool> {
        let dest = TreePath::new("some/where").unwrap();
        let part = Opener::default().open(host, dest, Flavour::Plain).unwrap();
        let walk = Walk {
            part: &part,
            index: 0,
            policy: &Policy::default(),
            exclude: &Exclude::default(),
            devices: &crate::tree::scan::Devices::default(),
            threads: 1,
        };
        let all = lock(&memory.all);
        let mut bytes = &all.values().next().unwrap()[..];
        let recorded = record::read(&mut bytes, 0, walk.devices).unwrap();
        Look::new(&walk, &recorded).stale()
    }

    #[test]
    fn only_what_changed_is_listed_anew() {
        let (dir, memory) = (tree(), Kept::of_everything());
        listed(dir.path(), Flavour::Plain, Some(&memory));
        let count = || stale(dir.path(), &memory).iter().filter(|s| **s).count();
        assert_eq!(count(), 0);
        tick();
        fs::write(dir.path().join("f/g/1"), "new").unwrap();
        assert_eq!(count(), 1);
        fs::write(dir.path().join("a/b/new"), "new").unwrap();
        // Both the directory and the one that has its times.
        assert_eq!(count(), 3);
    }

    #[test]
    fn whatever_is_wrong_with_what_was_kept_it_is_not_believed() {
        let dir = tree();
        let memory = Kept::of_everything();
        let expected = told(&listed(dir.path(), Flavour::Plain, Some(&memory)));
        let (name, whole) = { lock(&memory.all).clone() }.into_iter().next().unwrap();
        let mut damaged = vec![Vec::new(), b"x".to_vec(), [&whole[..], b"\0"].concat()];
        for at in (0..whole.len()).step_by(7) {
            damaged.push(whole[..at].to_vec());
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            damaged.push(bytes);
        }
        let devices = crate::tree::scan::Devices::default();
        for (number, bytes) in damaged.into_iter().enumerate() {
            // More bytes than were written are never read.
            if number != 2 {
                assert!(record::read(&mut &bytes[..], 0, &devices).is_none());
            }
            lock(&memory.all).insert(name.clone(), bytes);
            let found = listed(dir.path(), Flavour::Plain, Some(&memory));
            assert!(told(&found) == expected, "damage {number}");
        }
    }
}
