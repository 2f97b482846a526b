//! The extended attribute `user.component`, as chunkah has it: the value names the
//! component of a file, or of all below a directory that do not say otherwise.

use super::catalogue::Catalogue;
use super::view::{NONE, shorten};
use super::{Claims, Ownership, Site};
use crate::source::SourceError;

pub(super) struct Xattr;

impl Ownership for Xattr {
    fn claims(&self, site: &Site<'_>) -> Result<Option<Claims>, SourceError> {
        let mut catalogue = Catalogue::default();
        let mut claims = Claims::default();
        let mut owners: Vec<u32> = Vec::with_capacity(site.view.len() as usize);
        for at in site.view.entries() {
            let owner = match site.view.component(at) {
                Some(value) => {
                    let Ok(name) = std::str::from_utf8(value) else {
                        let shown = shorten(&String::from_utf8_lossy(value));
                        let reason = format!("its user.component `{shown}` is not UTF-8");
                        return Err(site.view.refuse(at, None, reason));
                    };
                    catalogue.owner(&site.view.name(at, None, name)?)
                }
                None => { owners.get(site.view.parent(at) as usize).copied() }.unwrap_or(NONE),
            };
            owners.push(owner);
            if owner != NONE {
                claims.files.push((at, owner));
            }
        }
        claims.owners = catalogue.into_owners();
        Ok((!claims.owners.is_empty()).then_some(claims))
    }
}
