//! Which nodes are done together.

use crate::activation::Activation;
use crate::graph::Network;
use crate::op::Op;

/// A node, and what is done with its values before they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// The node.
    pub head: usize,
    /// The value that is added.
    pub residual: Option<usize>,
    /// Whether negative values become zero.
    pub rectified: bool,
    /// The node whose value it gives.
    pub last: usize,
    /// Whether a batch normalisation is all that reads it: a convolution takes its statistics along.
    pub measured: bool,
}

/// The stages of a network, in the order of what they give.
pub(super) fn stages(network: &Network) -> Vec<Stage> {
    let nodes = network.nodes();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len() + 1];
    for (index, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&value| readers[value].push(index + 1));
    }
    let only_reader = |value: usize| match readers[value][..] {
        [reader] => Some(reader),
        _ => None,
    };
    let mut taken = vec![false; nodes.len() + 1];
    let mut stages = Vec::new();
    for head in 1..=nodes.len() {
        if taken[head] {
            continue;
        }
        let mut stage = Stage { head, residual: None, rectified: false, last: head, measured: false };
        if matches!(nodes[head - 1].op, Op::Linear(_) | Op::Conv2d(_) | Op::BatchNorm(_)) {
            if let Some(add) = only_reader(head).filter(|&n| nodes[n - 1].op == Op::Add && !taken[n])
                && let [a, b] = nodes[add - 1].inputs[..]
            {
                let other = if a == head { b } else { a };
                (stage.residual, stage.last) = (Some(other), add);
            }
            let rectifier = |n: &usize| nodes[n - 1].op == Op::Activation(Activation::relu());
            if let Some(relu) = only_reader(stage.last).filter(rectifier) {
                (stage.rectified, stage.last) = (true, relu);
            }
        }
        let normalised = |n: &usize| matches!(nodes[n - 1].op, Op::BatchNorm(_));
        stage.measured = matches!(nodes[head - 1].op, Op::Conv2d(_))
            && stage.last == head
            && only_reader(head).is_some_and(|n| normalised(&n));
        taken[stage.last] = true;
        if let (Some(_), Some(add)) = (stage.residual, only_reader(head)) {
            taken[add] = true;
        }
        stages.push(stage);
    }
    stages.sort_by_key(|stage| stage.last);
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Value};
    use crate::op::{BatchNorm, Conv2d};

    #[test]
    fn a_residual_block_takes_four_stages() {
        let mut b = Builder::new(&[4, 8, 8]);
        let conv = || Conv2d::new(4, 3).padding(1);
        let c1 = b.then("conv1", conv(), Value::INPUT);
        let n1 = b.then("bn1", BatchNorm::default(), c1);
        let r1 = b.relu("relu1", n1);
        let c2 = b.then("conv2", conv(), r1);
        let n2 = b.then("bn2", BatchNorm::default(), c2);
        let sum = b.join("add", Op::Add, &[n2, r1]);
        b.relu("relu2", sum);
        let found = stages(&b.finish().unwrap());
        let stage = |head, residual, rectified, last| {
            let measured = matches!(head, 1 | 4);
            Stage { head, residual, rectified, last, measured }
        };
        assert_eq!(
            found,
            [stage(1, None, false, 1), stage(2, None, true, 3), stage(4, None, false, 4), stage(5, Some(3), true, 7)]
        );
    }

    #[test]
    fn of_two_terms_of_a_sum_one_takes_the_other() {
        let mut b = Builder::new(&[4, 8, 8]);
        let left = b.then("left", Conv2d::new(4, 1), Value::INPUT);
        let right = b.then("right", Conv2d::new(4, 1), Value::INPUT);
        b.join("add", Op::Add, &[left, right]);
        let found = stages(&b.finish().unwrap());
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].head, found[0].residual), (2, None));
        assert_eq!((found[1].head, found[1].residual, found[1].last), (1, Some(2), 3));
    }
}
