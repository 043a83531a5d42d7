//! A network under translation from a file: faults are gathered rather than stopping at the first.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Fault;
use crate::graph::{Network, Node};
use crate::op::{Arity, Op, Shape};
use crate::tensor::Tensor;

/// What a layer gives.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The number of its node, 0 for the input.
    pub(super) value: usize,
    /// Its shape for one example.
    pub(super) shape: Shape,
    /// Whether something before it was not understood, so that the shape is a guess and further faults of shape are noise.
    pub(super) guessed: bool,
}

/// The nodes and tensors so far, and what was not understood.
#[derive(Debug)]
pub(super) struct Draft {
    input: Shape,
    nodes: Vec<Node>,
    /// What each node gives.
    given: Vec<Known>,
    /// The number to try next for each name that is taken.
    names: BTreeMap<String, usize>,
    tensors: Vec<Tensor>,
    problems: Vec<String>,
}

impl Draft {
    pub(super) fn new(input: Shape) -> Self {
        let (nodes, given, tensors, problems) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { input, nodes, given, names: BTreeMap::new(), tensors, problems }
    }

    /// The network's input.
    pub(super) fn input(&self) -> Known {
        Known { value: 0, shape: self.input.clone(), guessed: false }
    }

    /// Notes what is not understood.
    pub(super) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// The node that gives `known`, unless that is the input.
    pub(super) fn node(&mut self, known: &Known) -> Option<&mut Node> {
        self.nodes.get_mut(known.value.checked_sub(1)?)
    }

    /// What node `value` reads first, and its operation.
    pub(super) fn before(&self, value: usize) -> Option<(usize, &Op)> {
        let node = self.nodes.get(value.checked_sub(1)?)?;
        Some((*node.inputs.first()?, &node.op))
    }

    /// A name that no node has: `wanted`, or that with a number.
    pub(super) fn free_name(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "layer" } else { wanted };
        let Some(mut number) = self.names.get(wanted).copied() else { return wanted.to_owned() };
        while self.names.contains_key(&format!("{wanted}.{number}")) {
            number += 1;
        }
        self.names.insert(wanted.to_owned(), number + 1);
        format!("{wanted}.{number}")
    }

    /// Adds a node; parameters are added by [`Draft::parameter`] under the name of the node, which is free.
    pub(super) fn push(&mut self, name: &str, op: impl Into<Op>, inputs: &[&Known]) -> Known {
        let op = op.into();
        let guessed = inputs.iter().any(|known| known.guessed);
        let shapes: Vec<&[usize]> = inputs.iter().map(|known| known.shape.as_slice()).collect();
        let outcome = match op.facts().arity() {
            Arity::One if shapes.len() != 1 => Err("must read one value".to_owned()),
            Arity::Many if shapes.len() < 2 => Err("must read several values".to_owned()),
            _ => op.facts().output(&shapes).map_err(|error| error.to_string()),
        };
        let (shape, guessed) = match outcome {
            Ok(shape) => (shape, guessed),
            Err(error) => {
                if !guessed {
                    self.problems.push(format!("`{name}` ({}) {error}", op.name()));
                }
                (inputs.first().map_or_else(|| self.input.clone(), |known| known.shape.clone()), true)
            }
        };
        let inputs = inputs.iter().map(|known| known.value).collect();
        self.names.entry(name.to_owned()).or_insert(2);
        self.nodes.push(Node { name: name.to_owned(), op, inputs });
        let known = Known { value: self.nodes.len(), shape, guessed };
        self.given.push(known.clone());
        known
    }

    /// What node `value` gives, 0 being the input.
    pub(super) fn known(&self, value: usize) -> Option<Known> {
        if value == 0 { Some(self.input()) } else { self.given.get(value - 1).cloned() }
    }

    /// The values of a parameter so far.
    pub(super) fn tensor(&self, node: &str, suffix: &str) -> Option<&Tensor> {
        let name = format!("{node}.{suffix}");
        self.tensors.iter().rev().find(|tensor| tensor.name == name)
    }

    /// Puts other values in the place of a parameter's.
    pub(super) fn replace(&mut self, node: &str, suffix: &str, values: Vec<f32>) {
        let name = format!("{node}.{suffix}");
        if let Some(tensor) = self.tensors.iter_mut().rev().find(|tensor| tensor.name == name) {
            tensor.values = values;
        }
    }

    /// Adds the values of a parameter.
    pub(super) fn parameter(&mut self, node: &str, suffix: &str, shape: Shape, values: Vec<f32>) {
        self.tensors.push(Tensor { name: format!("{node}.{suffix}"), shape, values });
    }

    /// The network up to `output`, and its parameters; or everything that was not understood.
    pub(super) fn finish(mut self, output: &Known) -> Result<(Network, Vec<Tensor>), Fault> {
        if !self.problems.is_empty() {
            return Err(Fault::Graph(self.problems));
        }
        self.prune(output.value);
        let network = Network::new(self.input, self.nodes).map_err(|error| Fault::Graph(vec![error.to_string()]))?;
        let known: BTreeSet<&str> = network.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
        self.tensors.retain(|tensor| known.contains(tensor.name.as_str()));
        drop(known);
        Ok((network, self.tensors))
    }

    /// Drops the nodes that `output` does not need and numbers the others anew.
    fn prune(&mut self, output: usize) {
        let mut needed = vec![false; self.nodes.len() + 1];
        needed[output] = true;
        for value in (1..=output).rev().filter(|_| output > 0) {
            if needed[value] {
                for &input in &self.nodes[value - 1].inputs {
                    needed[input] = true;
                }
            }
        }
        let mut number = 0;
        let renumbered: Vec<usize> = needed
            .iter()
            .enumerate()
            .map(|(value, &needed)| {
                number += usize::from(needed && value > 0);
                number
            })
            .collect();
        let mut value = 0;
        self.nodes.retain(|_| {
            value += 1;
            needed[value]
        });
        for node in &mut self.nodes {
            for input in &mut node.inputs {
                *input = renumbered[*input];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Linear, ShortcutA};

    #[test]
    fn what_the_output_does_not_need_is_dropped() {
        let mut draft = Draft::new(vec![4]);
        let input = draft.input();
        draft.push("unused", Linear::new(3), &[&input]);
        let used = draft.push("used", Linear::new(2).bias(false), &[&input]);
        let last = draft.push("last", Op::Softmax, &[&used]);
        draft.push("after", Op::Softmax, &[&last]);
        draft.parameter("used", "weight", vec![2, 4], vec![0.0; 8]);
        draft.parameter("unused", "weight", vec![3, 4], vec![0.0; 12]);
        let (network, tensors) = draft.finish(&last).expect("sound");
        assert_eq!(network.nodes().iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["used", "last"]);
        assert_eq!(network.nodes()[1].inputs, [1]);
        assert_eq!(tensors.len(), 1);
    }

    #[test]
    fn one_fault_of_shape_does_not_cause_others() {
        let mut draft = Draft::new(vec![4]);
        let input = draft.input();
        let bad = draft.push("bad", ShortcutA { channels: 8, stride: 2 }, &[&input]);
        let worse = draft.push("worse", ShortcutA { channels: 8, stride: 2 }, &[&bad]);
        draft.problem("something else");
        let Err(Fault::Graph(problems)) = draft.finish(&worse) else { panic!("it cannot be sound") };
        assert_eq!(problems.len(), 2);
        assert!(problems[0].starts_with("`bad` (shortcut-a) reads"), "{}", problems[0]);
    }
}
