//! dfdx's optimisers, one tensor at a time, with our settings.

use dfdx::optim::{AdamConfig, Momentum, RMSpropConfig, SgdConfig, WeightDecay};
use dfdx::prelude::{Cpu, Shape, Tensor};

use super::{Grads, TapeError};
use crate::nn::train::{EpsilonForm, Optimizer};

/// Updates between two sweeps for tiny moments: too few for `0.9^n` to cross the range between [`TINY`] and denormals.
const SWEEP: i32 = 64;
/// Moments below this are set to zero. They move no weight, and would become denormal numbers, which processors are slow at.
const TINY: f32 = 1e-30;

/// An optimiser with its moments.
pub(super) struct Updater {
    optimizer: Optimizer,
    /// Updates so far, this one included.
    step: i32,
    lr_factor: f64,
    /// Up to three moments per tensor; which mean what depends on the optimiser.
    moments: [Grads; 3],
}

impl Updater {
    /// An optimiser that has seen nothing.
    pub(super) fn new(optimizer: Optimizer) -> Self {
        Self { optimizer, step: 0, lr_factor: 1.0, moments: std::array::from_fn(|_| Grads::leaky()) }
    }

    /// Begins the next update, at `lr_factor` times the learning rate.
    pub(super) fn advance(&mut self, lr_factor: f64) {
        self.step = self.step.saturating_add(1);
        self.lr_factor = lr_factor;
    }

    /// Moves `parameter` along its gradient.
    pub(super) fn update<S: Shape>(
        &mut self,
        parameter: &mut Tensor<S, f32, Cpu>,
        gradients: &mut Grads,
    ) -> Result<(), TapeError> {
        let gradient = &*gradients.get_or_alloc_mut(parameter)?;
        let [first, second, third] = &mut self.moments;
        let lr = self.optimizer.lr() * self.lr_factor;
        match self.optimizer {
            Optimizer::Adam { beta1, beta2, eps, form, weight_decay, .. } => {
                let eps = match form {
                    EpsilonForm::Corrected => eps,
                    // Dividing both parts of the "hat" form by sqrt(1 - b2^t) gives the corrected form with this eps.
                    EpsilonForm::Hat => eps / (1.0 - libm::pow(beta2, f64::from(self.step))).sqrt(),
                };
                let decay = (weight_decay != 0.0).then_some(WeightDecay::Decoupled(weight_decay));
                let config = AdamConfig { lr, betas: [beta1, beta2], eps, weight_decay: decay };
                let (m, v) = (first.get_or_alloc_mut(parameter)?, second.get_or_alloc_mut(parameter)?);
                config.try_update(self.step, parameter, m, v, gradient)?;
                sweep(self.step, [m, v]);
            }
            Optimizer::Sgd { momentum, nesterov, weight_decay, .. } => {
                let kind = if nesterov { Momentum::Nesterov(momentum) } else { Momentum::Classic(momentum) };
                let momentum = (momentum != 0.0).then_some(kind);
                let decay = (weight_decay != 0.0).then_some(WeightDecay::L2(weight_decay));
                let config = SgdConfig { lr, momentum, weight_decay: decay };
                let velocity = first.get_or_alloc_mut(parameter)?;
                config.try_update(parameter, velocity, gradient)?;
                sweep(self.step, [velocity]);
            }
            Optimizer::RmsProp { decay, eps, momentum, centered, .. } => {
                let momentum = (momentum != 0.0).then_some(momentum);
                let config = RMSpropConfig { lr, alpha: decay, eps, momentum, centered, weight_decay: None };
                let velocity = first.get_or_alloc_mut(parameter)?;
                let (square, mean) = (second.get_or_alloc_mut(parameter)?, third.get_or_alloc_mut(parameter)?);
                config.try_update(parameter, velocity, square, mean, gradient)?;
                sweep(self.step, [velocity, square, mean]);
            }
        }
        Ok(())
    }
}

/// Now and then, sets tiny moments to zero.
fn sweep<const N: usize>(step: i32, moments: [&mut Vec<f32>; N]) {
    if step % SWEEP == 0 {
        for moment in moments.into_iter().flatten() {
            if moment.abs() < TINY {
                *moment = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::TensorFromVec;

    use super::*;

    /// Follows the gradient `w - 1` of a quadratic for five updates from (2, -3).
    fn follow(optimizer: Optimizer) -> Vec<f32> {
        let mut updater = Updater::new(optimizer);
        let mut w: Tensor<(usize,), f32, Cpu> = Cpu::default().tensor_from_vec(vec![2.0, -3.0], (2,));
        for _ in 0..5 {
            let mut gradients = Grads::leaky();
            let now = super::super::network::values(&w);
            for (g, w) in gradients.get_or_alloc_mut(&w).unwrap().iter_mut().zip(now) {
                *g = w - 1.0;
            }
            updater.advance(1.0);
            updater.update(&mut w, &mut gradients).unwrap();
        }
        super::super::network::values(&w)
    }

    fn assert_close(found: &[f32], wanted: [f64; 2]) {
        for (f, w) in found.iter().zip(wanted) {
            assert!((f64::from(*f) - w).abs() < 2e-6, "{found:?} {wanted:?}");
        }
    }

    #[test]
    fn adam_follows_its_paper_in_both_forms_and_with_decay() {
        for (form, decay) in [(EpsilonForm::Corrected, 0.0), (EpsilonForm::Hat, 0.0), (EpsilonForm::Corrected, 0.1)] {
            let (lr, b1, b2, eps) = (0.05, 0.9, 0.999, 1e-2);
            let wanted = [2.0, -3.0].map(|start: f64| {
                let (mut w, mut m, mut v) = (start, 0.0_f64, 0.0_f64);
                for t in 1..=5 {
                    let g = w - 1.0;
                    m = b1 * m + (1.0 - b1) * g;
                    v = b2 * v + (1.0 - b2) * g * g;
                    let (c1, c2) = (1.0 - f64::powi(b1, t), 1.0 - f64::powi(b2, t));
                    let move_by = match form {
                        EpsilonForm::Corrected => lr * (m / c1) / ((v / c2).sqrt() + eps),
                        EpsilonForm::Hat => lr * c2.sqrt() / c1 * m / (v.sqrt() + eps),
                    };
                    w -= move_by + lr * decay * w;
                }
                w
            });
            let optimizer = Optimizer::Adam { lr, beta1: b1, beta2: b2, eps, form, weight_decay: decay };
            assert_close(&follow(optimizer), wanted);
        }
    }

    #[test]
    fn momentum_follows_its_definition() {
        for (momentum, nesterov, decay) in [(0.0, false, 0.0), (0.9, false, 0.01), (0.9, true, 0.0)] {
            let wanted = [2.0, -3.0].map(|start: f64| {
                let (mut w, mut v) = (start, 0.0);
                for _ in 0..5 {
                    let g = w - 1.0 + decay * w;
                    v = momentum * v + g;
                    w -= 0.1 * if nesterov { g + momentum * v } else { v };
                }
                w
            });
            assert_close(&follow(Optimizer::Sgd { lr: 0.1, momentum, nesterov, weight_decay: decay }), wanted);
        }
    }

    #[test]
    fn rmsprop_follows_its_definition() {
        let wanted = [2.0, -3.0].map(|start: f64| {
            let (mut w, mut s, mut v) = (start, 0.0, 0.0);
            for _ in 0..5 {
                let g = w - 1.0;
                s = 0.9 * s + 0.1 * g * g;
                v = 0.5 * v + g / (s + 1e-3_f64).sqrt();
                w -= 0.01 * v;
            }
            w
        });
        let optimizer = Optimizer::RmsProp { lr: 0.01, decay: 0.9, eps: 1e-3, momentum: 0.5, centered: false };
        assert_close(&follow(optimizer), wanted);
    }

    #[test]
    fn moments_that_no_gradient_feeds_end_at_zero_and_never_linger_as_denormals() {
        for optimizer in [Optimizer::adam(0.01), Optimizer::sgd(0.01, 0.9)] {
            let mut updater = Updater::new(optimizer);
            let mut w: Tensor<(usize,), f32, Cpu> = Cpu::default().tensor_from_vec(vec![1.0; 40], (40,));
            for step in 0..1500 {
                let mut gradients = Grads::leaky();
                let g = gradients.get_or_alloc_mut(&w).unwrap();
                if step == 0 {
                    g.iter_mut().enumerate().for_each(|(i, g)| *g = 0.7_f32.powi(i as i32));
                }
                updater.advance(1.0);
                updater.update(&mut w, &mut gradients).unwrap();
                let moment = updater.moments[0].get_or_alloc_mut(&w).unwrap();
                assert!(moment.iter().all(|m| !m.is_subnormal()), "{step}");
            }
            assert!(updater.moments[0].get_or_alloc_mut(&w).unwrap().iter().all(|m| *m == 0.0));
        }
    }
}
