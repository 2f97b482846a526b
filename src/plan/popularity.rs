//! `popularity@1`: the first paths of the ranking get a layer each, the others share one.

use super::{LayerKind, Member, PlanLayer};
use crate::graph::{Graph, NodeId};
use crate::rank::Ranking;

/// At most `room` layers (at least 1), most popular lowest.
pub(super) fn layers(graph: &Graph, ranking: &Ranking, room: usize) -> Vec<PlanLayer> {
    let order = ranking.order();
    let (alone, others) = order.split_at(order.len().min(room.saturating_sub(1)));
    let singles = alone.chunks(1);
    let rest = Some(others).filter(|others| !others.is_empty());
    singles
        .chain(rest)
        .map(|nodes| layer(graph, ranking, nodes))
        .collect()
}

fn layer(graph: &Graph, ranking: &Ranking, nodes: &[NodeId]) -> PlanLayer {
    let member = |node: &NodeId| Member {
        path: graph.path(*node).to_owned(),
        popularity: Some(ranking.score(*node).clone()),
    };
    let kind = if nodes.len() == 1 {
        LayerKind::Single
    } else {
        LayerKind::Rest
    };
    PlanLayer {
        kind,
        members: nodes.iter().map(member).collect(),
    }
}
