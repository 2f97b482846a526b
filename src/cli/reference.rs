//! Images on disk as they are typed: `[oci:|oci-archive:|docker-archive:]PATH[:TAG|@DIGEST]`.

use std::path::Path;

use plywood::target::{Form, ImageRef};

use super::exit::Failure;

/// A reference, taken apart.
pub fn parse(text: &Path) -> Result<ImageRef, Failure> {
    Ok(ImageRef::parse(text.as_os_str())?)
}

/// A reference that can only be to a layout directory.
pub fn layout(text: &Path) -> Result<ImageRef, Failure> {
    let reference = parse(text)?;
    match reference.form {
        None | Some(Form::Layout) => Ok(reference),
        Some(_) => Err(Failure::usage(format!(
            "{reference} is an archive, which cannot be changed"
        ))
        .hint("`plywood copy` makes a layout of it")),
    }
}
