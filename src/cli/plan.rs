//! `plan`: the line up to its plan; a table, JSON, pictures, or why one path is where it is.

use plywood::build::Planned;
use plywood::graph::NodeId;
use plywood::plan::{LayerKind, LayerPlan, PlanLayer};
use plywood::source::Closure;

use super::Context;
use super::args::Plan;
use super::exit::{Done, Failure};
use super::report::{self, Align};
use super::{compare, earlier, file, request};

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
    report::print(&match args {
        Plan {
            explain: Some(path),
            ..
        } => explain(&closure, &plan, path)?,
        Plan {
            compare: Some(old), ..
        } => {
            let old = earlier::plan(old, request.config.platform.as_ref())?;
            compare::text(&old, &plan, args.json)
        }
        Plan { json: true, .. } => plan.to_json(),
        Plan { dot: true, .. } => plywood::plan::dot(&closure.graph, &plan),
        Plan { svg: true, .. } => plywood::plan::svg(&closure.graph, &plan),
        _ => table(&closure, &plan),
    })
}

fn table(closure: &Closure, plan: &LayerPlan) -> String {
    let columns = [
        ("LAYER", Align::Right),
        ("KIND", Align::Left),
        ("SIZE", Align::Right),
        ("REASON", Align::Left),
        ("COMPONENTS", Align::Left),
    ];
    let rows = plan.layers.iter().enumerate().map(|(number, layer)| {
        vec![
            (number + 1).to_string(),
            layer.kind.name().to_owned(),
            size(layer).map(report::size).unwrap_or_default(),
            reason(closure, plan, layer),
            components(layer),
        ]
    });
    let paths = report::count(closure.components.len(), "component");
    let layers = report::count(plan.layers.len(), "layer");
    let known = plan.layers.iter().filter_map(size);
    let summary = format!(
        "{paths}, {}, in {layers} of {} at most, by {}\n",
        report::size(known.fold(0, u64::saturating_add)),
        plan.max_layers,
        plan.strategy
    );
    report::table(&columns, &rows.collect::<Vec<_>>()) + &summary
}

/// The size of a layer's components as their source states it, if it does for all.
fn size(layer: &PlanLayer) -> Option<u64> {
    layer.size().filter(|_| !layer.members.is_empty())
}

/// So many letters of a layer's components are shown.
const LETTERS: usize = 100;

/// Paths while they fit, then how many more there are.
fn components(layer: &PlanLayer) -> String {
    let mut text = String::new();
    for (number, member) in layer.members.iter().enumerate() {
        if number > 0 && text.chars().count() + member.path.chars().count() > LETTERS {
            return format!("{text} and {} more", layer.members.len() - number);
        }
        if number > 0 {
            text += " ";
        }
        text += &member.path;
    }
    text
}

/// Why a layer is what it is, in few words.
fn reason(closure: &Closure, plan: &LayerPlan, layer: &PlanLayer) -> String {
    let strategy = plan.strategy.split('@').next().unwrap_or_default();
    let popularity = { layer.members.first() }.and_then(|first| first.popularity.as_ref());
    if let (LayerKind::Single, Some(count)) = (layer.kind, popularity) {
        return format!("popularity {count}");
    }
    match (layer.kind, strategy, &layer.name) {
        (LayerKind::Pinned, _, Some(name)) => format!("pinned: {name}"),
        (LayerKind::Single, "balanced" | "size" | "fleet", _) => "large".to_owned(),
        (LayerKind::Bin, "balanced", _) if is_own(closure, layer) => {
            "small, of no package".to_owned()
        }
        (LayerKind::Bin, "balanced", _) => "small, by name".to_owned(),
        (LayerKind::Bin, "fleet", _) => "in the same images".to_owned(),
        (LayerKind::Bin, "auto", _) => "needed by the same".to_owned(),
        (LayerKind::Single | LayerKind::Rest, "auto", _) => "needed by nothing large".to_owned(),
        (LayerKind::Rest, "popularity", _) => "less popular".to_owned(),
        (LayerKind::Rest, "size", _) => "small".to_owned(),
        (kind, ..) => kind.reason().to_owned(),
    }
}

fn is_own(closure: &Closure, layer: &PlanLayer) -> bool {
    layer.members.iter().all(|member| {
        let node = closure.graph.find(&member.path);
        node.is_some_and(|node| closure.component(node).own)
    })
}

fn explain(closure: &Closure, plan: &LayerPlan, path: &str) -> Result<String, Failure> {
    let found = meant(closure, path);
    let place = found.and_then(|node| plan.explain(closure.graph.path(node)));
    let (Some(place), Some(node)) = (place, found) else {
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
    let member = place.member;
    let popularity = member.popularity.as_ref();
    let why =
        { plan.layers.get(place.layer) }.map_or_else(String::new, |l| reason(closure, plan, l));
    let company = match place.company {
        1 => "alone".to_owned(),
        n => format!("with {} others", n - 1),
    };
    let lines = [
        report::cell(graph.path(node)),
        { member.name.as_ref() }
            .map(|name| format!("  called {}", report::cell(name)))
            .unwrap_or_default(),
        member
            .size
            .map(|bytes| format!("  {}", report::size(bytes)))
            .unwrap_or_default(),
        format!(
            "  layer {} of {}, {company}: {why}",
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

/// A component by its path or name, or the one that holds a path.
fn meant(closure: &Closure, text: &str) -> Option<NodeId> {
    let graph = &closure.graph;
    let named = |node: &NodeId| closure.component(*node).name.as_deref() == Some(text);
    let above = std::iter::successors(text.rsplit_once('/'), |(above, _)| above.rsplit_once('/'));
    let holder = |(above, _): (&str, &str)| graph.find(above);
    { graph.find(text) }
        .or_else(|| graph.nodes().find(named))
        .or_else(|| closure.holder(text))
        .or_else(|| above.map(holder).find_map(|found| found))
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
