//! [`TarStream`]: a listing as one long run of bytes, of which any piece can be made
//! on its own. That is what lets one huge layer keep every core busy.

use std::ops::Range;

use crate::tree::{Listing, TreeError};

use super::tar;

/// Between two entries whose places are remembered: a few headers too many are made
/// for each piece, and a million entries need no eight bytes each.
const STRIDE: usize = 8;

/// The tar of one layer, as a function from offsets to bytes.
pub(super) struct TarStream {
    listing: Listing,
    /// Where the header of each [`STRIDE`]th entry starts.
    starts: Vec<u64>,
    size: u64,
}

impl TarStream {
    /// Lays the entries out one after another.
    pub(super) fn new(listing: Listing) -> Self {
        let mut starts = Vec::with_capacity(listing.len().div_ceil(STRIDE));
        let mut at = 0;
        for place in places(&listing, 0, 0) {
            if place.index % STRIDE == 0 {
                starts.push(place.at);
            }
            at = place.after();
        }
        Self {
            listing,
            starts,
            size: at + tar::END as u64,
        }
    }

    /// Length in bytes, end blocks included.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn warnings(&self) -> &[String] {
        self.listing.warnings()
    }

    /// Asks for the content of files that `fill` will want for a run of bytes.
    pub(super) fn announce(&self, run: Range<u64>) {
        let mut reader = self.listing.reader();
        let within = |place: &Place| place.at < run.end;
        for place in self.places_from(run.start).take_while(within) {
            let (body, end) = (place.body(), place.body() + place.content);
            let (from, to) = (body.max(run.start), end.min(run.end));
            if from < to {
                reader.announce(place.index, from - body, to - from);
            }
        }
    }

    /// The entries from one on whose header starts at an offset or shortly before.
    fn places_from(&self, offset: u64) -> impl Iterator<Item = Place> {
        let known = self.starts.partition_point(|&s| s <= offset);
        let known = known.saturating_sub(1);
        let at = self.starts.get(known).copied().unwrap_or(0);
        places(&self.listing, known * STRIDE, at)
    }

    /// Fills `buffer` with the bytes from `start` on; true if a disk had to be waited for.
    pub(super) fn fill(&self, start: u64, buffer: &mut [u8]) -> Result<bool, TreeError> {
        let mut cursor = Cursor {
            at: start,
            rest: buffer,
        };
        let mut reader = self.listing.reader();
        for place in self.places_from(start) {
            if cursor.rest.is_empty() {
                return Ok(reader.waited());
            }
            cursor.copy(place.at, &place.header);
            let (body, content) = (place.body(), place.content);
            cursor.with(body, content, |offset, room| {
                reader.read(place.index, offset, room)
            })?;
            cursor.zeros(body + content, tar::padding(content));
        }
        cursor.zeros(self.size - tar::END as u64, tar::END as u64);
        Ok(reader.waited())
    }
}

/// Where an entry stands in the tar.
struct Place {
    index: usize,
    at: u64,
    header: Vec<u8>,
    /// In bytes, without padding.
    content: u64,
}

impl Place {
    fn body(&self) -> u64 {
        self.at + self.header.len() as u64
    }

    fn after(&self) -> u64 {
        self.body() + self.content + tar::padding(self.content)
    }
}

/// The entries from one on, whose header starts at an offset.
fn places(listing: &Listing, first: usize, at: u64) -> impl Iterator<Item = Place> {
    (first..listing.len()).scan(at, |at, index| {
        let place = Place {
            index,
            at: *at,
            header: tar::header(&listing.entry(index)),
            content: listing.content_size(index),
        };
        *at = place.after();
        Some(place)
    })
}

/// The part of a piece that is still to be filled.
struct Cursor<'b> {
    at: u64,
    rest: &'b mut [u8],
}

impl Cursor<'_> {
    /// Fills what of the range [from, from + len) lies in the piece; everything
    /// before it has been filled already.
    fn with<E>(
        &mut self,
        from: u64,
        len: u64,
        fill: impl FnOnce(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = (from + len).min(self.at + self.rest.len() as u64);
        if self.at < from || self.at >= end {
            return Ok(());
        }
        let (now, rest) = std::mem::take(&mut self.rest).split_at_mut((end - self.at) as usize);
        let offset = self.at - from;
        self.at = end;
        self.rest = rest;
        fill(offset, now)
    }

    fn copy(&mut self, from: u64, bytes: &[u8]) {
        let done: Result<(), std::convert::Infallible> =
            self.with(from, bytes.len() as u64, |offset, room| {
                let offset = offset as usize;
                room.copy_from_slice(&bytes[offset..offset + room.len()]);
                Ok(())
            });
        done.unwrap_or_else(|never| match never {});
    }

    fn zeros(&mut self, from: u64, len: u64) {
        let done: Result<(), std::convert::Infallible> = self.with(from, len, |_, room| {
            room.fill(0);
            Ok(())
        });
        done.unwrap_or_else(|never| match never {});
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;
    use crate::tree::{Exclude, Flavour, ListRequest, Opener, Parents, Policy, TreePath, list};

    fn stream_of(host: &Path, dest: &str, flavour: Flavour) -> TarStream {
        let (policy, exclude, parents) =
            (Policy::default(), Exclude::default(), Parents::default());
        let part = Opener::default()
            .open(host, TreePath::new(dest).unwrap(), flavour)
            .unwrap();
        let request = ListRequest {
            parts: vec![part],
            made: Vec::new(),
            policy: &policy,
            exclude: &exclude,
            parents: &parents,
            yielding: false,
            threads: 2,
            memory: None,
        };
        TarStream::new(list(request).unwrap())
    }

    fn whole(stream: &TarStream) -> Vec<u8> {
        let mut bytes = vec![0xff; stream.size() as usize];
        stream.fill(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn announcing_changes_no_byte_and_fails_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..40_u8 {
            fs::write(dir.path().join(format!("f{n}")), vec![n; 700]).unwrap();
        }
        let stream = stream_of(dir.path(), "", Flavour::Plain);
        let before = whole(&stream);
        for run in [0..1, 0..stream.size(), 5000..5001, stream.size()..u64::MAX] {
            stream.announce(run);
        }
        assert_eq!(whole(&stream), before);
        // What has gone is told by whoever reads it.
        fs::remove_file(dir.path().join("f7")).unwrap();
        stream.announce(0..u64::MAX);
        assert!(stream.fill(0, &mut vec![0; before.len()]).is_err());
    }

    fn names(tar: &[u8]) -> Vec<String> {
        let mut archive = ::tar::Archive::new(tar);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries
            .map(|e| String::from_utf8_lossy(&e.path_bytes()).into_owned())
            .collect()
    }

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("a/deep")).unwrap();
        fs::write(root.join("a/deep/file"), vec![7; 1000]).unwrap();
        fs::write(root.join("a-b"), b"").unwrap();
        fs::hard_link(root.join("a/deep/file"), root.join("twin")).unwrap();
        symlink("x".repeat(150), root.join("link")).unwrap();
        fs::write(root.join("n".repeat(200)), vec![9; 512]).unwrap();
        fs::set_permissions(root.join("a/deep"), PermissionsExt::from_mode(0o2750)).unwrap();
        dir
    }

    #[test]
    fn any_cut_gives_the_same_bytes() {
        let dir = sample();
        let stream = stream_of(dir.path(), "", Flavour::Plain);
        let all = whole(&stream);
        for step in [1, 511, 512, 700, 4096] {
            let mut pieces = Vec::new();
            while pieces.len() < all.len() {
                let mut piece = vec![0xff; step.min(all.len() - pieces.len())];
                stream.fill(pieces.len() as u64, &mut piece).unwrap();
                pieces.extend(piece);
            }
            assert!(pieces == all, "step {step}");
        }
    }

    #[test]
    fn parents_come_first_and_links_point_back() {
        let dir = sample();
        let tar = whole(&stream_of(dir.path(), "opt/x", Flavour::Plain));
        let names = names(&tar);
        assert_eq!(
            names[..5],
            [
                "opt/",
                "opt/x/",
                "opt/x/a/",
                "opt/x/a/deep/",
                "opt/x/a/deep/file"
            ]
        );
        let mut archive = ::tar::Archive::new(&tar[..]);
        let twin = archive
            .entries()
            .unwrap()
            .map(Result::unwrap)
            .find(|e| e.path_bytes().ends_with(b"twin"));
        let twin = twin.unwrap();
        assert_eq!(twin.link_name_bytes().unwrap(), &b"opt/x/a/deep/file"[..]);
        assert_eq!(twin.header().entry_type(), ::tar::EntryType::Link);
    }

    #[test]
    fn a_store_path_has_full_files() {
        let dir = sample();
        let tar = whole(&stream_of(dir.path(), "nix/store/x", Flavour::Store));
        let mut archive = ::tar::Archive::new(&tar[..]);
        let links = archive.entries().unwrap().map(Result::unwrap);
        assert_eq!(
            links
                .filter(|e| e.header().entry_type() == ::tar::EntryType::Link)
                .count(),
            0
        );
    }

    #[test]
    fn a_file_that_changed_is_named() {
        let dir = sample();
        let stream = stream_of(dir.path(), "", Flavour::Plain);
        fs::write(dir.path().join("a/deep/file"), vec![8; 999]).unwrap();
        let mut bytes = vec![0; stream.size() as usize];
        let fault = stream.fill(0, &mut bytes).unwrap_err().to_string();
        assert!(
            fault.contains("a/deep/file changed while it was read"),
            "{fault}"
        );
    }
}
