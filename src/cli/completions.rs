//! `completions` and `man`: what the shell and the manual know, written from the same definition as --help.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};

use super::args::{Completions, Man, Program};
use super::exit::{Done, Failure};
use super::report;

/// Prints a completion script.
pub fn completions(args: &Completions) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Program::command(), "plywood", &mut script);
    report::print(&String::from_utf8_lossy(&script))
}

/// Prints one manual page, or writes all of them into a directory.
pub fn man(args: &Man) -> Done {
    let mut program = Program::command();
    program.build();
    if let Some(dir) = &args.dir {
        return write_all(&program, dir);
    }
    let page = match &args.verb {
        None => &program,
        Some(verb) => program.find_subcommand(verb).ok_or_else(|| {
            let verbs: Vec<_> = program.get_subcommands().map(Command::get_name).collect();
            Failure::usage(format!("there is no verb `{verb}`"))
                .hint(format!("the verbs are {}", verbs.join(", ")))
        })?,
    };
    let text = render(page).map_err(|fault| Failure::io("render the manual page", &fault))?;
    report::print(&text)
}

fn write_all(program: &Command, dir: &Path) -> Done {
    let write = |page: &Command| {
        let name = page.get_display_name().unwrap_or_else(|| page.get_name());
        let file = dir.join(format!("{name}.1"));
        render(page)
            .and_then(|text| std::fs::write(&file, text))
            .map_err(|fault| Failure::io(&format!("write {}", file.display()), &fault))
    };
    write(program)?;
    program.get_subcommands().try_for_each(write)
}

fn render(page: &Command) -> io::Result<String> {
    let name = page
        .get_display_name()
        .unwrap_or_else(|| page.get_name())
        .to_owned();
    let mut roff = Vec::new();
    clap_mangen::Man::new(page.clone().name(name))
        .source(concat!("plywood ", env!("CARGO_PKG_VERSION")))
        .manual("plywood")
        .render(&mut roff)?;
    Ok(String::from_utf8_lossy(&roff).into_owned())
}
