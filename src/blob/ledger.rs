//! Which files were hashed before, and how they looked then.
//!
//! A blob whose size, inode, mtime and ctime are those recorded need not be hashed again. The
//! records live in memory or in a file that the caller names (a cache), never in a layout: they
//! differ from machine to machine, and a layout is the same bytes everywhere. A record that is
//! lost costs a second hashing and nothing else, so nothing here ever fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::Stat;

use super::Digest;
use super::folder::{Folder, Found, read_small};
use super::sum::Sum;
use super::temporary::{Kind, Temporary};

/// More records than this are not kept.
const LIMIT: usize = 1 << 16;

/// How a file looked: any write, rename or link changes at least its ctime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    // The field types of `stat` differ from one architecture to the next.
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            place: (stat.st_dev as u64, stat.st_ino as u64),
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }

    /// Whether it is the same file with the same bytes, though perhaps with another name.
    pub(crate) fn has_content_of(&self, other: &Self) -> bool {
        (self.place, self.size, self.modified) == (other.place, other.size, other.modified)
    }

    /// Whether the file was last changed before a moment of its file system's clock.
    ///
    /// Clocks of file systems tick every few milliseconds: a file changed in the present tick
    /// could be changed once more and look the same.
    pub(crate) fn older_than(&self, now: &Self) -> bool {
        self.changed < now.modified
    }
}

/// Records of files that were hashed. Shared by all stores of a process.
#[derive(Debug, Default)]
pub struct Ledger {
    path: Option<PathBuf>,
    known: Mutex<Known>,
    /// What tells this run of the machine from others, once that was asked for.
    boot: OnceLock<Option<String>>,
}

/// By device and inode.
type Known = BTreeMap<(u64, u64), Record>;

/// One file that was hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    digest: Digest,
    stamp: Stamp,
    since: Since,
    /// To tell that the bytes are the same though something about the file has changed.
    sum: Option<Sum>,
}

/// How long a record can be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Since {
    /// For good: the file is on stable storage.
    Flushed,
    /// As long as the machine runs: after a power cut the file may be anything.
    Boot(String),
}

/// What is known of a file that was hashed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// Its bytes are right and on stable storage.
    Flushed,
    /// Its bytes are right, but a power cut could still take them.
    Written,
}

impl Ledger {
    /// Records kept in a file from run to run; a file that cannot be read is taken as empty.
    pub fn load(path: &Path) -> Self {
        Self {
            path: Some(path.to_owned()),
            known: Mutex::new(read(path)),
            boot: OnceLock::new(),
        }
    }

    /// Writes the records together with those that others have written since.
    ///
    /// Two that save at the same moment may lose records, which is harmless.
    pub fn save(&self) {
        let Some(path) = &self.path else { return };
        let mut all = read(path);
        all.extend(self.lock().iter().map(|(k, v)| (*k, v.clone())));
        if let Err(error) = write(path, &render(&all)) {
            tracing::debug!(%error, "records of hashed blobs were not saved");
        }
    }

    /// Whether the records outlive this process.
    pub(crate) fn lasts(&self) -> bool {
        self.path.is_some()
    }

    pub(crate) fn knows(&self, digest: &Digest, stamp: &Stamp) -> Option<Knowledge> {
        let known = self.lock();
        let found = known.get(&stamp.place)?;
        let same = found.digest == *digest && found.stamp == *stamp;
        same.then_some(match found.since {
            Since::Flushed => Knowledge::Flushed,
            Since::Boot(_) => Knowledge::Written,
        })
    }

    /// The sum of a file that was hashed as `digest` before something about it changed, such
    /// as its number of names.
    pub(crate) fn sum(&self, digest: &Digest, stamp: &Stamp) -> Option<Sum> {
        let known = self.lock();
        let found = known.get(&stamp.place)?;
        let same = found.digest == *digest && found.stamp.size == stamp.size;
        found.sum.filter(|_| same)
    }

    /// Records a file that was hashed; without a way to tell a power cut, none that is
    /// not on stable storage.
    pub(crate) fn record(&self, digest: &Digest, stamp: Stamp, known: Knowledge, sum: Option<Sum>) {
        let sum = sum.or_else(|| self.sum(digest, &stamp));
        let flushed = self.knows(digest, &stamp) == Some(Knowledge::Flushed);
        let since = match known {
            Knowledge::Written if !flushed => self.boot.get_or_init(boot).clone().map(Since::Boot),
            _ => Some(Since::Flushed),
        };
        let digest = digest.clone();
        let record = since.map(|since| Record {
            digest,
            stamp,
            since,
            sum,
        });
        self.lock().extend(record.map(|r| (r.stamp.place, r)));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells this run of the machine from all others.
fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim();
    let good = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    good.then(|| id.to_owned())
}

/// The records that still hold; those of earlier runs of the machine do not.
fn read(path: &Path) -> Known {
    let mut known = parse(&text(path));
    let boot = boot();
    known.retain(|_, record| match &record.since {
        Since::Flushed => true,
        Since::Boot(then) => Some(then) == boot.as_ref(),
    });
    known
}

/// What is recorded in a file; nothing if it is no text, too long, or no file.
fn text(path: &Path) -> String {
    const LONGEST: u64 = 64 << 20;
    let bytes = read_small(path, LONGEST).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

fn write(path: &Path, text: &str) -> Result<(), super::BlobError> {
    use std::io::Write as _;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Ok(());
    };
    let Some(folder) = Folder::open(parent)? else {
        return Ok(());
    };
    if let Found::Other(_) = folder.find(name)? {
        return Ok(());
    }
    let mut temporary = Temporary::named(&folder, Kind::Layout)?;
    let written = temporary.file.write_all(text.as_bytes());
    written.map_err(|source| super::folder::failed("write", temporary.path(), source))?;
    temporary.replace(&folder, name)
}

fn render(all: &Known) -> String {
    let mut newest: Vec<_> = all.values().collect();
    newest.sort_by_key(|record| std::cmp::Reverse(record.stamp.changed));
    let mut text = String::new();
    for record in newest.into_iter().take(LIMIT) {
        let Stamp {
            place: (device, inode),
            size,
            modified: (modified, modified_ns),
            changed: (changed, changed_ns),
        } = record.stamp;
        let since = match &record.since {
            Since::Flushed => "flushed",
            Since::Boot(id) => id,
        };
        let sum = record.sum.map_or("-".to_owned(), |sum| sum.to_string());
        let _ = writeln!(
            text,
            "{} {device} {inode} {size} {modified} {modified_ns} {changed} {changed_ns} {since} {sum} .",
            record.digest
        );
    }
    text
}

fn parse(text: &str) -> Known {
    let records = text.lines().filter_map(parse_line);
    records.map(|record| (record.stamp.place, record)).collect()
}

fn parse_line(line: &str) -> Option<Record> {
    let mut words = line.split(' ');
    let digest = words.next()?.parse().ok()?;
    let mut number = || words.next()?.parse::<i128>().ok();
    let stamp = Stamp {
        place: (number()?.try_into().ok()?, number()?.try_into().ok()?),
        size: number()?.try_into().ok()?,
        modified: (number()?.try_into().ok()?, number()?.try_into().ok()?),
        changed: (number()?.try_into().ok()?, number()?.try_into().ok()?),
    };
    let since = match words.next()? {
        "flushed" => Since::Flushed,
        id => Since::Boot(id.to_owned()),
    };
    let sum = match words.next()? {
        "-" => None,
        sum => Some(sum.parse().ok()?),
    };
    // The full stop tells a whole line from one that was cut in its last word.
    let whole = words.next() == Some(".") && words.next().is_none();
    whole.then_some(Record {
        digest,
        stamp,
        since,
        sum,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(inode: u64) -> Stamp {
        Stamp {
            place: (7, inode),
            size: 3,
            modified: (-5, 6),
            changed: (8, inode),
        }
    }

    #[test]
    fn survives_a_file_and_cut_lines() {
        let ledger = Ledger::default();
        let sum = Some(super::super::sum::Summing::default().finish());
        ledger.record(&Digest::of(b"a"), stamp(1), Knowledge::Flushed, sum);
        ledger.record(&Digest::of(b"b"), stamp(2), Knowledge::Written, None);
        let text = render(&ledger.lock());
        assert_eq!(parse(&text), *ledger.lock());
        for cut in 0..text.len() {
            let known = ledger.lock();
            assert!(
                parse(&text[..cut])
                    .iter()
                    .all(|(k, v)| known.get(k) == Some(v))
            );
        }
    }

    #[test]
    fn knows_exactly_what_was_recorded() {
        let ledger = Ledger::default();
        let knows = |digest: &[u8], stamp| ledger.knows(&Digest::of(digest), &stamp);
        ledger.record(&Digest::of(b"a"), stamp(1), Knowledge::Flushed, None);
        assert_eq!(knows(b"a", stamp(1)), Some(Knowledge::Flushed));
        assert_eq!(knows(b"b", stamp(1)), None);
        let touched = Stamp {
            changed: (9, 1),
            ..stamp(1)
        };
        assert_eq!(knows(b"a", touched), None);
        assert_eq!(ledger.sum(&Digest::of(b"a"), &touched), None);
        let sum = Some(super::super::sum::Summing::default().finish());
        ledger.record(&Digest::of(b"a"), stamp(1), Knowledge::Flushed, sum);
        ledger.record(&Digest::of(b"a"), stamp(1), Knowledge::Flushed, None);
        assert_eq!(ledger.sum(&Digest::of(b"a"), &touched), sum);
        assert_eq!(ledger.sum(&Digest::of(b"b"), &touched), None);
        let longer = Stamp { size: 4, ..touched };
        assert_eq!(ledger.sum(&Digest::of(b"a"), &longer), None);
        assert!(stamp(1).older_than(&Stamp {
            modified: (8, 2),
            ..stamp(3)
        }));
        assert!(!stamp(1).older_than(&Stamp {
            modified: (8, 1),
            ..stamp(3)
        }));
    }

    #[test]
    fn believes_what_was_not_flushed_until_the_machine_is_started_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let ledger = Ledger::load(&path);
        ledger.record(&Digest::of(b"a"), stamp(1), Knowledge::Written, None);
        ledger.record(&Digest::of(b"b"), stamp(2), Knowledge::Flushed, None);
        ledger.record(&Digest::of(b"b"), stamp(2), Knowledge::Written, None);
        ledger.save();
        let again = Ledger::load(&path);
        let knows =
            |ledger: &Ledger, digest: &[u8], n| ledger.knows(&Digest::of(digest), &stamp(n));
        assert_eq!(knows(&again, b"a", 1), Some(Knowledge::Written));
        assert_eq!(knows(&again, b"b", 2), Some(Knowledge::Flushed));

        let text = std::fs::read_to_string(&path).unwrap();
        let other = "00000000-0000-0000-0000-000000000000";
        std::fs::write(&path, text.replace(&boot().unwrap(), other)).unwrap();
        let later = Ledger::load(&path);
        assert_eq!(knows(&later, b"a", 1), None);
        assert_eq!(knows(&later, b"b", 2), Some(Knowledge::Flushed));
    }
}
