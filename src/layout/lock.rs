//! Locks on directories, by their own handles: nothing to create, nothing to delete, and a
//! process that dies gives them back.

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};

use super::LayoutError;
use crate::blob::folder::{Folder, refused};

/// Told, once, that another process has to be waited for.
pub type OnWait = Arc<dyn Fn(&str) + Send + Sync>;

/// How long to wait for others, and whom to tell.
#[derive(Clone, Default)]
pub(super) struct Patience {
    pub(super) timeout: Option<Duration>,
    pub(super) on_wait: Option<OnWait>,
}

/// Waiting for less than this is not worth a word.
const SILENT: Duration = Duration::from_millis(500);
const LONGEST_NAP: Duration = Duration::from_millis(25);

/// Takes a lock at once or not at all.
pub(super) fn attempt(folder: &Folder, exclusive: bool) -> Result<bool, LayoutError> {
    let operation = if exclusive {
        FlockOperation::NonBlockingLockExclusive
    } else {
        FlockOperation::NonBlockingLockShared
    };
    match retry_on_intr(|| rustix::fs::flock(folder.fd(), operation)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(refused("lock", folder.path().to_owned(), errno).into()),
    }
}

/// Takes a lock, waiting for others; it lasts as long as the folder's handle.
///
/// Polls, so that a signal or the end of patience is never further away than a nap.
pub(super) fn acquire(
    folder: &Folder,
    exclusive: bool,
    patience: &Patience,
) -> Result<(), LayoutError> {
    let mut waited = Duration::ZERO;
    let mut nap = Duration::from_millis(1);
    let mut told = false;
    while !attempt(folder, exclusive)? {
        if patience.timeout.is_some_and(|timeout| waited >= timeout) {
            return Err(LayoutError::Locked {
                path: folder.path().to_owned(),
                seconds: waited.as_secs(),
            });
        }
        if waited >= SILENT && !told {
            told = true;
            let text = format!(
                "waiting for another process to finish with {}",
                folder.path().display()
            );
            if let Some(on_wait) = &patience.on_wait {
                on_wait(&text);
            }
        }
        sleep(nap);
        waited += nap;
        nap = LONGEST_NAP.min(nap * 2);
    }
    Ok(())
}
