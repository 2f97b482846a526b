//! `inspect --html`: one page about an image.

use plywood::image::Image;

use super::args::Inspect;
use super::exit::Failure;
use super::inspect::Layer;
use super::reference::Opened;

/// The page.
pub fn draw(
    _args: &Inspect,
    _opened: &Opened,
    _image: &Image,
    _layers: &[Layer],
) -> Result<String, Failure> {
    Err(Failure::usage("--html draws nothing yet"))
}
