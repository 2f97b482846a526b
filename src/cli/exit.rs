//! How the program ends: `error:`, `caused by:` and `hint:` lines, and the exit code.

use std::error::Error as _;
use std::io::{self, Write};
use std::process::ExitCode;

use plywood::ErrorKind;

use super::report::{Style, shown};

/// Why a verb did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// Something to tell the person who typed the command.
    Told(Box<Told>),
    /// `verify` found something and has said so already.
    Found,
    /// Nobody reads our output any more; nothing is left to say.
    Pipe,
}

/// A failure in words.
#[derive(Debug)]
pub struct Told {
    kind: ErrorKind,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

/// What a verb returns.
pub type Done = Result<(), Failure>;

impl Failure {
    /// A failure of the program itself, as opposed to one of a library room.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Told(Box::new(Told {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
        }))
    }

    /// A command line that cannot be meant.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// The operating system refused `action` ("read x.toml").
    pub fn io(action: &str, source: &io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            return Self::Pipe;
        }
        Self::new(ErrorKind::Io, format!("could not {action}")).because(source.to_string())
    }

    /// Message and causes in one line, for what is only a warning in the end.
    pub fn line(&self) -> String {
        match self {
            Self::Told(told) => {
                let message = [&told.message].into_iter();
                let all: Vec<&str> = message.chain(&told.causes).map(String::as_str).collect();
                all.join(": ")
            }
            Self::Found | Self::Pipe => String::new(),
        }
    }

    /// Adds a cause, below those that are there.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.causes.push(cause.into());
        }
        self
    }

    /// The same words as a fault of a given document, not of the command line.
    #[must_use]
    pub fn of_input(mut self) -> Self {
        if let Self::Told(told) = &mut self {
            told.kind = ErrorKind::Input;
        }
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint = Some(hint.into());
        }
        self
    }
}

macro_rules! from_rooms {
    ($($fault:ty),*) => {$(
        impl From<$fault> for Failure {
            fn from(fault: $fault) -> Self {
                plywood::Error::from(fault).into()
            }
        }
    )*};
}

from_rooms!(
    plywood::blob::BlobError,
    plywood::check::ViewError,
    plywood::image::ImageError,
    plywood::layout::LayoutError,
    plywood::target::TargetError
);

impl From<plywood::Error> for Failure {
    fn from(error: plywood::Error) -> Self {
        let causes: Vec<_> = std::iter::successors(error.source(), |&e| e.source()).collect();
        let io_kinds = causes.iter().filter_map(|e| e.downcast_ref::<io::Error>());
        if io_kinds
            .map(io::Error::kind)
            .any(|kind| kind == io::ErrorKind::BrokenPipe)
        {
            return Self::Pipe;
        }
        Self::Told(Box::new(Told {
            kind: error.kind(),
            message: error.to_string(),
            causes: causes.iter().map(ToString::to_string).collect(),
            hint: error.hint(),
        }))
    }
}

/// The exit code of a kind of failure.
fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => 2,
        ErrorKind::Input | ErrorKind::Unsupported | ErrorKind::Invalid | ErrorKind::Conflict => 3,
        ErrorKind::Io | ErrorKind::Internal => 1,
    }
}

/// Says how it ended, on standard error, and turns it into an exit code.
pub fn report(done: Done, style: Style) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // 128 + SIGPIPE: what the shell would have seen if the signal had ended us.
        Err(Failure::Pipe) => ExitCode::from(141),
        Err(Failure::Found) => ExitCode::from(1),
        Err(Failure::Told(told)) => {
            // Without standard error there is nobody to tell; the code still counts.
            let _ = io::stderr().lock().write_all(told.text(style).as_bytes());
            ExitCode::from(code(told.kind))
        }
    }
}

impl Told {
    fn text(&self, style: Style) -> String {
        let mut lines = vec![format!(
            "{} {}",
            style.error("error:"),
            shown(&self.message)
        )];
        // A cause that the message repeats already is noise.
        let causes = self.causes.iter().filter(|c| !self.message.ends_with(*c));
        lines.extend(causes.map(|c| format!("{} {}", style.dim("caused by:"), shown(c))));
        if let Some(hint) = &self.hint {
            lines.push(format!("{} {}", style.hint("hint:"), shown(hint)));
        }
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::ColorWhen;

    #[test]
    fn lines_in_order_and_nothing_raw() {
        let failure = Failure::usage("bad name \u{1b}[31mred")
            .because("a\nb")
            .hint("try again");
        let Failure::Told(told) = failure else {
            panic!("not told")
        };
        assert_eq!(
            told.text(Style::choose(ColorWhen::Never)),
            "error: bad name \\u{1b}[31mred\ncaused by: a\n  b\nhint: try again\n"
        );
    }
}
