//! What strategies see of components, and what they give back.

use std::borrow::Cow;

use super::{LayerKind, Member, PlanLayer};
use crate::graph::{Graph, NodeId};
use crate::rank::Ranking;
use crate::source::{Closure, Component};

/// The nodes of a graph with what is known of them beside their references.
pub(super) struct Items<'a> {
    pub(super) graph: &'a Graph,
    /// None for a bare graph.
    components: &'a [Component],
    /// Only for strategies that go by popularity.
    pub(super) ranking: Option<Cow<'a, Ranking>>,
}

impl<'a> Items<'a> {
    pub(super) fn of_closure(closure: &'a Closure, ranking: Option<Ranking>) -> Self {
        let Closure {
            graph, components, ..
        } = closure;
        Self {
            graph,
            components,
            ranking: ranking.map(Cow::Owned),
        }
    }

    pub(super) fn of_graph(graph: &'a Graph, ranking: Option<&'a Ranking>) -> Self {
        Self {
            graph,
            components: &[],
            ranking: ranking.map(Cow::Borrowed),
        }
    }

    pub(super) fn component(&self, node: NodeId) -> Option<&'a Component> {
        self.components.get(node.index())
    }

    /// Identity over versions.
    pub(super) fn name(&self, node: NodeId) -> &str {
        self.component(node)
            .map_or(self.graph.path(node), Component::identity)
    }

    /// In bytes; nothing where it is not known.
    pub(super) fn size(&self, node: NodeId) -> u64 {
        self.component(node)
            .and_then(|component| component.size)
            .unwrap_or(0)
    }

    pub(super) fn bytes(&self, nodes: &[NodeId]) -> u128 {
        nodes.iter().map(|node| u128::from(self.size(*node))).sum()
    }

    pub(super) fn is_volatile(&self, node: NodeId) -> bool {
        self.component(node)
            .is_some_and(|component| component.volatile)
    }

    /// By name, then by path.
    pub(super) fn sort_by_name(&self, nodes: &mut [NodeId]) {
        nodes.sort_by(|a, b| self.name(*a).cmp(self.name(*b)).then(a.cmp(b)));
    }

    /// The largest first; ties by name, then by path.
    pub(super) fn sort_by_size(&self, nodes: &mut [NodeId]) {
        self.sort_by_name(nodes);
        nodes.sort_by_key(|node| std::cmp::Reverse(self.size(*node)));
    }

    pub(super) fn layer(&self, group: Group) -> PlanLayer {
        let Group { kind, name, nodes } = group;
        PlanLayer {
            kind,
            name,
            members: nodes.into_iter().map(|node| self.member(node)).collect(),
        }
    }

    fn member(&self, node: NodeId) -> Member {
        let component = self.component(node);
        Member {
            path: self.graph.path(node).to_owned(),
            name: component.and_then(|component| component.name.clone()),
            size: component.and_then(|component| component.size),
            popularity: self
                .ranking
                .as_ref()
                .map(|ranking| ranking.score(node).clone()),
        }
    }
}

/// Nodes that will share a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) kind: LayerKind,
    pub(super) name: Option<String>,
    pub(super) nodes: Vec<NodeId>,
}

impl Group {
    pub(super) fn new(kind: LayerKind, nodes: Vec<NodeId>) -> Self {
        Self {
            kind,
            name: None,
            nodes,
        }
    }

    /// No group without nodes.
    pub(super) fn of_all(kind: LayerKind, nodes: Vec<NodeId>) -> Option<Self> {
        (!nodes.is_empty()).then(|| Self::new(kind, nodes))
    }

    /// All that is left over, if anything is; one alone is a single.
    pub(super) fn of_rest(nodes: Vec<NodeId>) -> Option<Self> {
        let kind = if nodes.len() == 1 {
            LayerKind::Single
        } else {
            LayerKind::Rest
        };
        Self::of_all(kind, nodes)
    }

    pub(super) fn single(node: NodeId) -> Self {
        Self::new(LayerKind::Single, vec![node])
    }
}
