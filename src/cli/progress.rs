//! How a build goes on, told on standard error: a bar, lines now and then, or nothing; and warnings.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as Look};
use plywood::layer::Progress;
use plywood::layout::OnWait;

use super::Context;
use super::args::ProgressStyle;
use super::report::{shown, size};

/// How often the plain style writes a line.
const PACE: Duration = Duration::from_secs(2);

/// What a build is told to report to.
pub struct Meter<'a> {
    context: &'a Context,
    face: Face,
    total: AtomicU64,
    done: AtomicU64,
}

enum Face {
    Bar(ProgressBar),
    Lines(Mutex<Instant>),
    Nothing,
}

impl<'a> Meter<'a> {
    /// In the style that was asked for.
    pub fn new(context: &'a Context, style: ProgressStyle) -> Self {
        let face = match style {
            _ if context.quiet => Face::Nothing,
            ProgressStyle::Auto if io::stderr().is_terminal() => Face::Bar(bar()),
            ProgressStyle::Plain => Face::Lines(Mutex::new(Instant::now())),
            ProgressStyle::Auto | ProgressStyle::None => Face::Nothing,
        };
        let (total, done) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            context,
            face,
            total,
            done,
        }
    }

    /// Takes the bar away; whatever is said next starts on a clean line.
    pub fn clear(&self) {
        if let Face::Bar(bar) = &self.face {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let look = "{bar:32} {bytes} of {total_bytes}  {bytes_per_sec}";
    if let Ok(look) = Look::with_template(look) {
        bar.set_style(look);
    }
    bar
}

impl Progress for Meter<'_> {
    fn listed(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
        if let Face::Bar(bar) = &self.face {
            bar.inc_length(bytes);
        }
    }

    fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match &self.face {
            Face::Bar(bar) => bar.inc(bytes),
            Face::Lines(last) => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.elapsed() >= PACE {
                    *last = Instant::now();
                    let total = self.total.load(Ordering::Relaxed);
                    let _ = writeln!(io::stderr(), "packed {} of {}", size(done), size(total));
                }
            }
            Face::Nothing => {}
        }
    }

    fn warn(&self, text: &str) {
        let say = || self.context.warn(text);
        match &self.face {
            Face::Bar(bar) => bar.suspend(say),
            _ => say(),
        }
    }

    fn cancelled(&self) -> bool {
        self.context.interrupt.came()
    }
}

impl Context {
    /// A warning, unless nobody wants to hear any.
    pub fn warn(&self, text: &str) {
        if !self.quiet {
            let label = self.style.warning("warning:");
            let _ = writeln!(io::stderr(), "{label} {}", shown(text));
        }
    }

    /// Tells that another process is waited for.
    pub fn on_wait(&self) -> OnWait {
        let quiet = self.quiet;
        Arc::new(move |text| {
            if !quiet {
                let _ = writeln!(io::stderr(), "{}", shown(text));
            }
        })
    }

    /// A line about what was done, unless nobody wants to hear any.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{}", shown(text));
        }
    }
}
