//! Reading extended attributes without a race and without losing any.

use std::ffi::CStr;
use std::io;

use rustix::fs::{lgetxattr, llistxattr};
use rustix::io::Errno;

use super::{Policy, Xattrs};

/// Why a file's extended attributes cannot be recorded.
pub(super) enum XattrFault {
    Io(io::Error),
    Refused(String),
}

/// Reads what `policy` keeps; `path` leads through a held directory.
///
/// PAX records end a name at the first `=` and cannot hold an empty value (pax
/// extended header format): such attributes are refused rather than lost.
pub(super) fn read(
    path: &CStr,
    policy: &Policy,
    buffer: &mut Vec<u8>,
) -> Result<Xattrs, XattrFault> {
    let names = match grow(buffer, |room| llistxattr(path, room)) {
        Ok(0) | Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Xattrs::new()),
        Ok(len) => buffer[..len].to_owned(),
        Err(errno) => return Err(XattrFault::Io(errno.into())),
    };
    let mut found = Xattrs::new();
    for name in names
        .split(|&b| b == 0)
        .filter(|name| policy.keeps_xattr(name))
    {
        let value = match grow(buffer, |room| lgetxattr(path, name, room)) {
            Ok(len) => buffer[..len].to_owned(),
            // Removed since it was listed: then the file does not have it.
            Err(Errno::NODATA) => continue,
            Err(errno) => return Err(XattrFault::Io(errno.into())),
        };
        check(name, &value)?;
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

/// Whether the file there has no extended attributes at all, as far as can be seen.
pub(super) fn none_at(path: &CStr) -> bool {
    let mut room = [0; 512];
    matches!(llistxattr(path, &mut room), Ok(0) | Err(Errno::NOTSUP))
}

fn check(name: &[u8], value: &[u8]) -> Result<(), XattrFault> {
    let shown = name.escape_ascii();
    let refuse = |why: &str| {
        Err(XattrFault::Refused(format!(
            "its extended attribute `{shown}` {why}"
        )))
    };
    if name.contains(&b'=') {
        return refuse("has a `=` in its name, which a tar archive cannot express");
    }
    if value.is_empty() {
        return refuse("is empty, which a tar archive cannot express");
    }
    if name == b"security.capability" && capability_revision(value) == Some(3) {
        return refuse("is bound to a user namespace (revision 3); set it again inside the image");
    }
    Ok(())
}

/// The revision in `vfs_cap_data.magic_etc` (linux/capability.h).
fn capability_revision(value: &[u8]) -> Option<u8> {
    value.get(3).copied()
}

/// Calls with a buffer that grows until the answer fits.
fn grow(
    buffer: &mut Vec<u8>,
    mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<usize> {
    buffer.resize(buffer.len().max(256), 0);
    loop {
        match call(buffer) {
            Err(Errno::RANGE) if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 4, 0),
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}
