//! For tests: a multilayer perceptron in plain loops, in `f32` or `f64`, that shares no code with what it is compared with.

use duress_network::executor::ExecutorError;

use super::activation::Activation;
use super::fault::Layered;
use super::mlp_weights::MlpWeights;
use super::real::Real;

/// A perceptron.
pub(crate) struct Plain<T> {
    layers: Vec<Dense<T>>,
}

/// One of its layers.
pub(crate) struct Dense<T> {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) activation: Activation,
    /// `outputs x inputs`.
    pub(crate) weight: Vec<T>,
    bias: Vec<T>,
}

/// Everything that happened on the way to the outputs.
pub(crate) struct Trace<T> {
    /// `pre[l - 1]` is the sums of layer `l`, `rows x outputs`.
    pub(crate) pre: Vec<Vec<T>>,
    /// `post[l]` is the activations of layer `l`, 0 being the input.
    pub(crate) post: Vec<Vec<T>>,
}

impl<T: Real> Plain<T> {
    pub(crate) fn new(weights: &MlpWeights) -> Self {
        let convert = |values: &[f32]| values.iter().map(|&v| T::from_f32(v)).collect::<Vec<T>>();
        let layers = weights.network.layers.iter().enumerate().map(|(index, layer)| Dense {
            inputs: layer.inputs,
            outputs: layer.outputs,
            activation: layer.activation,
            weight: convert(weights.weight(index + 1)),
            bias: weights.bias(index + 1).map_or_else(|| vec![T::ZERO; layer.outputs], convert),
        });
        Self { layers: layers.collect() }
    }

    /// Outputs of an example.
    pub(crate) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.outputs)
    }

    /// Layer `layer`, from 1.
    pub(crate) fn layer(&self, layer: usize) -> &Dense<T> {
        &self.layers[layer - 1]
    }

    /// The outputs of `rows` examples with everything on the way.
    pub(crate) fn trace(&self, x: &[T]) -> Trace<T> {
        let mut trace = Trace { pre: Vec::new(), post: vec![x.to_vec()] };
        for layer in &self.layers {
            let z = layer.sums(&trace.post[trace.pre.len()]);
            trace.post.push(z.iter().map(|z| layer.activation.value(*z)).collect());
            trace.pre.push(z);
        }
        trace
    }

    /// The outputs that follow from the activations of layer `layer` (0: the input).
    pub(crate) fn logits_from(&self, layer: usize, h: &[T]) -> Vec<T> {
        let through =
            |h: Vec<T>, layer: &Dense<T>| layer.sums(&h).into_iter().map(|z| layer.activation.value(z)).collect();
        self.layers[layer..].iter().fold(h.to_vec(), through)
    }

    /// The outputs of examples.
    pub(crate) fn logits(&self, x: &[T]) -> Vec<T> {
        self.logits_from(0, x)
    }
}

impl<T: Real> Dense<T> {
    fn sums(&self, h: &[T]) -> Vec<T> {
        let sum = |x: &[T], o: usize| {
            let weights = &self.weight[o * self.inputs..][..self.inputs];
            x.iter().zip(weights).fold(self.bias[o], |sum, (x, w)| sum + *x * *w)
        };
        h.chunks_exact(self.inputs).flat_map(|x| (0..self.outputs).map(move |o| sum(x, o))).collect()
    }
}

impl<T: Real> Layered for Plain<T> {
    type Number = T;

    fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    fn depth(&self) -> usize {
        self.layers.len()
    }

    fn values(&self, x: &[T], _: usize) -> Result<Vec<Vec<T>>, ExecutorError> {
        Ok(self.trace(x).post)
    }

    fn forward(&self, layer: usize, h: &[T], _: usize) -> Result<Vec<T>, ExecutorError> {
        let layer = self.layer(layer);
        Ok(layer.sums(h).into_iter().map(|z| layer.activation.value(z)).collect())
    }
}
