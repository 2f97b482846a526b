//! `plan`: the line up to its plan; a table, JSON, or why one path is where it is.

use plywood::build::Planned;
use plywood::plan::{LayerPlan, PlanLayer};
use plywood::source::Closure;

use super::Context;
use super::args::Plan;
use super::exit::{Done, Failure};
use super::report::{self, Align};
use super::{file, request};

/// How many neighbours `--explain` names.
const NAMED: usize = 10;

pub fn run(args: &Plan, context: &Context) -> Done {
    let image = file::effective(args.build.image.clone(), args.build.file.as_deref())?;
    if args.build.print_config {
        return report::print(&file::print(&image)?);
    }
    let each = file::per_platform(&args.build.image, args.build.file.as_deref())?;
    let [args_of_one] = each.as_slice() else {
        return Err(
            Failure::usage("a plan is about one platform, and several are given")
                .hint("choose one with --platform"),
        );
    };
    let request = request::build(args_of_one, Vec::new(), context.on_wait())?;
    let Planned {
        closure,
        plan,
        warnings,
    } = plywood::build::plan(&request)?;
    for text in &warnings {
        context.warn(text);
    }
    if let Some(path) = &args.explain {
        return report::print(&explain(&closure, &plan, path)?);
    }
    if args.json {
        return report::print(&plan.to_json());
    }
    report::print(&table(&closure, &plan))
}

fn table(closure: &Closure, plan: &LayerPlan) -> String {
    let columns = [
        ("LAYER", Align::Right),
        ("KIND", Align::Left),
        ("POPULARITY", Align::Right),
        ("SIZE", Align::Right),
        ("PATHS", Align::Left),
    ];
    let rows: Vec<_> = plan
        .layers
        .iter()
        .enumerate()
        .map(|(i, layer)| row(closure, i, layer))
        .collect();
    let paths = report::count(closure.components.len(), "path");
    let layers = report::count(plan.layers.len(), "layer");
    let summary = format!(
        "{paths} in {layers} of {} at most, by {}\n",
        plan.max_layers, plan.strategy
    );
    report::table(&columns, &rows) + &summary
}

fn row(closure: &Closure, number: usize, layer: &PlanLayer) -> Vec<String> {
    let popularity = layer
        .members
        .first()
        .and_then(|first| first.popularity.as_ref());
    let paths = match layer.members.as_slice() {
        [] => String::new(),
        [only] => only.path.clone(),
        [first, rest @ ..] => format!("{} and {} more", first.path, rest.len()),
    };
    vec![
        (number + 1).to_string(),
        layer.kind.name().to_owned(),
        popularity.map(ToString::to_string).unwrap_or_default(),
        size(closure, layer).map(report::size).unwrap_or_default(),
        paths,
    ]
}

/// The size of a layer's paths as their source states it, if it does for all.
fn size(closure: &Closure, layer: &PlanLayer) -> Option<u64> {
    let sizes = layer.members.iter().map(|member| {
        let node = closure.graph.find(&member.path)?;
        closure.component(node).size
    });
    if layer.members.is_empty() {
        None
    } else {
        sizes.sum()
    }
}

fn explain(closure: &Closure, plan: &LayerPlan, path: &str) -> Result<String, Failure> {
    let (Some(place), Some(node)) = (plan.explain(path), closure.graph.find(path)) else {
        return Err(
            Failure::usage(format!("--explain `{path}` is no path of the plan"))
                .hint(like(closure, path)),
        );
    };
    let graph = &closure.graph;
    let names = |nodes: Vec<_>| {
        nodes
            .into_iter()
            .map(|node| graph.path(node))
            .collect::<Vec<_>>()
    };
    let referrers = graph
        .nodes()
        .filter(|&from| graph.references(from).contains(&node))
        .collect();
    let popularity = place.member.popularity.as_ref();
    let company = match place.company {
        1 => "alone".to_owned(),
        n => format!("with {} others", n - 1),
    };
    let lines = [
        report::cell(path),
        format!(
            "  layer {} of {}, {company}",
            place.layer + 1,
            plan.layers.len()
        ),
        format!(
            "  place {} of {} by {}",
            place.rank + 1,
            graph.len(),
            plan.strategy
        ),
        popularity
            .map(|count| format!("  popularity {count}"))
            .unwrap_or_default(),
        neighbours("referred to by", &names(referrers)),
        neighbours("refers to", &names(graph.references(node).to_vec())),
    ];
    let said = lines.into_iter().filter(|line| !line.is_empty());
    Ok(said.map(|line| line + "\n").collect())
}

fn neighbours(what: &str, paths: &[&str]) -> String {
    let mut lines = vec![format!("  {what} {}", report::count(paths.len(), "path"))];
    let named = paths.iter().take(NAMED);
    lines.extend(named.map(|path| format!("    {}", report::cell(path))));
    if paths.len() > NAMED {
        lines.push(format!("    and {} more", paths.len() - NAMED));
    }
    lines.join("\n")
}

/// What was probably meant: the paths that the text is part of.
fn like(closure: &Closure, text: &str) -> String {
    let holding: Vec<_> = closure
        .graph
        .paths()
        .iter()
        .filter(|path| path.contains(text))
        .take(NAMED)
        .collect();
    match holding.as_slice() {
        [] => "`plywood plan --json` lists all paths".to_owned(),
        some => {
            let some: Vec<_> = some.iter().map(|path| path.as_str()).collect();
            format!("did you mean {}?", some.join(" or "))
        }
    }
}
