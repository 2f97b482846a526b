//! [`Memory`]: what is remembered of trees from one run to the next.

use std::fmt;
use std::io::{self, Read, Write};

use blake3::Hasher;

/// Where trees are remembered between runs.
///
/// It promises nothing: what is lost is looked at anew, what is damaged is taken as lost,
/// and nothing that it says of a disk is believed before the disk was asked.
pub trait Memory: Sync {
    /// What was kept under a name; `None` if that is gone or cannot be read.
    fn recall(&self, name: &str) -> Option<Box<dyn Read>>;

    /// Keeps what `write` writes, if it can.
    fn keep(&self, name: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>);

    /// Which changes on disk were over when this run began.
    fn settled(&self) -> Settled;
}

/// A moment before which a change is told from every later one by its time.
///
/// Clocks of file systems tick slowly: what changes now may change once more in the same tick
/// and look the same (git calls that racy). Whatever has changed since is not relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled(i64);

impl Settled {
    /// For a run that began at a time of the file system's clock, in nanoseconds since the
    /// epoch.
    pub fn of_run(began: i64) -> Self {
        const MARGIN: i64 = 100_000_000;
        Self(began.saturating_sub(MARGIN))
    }

    /// In nanoseconds since the epoch.
    pub(super) fn nanos(self) -> i64 {
        self.0
    }

    pub(super) fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Whether what last changed then, in nanoseconds since the epoch, can be relied on.
    pub fn trusts(self, changed: i64) -> bool {
        // Where time is told in whole seconds, or in two, a tick is as long.
        let tick = match changed.rem_euclid(1_000_000_000) {
            0 => 2_000_000_000,
            _ => 0,
        };
        changed.saturating_add(tick) < self.0
    }
}

/// What tells entries on this machine, as they are now, from all others and from themselves
/// after any change. Never reaches an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity([u8; 32]);

impl Identity {
    /// As it was read back.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For writing it down.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Of a series of byte strings.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> Self {
        let mut hasher = Hasher::new();
        for text in texts {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        Self::finish(hasher)
    }

    pub(super) fn finish(hasher: Hasher) -> Self {
        Self(hasher.finalize().into())
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_lately_or_within_a_slow_tick_is_not_relied_on() {
        let second = 1_000_000_000;
        let settled = Settled::of_run(100 * second);
        assert!(settled.trusts(99 * second + 899_999_999));
        assert!(!settled.trusts(99 * second + 900_000_000));
        assert!(!settled.trusts(101 * second));
        assert!(!settled.trusts(98 * second));
        assert!(settled.trusts(97 * second));
        assert!(settled.trusts(-5));
    }

    #[test]
    fn series_are_told_apart_by_where_their_texts_end() {
        let of = |texts: &[&[u8]]| Identity::of(texts.iter().copied());
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_eq!(of(&[b"a"]).to_string().len(), 64);
    }
}
