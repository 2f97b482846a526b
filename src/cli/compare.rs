//! `plan --compare`: what an update downloads, and why.

use plywood::plan::{Cause, Comparand, LayerPlan, compare, total};
use serde_json::{Value, json};

use super::report::{self, Align};

/// How many causes of a layer the table names.
const NAMED: usize = 6;

/// The comparison as a table or as JSON.
pub fn text(old: &LayerPlan, new: &LayerPlan, as_json: bool) -> String {
    let comparison = compare(old, new);
    let whole = total(comparison.layers.iter());
    let fresh: Vec<&Comparand> = comparison.new_layers().collect();
    let broken: Vec<&Comparand> = comparison.broken_layers().collect();
    if as_json {
        return report::json_text(&json!({
            "version": 1,
            "layers": comparison.layers.len(),
            "bytes": whole.0,
            "by_blob": sums(&fresh),
            "by_chain": sums(&broken),
            "new": fresh.iter().map(|layer| told(layer)).collect::<Vec<_>>(),
        }));
    }
    let columns = [
        ("LAYER", Align::Right),
        ("KIND", Align::Left),
        ("SIZE", Align::Right),
        ("BECAUSE", Align::Left),
    ];
    let row = |layer: &&Comparand| {
        vec![
            (layer.layer + 1).to_string(),
            layer.kind.name().to_owned(),
            layer.size.map(report::size).unwrap_or_default(),
            because(&layer.causes),
        ]
    };
    let table = match fresh.as_slice() {
        [] => String::new(),
        some => report::table(&columns, &some.iter().map(row).collect::<Vec<_>>()),
    };
    let line = |what: &str, layers: &[&Comparand]| {
        let (bytes, all) = total(layers.iter().copied());
        let share = u128::from(bytes) * 1_000 / u128::from(whole.0.max(1));
        let more = if all {
            ""
        } else {
            ", and what has no known size"
        };
        format!(
            "{what} {} of {}, {} of {} ({}.{} %){more}\n",
            layers.len(),
            report::count(comparison.layers.len(), "layer"),
            report::size(bytes),
            report::size(whole.0),
            share / 10,
            share % 10
        )
    };
    table + &line("new:       ", &fresh) + &line("as a chain:", &broken)
}

fn sums(layers: &[&Comparand]) -> Value {
    let (bytes, all) = total(layers.iter().copied());
    json!({ "layers": layers.len(), "bytes": bytes, "all_sizes_known": all })
}

fn told(layer: &Comparand) -> Value {
    let cause = |cause: &Cause| json!({ "component": cause.component(), "why": cause.word() });
    json!({
        "layer": layer.layer + 1,
        "kind": layer.kind.name(),
        "bytes": layer.size,
        "causes": layer.causes.iter().map(cause).collect::<Vec<_>>(),
    })
}

/// `a, b changed; c added; and 3 more`.
fn because(causes: &[Cause]) -> String {
    let shown = causes.get(..NAMED).unwrap_or(causes);
    let mut text = String::new();
    for (number, cause) in shown.iter().enumerate() {
        text += cause.component();
        match shown.get(number + 1) {
            Some(next) if next.word() == cause.word() => text += ", ",
            Some(_) => text = text + " " + cause.word() + "; ",
            None => text = text + " " + cause.word(),
        }
    }
    match causes.len().saturating_sub(NAMED) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_of_a_kind_stand_together() {
        let causes = [
            Cause::Changed("a".into()),
            Cause::Changed("b".into()),
            Cause::Added("c".into()),
        ];
        assert_eq!(because(&causes), "a, b changed; c added");
        let many: Vec<Cause> = (0..9).map(|i| Cause::Moved(i.to_string())).collect();
        assert_eq!(because(&many), "0, 1, 2, 3, 4, 5 moved; and 3 more");
        assert_eq!(because(&[]), "");
    }
}
