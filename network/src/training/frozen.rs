//! Parameters that many passes share, arranged for them once.

use std::sync::Arc;

use super::{Mode, Saved, Trainer, TrainingError};
use crate::device::{Cpu, Device, Fused};
use crate::op::Op;
use crate::op::arithmetic::{Context, Pass, Target, Targets};
use crate::op::linear::backward::gradients;

/// A network's parameters in the memory of a device, for passes that do not change them.
#[derive(Clone, Debug)]
pub struct Frozen<D: Device = Cpu> {
    values: Arc<Vec<D::Buffer>>,
    arranged: Arc<Vec<Option<Arranged<D>>>>,
}

/// The weight of a linear layer, arranged for both ways.
#[derive(Debug)]
pub(super) struct Arranged<D: Device> {
    forward: D::Linear,
    backward: D::Linear,
}

impl<D: Device> Trainer<D> {
    /// Brings parameters to the device, one array for each of [`crate::Network::parameters`], for many passes.
    ///
    /// # Errors
    /// Where an array is missing or has the wrong length, or the device gives up.
    pub fn freeze(&self, parameters: &[&[f32]]) -> Result<Frozen<D>, TrainingError> {
        self.check_parameters(parameters)?;
        let values = self.upload(parameters);
        let arranged = (1..=self.network.nodes().len()).map(|node| self.arranged(node, &values)).collect();
        self.unless_failed(Frozen { values, arranged: Arc::new(arranged) })
    }

    fn arranged(&self, node: usize, values: &[D::Buffer]) -> Option<Arranged<D>> {
        let (device, weight) = (&self.device, self.network.parameters_of(node).start);
        if !matches!(self.network.nodes()[node - 1].op, Op::Linear(_)) || self.pattern_of(node).is_some() {
            return None;
        }
        let &[outputs, inputs] = self.network.parameters()[weight].shape.as_slice() else { return None };
        let mut turned = device.buffer(outputs * inputs);
        device.transpose([outputs, inputs], &values[weight], &mut turned);
        Some(Arranged {
            forward: device.pack_linear(outputs, inputs, &values[weight]),
            backward: device.pack_linear(inputs, outputs, &turned),
        })
    }

    /// [`Trainer::forward`] as for attacks and evaluation; the same bits.
    ///
    /// # Errors
    /// Where `x` has the wrong length, or the device gives up.
    pub fn forward_frozen(&self, frozen: &Frozen<D>, x: &[f32], images: usize) -> Result<Saved<D>, TrainingError> {
        self.check_input(x, images)?;
        let arranged = Some(Arc::clone(&frozen.arranged));
        let values = Arc::clone(&frozen.values);
        let saved = self.device.enter(|| self.run((values, arranged), x, images, Mode::Infer));
        self.unless_failed(saved)
    }
}

impl<D: Device> Saved<D> {
    /// The arranged weight of a node.
    pub(super) fn arranged(&self, node: usize) -> Option<&Arranged<D>> {
        self.arranged.as_ref()?[node - 1].as_ref()
    }
}

/// The values of a linear layer.
pub(super) fn forward<D: Device>(
    cx: &Context<'_, D>,
    weight: &Arranged<D>,
    x: &D::Buffer,
    fused: Fused<'_, D::Buffer>,
) -> D::Buffer {
    let ([places, _], mut y) = (cx.places(), cx.result());
    let fused = Fused { bias: cx.parameters.get(1), ..fused };
    cx.device.linear(cx.images * places, &weight.forward, x, fused, &mut y);
    y
}

/// The gradients of a linear layer.
pub(super) fn backward<D: Device>(
    cx: &Context<'_, D>,
    weight: &Arranged<D>,
    pass: &Pass<'_, D>,
    to: &mut Targets<'_, D>,
) {
    let [places, inputs] = cx.places();
    let rows = cx.images * places;
    let (size, given) = ([rows, inputs, cx.output_len() / rows.max(1)], (&cx.parameters[0], pass.x[0], pass.dy));
    match &mut to.inputs[0] {
        Some(Target { buffer, accumulate: false }) => {
            cx.device.linear(rows, &weight.backward, pass.dy, Fused::default(), buffer);
        }
        dx => gradients(cx.device, size, given, dx, &mut []),
    }
    gradients(cx.device, size, given, &mut None, to.parameters);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::catalogue;
    use crate::arch::mlp::Mlp;
    use crate::training::Wanted;
    use crate::training::testing::{random, sequence};

    #[test]
    fn frozen_parameters_give_the_bits_of_those_given_each_time_on_all_threads_and_on_one() {
        let lenet = catalogue().iter().find(|a| a.name == "lenet-5").unwrap().network(&[1, 28, 28], 10).unwrap();
        for network in [Mlp::default().network(&[784], 10).unwrap(), sequence(), lenet] {
            let trainer = Trainer::new(&network, Cpu::new());
            let parameters: Vec<Vec<f32>> = network.parameters().iter().map(|p| random(&p.name, p.len())).collect();
            let slices: Vec<&[f32]> = parameters.iter().map(Vec::as_slice).collect();
            let frozen = trainer.freeze(&slices).unwrap();
            let wanted = Wanted { parameters: true, input: true };
            for images in [1, 9, 70] {
                let x = random("x", images * network.input_len());
                let saved = trainer.forward(&slices, &x, images, Mode::Infer).unwrap();
                let slope: Vec<f32> = saved.logits().iter().map(|z| z - 0.5).collect();
                let found = trainer.backward(&saved, &slope, wanted).unwrap();
                let same = |trainer: &Trainer| {
                    let again = trainer.forward_frozen(&frozen, &x, images).unwrap();
                    assert_eq!(again.logits(), saved.logits());
                    assert_eq!(trainer.backward(&again, &slope, wanted).unwrap(), found);
                };
                same(&trainer);
                Cpu::new().spread(1, 1, |one, _| same(&trainer.on(one.clone())));
                let short = trainer.forward_frozen(&frozen, &x[1..], images);
                assert!(matches!(short, Err(TrainingError::Length { .. })));
            }
            assert!(matches!(trainer.freeze(&slices[1..]), Err(TrainingError::Parameters { .. })));
        }
    }
}
