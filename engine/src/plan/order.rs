//! A topological order of the drafts, or the cycle that forbids one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::expand::{Draft, Grid};
use super::lookup::Lookup;
use crate::spec::{Fault, Faults, Span};

/// The drafts with inputs before their readers, ties in the order of the spec.
pub(super) fn topological(
    lookup: &Lookup<'_>,
    grid: &Grid,
    drafts: &[Draft],
    faults: &mut Faults,
) -> Option<Vec<usize>> {
    let order = stable_order(drafts);
    if order.len() == drafts.len() {
        return Some(order);
    }
    let mut graph = DiGraph::<(), Span>::with_capacity(drafts.len(), drafts.len());
    let nodes: Vec<_> = drafts.iter().map(|_| graph.add_node(())).collect();
    for (reader, draft) in drafts.iter().enumerate() {
        for (slot, span) in draft.slots.iter().zip(&draft.slot_spans) {
            graph.add_edge(nodes[slot.from], nodes[reader], *span);
        }
    }
    for component in kosaraju_scc(&graph) {
        if let Some(cycle) = shortest_cycle(&graph, &component) {
            faults.push(fault(lookup, grid, &graph, &cycle));
        }
    }
    None
}

/// Kahn's algorithm with the lowest ready index first, so that the order is the spec's wherever it can be; short of the
/// drafts on a cycle and those behind one.
fn stable_order(drafts: &[Draft]) -> Vec<usize> {
    let mut missing: Vec<usize> = drafts.iter().map(|draft| draft.slots.len()).collect();
    let mut readers = vec![Vec::new(); drafts.len()];
    for (reader, draft) in drafts.iter().enumerate() {
        draft.slots.iter().for_each(|slot| readers[slot.from].push(reader));
    }
    let ready = (0..drafts.len()).filter(|&draft| missing[draft] == 0);
    let mut ready: BTreeSet<usize> = ready.collect();
    let mut order = Vec::with_capacity(drafts.len());
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for &reader in &readers[next] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    order
}

/// A shortest cycle through the first node of a strongly connected component, as nodes in the order of the data's flow.
fn shortest_cycle(graph: &DiGraph<(), Span>, component: &[NodeIndex]) -> Option<Vec<NodeIndex>> {
    let start = *component.iter().min()?;
    let mut came_from = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.neighbors(node) {
            if next == start {
                let mut cycle = vec![node];
                while let Some(&before) = cycle.last().and_then(|last| came_from.get(last)) {
                    cycle.push(before);
                }
                cycle.reverse();
                return Some(cycle);
            }
            if component.contains(&next) && !came_from.contains_key(&next) {
                came_from.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    None
}

fn fault(lookup: &Lookup<'_>, grid: &Grid, graph: &DiGraph<(), Span>, cycle: &[NodeIndex]) -> Fault {
    let names: Vec<_> = cycle.iter().map(|node| grid.label(lookup, node.index())).collect();
    let round = format!("{} -> {}", names.join(" -> "), names[0]);
    let closing = graph.edges_connecting(cycle[cycle.len() - 1], cycle[0]).next().map(|edge| *edge.weight());
    let of_edge = |pair: &[NodeIndex]| graph.edges_connecting(pair[0], pair[1]).next().map(|edge| *edge.weight());
    let span = closing.or_else(|| cycle.windows(2).find_map(of_edge)).unwrap_or_default();
    Fault::new("cycle", span, format!("these stages wait for each other: {round}"), "closes the cycle")
        .help("refer to an earlier value of an ordered axis, as in `train[round-1]`, to iterate")
}
