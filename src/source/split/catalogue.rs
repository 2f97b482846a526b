//! [`Catalogue`]: owners by identity, and by everything else that others call them.

use std::collections::HashMap;

use super::Owner;

/// The owners of one kind while its databases are read.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    owners: Vec<Owner>,
    by_identity: HashMap<String, u32>,
    by_name: HashMap<String, u32>,
}

impl Catalogue {
    /// The owner with this identity, new if there was none.
    pub(super) fn owner(&mut self, identity: &str) -> u32 {
        if let Some(&known) = self.by_identity.get(identity) {
            return known;
        }
        let new = self.owners.len() as u32;
        self.owners.push(Owner {
            name: identity.to_owned(),
            ..Owner::default()
        });
        self.by_identity.insert(identity.to_owned(), new);
        new
    }

    /// Notes that this version of an owner is installed; an empty one says nothing.
    pub(super) fn version(&mut self, owner: u32, version: &str) {
        if let (Some(owner), false) = (self.owners.get_mut(owner as usize), version.is_empty()) {
            owner.versions.insert(version.to_owned());
        }
    }

    /// Others may call it so; who is named so first stays it.
    pub(super) fn provide(&mut self, name: &str, owner: u32) {
        if !name.is_empty() && !self.by_name.contains_key(name) {
            self.by_name.insert(name.to_owned(), owner);
        }
    }

    /// Who is called so.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Notes that an owner needs the first of several names that somebody has; names of
    /// nobody are ignored.
    pub(super) fn refer<'n>(&mut self, from: u32, alternatives: impl IntoIterator<Item = &'n str>) {
        let to = alternatives.into_iter().find_map(|name| self.find(name));
        if let (Some(to), Some(owner)) = (to, self.owners.get_mut(from as usize)) {
            owner.requires.push(to);
        }
    }

    /// Notes that an owner needs another.
    pub(super) fn refer_to(&mut self, from: u32, to: u32) {
        if let Some(owner) = self.owners.get_mut(from as usize) {
            owner.requires.push(to);
        }
    }

    pub(super) fn into_owners(self) -> Vec<Owner> {
        self.owners
    }
}
