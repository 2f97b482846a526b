//! `build`: the whole line.

use super::Context;
use super::args::Build;
use super::exit::{Done, Failure};
use super::{file, outputs, report};

pub fn run(args: &Build, context: &Context) -> Done {
    let image = file::effective(args.image.clone(), args.file.as_deref())?;
    if args.print_config {
        return report::print(&file::print(&image)?);
    }
    let places = outputs::places(&image)?;
    let codec = outputs::chosen_codec(&image, &places)?;
    let _ = (context.interrupt.came(), codec);
    Err(Failure::usage("nothing can be built yet"))
}
