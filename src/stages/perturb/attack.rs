//! The keys of one attack, and the attack that they say.

use duress_cache::Tree;
use duress_engine::spec::{Count, FromSpec, NonNegative, OneOrMany, Positive};
use duress_engine::{choice, config};

use super::set::standard;
use crate::nn::attack::{self, Apgd, Attack, AttackedClass, Evolution, Fab, Goal, Minimal, Pgd, Square, Step};

/// Where steps that shorten end, in parts of epsilon.
const LAST_STEP: f64 = 0.125;

config! {
    /// A way to perturb samples.
    #[derive(Clone)]
    pub struct AttackTable {
        /// The method.
        name: AttackName,
        /// Largest size of the change in `norm` (for `gaussian`, the standard deviation); a list is a sweep.
        [unit = "units of the data"]
        eps: OneOrMany<NonNegative>,
        /// How the change is measured.
        norm: Norm = Norm::Linf,
        /// What `pgd` and `apgd` drive up.
        loss: Loss = Loss::CrossEntropy,
        /// Gradient steps of `pgd`, `apgd`, `apgd-t`, `deepfool`, `fmn` and `fab`, and generations of `one-pixel`.
        steps: Count = Count(40),
        /// Length of a step of `pgd`; by default 2.5 eps / steps, and with `shortening` eps / 8.
        [unit = "units of the data"]
        step: Option<Positive>,
        /// Whether the steps of `pgd` shorten from eps to `step`: a few of them do what many equal ones do, above all in a sweep with
        /// `warm_start`.
        shortening: bool = false,
        /// Whether `pgd` starts from a random point of the ball.
        random_start: bool = true,
        /// Independent attempts of `pgd`, `apgd` and `apgd-t`; the first that succeeds counts.
        restarts: Count = Count(1),
        /// Classes that `apgd-t` and `fab` drive towards, the most likely ones first.
        targets: Count = Count(9),
        /// Questions that `square` asks about each sample.
        queries: Count = Count(1_000),
        /// Candidates of `one-pixel`.
        population: Count = Count(40),
        /// The class that attacks drive away from.
        label: Target = Target::True,
        /// Draws of `gaussian` and `uniform` per sample and size.
        repetitions: Count = Count(1),
        /// Lowest and highest value that a feature may take; `[]` for data without a range.
        [unit = "units of the data"]
        clip: Vec<f32> = vec![0.0, 1.0],
    }
}

choice! {
    /// How samples are perturbed.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum AttackName {
        /// One step along the sign of the gradient (Goodfellow et al. 2015).
        "fgsm" => Fgsm,
        /// Projected gradient ascent (Madry et al. 2018); the last point counts.
        "pgd" => Pgd,
        /// Auto-PGD (Croce and Hein 2020; in the 1-norm 2021): ascent whose steps shorten by themselves; every point counts.
        "apgd" => Apgd,
        /// Auto-PGD towards the other classes, one after the other, by the targeted DLR loss.
        "apgd-t" => ApgdTargeted,
        /// The nearest boundary of the linearised network, again and again (Moosavi-Dezfooli et al. 2016).
        "deepfool" => DeepFool,
        /// The fast minimum-norm attack (Pintor et al. 2021).
        "fmn" => Fmn,
        /// The fast adaptive boundary attack, towards the other classes one after the other (Croce and Hein 2020).
        "fab" => Fab,
        /// Random squares, by outputs alone (Andriushchenko et al. 2020).
        "square" => Square,
        /// A single pixel, by differential evolution on outputs alone (Su et al. 2019).
        "one-pixel" => OnePixel,
        /// Independent normal noise.
        "gaussian" => Gaussian,
        /// Independent uniform noise.
        "uniform" => Uniform,
        /// The set of Croce and Hein (2020), with its published settings: `apgd`, `apgd-t`, `fab` and `square`.
        "autoattack" => AutoAttack,
    }
}

choice! {
    /// How a change is measured.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Norm {
        /// The largest change of a feature.
        "linf" => Linf,
        /// The Euclidean norm.
        "l2" => L2,
        /// The sum of all changes, without sign.
        "l1" => L1,
    }
}

choice! {
    /// What an attack drives up.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Loss {
        /// The cross-entropy of the softmax.
        "cross-entropy" => CrossEntropy,
        /// The largest other output less that of the class (Carlini and Wagner 2017).
        "margin" => Margin,
        /// The margin over the distance from the largest to the third largest output (Croce and Hein 2020).
        "dlr" => Dlr,
    }
}

choice! {
    /// How rows are perturbed in training.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Method {
        /// One step along the sign of the gradient (Goodfellow et al. 2015).
        "fgsm" => Fgsm,
        /// Projected gradient ascent in the infinity norm (Madry et al. 2018).
        "pgd" => Pgd,
        /// Independent normal noise.
        "gaussian" => Gaussian,
        /// Independent uniform noise.
        "uniform" => Uniform,
    }
}

choice! {
    /// The class that an attack drives the prediction away from.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Target {
        /// The label.
        "true" => True,
        /// The network's own prediction on the clean sample.
        "predicted" => Predicted,
    }
}

/// The keys of an attack that say what it does, wherever in a spec they stand.
pub(crate) struct AttackKeys<'a> {
    pub(crate) name: Method,
    pub(crate) steps: Count,
    pub(crate) step: Option<Positive>,
    pub(crate) random_start: bool,
    pub(crate) restarts: usize,
    pub(crate) label: Target,
    pub(crate) clip: &'a [f32],
}

impl AttackKeys<'_> {
    /// The attack, without its sizes.
    pub(crate) fn attack(&self, seed: u64) -> Attack {
        let step = self.step.map_or(Step::Relative(2.5 / self.steps.0 as f64), |step| Step::Absolute(step.0));
        let method = match self.name {
            Method::Fgsm => attack::Method::Fgsm,
            Method::Pgd => attack::Method::Pgd(Pgd {
                steps: self.steps.size(),
                step,
                shortening: false,
                random_start: self.random_start,
                restarts: self.restarts,
                norm: attack::Norm::Linf,
                loss: attack::Loss::CrossEntropy,
            }),
            Method::Gaussian => attack::Method::Gaussian,
            Method::Uniform => attack::Method::Uniform,
        };
        Attack { method, class: self.label.class(), clip: range(self.clip), seed }
    }
}

/// The range that a list of two numbers is.
fn range(clip: &[f32]) -> Option<(f32, f32)> {
    if let [lo, hi] = clip { Some((*lo, *hi)) } else { None }
}

impl Target {
    fn class(self) -> AttackedClass {
        match self {
            Self::True => AttackedClass::True,
            Self::Predicted => AttackedClass::Predicted,
        }
    }
}

impl Norm {
    const fn norm(self) -> attack::Norm {
        match self {
            Self::Linf => attack::Norm::Linf,
            Self::L2 => attack::Norm::L2,
            Self::L1 => attack::Norm::L1,
        }
    }
}

impl Loss {
    const fn loss(self) -> attack::Loss {
        match self {
            Self::CrossEntropy => attack::Loss::CrossEntropy,
            Self::Margin => attack::Loss::Margin,
            Self::Dlr => attack::Loss::Dlr,
        }
    }
}

impl AttackName {
    /// The norms that it can work in.
    pub(super) fn norms(self) -> &'static [Norm] {
        match self {
            Self::Pgd | Self::Apgd | Self::ApgdTargeted | Self::Fmn | Self::Fab => &[Norm::Linf, Norm::L2, Norm::L1],
            Self::DeepFool => &[Norm::Linf, Norm::L2],
            Self::Fgsm | Self::Square | Self::OnePixel | Self::Gaussian | Self::Uniform | Self::AutoAttack => {
                &[Norm::Linf]
            }
        }
    }

    /// The keys besides its sizes, its range and its label that it heeds.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Pgd => &["norm", "loss", "steps", "step", "shortening", "random_start", "restarts"],
            Self::Apgd => &["norm", "loss", "steps", "restarts"],
            Self::ApgdTargeted => &["norm", "steps", "restarts", "targets"],
            Self::DeepFool | Self::Fmn => &["norm", "steps"],
            Self::Fab => &["norm", "steps", "targets"],
            Self::Square => &["queries"],
            Self::OnePixel => &["steps", "population"],
            Self::Gaussian | Self::Uniform => &["repetitions"],
            Self::Fgsm | Self::AutoAttack => &[],
        }
    }
}

impl AttackTable {
    /// The sizes, ascending, each once.
    pub(super) fn sizes(&self) -> Vec<f64> {
        let mut sizes: Vec<f64> = self.eps.0.iter().map(|eps| eps.0).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        sizes
    }

    /// Passes of the network per sample and size (of searches for the smallest change, in all), a gradient being two.
    pub(super) fn passes(&self) -> u64 {
        match self.name {
            AttackName::Fgsm => 2,
            AttackName::Pgd | AttackName::Apgd => 2 * self.steps.0 * self.restarts.0,
            AttackName::ApgdTargeted => 2 * self.steps.0 * self.restarts.0 * self.targets.0,
            AttackName::DeepFool => 21 * self.steps.0,
            AttackName::Fmn => 2 * self.steps.0,
            AttackName::Fab => 3 * self.steps.0 * self.targets.0,
            AttackName::AutoAttack => standard(self).iter().map(Self::passes).sum(),
            AttackName::Square => self.queries.0,
            AttackName::OnePixel => self.steps.0.saturating_mul(self.population.0),
            AttackName::Gaussian | AttackName::Uniform => 0,
        }
    }

    /// Draws per sample and size.
    pub(super) fn repetitions(&self) -> u64 {
        if self.is_noise() { self.repetitions.0 } else { 1 }
    }

    /// Whether it takes several steps along gradients.
    pub(super) fn has_steps(&self) -> bool {
        self.name.keys().contains(&"steps") && self.name != AttackName::OnePixel
    }

    pub(super) fn is_noise(&self) -> bool {
        matches!(self.name, AttackName::Gaussian | AttackName::Uniform)
    }

    /// The attacks that it is, without their sizes.
    pub(super) fn plans(&self, seed: u64) -> Vec<Attack> {
        let plan = |table: &Self| {
            let method = table.method()?;
            Some(Attack { method, class: table.label.class(), clip: range(&table.clip), seed })
        };
        self.members().iter().filter_map(plan).collect()
    }

    /// The attacks that it stands for: itself, or those of a published set.
    pub(super) fn members(&self) -> Vec<Self> {
        if self.name == AttackName::AutoAttack { standard(self) } else { vec![self.clone()] }
    }

    /// What it does; `None` of a set.
    fn method(&self) -> Option<attack::Method> {
        let (steps, restarts) = (self.steps.size(), self.restarts.size());
        let (norm, loss) = (self.norm.norm(), self.loss.loss());
        let minimal = Minimal { steps, norm };
        Some(match self.name {
            AttackName::AutoAttack => return None,
            AttackName::Fgsm => attack::Method::Fgsm,
            AttackName::Pgd => {
                let share = if self.shortening { LAST_STEP } else { 2.5 / self.steps.0 as f64 };
                let step = self.step.map_or(Step::Relative(share), |step| Step::Absolute(step.0));
                let (shortening, random_start) = (self.shortening, self.random_start);
                attack::Method::Pgd(Pgd { steps, step, shortening, random_start, restarts, norm, loss })
            }
            AttackName::Apgd => attack::Method::Apgd(Apgd { steps, restarts, norm, goal: Goal::Loss(loss) }),
            AttackName::ApgdTargeted => {
                attack::Method::Apgd(Apgd { steps, restarts, norm, goal: Goal::Targets(self.targets.size()) })
            }
            AttackName::DeepFool => attack::Method::DeepFool(minimal),
            AttackName::Fmn => attack::Method::Fmn(minimal),
            AttackName::Fab => attack::Method::Fab(Fab { steps, targets: self.targets.size(), norm }),
            AttackName::Square => attack::Method::Square(Square { queries: self.queries.size(), share: 0.8 }),
            AttackName::OnePixel => {
                attack::Method::OnePixel(Evolution { steps, population: self.population.size().max(4) })
            }
            AttackName::Gaussian => attack::Method::Gaussian,
            AttackName::Uniform => attack::Method::Uniform,
        })
    }

    /// The keys that have an effect.
    pub(super) fn tree(&self) -> Tree {
        let mut keys = vec![
            ("name", self.name.to_tree()),
            ("eps", Some(Tree::List(self.sizes().into_iter().map(Tree::Float).collect()))),
            ("clip", self.clip.to_tree()),
        ];
        if !self.is_noise() {
            keys.push(("label", self.label.to_tree()));
        }
        keys.extend(self.name.keys().iter().map(|key| (*key, self.key(key))));
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }

    /// One of the keys by which attacks differ; the norm and the loss that all have are not said.
    fn key(&self, key: &str) -> Option<Tree> {
        match key {
            "norm" => (self.norm != Norm::Linf).then(|| self.norm.to_tree()).flatten(),
            "loss" => (self.loss != Loss::CrossEntropy).then(|| self.loss.to_tree()).flatten(),
            "steps" => self.steps.to_tree(),
            "step" => self.step.to_tree(),
            "shortening" => self.shortening.then(|| self.shortening.to_tree()).flatten(),
            "random_start" => self.random_start.to_tree(),
            "restarts" => self.restarts.to_tree(),
            "targets" => self.targets.to_tree(),
            "queries" => self.queries.to_tree(),
            "population" => self.population.to_tree(),
            _ => self.repetitions.to_tree(),
        }
    }
}
