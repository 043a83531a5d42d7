//! Perturbed inputs: attacks within a ball around each sample, and noise of the same size as their null hypothesis.
//!
//! Epsilon is in the units of the data as the network is given them. Every perturbation is measured again after it was made
//! ([`attack`]): a point outside its ball or outside the data range is an error, never a result.
//!
//! Random draws come from the stream (seed, purpose, [sample, draw, restart]); batches, threads and the order of samples cannot
//! change them, and neither can epsilon: noise of twice the size is the same noise doubled.

use std::ops::Range;

use duress_network::executor::ExecutorError;
use duress_network::training::TrainingError;

mod apgd;
mod direction;
mod fab;
mod judge;
mod loss;
mod minimal;
mod perturb;
mod pixel;
mod region;
mod square;
mod strength;
mod sweep;
#[cfg(test)]
pub(crate) mod testing;

pub use apgd::{Apgd, Goal};
pub use fab::Fab;
pub use judge::{Attacked, attack, attack_from};
pub use loss::Loss;
pub use minimal::{Minimal, search};
pub use perturb::perturb;
pub use pixel::Evolution;
pub use square::Square;
pub use strength::{Strength, strength};
pub use sweep::{Sweep, SweepOptions, SweepSample, sweep, sweep_set};

/// How inputs are perturbed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// One step of size epsilon along the sign of the gradient (Goodfellow, Shlens and Szegedy 2015).
    Fgsm,
    /// Projected gradient ascent (Madry et al. 2018); the last iterate counts.
    Pgd(Pgd),
    /// Auto-PGD (Croce and Hein 2020, 2021); every iterate counts.
    Apgd(Apgd),
    /// `DeepFool` (Moosavi-Dezfooli, Fawzi and Frossard 2016): a small perturbation, which counts where it is within epsilon.
    DeepFool(Minimal),
    /// The fast minimum-norm attack (Pintor et al. 2021), likewise.
    Fmn(Minimal),
    /// FAB towards each of the most likely other classes (Croce and Hein 2020), likewise.
    Fab(Fab),
    /// Square (Andriushchenko et al. 2020): random search by outputs alone, in the infinity norm.
    Square(Square),
    /// One pixel (Su, Vargas and Sakurai 2019), changed by epsilon at most, found by differential evolution on outputs alone.
    OnePixel(Evolution),
    /// Independent normal noise of standard deviation epsilon, cut to the data range; its infinity norm is not bounded by epsilon.
    Gaussian,
    /// Independent noise, uniform between minus and plus epsilon.
    Uniform,
}

/// How a perturbation is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Norm {
    /// The largest change of a feature.
    #[default]
    Linf,
    /// The Euclidean norm of the change.
    L2,
    /// The sum of the changes, without sign.
    L1,
    /// Not at all: nothing but the range of the data bounds it.
    None,
}

impl Method {
    /// The norm that epsilon bounds.
    #[must_use]
    pub fn norm(&self) -> Norm {
        match self {
            Self::Pgd(pgd) => pgd.norm,
            Self::Apgd(apgd) => apgd.norm,
            Self::DeepFool(minimal) | Self::Fmn(minimal) => minimal.norm,
            Self::Fab(fab) => fab.norm,
            Self::Gaussian => Norm::None,
            Self::Fgsm | Self::Square(_) | Self::OnePixel(_) | Self::Uniform => Norm::Linf,
        }
    }

    /// Whether it looks for a small perturbation, whatever epsilon is.
    #[must_use]
    pub fn is_minimal(&self) -> bool {
        matches!(self, Self::DeepFool(_) | Self::Fmn(_) | Self::Fab(_))
    }

    /// Whether it asks the network nothing.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        matches!(self, Self::Gaussian | Self::Uniform)
    }

    /// Whether it sees outputs alone.
    #[must_use]
    pub fn is_black_box(&self) -> bool {
        matches!(self, Self::Square(_) | Self::OnePixel(_))
    }

    /// What the gradients that it follows are of (of targeted attacks, the margin); `None` for those that follow none.
    #[must_use]
    pub fn follows(&self) -> Option<Loss> {
        match self {
            Self::Fgsm => Some(Loss::CrossEntropy),
            Self::Pgd(pgd) => Some(pgd.loss),
            Self::Apgd(Apgd { goal: Goal::Loss(loss), .. }) => Some(*loss),
            Self::Apgd(_) | Self::DeepFool(_) | Self::Fmn(_) | Self::Fab(_) => Some(Loss::Margin),
            Self::Square(_) | Self::OnePixel(_) | Self::Gaussian | Self::Uniform => None,
        }
    }
}

/// Settings of [`Method::Pgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pgd {
    /// Gradient steps per restart.
    pub steps: usize,
    /// Length of a step.
    pub step: Step,
    /// Whether steps shorten to that length, by the same factor each time, from epsilon.
    pub shortening: bool,
    /// Whether to start from a uniform point of the box instead of the sample itself.
    pub random_start: bool,
    /// Independent attempts; the first that succeeds is kept, else the one of largest loss. At least 1.
    pub restarts: usize,
    /// The ball.
    pub norm: Norm,
    /// What is driven up.
    pub loss: Loss,
}

impl Pgd {
    /// Length of step number `step`, from 0, at `eps`.
    #[must_use]
    pub fn length(&self, step: usize, eps: f64) -> f64 {
        let (last, steps) = (self.step.at(eps), self.steps.saturating_sub(1));
        if !self.shortening || last >= eps {
            return last;
        }
        if steps == 0 { eps } else { eps * (last / eps).powf(step as f64 / steps as f64) }
    }
}

/// Length of a step in the norm of the ball.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// In the units of the data.
    Absolute(f64),
    /// As a multiple of epsilon.
    Relative(f64),
}

impl Step {
    /// The length at `eps`.
    #[must_use]
    pub fn at(self, eps: f64) -> f64 {
        match self {
            Self::Absolute(step) => step,
            Self::Relative(share) => share * eps,
        }
    }
}

/// The class that an attack drives the prediction away from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AttackedClass {
    /// The label.
    #[default]
    True,
    /// The network's own prediction on the clean sample, as in attacks without label leaking. A sample that was classified
    /// wrong is then driven away from the wrong class, and can become right.
    Predicted,
}

/// An attack, but for its epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attack {
    /// How inputs are perturbed.
    pub method: Method,
    /// The class driven away from.
    pub class: AttackedClass,
    /// The data's range, lowest and highest; `None` for unbounded data.
    pub clip: Option<(f32, f32)>,
    /// Seed of the random draws.
    pub seed: u64,
}

impl Attack {
    /// Whether two runs with different seeds can differ.
    #[must_use]
    pub fn is_random(&self) -> bool {
        match self.method {
            Method::Fgsm | Method::DeepFool(_) | Method::Fmn(_) | Method::Fab(_) => false,
            Method::Pgd(pgd) => pgd.random_start,
            Method::Apgd(_) | Method::Square(_) | Method::OnePixel(_) | Method::Gaussian | Method::Uniform => true,
        }
    }
}

/// Samples to perturb.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// The features, row after row.
    pub x: &'a [f32],
    /// A class per row.
    pub labels: &'a [u32],
    /// A number per row that names the sample in random draws: its position in the data set.
    pub ids: &'a [u64],
    /// Which draw this is: the repetition of a noise, the step of a training.
    pub draw: u64,
}

impl Samples<'_> {
    /// The rows `rows`, of `features` values each.
    fn part(&self, features: usize, rows: Range<usize>) -> Samples<'_> {
        Samples {
            x: &self.x[rows.start * features..rows.end * features],
            labels: &self.labels[rows.clone()],
            ids: &self.ids[rows],
            draw: self.draw,
        }
    }
}

/// An attack that cannot be run, or went wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AttackError {
    /// Features, labels and numbers do not belong together, or not to this network.
    #[error(
        "attack {rows} samples with {values} values and {ids} numbers on a network of {inputs} inputs: give each sample all of them"
    )]
    Samples {
        /// Labels given.
        rows: usize,
        /// Feature values given.
        values: usize,
        /// Sample numbers given.
        ids: usize,
        /// Inputs of the network.
        inputs: usize,
    },
    /// The network could not be run forward.
    #[error(transparent)]
    Forward(#[from] ExecutorError),
    /// The network could not be run backward.
    #[error(transparent)]
    Backward(#[from] TrainingError),
    /// Starting points are not one per sample.
    #[error("start from {got} values for samples of {want}: give a point per sample, or none")]
    Start {
        /// Values given.
        got: usize,
        /// Values of the samples.
        want: usize,
    },
    /// A label is no class.
    #[error("attack sample {id} of class {label} on a network of {classes} outputs: use labels below that")]
    Label {
        /// Number of the sample.
        id: u64,
        /// Its label.
        label: u32,
        /// Outputs of the network.
        classes: usize,
    },
    /// A size that is no size.
    #[error("attack with epsilon {0}: give finite sizes of 0 or more, in ascending order")]
    Epsilon(f64),
    /// No attack.
    #[error("attack with an empty set: name at least one attack")]
    NoAttack,
    /// An option out of range.
    #[error("attack with {0}: give a positive number")]
    Option(&'static str),
    /// A sample lies outside the range that it is to stay in.
    #[error(
        "keep sample {id} within {lo} and {hi}, where its feature {feature} is {value} already: set `clip` to the data's range"
    )]
    OutsideRange {
        /// Number of the sample.
        id: u64,
        /// The feature.
        feature: usize,
        /// Its value.
        value: f32,
        /// Lower end of the range.
        lo: f32,
        /// Upper end of the range.
        hi: f32,
    },
    /// The audit found a perturbation larger than it may be. This is a bug in the attack.
    #[error(
        "trust a perturbation of sample {id}: it measures {measured} where {allowed} is allowed; please report this"
    )]
    Audit {
        /// Number of the sample.
        id: u64,
        /// What was measured.
        measured: f64,
        /// What was allowed.
        allowed: f64,
    },
}

#[cfg(test)]
mod analytic;
#[cfg(test)]
mod tests;
