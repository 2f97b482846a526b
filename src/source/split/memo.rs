//! What a tree was split into by an earlier run, as long as nothing in it has changed.

use std::io::Read as _;

use super::SplitRequest;
use super::shares::{Share, Shares};
use crate::source::Mount;
use crate::tree::{Identity, Listing, Memory};

/// Version of the rules by which trees are split: whatever changes what comes out for the
/// same tree must raise it.
const RULES: &str = "plywood split 1";

/// Nothing kept is nearly as long.
const LIMIT: u64 = 1 << 28;

/// The place of one tree's split in the memory of earlier runs.
pub(super) struct Memo<'m> {
    memory: &'m dyn Memory,
    name: String,
    mounts: usize,
}

impl<'m> Memo<'m> {
    /// `None` if there is no memory, or the tree cannot be told from others.
    pub(super) fn of(
        path: &str,
        mounts: &[Mount],
        listing: &Listing,
        request: &SplitRequest<'m>,
    ) -> Option<Self> {
        let how = format!("{RULES} {:?} {:?}", request.split, request.policy);
        let identities = listing.identities()?;
        let dests = mounts.iter().map(|mount| mount.dest.as_bytes());
        let identities = identities.iter().map(|identity| &identity.as_bytes()[..]);
        let first = [how.as_bytes(), path.as_bytes()];
        let all = first.into_iter().chain(dests).chain(identities);
        Some(Self {
            memory: request.memory?,
            name: Identity::of(all).to_string(),
            mounts: mounts.len(),
        })
    }

    /// What was kept; `None` if it is gone, damaged, or not about this listing.
    pub(super) fn recall(&self, listing: &Listing) -> Option<Shares> {
        let mut bytes = Vec::new();
        let input = self.memory.recall(&self.name)?;
        input.take(LIMIT).read_to_end(&mut bytes).ok()?;
        let (sum, body) = bytes.split_first_chunk::<32>()?;
        if Identity::of([body]).as_bytes() != sum {
            return None;
        }
        let shares: Shares = serde_json::from_slice(body).ok()?;
        let fits = |share: &Share| {
            let mut runs = share.picked.iter();
            share.picked.len() == self.mounts && runs.all(|runs| runs.are_below(listing.len()))
        };
        shares.all.iter().all(fits).then_some(shares)
    }

    /// Keeps what a tree was split into.
    pub(super) fn keep(&self, shares: &Shares) {
        let Ok(body) = serde_json::to_vec(shares) else {
            return;
        };
        self.memory.keep(&self.name, &mut |out| {
            out.write_all(Identity::of([&body[..]]).as_bytes())?;
            out.write_all(&body)
        });
    }
}
