//! Linear layers of which few weights take part: only those are given, multiplied, and given gradients.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Trainer, plan};
use crate::activation::Activation;
use crate::device::{Device, Fused, UNLIMITED};
use crate::graph::Network;
use crate::kernel::sparse::Pattern;
use crate::op::Op;
use crate::op::arithmetic::{Context, Kept, Pass, Target, Targets};
use crate::op::linear::backward::bias_gradient;
use crate::weights::Weights;

/// The density of a weight above which a product with all of it is faster.
const DENSEST: f64 = 0.15;

/// Weights from which on a layer is worth the detour.
const LEAST: usize = 512;

impl<D: Device> Trainer<D> {
    /// Prepares to run `network` with weights that are zero wherever `keep`, which has an entry for each parameter, does not keep
    /// them.
    ///
    /// Where few weights of a linear layer are kept, [`Trainer::pattern`] says which: that parameter is then given by the kept
    /// ones alone, in their order, and so are its gradient and its moments. Values and gradients have the same bits
    /// either way, but for the sign of a zero.
    ///
    /// # Panics
    /// If there are not as many entries as parameters, or one has not as many flags as numbers.
    #[must_use]
    pub fn masked(network: &Network, device: D, keep: &[Option<&[bool]>]) -> Self {
        assert_eq!(keep.len(), network.parameters().len(), "an entry for each parameter");
        let mut patterns = vec![None; keep.len()];
        for (node, operation) in network.nodes().iter().enumerate() {
            let weight = network.parameters_of(node + 1).start;
            let (Op::Linear(_), Some(keep)) = (&operation.op, keep.get(weight).copied().flatten()) else { continue };
            let few = keep.iter().filter(|keep| **keep).count() as f64 <= DENSEST * keep.len() as f64;
            if let &[outputs, inputs] = network.parameters()[weight].shape.as_slice()
                && D::SPARSE
                && few
                && keep.len() >= LEAST
            {
                patterns[weight] = Pattern::new([outputs, inputs], keep).map(Arc::new);
            }
        }
        Self { network: Arc::new(network.clone()), device, stages: plan::stages(network).into(), patterns }
    }

    /// Which weights of parameter `index` are given, where not all are.
    #[must_use]
    pub fn pattern(&self, index: usize) -> Option<&Pattern> {
        self.patterns[index].as_deref()
    }

    /// The numbers of `weights` that are given, an array for each parameter.
    #[must_use]
    pub fn taking_part<'w>(&self, weights: &'w Weights) -> Vec<Cow<'w, [f32]>> {
        let given = |index: usize, values: &'w [f32]| match self.pattern(index) {
            Some(pattern) => Cow::Owned(pattern.gather(values)),
            None => Cow::Borrowed(values),
        };
        weights.tensors().iter().enumerate().map(|(index, tensor)| given(index, &tensor.values)).collect()
    }

    /// How many numbers of parameter `index` are given.
    pub(super) fn given(&self, index: usize) -> usize {
        self.pattern(index).map_or_else(|| self.network.parameters()[index].len(), Pattern::kept)
    }

    /// The pattern of a node's weight.
    pub(super) fn pattern_of(&self, node: usize) -> Option<&Pattern> {
        self.network.parameters_of(node).find_map(|index| self.pattern(index))
    }
}

/// The values of a linear layer; keeps its input, `[input][row]`.
pub(super) fn forward<D: Device>(
    cx: &Context<'_, D>,
    pattern: &Pattern,
    x: &D::Buffer,
    fused: Fused<'_, D::Buffer>,
    kept: &mut Kept<D>,
) -> D::Buffer {
    let (device, [places, inputs], len) = (cx.device, cx.places(), cx.output_len());
    let rows = cx.images * places;
    let outputs = len / rows.max(1);
    let mut x_turned = device.buffer(rows * inputs);
    device.transpose([rows, inputs], x, &mut x_turned);
    let mut turned = device.buffer(len);
    let clip = if fused.residual.is_some() { UNLIMITED } else { fused.clip };
    let own = Fused { bias: cx.parameters.get(1), residual: None, clip };
    device.sparse_forward((pattern, rows), &cx.parameters[0], &x_turned, own, &mut turned);
    kept.buffers.push(x_turned);
    let mut y = cx.result();
    device.transpose([outputs, rows], &turned, &mut y);
    let Some(residual) = fused.residual else { return y };
    device.add(len, &y, residual, &mut turned);
    if fused.clip != UNLIMITED {
        device.activation_in_place(
            Activation::Clip { low: fused.clip.0.into(), high: fused.clip.1.into() },
            len,
            &mut turned,
        );
    }
    turned
}

/// The gradients of a linear layer, that of the weight for the kept ones alone.
pub(super) fn backward<D: Device>(cx: &Context<'_, D>, pattern: &Pattern, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
    let (device, [places, inputs]) = (cx.device, cx.places());
    let rows = cx.images * places;
    let outputs = cx.output_len() / rows.max(1);
    let mut dy = device.buffer(rows * outputs);
    device.transpose([rows, outputs], pass.dy, &mut dy);
    if let Some(Target { buffer, accumulate }) = &mut to.inputs[0] {
        let mut turned = device.buffer(rows * inputs);
        if *accumulate {
            device.transpose([rows, inputs], buffer, &mut turned);
        }
        device.sparse_backward_input((pattern, rows), &cx.parameters[0], &dy, *accumulate, &mut turned);
        device.transpose([inputs, rows], &turned, buffer);
    }
    if let Some(dw) = to.parameters.first_mut() {
        device.sparse_backward_weight((pattern, rows), &pass.kept.buffers[0], &dy, dw);
    }
    if let Some(db) = to.parameters.get_mut(1) {
        bias_gradient(device, [rows, 1, outputs], pass.dy, db);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::mlp::Mlp;
    use crate::device::{Adam, Cpu};
    use crate::op::Randomness;
    use crate::random::Stream;
    use crate::training::testing::{random, sequence};
    use crate::training::{Mode, Wanted};

    /// For each weight matrix, one weight in so many kept.
    fn keep(network: &Network, one_in: u64) -> Vec<Option<Vec<bool>>> {
        let flags = |p: &crate::graph::Parameter| {
            let mut stream = Stream::new(6, &p.name, &[]);
            (p.shape.len() == 2).then(|| (0..p.len()).map(|_| stream.below(one_in) == 0).collect())
        };
        network.parameters().iter().map(flags).collect()
    }

    #[test]
    fn values_gradients_and_steps_with_few_weights_have_the_bits_of_those_with_zeros() {
        let mlp = Mlp::default().network(&[784], 10).unwrap();
        // The last one keeps nothing at all.
        for (network, one_in) in [(mlp.clone(), 9), (sequence(), 9), (mlp, u64::MAX)] {
            let keep = keep(&network, one_in);
            let flags: Vec<Option<&[bool]>> = keep.iter().map(|keep| keep.as_deref()).collect();
            let (dense, sparse) = (Trainer::new(&network, Cpu::new()), Trainer::masked(&network, Cpu::new(), &flags));
            assert!((0..keep.len()).filter(|&p| sparse.pattern(p).is_some()).count() >= 2);
            let mut whole: Vec<Vec<f32>> = network.parameters().iter().map(|p| random(&p.name, p.len())).collect();
            for (values, keep) in whole.iter_mut().zip(&keep) {
                let dropped = values.iter_mut().zip(keep.iter().flatten()).filter(|(_, keep)| !**keep);
                dropped.for_each(|(value, _)| *value = 0.0);
            }
            let few = |all: &[Vec<f32>]| -> Vec<Vec<f32>> {
                let each = all.iter().enumerate();
                each.map(|(p, v)| sparse.pattern(p).map_or_else(|| v.clone(), |pattern| pattern.gather(v))).collect()
            };
            let x = random("x", 5 * network.input_len());
            let slices = |all: &[Vec<f32>]| -> Vec<Vec<f32>> { all.to_vec() };
            let run = |trainer: &Trainer, parameters: Vec<Vec<f32>>| {
                let parameters: Vec<&[f32]> = parameters.iter().map(Vec::as_slice).collect();
                let saved = trainer.forward(&parameters, &x, 5, Mode::Infer).unwrap();
                let slope: Vec<f32> = saved.logits().iter().map(|z| z - 0.5).collect();
                let found = trainer.backward(&saved, &slope, Wanted { parameters: true, input: true }).unwrap();
                (saved.logits().to_vec(), found)
            };
            let (wanted, found) = (run(&dense, slices(&whole)), run(&sparse, few(&whole)));
            assert_eq!(found.0, wanted.0);
            assert_eq!(found.1.input, wanted.1.input);
            assert_eq!(found.1.parameters, few(&wanted.1.parameters));

            let steps = |trainer: &Trainer, parameters: Vec<Vec<f32>>| {
                let parameters: Vec<&[f32]> = parameters.iter().map(Vec::as_slice).collect();
                let mut resident = trainer.bring(&parameters).unwrap();
                let by = Adam { lr: 1e-2, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, step: 1 };
                let random = Randomness { seed: 1, step: 0, first: 0 };
                let loss = |logits: &[f32]| logits.iter().map(|z| z - 0.5).collect();
                trainer.step(&mut resident, &by, (&x, 5, random), loss).unwrap();
                trainer.take_back(&resident).unwrap()
            };
            assert_eq!(steps(&sparse, few(&whole)), few(&steps(&dense, whole.clone())));
        }
    }

    #[test]
    fn dense_masks_and_small_layers_are_given_whole() {
        let network = Mlp::default().network(&[784], 10).unwrap();
        let keep = keep(&network, 2);
        let flags: Vec<Option<&[bool]>> = keep.iter().map(|keep| keep.as_deref()).collect();
        let trainer = Trainer::masked(&network, Cpu::new(), &flags);
        assert!((0..keep.len()).all(|p| trainer.pattern(p).is_none()));
    }
}
