//! [`Policy`]: every choice that turns what is on disk into what a layer records.

use super::{Kind, Meta, Mtime};

/// How the attributes of a source become those of a layer.
///
/// Part of everything that decides a layer's bytes; equal policies and equal trees
/// give equal layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Who owns the entries.
    pub owner: OwnerRule,
    /// Which permissions they have.
    pub mode: ModeRule,
    /// When they were modified.
    pub mtime: MtimeRule,
    /// Whether extended attributes are recorded.
    pub xattrs: XattrRule,
    /// Time in seconds of what has none on disk: made directories and links.
    pub epoch: i64,
}

/// Who owns the entries of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerRule {
    /// All have the same numeric owner and group.
    Fixed {
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// As on disk.
    Keep,
}

/// Which permissions the entries of a layer have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModeRule {
    /// As on disk.
    Keep,
    /// 0755 for directories and whatever anybody may execute, 0644 for the rest.
    Normalize,
}

/// When the entries of a layer were modified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MtimeRule {
    /// All at the same second.
    Fixed(i64),
    /// As on disk to the nanosecond, but never later than `latest` seconds.
    Keep {
        /// `SOURCE_DATE_EPOCH`.
        latest: Option<i64>,
    },
}

/// Whether extended attributes are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XattrRule {
    /// All that mean something on another machine.
    Keep,
    /// None.
    None,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            owner: OwnerRule::Fixed { uid: 0, gid: 0 },
            mode: ModeRule::Keep,
            mtime: MtimeRule::Fixed(1),
            xattrs: XattrRule::Keep,
            epoch: 1,
        }
    }
}

impl Policy {
    /// What a directory or link that no disk has looks like before the policy is applied.
    pub(super) fn made(&self, mode: u32) -> Meta {
        let mtime = Mtime {
            secs: self.epoch,
            nanos: 0,
        };
        Meta {
            mode,
            uid: 0,
            gid: 0,
            mtime,
        }
    }

    /// The attributes that a layer records for what has `found` on disk.
    pub fn apply(&self, kind: &Kind, found: Meta) -> Meta {
        let (uid, gid) = match self.owner {
            OwnerRule::Fixed { uid, gid } => (uid, gid),
            OwnerRule::Keep => (found.uid, found.gid),
        };
        Meta {
            mode: self.mode(kind, found.mode),
            uid,
            gid,
            mtime: self.mtime(found.mtime),
        }
    }

    fn mode(&self, kind: &Kind, found: u32) -> u32 {
        match (self.mode, kind) {
            // Linux has no other mode for links, some file systems report one all the same.
            (_, Kind::Symlink { .. }) => 0o777,
            (ModeRule::Keep, _) => found & 0o7777,
            (ModeRule::Normalize, Kind::Dir) => 0o755,
            (ModeRule::Normalize, _) if found & 0o111 != 0 => 0o755,
            (ModeRule::Normalize, _) => 0o644,
        }
    }

    fn mtime(&self, found: Mtime) -> Mtime {
        match self.mtime {
            MtimeRule::Fixed(secs) => Mtime { secs, nanos: 0 },
            MtimeRule::Keep { latest: Some(secs) } if found.secs >= secs => {
                Mtime { secs, nanos: 0 }
            }
            MtimeRule::Keep { .. } => found,
        }
    }

    /// Whether an extended attribute of this name is recorded.
    ///
    /// Left out is what describes this machine or an overlay on it rather than the
    /// file: security labels, integrity hashes, overlay marks, NFS lists.
    pub fn keeps_xattr(&self, name: &[u8]) -> bool {
        const FOREIGN: [&[u8]; 5] = [
            b"security.selinux",
            b"security.ima",
            b"security.evm",
            b"security.SMACK",
            b"security.apparmor",
        ];
        let kept = match name.split(|&b| b == b'.').next() {
            Some(b"user") => !name.starts_with(b"user.overlay."),
            Some(b"trusted") => !name.starts_with(b"trusted.overlay."),
            Some(b"security") => !FOREIGN.iter().any(|f| name.starts_with(f)),
            Some(b"system") => name.starts_with(b"system.posix_acl_"),
            _ => false,
        };
        self.xattrs == XattrRule::Keep && kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(secs: i64, nanos: u32) -> Meta {
        Meta {
            mode: 0o104_751,
            uid: 7,
            gid: 8,
            mtime: Mtime { secs, nanos },
        }
    }

    #[test]
    fn defaults_hide_the_machine_but_not_the_mode() {
        let meta = Policy::default().apply(&Kind::Dir, found(99, 5));
        assert_eq!(
            meta,
            Meta {
                mode: 0o4751,
                uid: 0,
                gid: 0,
                mtime: Mtime { secs: 1, nanos: 0 }
            }
        );
    }

    #[test]
    fn kept_times_are_clamped() {
        let keep = |latest| Policy {
            mtime: MtimeRule::Keep { latest },
            ..Policy::default()
        };
        let mtime = |policy: Policy, at| policy.apply(&Kind::Fifo, found(at, 5)).mtime;
        assert_eq!(mtime(keep(None), -3), Mtime { secs: -3, nanos: 5 });
        assert_eq!(mtime(keep(Some(50)), 49), Mtime { secs: 49, nanos: 5 });
        assert_eq!(mtime(keep(Some(50)), 50), Mtime { secs: 50, nanos: 0 });
    }

    #[test]
    fn machine_bound_attributes_stay_behind() {
        let kept = |name: &str| Policy::default().keeps_xattr(name.as_bytes());
        assert!(kept("user.a") && kept("security.capability") && kept("system.posix_acl_access"));
        assert!(kept("trusted.a"));
        assert!(
            !kept("security.selinux") && !kept("user.overlay.opaque") && !kept("system.nfs4_acl")
        );
    }
}
