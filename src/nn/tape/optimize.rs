//! Our settings of optimisers on the fused steps of [`duress_network::kernel::optimise`].

use duress_network::kernel::optimise::{Adam, RmsProp, Sgd, adam, rmsprop, sgd};
use duress_network::kernel::{InstructionSet, Threads};

use crate::nn::train::{EpsilonForm, Optimizer};

/// An optimiser with its moments.
pub(super) struct Updater {
    optimizer: Optimizer,
    how: (InstructionSet, Threads),
    /// Updates so far, this one included.
    step: i32,
    lr_factor: f64,
    /// By moment, then by parameter; which moment means what depends on the optimiser.
    moments: Vec<Vec<Vec<f32>>>,
}

impl Updater {
    /// An optimiser that has seen nothing, of parameters of these lengths.
    pub(super) fn new(optimizer: Optimizer, lengths: &[usize]) -> Self {
        let count = match optimizer {
            Optimizer::Adam { .. } => 2,
            Optimizer::Sgd { momentum, .. } => usize::from(momentum != 0.0),
            Optimizer::RmsProp { centered, .. } => 2 + usize::from(centered),
        };
        let zeros = || lengths.iter().map(|&len| vec![0.0; len]).collect();
        let how = (InstructionSet::detect(), Threads::Pool);
        Self { optimizer, how, step: 0, lr_factor: 1.0, moments: (0..count).map(|_| zeros()).collect() }
    }

    /// Its moments, by parameter each.
    pub(super) fn moments(&self) -> &[Vec<Vec<f32>>] {
        &self.moments
    }

    /// Makes it one that has seen so many updates and holds these moments; whether they are as many as it has.
    pub(super) fn resume(&mut self, updates: u64, moments: Vec<Vec<Vec<f32>>>) -> bool {
        let lengths = |moments: &[Vec<Vec<f32>>]| -> Vec<Vec<usize>> {
            moments.iter().map(|moment| moment.iter().map(Vec::len).collect()).collect()
        };
        let fits = lengths(&moments) == lengths(&self.moments);
        if fits {
            self.step = i32::try_from(updates).unwrap_or(i32::MAX);
            self.moments = moments;
        }
        fits
    }

    /// Begins the next update, at `lr_factor` times the learning rate.
    pub(super) fn advance(&mut self, lr_factor: f64) {
        self.step = self.step.saturating_add(1);
        self.lr_factor = lr_factor;
    }

    /// Moves parameter number `index` along its gradient.
    pub(super) fn update(&mut self, index: usize, parameter: &mut [f32], gradient: &[f32]) {
        let lr = self.optimizer.lr() * self.lr_factor;
        let mut moments = self.moments.iter_mut().map(|moment| moment[index].as_mut_slice());
        let mut moment = || moments.next().unwrap_or_default();
        match self.optimizer {
            Optimizer::Adam { beta1, beta2, eps, form, weight_decay, .. } => {
                let eps = match form {
                    EpsilonForm::Corrected => eps,
                    // Dividing both parts of the "hat" form by sqrt(1 - b2^t) gives the corrected form with this eps.
                    EpsilonForm::Hat => eps / (1.0 - libm::pow(beta2, f64::from(self.step))).sqrt(),
                };
                let by = Adam { lr, beta1, beta2, eps, weight_decay, step: self.step };
                adam(self.how, &by, gradient, [parameter, moment(), moment()]);
            }
            Optimizer::Sgd { momentum, nesterov, weight_decay, .. } => {
                let by = Sgd { lr, momentum, nesterov, weight_decay };
                sgd(self.how, &by, gradient, [parameter, moment()]);
            }
            Optimizer::RmsProp { decay, eps, momentum, centered, .. } => {
                let by = RmsProp { lr, decay, eps, momentum, centered };
                rmsprop(self.how, &by, gradient, [parameter, moment(), moment(), moment()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dfdx::optim::{AdamConfig, Momentum, RMSpropConfig, SgdConfig, WeightDecay};
    use dfdx::prelude::{Cpu, Tensor, TensorFromVec};

    use super::super::Grads;
    use super::*;

    type Vector = Tensor<(usize,), f32, Cpu>;

    const COUNT: usize = 1000;
    const UPDATES: i32 = 40;

    fn start() -> Vec<f32> {
        (0..COUNT).map(|i| (i as f32 * 0.731).sin() * 2.0).collect()
    }

    /// A gradient that changes its sign and size over the updates.
    fn gradient(step: i32, parameters: &[f32]) -> Vec<f32> {
        parameters.iter().enumerate().map(|(i, p)| p - (step as f32 * 0.3 + i as f32).cos()).collect()
    }

    fn ours(optimizer: Optimizer) -> Vec<f32> {
        let mut updater = Updater::new(optimizer, &[3, COUNT]);
        let mut parameters = start();
        for step in 1..=UPDATES {
            updater.advance(0.7);
            let gradient = gradient(step, &parameters);
            updater.update(1, &mut parameters, &gradient);
        }
        parameters
    }

    /// The same updates by an optimiser of dfdx: `update(step, parameters, moments, gradient)`.
    fn theirs(update: impl Fn(i32, &mut Vector, &mut [Grads; 3], &mut Grads)) -> Vec<f32> {
        let mut parameters: Vector = Cpu::default().tensor_from_vec(start(), (COUNT,));
        let mut moments = std::array::from_fn(|_| Grads::leaky());
        for step in 1..=UPDATES {
            let mut gradients = Grads::leaky();
            **gradients.get_or_alloc_mut(&parameters).unwrap() = gradient(step, &parameters.as_vec());
            update(step, &mut parameters, &mut moments, &mut gradients);
        }
        parameters.as_vec()
    }

    fn assert_close(ours: &[f32], theirs: &[f32]) {
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 2e-5 * (1.0 + b.abs());
        assert_eq!(ours.iter().zip(theirs).filter(|pair| far(*pair)).count(), 0, "{:?} {:?}", &ours[..4], &theirs[..4]);
        assert!(ours.iter().zip(start()).all(|(now, then)| (now - then).abs() > 0.0));
    }

    #[test]
    fn adam_and_adamw_are_those_of_dfdx() {
        for weight_decay in [0.0, 0.1] {
            let config = AdamConfig {
                lr: 0.05 * 0.7,
                betas: [0.9, 0.99],
                eps: 1e-3,
                weight_decay: Some(WeightDecay::Decoupled(weight_decay)),
            };
            let theirs = theirs(|step, parameters, [m, v, _], gradients| {
                let gradient = &*gradients.get_or_alloc_mut(parameters).unwrap();
                let (m, v) = (m.get_or_alloc_mut(parameters).unwrap(), v.get_or_alloc_mut(parameters).unwrap());
                config.try_update(step, parameters, m, v, gradient).unwrap();
            });
            let form = EpsilonForm::Corrected;
            assert_close(
                &ours(Optimizer::Adam { lr: 0.05, beta1: 0.9, beta2: 0.99, eps: 1e-3, form, weight_decay }),
                &theirs,
            );
        }
    }

    #[test]
    fn descent_with_and_without_momentum_is_that_of_dfdx() {
        for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
            let kind = if nesterov { Momentum::Nesterov(momentum) } else { Momentum::Classic(momentum) };
            let config = SgdConfig { lr: 0.02 * 0.7, momentum: Some(kind), weight_decay: Some(WeightDecay::L2(0.01)) };
            let theirs = theirs(|_, parameters, [velocity, ..], gradients| {
                let gradient = &*gradients.get_or_alloc_mut(parameters).unwrap();
                let velocity = velocity.get_or_alloc_mut(parameters).unwrap();
                config.try_update(parameters, velocity, gradient).unwrap();
            });
            assert_close(&ours(Optimizer::Sgd { lr: 0.02, momentum, nesterov, weight_decay: 0.01 }), &theirs);
        }
    }

    #[test]
    fn rmsprop_is_that_of_dfdx_centred_or_not() {
        for centered in [false, true] {
            let (alpha, eps, momentum) = (0.9, 1e-2, Some(0.5));
            let config = RMSpropConfig { lr: 0.01 * 0.7, alpha, eps, momentum, centered, weight_decay: None };
            let theirs = theirs(|_, parameters, [velocity, square, mean], gradients| {
                let gradient = &*gradients.get_or_alloc_mut(parameters).unwrap();
                let [velocity, square, mean] =
                    [velocity, square, mean].map(|moment| moment.get_or_alloc_mut(parameters).unwrap());
                config.try_update(parameters, velocity, square, mean, gradient).unwrap();
            });
            let optimizer = Optimizer::RmsProp { lr: 0.01, decay: 0.9, eps, momentum: 0.5, centered };
            assert_close(&ours(optimizer), &theirs);
        }
    }

    #[test]
    fn the_hat_form_of_adam_follows_its_paper() {
        let (lr, b1, b2, eps) = (0.05 * 0.7, 0.9, 0.999, 1e-2);
        let wanted: Vec<f32> = start()
            .iter()
            .enumerate()
            .map(|(i, start)| {
                let (mut w, mut m, mut v) = (f64::from(*start), 0.0_f64, 0.0_f64);
                for t in 1..=UPDATES {
                    let g = w - f64::from((t as f32 * 0.3 + i as f32).cos());
                    m = b1 * m + (1.0 - b1) * g;
                    v = b2 * v + (1.0 - b2) * g * g;
                    w -= lr * (1.0 - f64::powi(b2, t)).sqrt() / (1.0 - f64::powi(b1, t)) * m / (v.sqrt() + eps);
                }
                w as f32
            })
            .collect();
        let form = EpsilonForm::Hat;
        assert_close(&ours(Optimizer::Adam { lr: 0.05, beta1: b1, beta2: b2, eps, form, weight_decay: 0.0 }), &wanted);
    }
}
