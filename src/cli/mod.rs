//! What people type and see: arguments as typed ([`args`]) → as meant ([`request`]) → one file a verb → exit code.

mod args;
mod artifact;
mod build;
mod cache;
mod compare;
mod completions;
mod config;
mod copy;
mod diff;
mod earlier;
mod exit;
mod file;
mod image_args;
mod index;
mod inspect;
mod ls;
mod names;
mod outputs;
mod page;
mod plan;
mod progress;
mod reference;
mod report;
mod request;
mod signals;
mod sources;
mod values;
mod verb_args;
mod verify;
mod version;

use std::ffi::OsString;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};
use tracing_subscriber::EnvFilter;

use args::{Manners, Program, ProgressStyle, Verb};
use exit::{Done, Failure};
use report::Style;
use signals::Interrupt;

/// Runs the program.
pub fn main() -> ExitCode {
    let program = match parse() {
        Ok(program) => program,
        Err(fault) => {
            // Help goes to standard output and may find nobody there.
            let _ = fault.print();
            return ExitCode::from(u8::try_from(fault.exit_code()).unwrap_or(2));
        }
    };
    let style = Style::choose(program.manners.color);
    announce_panics(style);
    listen_to_library(&program.manners, style);
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(fault) => return exit::report(Err(Failure::io("listen for signals", &fault)), style),
    };
    let context = Context {
        style,
        progress: program.manners.progress,
        quiet: program.manners.quiet,
        interrupt,
    };
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| run(&program, &context)));
    match (done, context.interrupt.exit_code()) {
        // What was finished before the signal was noticed is whole, and stays.
        (Ok(Ok(())), _) => ExitCode::SUCCESS,
        (Ok(Err(_)), Some(code)) => {
            let _ = writeln!(std::io::stderr(), "{} interrupted", style.error("error:"));
            ExitCode::from(code)
        }
        (Ok(done), None) => exit::report(done, style),
        (Err(_), _) => ExitCode::from(1),
    }
}

/// What every verb can use.
pub struct Context {
    pub style: Style,
    pub progress: ProgressStyle,
    /// Nothing but errors and results is wanted.
    pub quiet: bool,
    pub interrupt: Interrupt,
}

fn run(program: &Program, context: &Context) -> Done {
    match &program.verb {
        Verb::Build(args) => build::run(args, context),
        Verb::Plan(args) => plan::run(args, context),
        Verb::Verify(args) => verify::run(args, context),
        Verb::Inspect(args) => inspect::run(args, context),
        Verb::Ls(args) => ls::ls(args),
        Verb::Cat(args) => ls::cat(args),
        Verb::Diff(args) => diff::run(args),
        Verb::Copy(args) => copy::run(args, context),
        Verb::Index(args) => index::run(args, context),
        Verb::Artifact(args) => artifact::run(args, context),
        Verb::Tag(args) => names::tag(args, context),
        Verb::Untag(args) => names::untag(args, context),
        Verb::Gc(args) => names::gc(args, context),
        Verb::Cache(args) => cache::run(args, context),
        Verb::Completions(args) => completions::completions(args),
        Verb::Man(args) => completions::man(args),
    }
}

fn parse() -> Result<Program, clap::Error> {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let matches = Program::command()
        .color(color_of(&typed))
        .try_get_matches_from(typed)?;
    Program::from_arg_matches(&matches)
}

/// The colours of clap's own messages, which are written before `--color` is parsed.
fn color_of(typed: &[OsString]) -> ColorChoice {
    let joined = typed
        .iter()
        .filter_map(|arg| arg.to_str()?.strip_prefix("--color="));
    let apart = typed.windows(2).filter(|pair| pair[0] == "--color");
    let asked = joined
        .chain(apart.filter_map(|pair| pair[1].to_str()))
        .last();
    match asked {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// Lets the library's own log reach standard error, as far as it is wanted.
fn listen_to_library(manners: &Manners, style: Style) {
    let level = match manners.verbose {
        0 => "off",
        1 => "plywood=info",
        _ => "plywood=debug",
    };
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(wanted)
        .with_writer(std::io::stderr)
        .with_ansi(style.is_colored())
        .without_time()
        .init();
}

/// A panic is a fault of plywood; it is told like any other error.
fn announce_panics(style: Style) {
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let what = text.or_else(|| payload.downcast_ref::<&str>().copied());
        let what = what.unwrap_or("no message");
        let place = panic
            .location()
            .map(|l| format!(" at {}:{}", l.file(), l.line()));
        let _ = writeln!(
            std::io::stderr(),
            "{} plywood has a fault: {}{}\n{} please report it; nothing was named in any output",
            style.error("error:"),
            report::shown(what),
            place.unwrap_or_default(),
            style.hint("hint:"),
        );
    }));
}
