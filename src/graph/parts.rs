//! Strongly connected parts, by Tarjan's algorithm without recursion.

use super::{Graph, NodeId};

/// The strongly connected parts of a graph: whoever refers comes before what is referred to.
///
/// A node on no cycle is a part alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// By node.
    part_of: Vec<u32>,
    /// `nodes[starts[i]..starts[i + 1]]` are the members of part i, ascending.
    starts: Vec<usize>,
    nodes: Vec<NodeId>,
}

impl Parts {
    /// How many parts there are.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part that a node belongs to, below [`len`](Self::len).
    pub fn part_of(&self, node: NodeId) -> usize {
        self.part_of[node.index()] as usize
    }

    /// The nodes of a part, ascending.
    pub fn members(&self, part: usize) -> &[NodeId] {
        &self.nodes[self.starts[part]..self.starts[part + 1]]
    }
}

impl Graph {
    /// The strongly connected parts.
    pub fn parts(&self) -> Parts {
        let (mut part_of, count) = Search::new(self).run();
        // Tarjan closes a part after all that it refers to; we want referrers first.
        for part in &mut part_of {
            *part = count - 1 - *part;
        }
        collect(part_of, count as usize)
    }
}

/// Counting sort of the nodes by part.
fn collect(part_of: Vec<u32>, count: usize) -> Parts {
    let mut starts = vec![0; count + 1];
    for part in &part_of {
        starts[*part as usize + 1] += 1;
    }
    for i in 0..count {
        starts[i + 1] += starts[i];
    }
    let mut next = starts.clone();
    let mut nodes = vec![NodeId(0); part_of.len()];
    for (node, part) in part_of.iter().enumerate() {
        let place = &mut next[*part as usize];
        nodes[*place] = NodeId(node as u32);
        *place += 1;
    }
    Parts {
        part_of,
        starts,
        nodes,
    }
}

const NONE: u32 = u32::MAX;

/// One depth-first search; `NONE` in `found` means not yet seen, in `part_of` not yet closed.
struct Search<'a> {
    graph: &'a Graph,
    found: Vec<u32>,
    /// The earliest open node that can be reached from here.
    low: Vec<u32>,
    part_of: Vec<u32>,
    /// Seen, but their part is not closed.
    open: Vec<NodeId>,
    /// The path of the search: node and how many of its references are done.
    path: Vec<(NodeId, usize)>,
    seen: u32,
    parts: u32,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph) -> Self {
        let unknown = vec![NONE; graph.len()];
        Self {
            graph,
            found: unknown.clone(),
            low: unknown.clone(),
            part_of: unknown,
            open: Vec::new(),
            path: Vec::new(),
            seen: 0,
            parts: 0,
        }
    }

    /// The part of every node, and how many parts there are.
    fn run(mut self) -> (Vec<u32>, u32) {
        for start in self.graph.nodes() {
            if self.found[start.index()] == NONE {
                self.enter(start);
                self.walk();
            }
        }
        (self.part_of, self.parts)
    }

    fn enter(&mut self, node: NodeId) {
        self.found[node.index()] = self.seen;
        self.low[node.index()] = self.seen;
        self.seen += 1;
        self.open.push(node);
        self.path.push((node, 0));
    }

    fn walk(&mut self) {
        while let Some((node, done)) = self.path.last_mut() {
            let node = *node;
            let Some(next) = self.graph.references(node).get(*done).copied() else {
                self.leave(node);
                continue;
            };
            *done += 1;
            if self.found[next.index()] == NONE {
                self.enter(next);
            } else if self.part_of[next.index()] == NONE {
                self.lower(node, self.found[next.index()]);
            }
        }
    }

    fn leave(&mut self, node: NodeId) {
        self.path.pop();
        if let Some((parent, _)) = self.path.last() {
            self.lower(*parent, self.low[node.index()]);
        }
        if self.low[node.index()] == self.found[node.index()] {
            self.close(node);
        }
    }

    fn lower(&mut self, node: NodeId, reached: u32) {
        let low = &mut self.low[node.index()];
        *low = reached.min(*low);
    }

    /// The nodes opened since `head` are a part.
    fn close(&mut self, head: NodeId) {
        while let Some(node) = self.open.pop() {
            self.part_of[node.index()] = self.parts;
            if node == head {
                break;
            }
        }
        self.parts += 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::tests::graph;

    fn parts(nodes: &[(&str, &str)]) -> Vec<Vec<String>> {
        let g = graph(nodes);
        let parts = g.parts();
        (0..parts.len())
            .map(|p| {
                parts
                    .members(p)
                    .iter()
                    .map(|n| g.path(*n).to_owned())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn referrers_come_first() {
        assert_eq!(
            parts(&[("a", ""), ("b", "a"), ("c", "b")]),
            [["c"], ["b"], ["a"]]
        );
    }

    #[test]
    fn a_cycle_is_one_part() {
        let found = parts(&[
            ("a", "b"),
            ("b", "c d"),
            ("c", "a"),
            ("d", "e"),
            ("e", "d"),
            ("f", "a"),
        ]);
        assert_eq!(found, [vec!["f"], vec!["a", "b", "c"], vec!["d", "e"]]);
    }

    #[test]
    fn nested_and_touching_cycles() {
        let found = parts(&[
            ("a", "b"),
            ("b", "a c"),
            ("c", "d"),
            ("d", "c b"),
            ("e", ""),
        ]);
        assert_eq!(found.len(), 2);
        assert!(found.contains(&["a", "b", "c", "d"].map(String::from).to_vec()));
    }
}
