//! Steps of training that leave parameters, gradients and moments in the device's memory.

use std::sync::Arc;

use super::{Mode, Trainer, TrainingError, check_length};
use crate::device::{Adam, Cpu, Device};
use crate::op::Randomness;
use crate::op::layout::plain;

/// The parameters of a network in a device's memory, and what Adam remembers of each.
#[derive(Debug)]
pub struct Resident<D: Device = Cpu> {
    values: Arc<Vec<D::Buffer>>,
    /// First and second moment of those that are trained.
    moments: Vec<Option<[D::Buffer; 2]>>,
}

impl<D: Device> Trainer<D> {
    /// Brings parameters to the device, one array for each of [`crate::Network::parameters`]; moments are zero.
    ///
    /// # Errors
    /// Where an array is missing or has the wrong length, or the device gives up.
    pub fn bring(&self, parameters: &[&[f32]]) -> Result<Resident<D>, TrainingError> {
        self.check_parameters(parameters)?;
        let moments = parameters.iter().enumerate();
        let moments = moments.map(|(p, values)| {
            self.is_trained(p).then(|| [self.device.zeros(values.len()), self.device.zeros(values.len())])
        });
        let resident = Resident { moments: moments.collect(), values: self.upload(parameters) };
        self.unless_failed(resident)
    }

    /// Copies the parameters back.
    ///
    /// # Errors
    /// Where the device gives up.
    pub fn take_back(&self, resident: &Resident<D>) -> Result<Vec<Vec<f32>>, TrainingError> {
        let parameters = resident.values.iter().enumerate();
        let back = parameters.map(|(index, values)| self.device.download(values, self.given(index))).collect();
        self.unless_failed(back)
    }

    /// A step of Adam on `images` images of `x` (row-major). `loss` is given the logits, row-major, and gives the gradient
    /// of the loss by them. The same bits as [`Trainer::forward`], [`Trainer::backward`] and
    /// [`crate::kernel::optimise::adam`].
    ///
    /// # Errors
    /// Where `x` or the gradient has the wrong length, or the device gives up; the parameters are then as they were, unless it broke
    /// while they were moved.
    pub fn step(
        &self,
        resident: &mut Resident<D>,
        by: &Adam,
        (x, images, random): (&[f32], usize, Randomness),
        loss: impl FnOnce(&[f32]) -> Vec<f32> + Send,
    ) -> Result<(), TrainingError> {
        self.check_input(x, images)?;
        self.device.enter(|| {
            let saved = self.run((Arc::clone(&resident.values), None), x, images, Mode::Train(random));
            let dlogits = loss(&saved.logits);
            check_length("gradient of the logits", saved.logits.len(), dlogits.len())?;
            let gradients = self.parameter_gradients(&saved, &dlogits);
            let running = saved.running;
            drop(saved.parameters);
            self.unless_failed(())?;
            self.update(resident, by, &gradients, &running);
            self.unless_failed(())
        })
    }

    fn update(
        &self,
        resident: &mut Resident<D>,
        by: &Adam,
        gradients: &[Option<D::Buffer>],
        running: &[(usize, Vec<f32>)],
    ) {
        let sizes: Vec<usize> = (0..self.network.parameters().len()).map(|index| self.given(index)).collect();
        let values = self.own(&mut resident.values, &sizes);
        for (p, (gradient, moments)) in gradients.iter().zip(&mut resident.moments).enumerate() {
            if let (Some(gradient), Some([first, second])) = (gradient, moments) {
                self.device.adam(sizes[p], by, gradient, [&mut values[p], first, second]);
            }
        }
        for (p, moved) in running {
            self.device.write(moved, &mut values[*p]);
        }
    }

    /// The buffers for writing: copies, where something else still reads them.
    fn own<'a>(&self, values: &'a mut Arc<Vec<D::Buffer>>, sizes: &[usize]) -> &'a mut Vec<D::Buffer> {
        if Arc::get_mut(values).is_none() {
            let copy = |(from, len): (&D::Buffer, &usize)| {
                let mut to = self.device.buffer(*len);
                self.device.copy(1, &plain(*len), from, false, &mut to);
                to
            };
            *values = Arc::new(values.iter().zip(sizes).map(copy).collect());
        }
        Arc::get_mut(values).expect("nobody else knows of a copy that was just made")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::catalogue;
    use crate::graph::Network;
    use crate::kernel::optimise::adam;
    use crate::kernel::{InstructionSet, Threads};
    use crate::random::Stream;
    use crate::training::Wanted;

    fn adam_of(step: i32) -> Adam {
        Adam { lr: 1e-2, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01, step }
    }

    fn random(step: i32) -> Randomness {
        Randomness { seed: 3, step: step as u64, first: 0 }
    }

    fn start(network: &Network) -> Vec<Vec<f32>> {
        let values = |p: &crate::graph::Parameter| {
            let mut values = vec![1.0; p.len()];
            if !p.name.ends_with("running_var") {
                Stream::new(2, &p.name, &[]).fill_normal(&mut values, 0.0, 0.1);
            }
            values
        };
        network.parameters().iter().map(values).collect()
    }

    #[test]
    fn steps_in_the_devices_memory_give_the_bits_of_steps_by_way_of_arrays() {
        for (name, input) in [("lenet-5", [1, 28, 28]), ("resnet-20", [3, 16, 16])] {
            let network = catalogue().iter().find(|a| a.name == name).unwrap().network(&input, 10).unwrap();
            let trainer = Trainer::new(&network, Cpu::new());
            let mut x = vec![0.0; 5 * network.input_len()];
            Stream::new(1, "x", &[]).fill_normal(&mut x, 0.0, 1.0);
            let loss = |logits: &[f32]| -> Vec<f32> { logits.iter().map(|z| z - 0.5).collect() };

            let mut wanted = start(&network);
            let mut moments: Vec<[Vec<f32>; 2]> =
                wanted.iter().map(|p| [vec![0.0; p.len()], vec![0.0; p.len()]]).collect();
            let slices: Vec<&[f32]> = wanted.iter().map(Vec::as_slice).collect();
            let mut resident = trainer.bring(&slices).unwrap();
            for step in 1..=3 {
                trainer.step(&mut resident, &adam_of(step), (&x, 5, random(step)), loss).unwrap();
                let slices: Vec<&[f32]> = wanted.iter().map(Vec::as_slice).collect();
                let saved = trainer.forward(&slices, &x, 5, Mode::Train(random(step))).unwrap();
                let asked = Wanted { parameters: true, input: false };
                let gradients = trainer.backward(&saved, &loss(saved.logits()), asked).unwrap();
                for ((p, g), [m, v]) in wanted.iter_mut().zip(&gradients.parameters).zip(&mut moments) {
                    if !g.is_empty() {
                        adam((InstructionSet::detect(), Threads::One), &adam_of(step), g, [p, m, v]);
                    }
                }
                for (p, moved) in saved.running_statistics() {
                    wanted[*p].clone_from(moved);
                }
            }
            assert_eq!(trainer.take_back(&resident).unwrap(), wanted, "{name}");
            let short = trainer.step(&mut resident, &adam_of(4), (&x[1..], 5, random(4)), loss);
            assert!(matches!(short, Err(TrainingError::Length { .. })));
            let no_gradient = trainer.step(&mut resident, &adam_of(4), (&x, 5, random(4)), |_| Vec::new());
            assert!(matches!(no_gradient, Err(TrainingError::Length { .. })));
            assert_eq!(trainer.take_back(&resident).unwrap(), wanted, "a step that fails changes nothing");
        }
    }
}
