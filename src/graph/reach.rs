//! Closures, restriction and roots.

use super::{Graph, NodeId};

impl Graph {
    /// The nodes and whatever they refer to, directly or not; ascending.
    pub fn closure(&self, roots: &[NodeId]) -> Vec<NodeId> {
        let mut seen = vec![false; self.len()];
        let mut open: Vec<NodeId> = Vec::new();
        let mut visit = |node: NodeId, open: &mut Vec<NodeId>| {
            if !std::mem::replace(&mut seen[node.index()], true) {
                open.push(node);
            }
        };
        for root in roots {
            visit(*root, &mut open);
        }
        while let Some(node) = open.pop() {
            for reference in self.references(node) {
                visit(*reference, &mut open);
            }
        }
        self.nodes().filter(|node| seen[node.index()]).collect()
    }

    /// The graph of these nodes alone; references to others are dropped.
    ///
    /// Restricting to a [closure](Self::closure) drops none.
    pub fn restrict(&self, keep: &[NodeId]) -> Self {
        const GONE: u32 = u32::MAX;
        let mut new_id = vec![GONE; self.len()];
        for node in keep {
            new_id[node.index()] = 0;
        }
        let kept: Vec<NodeId> = self.nodes().filter(|n| new_id[n.index()] != GONE).collect();
        for (id, node) in kept.iter().enumerate() {
            new_id[node.index()] = id as u32;
        }
        let mut starts = Vec::with_capacity(kept.len() + 1);
        let mut edges = Vec::new();
        starts.push(0);
        for node in &kept {
            let targets = self.references(*node).iter().map(|to| new_id[to.index()]);
            edges.extend(targets.filter(|id| *id != GONE).map(NodeId));
            starts.push(edges.len());
        }
        let paths = kept
            .iter()
            .map(|node| self.path(*node).to_owned())
            .collect();
        Self {
            paths,
            starts,
            edges,
        }
    }

    /// The same nodes with every reference turned around: a closure in it is all referrers.
    pub fn reversed(&self) -> Self {
        let mut starts = vec![0; self.len() + 1];
        for to in &self.edges {
            starts[to.index() + 1] += 1;
        }
        for i in 0..self.len() {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut edges = vec![NodeId(0); self.edges.len()];
        for from in self.nodes() {
            for to in self.references(from) {
                edges[next[to.index()]] = from;
                next[to.index()] += 1;
            }
        }
        Self {
            paths: self.paths.clone(),
            starts,
            edges,
        }
    }

    /// Nodes that no other node refers to, ascending; none where all stand on cycles.
    pub fn roots(&self) -> Vec<NodeId> {
        let mut referred = vec![false; self.len()];
        for node in &self.edges {
            referred[node.index()] = true;
        }
        self.nodes()
            .filter(|node| !referred[node.index()])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::tests::graph;

    #[test]
    fn a_closure_follows_references_and_survives_cycles() {
        let g = graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("d", "a"), ("e", "")]);
        let closure = g.closure(&[g.find("a").unwrap()]);
        let names: Vec<&str> = closure.iter().map(|n| g.path(*n)).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(g.closure(&[]).is_empty());
    }

    #[test]
    fn a_restriction_is_a_graph_of_its_own() {
        let g = graph(&[("a", "b d"), ("b", "d"), ("c", "a"), ("d", "")]);
        let keep = [g.find("d").unwrap(), g.find("a").unwrap()];
        assert_eq!(g.restrict(&keep), graph(&[("a", "d"), ("d", "")]));
    }

    #[test]
    fn references_turn_around() {
        let g = graph(&[("a", "b c"), ("b", "c"), ("c", "")]);
        assert_eq!(g.reversed(), graph(&[("a", ""), ("b", "a"), ("c", "a b")]));
        assert_eq!(g.reversed().reversed(), g);
    }

    #[test]
    fn roots_are_what_nobody_else_refers_to() {
        let g = graph(&[("a", "a b"), ("b", ""), ("c", ""), ("x", "y"), ("y", "x")]);
        let names: Vec<&str> = g.roots().into_iter().map(|n| g.path(n)).collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let names: Vec<String> = (0..100_000).map(|i| format!("{i:06}")).collect();
        let nodes: Vec<(&str, &str)> = names
            .iter()
            .enumerate()
            .map(|(i, n)| (n.as_str(), names.get(i + 1).map_or("", String::as_str)))
            .collect();
        let g = graph(&nodes);
        assert_eq!(g.closure(&g.roots()).len(), 100_000);
        assert_eq!(g.parts().len(), 100_000);
    }
}
