//! Walked trees → a [`Listing`]: hung in at their places and laid over each other.

use std::collections::HashMap;

use super::again::walk_with;
use super::listing::Listing;
use super::memory::Memory;
use super::node::{Dir, GIVEN, MADE, Node, Tag};
use super::part::Part;
use super::scan::Devices;
use super::settle::{pour, report, settle};
use super::walk::{Walk, walk};
use super::{Entry, Exclude, Kind, Parents, Policy, TreeError, TreePath, Xattrs};

/// What goes into one layer.
pub struct ListRequest<'a> {
    /// Trees on disk, in the order in which they were given.
    pub parts: Vec<Part>,
    /// Entries that no disk has: directories and links.
    pub made: Vec<Entry>,
    /// How attributes are recorded.
    pub policy: &'a Policy,
    /// What is left out of plain trees.
    pub exclude: &'a Exclude,
    /// What shared directories look like.
    pub parents: &'a Parents,
    /// Whether directories that `parents` knows look as there rather than as found.
    pub yielding: bool,
    /// Threads that may list at once.
    pub threads: usize,
    /// What earlier runs found; whole trees are kept there for later ones.
    pub memory: Option<&'a dyn Memory>,
}

/// Lists the trees of one layer and lays them over each other.
///
/// # Errors
/// [`TreeError::Io`] for what cannot be read, [`TreeError::Refused`] for what no
/// layer can hold, [`TreeError::Conflict`] for two things at one place.
pub fn list(request: ListRequest) -> Result<Listing, TreeError> {
    let devices = Devices::default();
    let mut identities = Vec::with_capacity(request.parts.len());
    let mut grown = Grown::new(request.policy, request.parents);
    for (index, part) in request.parts.iter().enumerate() {
        let known = part
            .seen
            .as_ref()
            .and_then(|seen| seen.walked(&part.dest, index as u32, request.policy, &devices));
        let walked = match known {
            Some(walked) => walked,
            None => {
                let asked = Walk {
                    part,
                    index: index as u32,
                    policy: request.policy,
                    exclude: request.exclude,
                    devices: &devices,
                    threads: request.threads,
                };
                match request.memory {
                    Some(memory) => walk_with(&asked, memory)?,
                    None => walk(&asked)?,
                }
            }
        };
        identities.push(walked.identity);
        grown.warnings.extend(walked.warnings);
        grown.attach(walked.dirs, &walked.loose)?;
    }
    for entry in request.made {
        grown.make(entry)?;
    }
    let Grown {
        mut dirs, warnings, ..
    } = grown;
    let claims = settle(&mut dirs, &request.parts);
    report(claims, &request.parts)?;
    if request.yielding {
        yield_to(request.parents, &mut dirs)?;
    }
    if request.parents.has_given() {
        take_given(request.parents, &mut dirs);
    }
    Ok(Listing::new(
        dirs,
        request.parts,
        devices,
        identities,
        *request.policy,
        warnings,
    ))
}

/// A layer's directories while trees are hung into them.
struct Grown<'a> {
    dirs: Vec<Dir>,
    /// Directories that were made to hang something below them.
    made: HashMap<TreePath, u32>,
    policy: &'a Policy,
    parents: &'a Parents,
    warnings: Vec<String>,
}

impl<'a> Grown<'a> {
    fn new(policy: &'a Policy, parents: &'a Parents) -> Self {
        let made = HashMap::from([(TreePath::root(), 0)]);
        Self {
            dirs: vec![Dir::default()],
            made,
            policy,
            parents,
            warnings: Vec::new(),
        }
    }

    /// Hangs walked directories in at their paths.
    fn attach(&mut self, dirs: Vec<Dir>, loose: &[u32]) -> Result<(), TreeError> {
        let shift = self.dirs.len() as u64;
        self.dirs.extend(dirs);
        for dir in &mut self.dirs[shift as usize..] {
            dir.children
                .iter_mut()
                .filter(|n| n.tag == Tag::Dir)
                .for_each(|n| n.data += shift);
        }
        for &number in loose {
            let from = std::mem::take(&mut self.dirs[number as usize + shift as usize]);
            let into = self.directory(&from.path)?;
            pour(&mut self.dirs[into as usize], from);
        }
        Ok(())
    }

    /// The directory at a path, made with all its parents if it is not there.
    fn directory(&mut self, path: &TreePath) -> Result<u32, TreeError> {
        if let Some(&number) = self.made.get(path) {
            return Ok(number);
        }
        let mut above = 0;
        for path in path.ancestors().chain([path.clone()]) {
            above = match self.made.get(&path) {
                Some(&number) => number,
                None => self.make_dir(above, path)?,
            };
        }
        Ok(above)
    }

    fn make_dir(&mut self, above: u32, path: TreePath) -> Result<u32, TreeError> {
        let number = self.dirs.len() as u32;
        let found = self.parents.attributes(&path)?;
        let (meta, xattrs) = found.unwrap_or_else(|| (self.policy.made(0o755), Xattrs::new()));
        let dir = &mut self.dirs[above as usize];
        let name = dir.store(path.name());
        let mut node = Node::made(Tag::Dir, name, u64::from(number), meta);
        keep_xattrs(dir, &mut node, xattrs);
        dir.children.push(node);
        self.made.insert(path.clone(), number);
        self.dirs.push(Dir::at(path));
        Ok(number)
    }

    fn make(&mut self, entry: Entry) -> Result<(), TreeError> {
        let Some(parent) = entry.path.parent() else {
            return Ok(());
        };
        if let Kind::Dir = entry.kind {
            let number = self.directory(&entry.path)?;
            let above = self.directory(&parent)?;
            return {
                self.dress(above, number, &entry);
                Ok(())
            };
        }
        let above = self.directory(&parent)?;
        let dir = &mut self.dirs[above as usize];
        let name = dir.store(entry.path.name());
        let node = match &entry.kind {
            Kind::Symlink { target } => {
                Node::made(Tag::Symlink, name, dir.store(target).pack(), entry.meta)
            }
            Kind::File { size: 0 } => Node::made(Tag::File, name, 0, entry.meta),
            other => {
                let why =
                    format!("plywood makes directories, links and empty files only, not {other:?}");
                return Err(TreeError::Refused {
                    path: entry.path.display().into(),
                    why,
                });
            }
        };
        dir.children.push(node);
        Ok(())
    }

    /// Gives a made directory the attributes that were asked for, unless a tree has it.
    fn dress(&mut self, above: u32, number: u32, entry: &Entry) {
        if matches!(self.parents.attributes(&entry.path), Ok(Some(_))) {
            return;
        }
        let dir = &mut self.dirs[above as usize];
        let node = dir
            .children
            .iter_mut()
            .find(|n| n.tag == Tag::Dir && n.data == u64::from(number));
        if let Some(node) = node.filter(|n| n.part == MADE) {
            *node = Node::made(Tag::Dir, node.name, node.data, entry.meta);
        }
    }
}

fn keep_xattrs(dir: &mut Dir, node: &mut Node, xattrs: Xattrs) {
    if !xattrs.is_empty() {
        dir.xattrs.push(xattrs);
        node.xattrs = dir.xattrs.len() as u32;
    }
}

/// Gives directories the attributes that they have in the layers below.
fn yield_to(parents: &Parents, dirs: &mut [Dir]) -> Result<(), TreeError> {
    for dir in dirs {
        for at in 0..dir.children.len() {
            if dir.children[at].tag != Tag::Dir {
                continue;
            }
            let path = dir
                .path
                .join(dir.name(&dir.children[at]))
                .unwrap_or_default();
            if let Some((meta, xattrs)) = parents.attributes(&path)? {
                let found = &dir.children[at];
                let mut node = Node::made(Tag::Dir, found.name, found.data, meta);
                keep_xattrs(dir, &mut node, xattrs);
                dir.children[at] = node;
            }
        }
    }
    Ok(())
}

/// Gives directories the attributes that were decided before, whatever the disk says.
fn take_given(parents: &Parents, dirs: &mut [Dir]) {
    for dir in dirs {
        for at in 0..dir.children.len() {
            let node = &dir.children[at];
            if node.tag != Tag::Dir {
                continue;
            }
            let path = dir.path.join(dir.name(node)).unwrap_or_default();
            let Some((meta, xattrs)) = parents.given(&path) else {
                continue;
            };
            let mut node = Node {
                part: GIVEN,
                ..Node::made(Tag::Dir, node.name, node.data, *meta)
            };
            keep_xattrs(dir, &mut node, xattrs.clone());
            dir.children[at] = node;
        }
    }
}
