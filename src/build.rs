//! The one call that runs the whole line.

/// Everything that decides an image and where it goes.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {}

/// What a build made.
#[derive(Clone, Debug)]
pub struct Outcome {}

/// Runs the line: sources → closure → ranking → plan → layers → image → targets.
///
/// # Errors
/// [`Error`](crate::Error) of whichever room failed; nothing is named in any output then.
pub fn build(request: &BuildRequest) -> Result<Outcome, crate::Error> {
    todo!("{request:?}")
}
