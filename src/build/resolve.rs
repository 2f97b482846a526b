//! Where a path of the image really is, across links between store paths.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::tree::TreePath;

/// As many links as Linux follows on one way.
const MOST_LINKS: usize = 40;

/// Follows links as they will be followed inside the image: absolute targets start at
/// the image's root, not at this machine's.
pub(super) struct Resolver<'s> {
    /// Store paths by where they land.
    pub stores: &'s BTreeMap<TreePath, PathBuf>,
}

impl Resolver<'_> {
    /// The directory at the end of all links: its path in the image and on this machine.
    /// `None` if there is none, or the way leads out of the store paths.
    pub(super) fn directory(&self, path: &TreePath) -> Option<(TreePath, PathBuf)> {
        let mut ahead: VecDeque<Vec<u8>> = path.parts().map(<[u8]>::to_vec).collect();
        let mut at = TreePath::root();
        let mut links = 0;
        while let Some(part) = ahead.pop_front() {
            match part.as_slice() {
                b"" | b"." => {}
                b".." => at = at.parent().unwrap_or_default(),
                name => match self.target(&at.join(name).ok()?) {
                    None => at = at.join(name).ok()?,
                    Some(target) => {
                        links += 1;
                        if links > MOST_LINKS {
                            return None;
                        }
                        if target.starts_with(b"/") {
                            at = TreePath::root();
                        }
                        let parts: Vec<_> =
                            target.split(|&b| b == b'/').map(<[u8]>::to_vec).collect();
                        parts
                            .into_iter()
                            .rev()
                            .for_each(|part| ahead.push_front(part));
                    }
                },
            }
        }
        let host = self.host(&at)?;
        host.symlink_metadata().ok()?.is_dir().then_some((at, host))
    }

    /// Where the link at a path leads, if it is one.
    fn target(&self, path: &TreePath) -> Option<Vec<u8>> {
        let target = std::fs::read_link(self.host(path)?).ok()?;
        Some(target.into_os_string().into_vec())
    }

    fn host(&self, path: &TreePath) -> Option<PathBuf> {
        let mut above = path.ancestors().chain([path.clone()]);
        let (store, host) = above.find_map(|above| self.stores.get_key_value(&above))?;
        let below = path.as_bytes().get(store.as_bytes().len()..)?;
        match below.strip_prefix(b"/") {
            Some(below) => Some(host.join(OsStr::from_bytes(below))),
            None => Some(host.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_from_store_path_to_store_path() {
        let disk = tempfile::tempdir().unwrap();
        fs::create_dir_all(disk.path().join("a/lib")).unwrap();
        fs::create_dir_all(disk.path().join("b")).unwrap();
        symlink("/store/a/lib", disk.path().join("b/lib")).unwrap();
        symlink("../a/./lib/..", disk.path().join("b/up")).unwrap();
        symlink("/etc", disk.path().join("b/out")).unwrap();
        symlink("loop", disk.path().join("b/loop")).unwrap();
        let path = |text: &str| TreePath::new(text).unwrap();
        let stores =
            ["a", "b"].map(|name| (path(&format!("store/{name}")), disk.path().join(name)));
        let stores = BTreeMap::from(stores);
        let resolver = Resolver { stores: &stores };
        let found = |text: &str| {
            resolver
                .directory(&path(text))
                .map(|(path, _)| path.display())
        };
        assert_eq!(found("store/b/lib").as_deref(), Some("/store/a/lib"));
        assert_eq!(found("store/b/up").as_deref(), Some("/store/a"));
        assert_eq!(found("store/b").as_deref(), Some("/store/b"));
        for nowhere in ["store/b/out", "store/b/loop", "store/c", "store/b/none"] {
            assert_eq!(found(nowhere), None, "{nowhere}");
        }
    }
}
