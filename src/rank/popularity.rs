//! `popularity@1`: the order that nixpkgs' dockerTools gave to layers from 2018 on.
//!
//! With W(v) = number of distinct paths from the roots to v, the popularity of x is the sum
//! of W over x and everything that refers to x, directly or not. W takes one pass. The sum
//! over *sets* of referrers is the costly half, and is cut down twice:
//!
//! - of the referrers of x, those that are referrers of its deepest direct referrer (its
//!   *heir*) are summed up already; only the others, the *extra* of x, are added one by one;
//! - sets are bits, for a block of referrers at a time, so that memory stays bounded; blocks
//!   are independent of each other and run in parallel. Sums are exact, so no order of
//!   adding can change them.

use std::ops::AddAssign;
use std::sync::Arc;

use num_bigint::BigUint;
use rayon::prelude::*;

use super::Ranking;
use crate::graph::{Graph, NodeId, Parts};

/// Ranks by popularity, `popularity@1`: exact for any size, cycles as one node.
///
/// Ties are broken by the path with everything before its first `-` moved to its end, as
/// bytes: the name decides before the hash does.
pub fn popularity(graph: &Graph) -> Ranking {
    let parts = graph.parts();
    let scores = spread(&parts, graph.len(), part_scores(&Dag::new(graph, &parts)));
    Ranking {
        order: order(graph, &parts, &scores),
        // Plans share them: the counts of a large graph may take half a gigabyte.
        scores: scores.into_iter().map(Arc::new).collect(),
    }
}

/// Every member of a part has the part's score.
fn spread(parts: &Parts, nodes: usize, mut scores: Vec<BigUint>) -> Vec<BigUint> {
    let mut spread = vec![BigUint::ZERO; nodes];
    for (part, score) in scores.iter_mut().enumerate() {
        if let Some((last, others)) = parts.members(part).split_last() {
            for node in others {
                spread[node.index()].clone_from(score);
            }
            spread[last.index()] = std::mem::take(score);
        }
    }
    spread
}

fn order(graph: &Graph, parts: &Parts, scores: &[BigUint]) -> Vec<NodeId> {
    let keys: Vec<String> = graph.paths().iter().map(|path| tie_key(path)).collect();
    let key = |node: NodeId| keys[node.index()].as_str();
    let leaders: Vec<Option<&str>> = (0..parts.len())
        .map(|part| parts.members(part).iter().map(|node| key(*node)).min())
        .collect();
    let leader = |node: NodeId| leaders[parts.part_of(node)];
    let mut order: Vec<NodeId> = graph.nodes().collect();
    order.sort_by(|a, b| {
        scores[b.index()]
            .cmp(&scores[a.index()])
            .then_with(|| leader(*a).cmp(&leader(*b)))
            .then_with(|| key(*a).cmp(key(*b)))
    });
    order
}

/// The path with its piece before the first `-` moved to the end; no two paths share one.
fn tie_key(path: &str) -> String {
    match path.split_once('-') {
        Some((first, rest)) => format!("{rest}-{first}"),
        None => path.to_owned(),
    }
}

/// The parts as a graph without cycles, numbered so that referrers come before what they
/// refer to, and shallow before deep.
struct Dag {
    /// Part by position.
    part_at: Vec<u32>,
    /// `referrers[starts[i]..starts[i + 1]]`: positions below i, ascending, each once.
    starts: Vec<usize>,
    referrers: Vec<u32>,
}

impl Dag {
    fn new(graph: &Graph, parts: &Parts) -> Self {
        let part_at = by_depth(graph, parts);
        let mut position = vec![0; parts.len()];
        for (at, part) in part_at.iter().enumerate() {
            position[*part as usize] = at as u32;
        }
        let mut edges: Vec<(u32, u32)> = crossings(graph, parts)
            .map(|(from, to)| (position[to], position[from]))
            .collect();
        edges.sort_unstable();
        edges.dedup();
        let mut starts = vec![0; parts.len() + 1];
        for (to, _) in &edges {
            starts[*to as usize + 1] += 1;
        }
        for i in 0..parts.len() {
            starts[i + 1] += starts[i];
        }
        Self {
            part_at,
            starts,
            referrers: edges.into_iter().map(|(_, from)| from).collect(),
        }
    }

    fn len(&self) -> usize {
        self.part_at.len()
    }

    fn referrers(&self, at: usize) -> &[u32] {
        &self.referrers[self.starts[at]..self.starts[at + 1]]
    }

    /// The direct referrer whose own referrers are most likely to be nearly all.
    fn heir(&self, at: usize) -> Option<usize> {
        self.referrers(at).last().map(|heir| *heir as usize)
    }
}

/// References from one part to another, as part numbers; with repetitions.
fn crossings<'a>(graph: &'a Graph, parts: &'a Parts) -> impl Iterator<Item = (usize, usize)> + 'a {
    (0..parts.len()).flat_map(move |from| {
        let targets = parts
            .members(from)
            .iter()
            .flat_map(|node| graph.references(*node));
        targets
            .map(|node| parts.part_of(*node))
            .filter(move |to| *to != from)
            .map(move |to| (from, to))
    })
}

/// Parts sorted by their longest distance from a root.
fn by_depth(graph: &Graph, parts: &Parts) -> Vec<u32> {
    let mut depth = vec![0_u32; parts.len()];
    // Part numbers are in topological order already.
    for (from, to) in crossings(graph, parts) {
        depth[to] = depth[to].max(depth[from] + 1);
    }
    let mut part_at: Vec<u32> = (0..parts.len() as u32).collect();
    part_at.sort_by_key(|part| depth[*part as usize]);
    part_at
}

/// An exact non-negative number.
trait Count: Clone + Send + Sync + PartialEq + From<u8> + for<'a> AddAssign<&'a Self> {}

impl<T> Count for T where T: Clone + Send + Sync + PartialEq + From<u8> + for<'a> AddAssign<&'a T> {}

/// The popularity of every part. No sum exceeds the total of W, which picks the arithmetic.
fn part_scores(dag: &Dag) -> Vec<BigUint> {
    let by_position = match total_paths(dag) {
        Some(total) if u64::try_from(total).is_ok() => {
            sums::<u64>(dag).into_iter().map(BigUint::from).collect()
        }
        Some(_) => sums::<u128>(dag).into_iter().map(BigUint::from).collect(),
        None => sums::<BigUint>(dag),
    };
    let mut by_part = vec![BigUint::ZERO; dag.len()];
    for (score, part) in by_position.into_iter().zip(&dag.part_at) {
        by_part[*part as usize] = score;
    }
    by_part
}

/// The sum of W over all positions, if it fits.
fn total_paths(dag: &Dag) -> Option<u128> {
    let mut paths: Vec<u128> = Vec::with_capacity(dag.len());
    let mut total = 0_u128;
    for at in 0..dag.len() {
        let mut count = u128::from(dag.referrers(at).is_empty());
        for from in dag.referrers(at) {
            count = count.checked_add(paths[*from as usize])?;
        }
        total = total.checked_add(count)?;
        paths.push(count);
    }
    Some(total)
}

fn sums<C: Count>(dag: &Dag) -> Vec<C> {
    let mut sums = paths::<C>(dag);
    let extras = extras(dag, &sums);
    for (at, extra) in extras.into_iter().enumerate() {
        let (above, here) = sums.split_at_mut(at);
        if let (Some(sum), Some(heir)) = (here.first_mut(), dag.heir(at)) {
            *sum += &above[heir];
            *sum += &extra;
            *sum = sum.clone();
        }
    }
    sums
}

/// W of every position.
fn paths<C: Count>(dag: &Dag) -> Vec<C> {
    let mut paths: Vec<C> = Vec::with_capacity(dag.len());
    for at in 0..dag.len() {
        let mut count = C::from(u8::from(dag.referrers(at).is_empty()));
        for from in dag.referrers(at) {
            count += &paths[*from as usize];
        }
        // A sum that grew has room to grow on; a copy has not, and there are many.
        paths.push(count.clone());
    }
    paths
}

/// Sums of W over the referrers that are neither the position itself nor known to its heir.
fn extras<C: Count>(dag: &Dag, paths: &[C]) -> Vec<C> {
    let zeros = || vec![C::from(0); dag.len()];
    let blocks = dag.len().div_ceil(BLOCK);
    let add = |(mut extras, mut rows): (Vec<C>, Vec<Row>), block: usize| {
        add_block(dag, paths, block * BLOCK, &mut rows, &mut extras);
        (extras, rows)
    };
    if blocks < WORTH_THREADS {
        return (0..blocks).fold((zeros(), Vec::new()), add).0;
    }
    (0..blocks)
        .into_par_iter()
        .fold(|| (zeros(), Vec::new()), add)
        .map(|(extras, _)| extras)
        .reduce(zeros, |mut sum, other| {
            for (to, from) in sum.iter_mut().zip(&other) {
                *to += from;
            }
            sum
        })
}

/// Fewer blocks are done before threads have started.
const WORTH_THREADS: usize = 16;

/// Referrers whose sets are carried along in one pass.
const BLOCK: usize = 512;

/// One bit for each position of a block.
type Row = [u64; BLOCK / 64];

const EMPTY: Row = [0; BLOCK / 64];

/// Adds what the referrers from position `first` on, one block of them, are worth.
fn add_block<C: Count>(
    dag: &Dag,
    paths: &[C],
    first: usize,
    rows: &mut Vec<Row>,
    extras: &mut [C],
) {
    let mut worth = Worth::new(&paths[first..dag.len().min(first + BLOCK)]);
    rows.clear();
    for (at, extra) in extras.iter_mut().enumerate().skip(first) {
        let mut row = EMPTY;
        for from in dag
            .referrers(at)
            .iter()
            .filter(|from| **from as usize >= first)
        {
            merge(&mut row, &rows[*from as usize - first]);
        }
        if let Some(heir) = dag.heir(at) {
            let known = heir.checked_sub(first).map_or(&EMPTY, |heir| &rows[heir]);
            for (word, (all, known)) in row.iter().zip(known).enumerate() {
                worth.add(word, all & !known, extra);
            }
        }
        let own = at - first;
        if let Some(word) = row.get_mut(own / 64) {
            *word |= 1 << (own % 64);
        }
        rows.push(row);
    }
}

fn merge(row: &mut Row, other: &Row) {
    for (word, more) in row.iter_mut().zip(other) {
        *word |= more;
    }
}

/// Sums of W over subsets of one block.
struct Worth<'a, C> {
    paths: &'a [C],
    /// For each four positions, made when first needed: the sums of their 16 subsets.
    fours: Vec<Option<Box<[C; 16]>>>,
}

impl<'a, C: Count> Worth<'a, C> {
    fn new(paths: &'a [C]) -> Self {
        Self {
            paths,
            fours: vec![None; BLOCK / 4],
        }
    }

    /// Adds the worth of the positions whose bits are set in this word of a row.
    fn add(&mut self, word: usize, bits: u64, sum: &mut C) {
        if bits.count_ones() <= 4 {
            self.add_singly(word, bits, sum);
        } else {
            self.add_by_fours(word, bits, sum);
        }
    }

    fn add_singly(&self, word: usize, mut bits: u64, sum: &mut C) {
        while bits != 0 {
            *sum += &self.paths[word * 64 + bits.trailing_zeros() as usize];
            bits &= bits - 1;
        }
    }

    fn add_by_fours(&mut self, word: usize, bits: u64, sum: &mut C) {
        for four in 0..16 {
            let subset = (bits >> (4 * four) & 15) as usize;
            if subset != 0 {
                *sum += &self.subsets(word * 16 + four)[subset];
            }
        }
    }

    fn subsets(&mut self, four: usize) -> &[C; 16] {
        let paths = self.paths;
        self.fours[four].get_or_insert_with(|| {
            let mut sums = Box::new(std::array::from_fn(|_| C::from(0)));
            for subset in 1..16_usize {
                let lowest = subset.trailing_zeros() as usize;
                let mut sum: C = sums[subset & (subset - 1)].clone();
                // The last block may end within these four; no bit is set there.
                if let Some(count) = paths.get(four * 4 + lowest) {
                    sum += count;
                }
                sums[subset] = sum;
            }
            sums
        })
    }
}
