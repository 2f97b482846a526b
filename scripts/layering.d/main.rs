//! Replays histories of real images and prints what each way of layering costs.
//!
//! `scripts/layering` runs it.

#![allow(clippy::print_stdout, clippy::expect_used, clippy::cast_precision_loss)]

mod replay;

use std::process::ExitCode;
use std::time::Instant;

use plywood::plan::Strategy;
use replay::{Family, History, Way, apart, disturbances, families, together, updates};

const BUDGETS: [usize; 5] = [8, 16, 32, 64, 120];

fn main() -> ExitCode {
    let mut budgets: Vec<usize> = Vec::new();
    let mut files: Vec<String> = Vec::new();
    for arg in std::env::args().skip(1) {
        match arg.strip_prefix("--layers=").map(str::parse) {
            Some(Ok(budget)) => budgets.push(budget),
            Some(Err(fault)) => {
                eprintln!("error: {arg}: {fault}");
                return ExitCode::from(2);
            }
            None => files.push(arg),
        }
    }
    if budgets.is_empty() {
        budgets = BUDGETS.to_vec();
    }
    for file in &files {
        if let Err(fault) = report(file, &budgets) {
            eprintln!("error: {file}: {fault}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn ways() -> Vec<Way> {
    let mut ways = vec![Way::One];
    ways.extend(Strategy::ALL.map(Way::Fresh));
    ways.push(Way::Following(Strategy::FOR_TREES));
    ways.push(Way::Each);
    ways
}

fn report(file: &str, budgets: &[usize]) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|fault| fault.to_string())?;
    let history = History::parse(&text)?;
    let last = history.last();
    let [(first, _), .., (until, _)] = history.images.as_slice() else {
        return Err("fewer than two images".into());
    };
    println!(
        "{file}: {} images from {first} to {until}; the last has {} components, {} MB\n",
        history.images.len(),
        last.len(),
        replay::bytes(&last) / 1_000_000
    );
    for budget in budgets {
        table(&history, *budget);
    }
    Ok(())
}

fn table(history: &History, budget: usize) {
    let last = history.last();
    let families = families(&last);
    let names = families.each_ref().map(|family| family.name).join(" | ");
    println!(
        "| {budget:>3} layers | update % | chain % | new layers | add one %: mean, max | remove one % | {names} | plan ms |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for way in ways() {
        let update = updates(history, way, budget);
        let (add, remove) = disturbances(&last, way, budget);
        let clock = Instant::now();
        let ratios = each(&families, |images| apart(images, way, budget));
        let time = clock.elapsed().as_secs_f64() * 1000.0 / 24.0;
        println!(
            "| {} | {:.1} | {:.1} | {:.1} | {:.2}, {:.2} | {:.2}, {:.2} | {} | {:.1} |",
            way.name(),
            update.bytes,
            update.chain,
            update.layers,
            add.mean,
            add.max,
            remove.mean,
            remove.max,
            ratios,
            time
        );
    }
    let clock = Instant::now();
    let ratios = each(&families, |images| together(images, budget));
    let time = clock.elapsed().as_secs_f64() * 1000.0 / 24.0;
    println!("| fleet@1 | | | | | | {ratios} | {time:.1} |\n");
}

fn each(families: &[Family], ratio: impl Fn(&[replay::Image]) -> f64) -> String {
    let ratios = families.iter().map(|family| ratio(&family.images));
    let texts: Vec<String> = ratios.map(|ratio| format!("{ratio:.3}")).collect();
    texts.join(" | ")
}
