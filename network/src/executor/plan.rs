//! Which nodes are done together, which steps a run takes, and when a value is no longer read.

use std::collections::BTreeSet;

use super::Options;
use crate::activation::Activation;
use crate::device::UNLIMITED;
use crate::graph::Network;
use crate::op::Op;
use crate::op::arithmetic::limits;

/// A node with what is merged into it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    /// The node.
    pub head: usize,
    /// Where its inputs are.
    pub inputs: Vec<usize>,
    /// Normalisations whose factors and offsets go into the weights, in order.
    pub folded: Vec<usize>,
    /// Where what is added is.
    pub residual: Option<usize>,
    /// Lower and upper limit.
    pub clip: (f32, f32),
    /// What is applied after that.
    pub then: Option<Activation>,
    /// The node whose value it gives.
    pub last: usize,
    /// All nodes in it.
    pub nodes: Vec<usize>,
}

impl Stage {
    /// Whether node `node` is in it.
    pub(crate) fn covers(&self, node: usize) -> bool {
        self.nodes.contains(&node)
    }

    /// Where all that it reads is.
    pub(crate) fn reads(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().copied().chain(self.residual)
    }
}

/// The stages of a network in order, and where each value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub stages: Vec<Stage>,
    /// For each value the value that holds its numbers: itself, or what it passes on unchanged; none if it was merged.
    pub source: Vec<Option<usize>>,
}

impl Plan {
    pub(crate) fn new(network: &Network, options: &Options) -> Self {
        let nodes = network.nodes();
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len() + 1];
        for (index, node) in nodes.iter().enumerate() {
            node.inputs.iter().for_each(|&value| readers[value].push(index + 1));
        }
        let next = |value: usize| match readers[value][..] {
            [reader] if !options.faithful && !options.exposed.contains(&value) => Some(reader),
            _ => None,
        };
        let mut taken = vec![false; nodes.len() + 1];
        let mut merged: Vec<Stage> = Vec::new();
        for node in 1..=nodes.len() {
            if !taken[node] && !passes_on(&nodes[node - 1].op) {
                let stage = merge(network, node, &next, &taken);
                stage.nodes.iter().for_each(|&n| taken[n] = true);
                merged.push(stage);
            }
        }
        merged.sort_by_key(|stage| stage.last);
        let mut source: Vec<Option<usize>> = vec![None; nodes.len() + 1];
        source[0] = Some(0);
        for stage in &merged {
            source[stage.last] = Some(stage.last);
        }
        for (index, node) in nodes.iter().enumerate() {
            if passes_on(&node.op) {
                source[index + 1] = source[node.inputs[0]];
            }
        }
        let place = |value: usize| source[value].expect("only values that nothing else reads are merged");
        for stage in &mut merged {
            stage.inputs = stage.inputs.iter().map(|&value| place(value)).collect();
            stage.residual = stage.residual.map(place);
        }
        Self { stages: merged, source }
    }

    /// The stages that lead from `starts` to `ends`, or the value that is missing.
    pub(crate) fn active(&self, starts: &BTreeSet<usize>, ends: &[usize]) -> Result<Vec<usize>, usize> {
        let mut needed: BTreeSet<usize> = ends.iter().copied().filter(|end| !starts.contains(end)).collect();
        let mut active = Vec::new();
        for (index, stage) in self.stages.iter().enumerate().rev() {
            if needed.remove(&stage.last) {
                needed.extend(stage.reads().filter(|value| !starts.contains(value)));
                active.push(index);
            }
        }
        active.reverse();
        needed.first().map_or(Ok(active), |value| Err(*value))
    }

    /// For each active stage, the values that nothing reads after it.
    pub(crate) fn dead(&self, active: &[usize], ends: &[usize]) -> Vec<Vec<usize>> {
        let mut seen: BTreeSet<usize> = ends.iter().copied().collect();
        let mut dead: Vec<Vec<usize>> = Vec::with_capacity(active.len());
        for &index in active.iter().rev() {
            dead.push(self.stages[index].reads().filter(|&value| seen.insert(value)).collect());
        }
        dead.reverse();
        dead
    }
}

/// Whether an operation gives what it reads, inside, number for number.
fn passes_on(op: &Op) -> bool {
    matches!(op, Op::Dropout(_) | Op::Crash(_) | Op::Tokens | Op::Activation(Activation::Identity))
}

/// Node `head` and all that can be merged into it.
fn merge(network: &Network, head: usize, next: &impl Fn(usize) -> Option<usize>, taken: &[bool]) -> Stage {
    let nodes = network.nodes();
    let mut stage = Stage {
        head,
        inputs: nodes[head - 1].inputs.clone(),
        folded: Vec::new(),
        residual: None,
        clip: UNLIMITED,
        then: None,
        last: head,
        nodes: vec![head],
    };
    let op = &nodes[head - 1].op;
    if !matches!(op, Op::Linear(_) | Op::Conv2d(_) | Op::BatchNorm(_) | Op::ScaleShift(_)) {
        return stage;
    }
    while let Some(reader) = next(stage.last).filter(|&reader| !taken[reader]) {
        let node = &nodes[reader - 1];
        match &node.op {
            Op::BatchNorm(_) | Op::ScaleShift(_) if stage.residual.is_none() => stage.folded.push(reader),
            Op::Add if stage.residual.is_none() && node.inputs.len() == 2 => {
                stage.residual = node.inputs.iter().copied().find(|&value| value != stage.last);
            }
            Op::Activation(Activation::Identity) => break,
            Op::Activation(f) => {
                match limits(*f) {
                    Some(clip) => stage.clip = clip,
                    None => stage.then = Some(*f),
                }
                stage.last = reader;
                stage.nodes.push(reader);
                break;
            }
            _ => break,
        }
        stage.last = reader;
        stage.nodes.push(reader);
    }
    stage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Value};
    use crate::op::{BatchNorm, Conv2d, Dropout};

    fn network() -> Network {
        let mut b = Builder::new(&[4, 8, 8]);
        let conv = || Conv2d::new(4, 3).padding(1);
        let c1 = b.then("conv1", conv(), Value::INPUT);
        let n1 = b.then("bn1", BatchNorm::default(), c1);
        let r1 = b.relu("relu1", n1);
        let dropped = b.then("drop", Dropout { rate: 0.5 }, r1);
        let c2 = b.then("conv2", conv(), dropped);
        let n2 = b.then("bn2", BatchNorm::default(), c2);
        let sum = b.join("add", Op::Add, &[n2, r1]);
        b.relu("relu2", sum);
        b.finish().unwrap()
    }

    #[test]
    fn a_residual_block_takes_two_stages_and_dropout_none() {
        let plan = Plan::new(&network(), &Options::default());
        let [a, b] = &plan.stages[..] else { panic!("{:?}", plan.stages) };
        assert_eq!((a.head, &a.folded[..], a.residual, a.last), (1, &[2][..], None, 3));
        assert_eq!((b.head, &b.inputs[..], &b.folded[..], b.residual, b.last), (5, &[3][..], &[6][..], Some(3), 8));
        assert_eq!(plan.source[4], Some(3));
        assert_eq!(plan.source[2], None);
    }

    #[test]
    fn what_is_exposed_is_not_merged_and_faithfulness_merges_nothing() {
        let plan = Plan::new(&network(), &Options::exposing([6]));
        assert_eq!(plan.stages.iter().map(|s| s.last).collect::<Vec<_>>(), [3, 6, 7, 8]);
        let plan = Plan::new(&network(), &Options::faithful());
        assert_eq!(plan.stages.len(), 7);
        assert!(plan.source.iter().all(Option::is_some));
    }

    #[test]
    fn a_run_takes_only_the_steps_it_needs_and_names_what_is_missing() {
        let plan = Plan::new(&network(), &Options::default());
        assert_eq!(plan.active(&BTreeSet::from([0]), &[8]), Ok(vec![0, 1]));
        assert_eq!(plan.active(&BTreeSet::from([3]), &[8]), Ok(vec![1]));
        assert_eq!(plan.active(&BTreeSet::new(), &[8]), Err(0));
        assert_eq!(plan.dead(&[0, 1], &[8]), [vec![0], vec![3]]);
    }
}
