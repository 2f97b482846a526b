//! `build`: the whole line.

use super::Context;
use super::args::Build;
use super::exit::{Done, Failure};
use super::{file, report, request};

pub fn run(args: &Build, context: &Context) -> Done {
    let image = file::effective(args.image.clone(), args.file.as_deref())?;
    if args.print_config {
        return report::print(&file::print(&image)?);
    }
    let places = request::places(&image)?;
    let codec = request::chosen_codec(&image, &places)?;
    let _ = (context.interrupt.came(), codec);
    Err(Failure::usage("nothing can be built yet"))
}
