//! Ctrl-C and its kin: work is asked to stop, and after a moment made to.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// How long work has to notice before the process ends regardless: it may sit in a read that never returns.
const GRACE: Duration = Duration::from_millis(800);

/// Whether a signal has come, and which.
#[derive(Clone, Default)]
pub struct Interrupt {
    came: Arc<AtomicBool>,
    number: Arc<AtomicI32>,
}

impl Interrupt {
    /// Starts to listen.
    pub fn watch() -> io::Result<Self> {
        let interrupt = Self::default();
        let mut wanted = vec![SIGINT, SIGTERM];
        if !hangups_are_ignored() {
            wanted.push(SIGHUP);
        }
        let mut signals = Signals::new(wanted)?;
        // A file that grows beyond `ulimit -f` is an error like any other, not the end.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let seen = interrupt.clone();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || signals.forever().for_each(|signal| seen.take(signal)))?;
        Ok(interrupt)
    }

    /// Whether work should stop.
    pub fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }

    /// 128 + the signal's number, once one has come.
    pub fn exit_code(&self) -> Option<u8> {
        let number = self.number.load(Ordering::Relaxed);
        u8::try_from(number)
            .ok()
            .filter(|&n| n != 0)
            .map(|n| 128 + n)
    }

    fn take(&self, signal: i32) {
        let earlier = self.number.swap(signal, Ordering::Relaxed);
        self.came.store(true, Ordering::Relaxed);
        if earlier != 0 {
            std::process::exit(128 + signal);
        }
        // On a thread of its own, so that a second signal is seen meanwhile.
        thread::spawn(move || {
            thread::sleep(GRACE);
            let _ = io::stderr().write_all(b"error: interrupted\n");
            std::process::exit(128 + signal);
        });
    }
}

/// Whether we were started by nohup(1), which listening would undo.
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}
