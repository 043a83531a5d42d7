//! Networks that are one operation after the other, seen as layers: what crashes of neurons are about.
//!
//! A layer ends with its neurons: the outputs of a linear operation or a convolution, behind the normalisation that follows it
//! and its activation. What stands between layers (flattening, pooling, the normalisation of the data) is done on the way into
//! the next. Layers are numbered as in [`super::Mlp`], which is the special case of dense layers: 0 is the input.

use std::ops::Range;

use duress_network::op::Role;
use duress_network::{Network, Op};

use super::Mlp;

/// A network as layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    layers: Vec<SequenceLayer>,
    inputs: usize,
}

/// One of its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceLayer {
    /// The name of its linear operation.
    pub name: String,
    /// The nodes that it consists of, counted from 0; the neurons are what the last one gives.
    pub nodes: Range<usize>,
    /// How many neurons it has.
    pub width: usize,
}

/// What makes a network no sequence of layers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{node}` {problem}")]
pub struct NoSequence {
    /// The first operation that does not fit in.
    pub node: String,
    /// Why, which completes "`NODE` ...".
    pub problem: &'static str,
}

/// The names of a network's layers, by which crash rates are given.
pub trait LayerNames {
    /// The names, first to last, without the input's.
    fn layer_names(&self) -> Vec<&str>;
}

impl LayerNames for Mlp {
    fn layer_names(&self) -> Vec<&str> {
        self.layers.iter().map(|layer| layer.name.as_str()).collect()
    }
}

impl LayerNames for Sequence {
    fn layer_names(&self) -> Vec<&str> {
        self.layers.iter().map(|layer| layer.name.as_str()).collect()
    }
}

impl Sequence {
    /// The layers of `network`.
    ///
    /// # Errors
    /// Where an operation reads anything but the one before it, has weights and is neither linear nor a convolution, or is an
    /// activation of nothing linear.
    pub fn of(network: &Network) -> Result<Self, NoSequence> {
        let mut cut = Cut { network, layers: Vec::new(), start: 0, head: None };
        for (index, node) in network.nodes().iter().enumerate() {
            cut.take(index).map_err(|problem| NoSequence { node: node.name.clone(), problem })?;
        }
        cut.finish();
        Ok(Self { layers: cut.layers, inputs: network.input_len() })
    }

    /// The layers, first to last; at least one.
    #[must_use]
    pub fn layers(&self) -> &[SequenceLayer] {
        &self.layers
    }

    /// The number of the last layer.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// The neurons of layer `layer`, 0 being the input.
    ///
    /// # Panics
    /// If `layer` exceeds [`Sequence::depth`].
    #[must_use]
    pub fn width(&self, layer: usize) -> usize {
        if layer == 0 { self.inputs } else { self.layers[layer - 1].width }
    }

    /// The number of the network's value that is the neurons of layer `layer`, 0 being the input.
    ///
    /// # Panics
    /// If `layer` exceeds [`Sequence::depth`].
    #[must_use]
    pub fn value(&self, layer: usize) -> usize {
        if layer == 0 { 0 } else { self.layers[layer - 1].nodes.end }
    }
}

/// Layers as they are cut off, node by node.
struct Cut<'a> {
    network: &'a Network,
    layers: Vec<SequenceLayer>,
    /// The first node that belongs to no layer yet.
    start: usize,
    /// The linear operation since then.
    head: Option<usize>,
}

impl Cut<'_> {
    fn take(&mut self, index: usize) -> Result<(), &'static str> {
        let node = &self.network.nodes()[index];
        if node.inputs != [index] {
            return Err("does not read the operation before it alone");
        }
        match node.op {
            Op::Linear(_) | Op::Conv2d(_) => {
                self.close_plain();
                self.head = Some(index);
            }
            Op::Activation(_) if self.head.is_some() => self.close(index + 1),
            Op::Activation(_) => return Err("is an activation that follows no linear operation"),
            _ => {
                let parameters = &self.network.parameters()[self.network.parameters_of(index + 1)];
                if parameters.iter().any(|parameter| matches!(parameter.role, Role::Weight | Role::Position)) {
                    return Err("has weights of its own that are neither a linear layer's nor a convolution's");
                }
            }
        }
        Ok(())
    }

    /// Ends a layer that has no activation: behind its linear operation and the normalisation of that.
    fn close_plain(&mut self) {
        let Some(head) = self.head else { return };
        let scales = |index: &usize| matches!(self.network.nodes()[*index].op, Op::BatchNorm(_) | Op::ScaleShift(_));
        let end = (head + 1..self.network.nodes().len()).take_while(scales).last().map_or(head + 1, |last| last + 1);
        self.close(end);
    }

    /// Ends a layer before node `end`.
    fn close(&mut self, end: usize) {
        let head = self.head.take().unwrap_or(end - 1);
        let width = self.network.shapes()[end].iter().product();
        let name = self.network.nodes()[head].name.clone();
        self.layers.push(SequenceLayer { name, nodes: self.start..end, width });
        self.start = end;
    }

    /// Ends the last layer. What follows an activation at the end, such as a pooling over all places, is a layer without
    /// weights, unless it does nothing to the numbers.
    fn finish(&mut self) {
        let end = self.network.nodes().len();
        let idle = |node: &duress_network::Node| {
            matches!(node.op, Op::Flatten | Op::Reshape(_) | Op::Dropout(_) | Op::Crash(_))
        };
        match self.layers.last_mut() {
            Some(last) if self.head.is_none() && self.network.nodes()[self.start..].iter().all(idle) => {
                last.nodes.end = end;
            }
            _ => self.close(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Activation;
    use duress_network::Node;
    use duress_network::op::{AvgPool, BatchNorm, Conv2d, Linear, MaxPool, Normalise};

    fn linear(outputs: usize) -> Op {
        Op::Linear(Linear { outputs, bias: true })
    }

    /// A network of operations named by their kind and number.
    fn network(input: &[usize], ops: Vec<Op>) -> Network {
        let node = |(index, op): (usize, Op)| Node { name: format!("{}{index}", op.name()), op, inputs: vec![index] };
        Network::new(input.to_vec(), ops.into_iter().enumerate().map(node).collect()).expect("fits")
    }

    fn layers(sequence: &Sequence) -> Vec<(&str, Range<usize>, usize)> {
        sequence.layers().iter().map(|layer| (layer.name.as_str(), layer.nodes.clone(), layer.width)).collect()
    }

    #[test]
    fn layers_end_with_their_neurons() {
        let relu = || Op::Activation(Activation::relu());
        let norm = || Op::BatchNorm(BatchNorm::default());
        let conv = |outputs| Op::Conv2d(Conv2d::new(outputs, 3).padding(1));
        let normalise = Op::Normalise(Normalise { mean: vec![0.5], std: vec![0.5] });
        let pool = || Op::AvgPool(AvgPool::new(2));
        // An activation behind a pooling belongs to the convolution before it, as in LeNet-5 of 1998.
        let ops =
            vec![normalise, conv(2), norm(), relu(), pool(), conv(3), norm(), conv(2), pool(), relu(), Op::Flatten];
        let ops = [ops, vec![linear(5), linear(4), Op::Flatten]].concat();
        let sequence = Sequence::of(&network(&[1, 4, 4], ops)).expect("a sequence");
        let wanted = [
            ("conv2d1", 0..4, 32),
            ("conv2d5", 4..7, 12),
            ("conv2d7", 7..10, 2),
            ("linear11", 10..12, 5),
            ("linear12", 12..14, 4),
        ];
        assert_eq!(layers(&sequence), wanted);
        assert_eq!((sequence.value(0), sequence.value(3), sequence.width(0), sequence.depth()), (0, 10, 16, 5));

        let ops = vec![conv(3), relu(), Op::GlobalAvgPool, Op::Flatten];
        let pooled = Sequence::of(&network(&[1, 4, 4], ops)).expect("a sequence");
        assert_eq!(layers(&pooled), [("conv2d0", 0..2, 48), ("flatten3", 2..4, 3)]);
    }

    #[test]
    fn a_perceptron_has_the_layers_that_it_has() {
        let mlp = Mlp::new(4, &[3, 5], 2, Activation::Tanh, true);
        let sequence = Sequence::of(&mlp.graph().expect("sound")).expect("a sequence");
        assert_eq!(sequence.layer_names(), mlp.layer_names());
        assert!((0..=mlp.depth()).all(|layer| sequence.width(layer) == mlp.width(layer)));
    }

    #[test]
    fn what_is_no_sequence_is_named() {
        let node = |name: &str, op: Op, inputs: &[usize]| Node { name: name.to_owned(), op, inputs: inputs.to_vec() };
        let block = vec![node("fc", linear(4), &[0]), node("sum", Op::Add, &[0, 1]), node("out", linear(2), &[2])];
        let residual = Network::new(vec![4], block).expect("fits");
        let told = Sequence::of(&residual).expect_err("two inputs");
        assert_eq!((told.node.as_str(), told.problem), ("sum", "does not read the operation before it alone"));
        let first =
            network(&[1, 4, 4], vec![Op::MaxPool(MaxPool::new(2)), Op::Activation(Activation::Tanh), Op::Flatten]);
        assert_eq!(Sequence::of(&first).expect_err("no linear operation").node, "activation1");
    }
}
