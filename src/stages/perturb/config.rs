//! The keys of `perturb`.

use duress_cache::Tree;
use duress_engine::input::Input;
use duress_engine::spec::{Count, Fault, FromSpec, NonNegative, OneOrMany, Positive, Seed};
use duress_engine::stage::InferContext;
use duress_engine::{choice, config};

use crate::nn::attack::{self, Attack, AttackedClass, Pgd, Step, SweepOptions};
use crate::stages::artifact::{Split, Weights};

config! {
    /// Perturbs samples and asks the network about them.
    ///
    /// `robust_accuracy` is over all samples, `attack_success_rate` over those that were right when clean. Every perturbation is
    /// measured after it was made; one that is larger than it may be fails the stage.
    pub struct Perturb {
        /// The network.
        weights: Input<Weights>,
        /// The samples.
        data: Input<Split>,
        /// What is done to them.
        attack: AttackTable,
        /// Take only the first so many samples; all by default.
        samples: Option<Count>,
        /// Go on with the survivors of smaller sizes only. Noise is always drawn for all.
        survivors: bool = true,
        /// Start `pgd` at each size from where the smaller size ended.
        warm_start: bool = false,
        /// Seed of random starts and noise.
        seed: Seed,
    }
}

config! {
    /// A way to perturb samples.
    #[derive(Clone)]
    pub struct AttackTable {
        /// The method.
        name: Method,
        /// Largest change of a feature (for `gaussian`, the standard deviation); a list is a sweep.
        [unit = "units of the data"]
        eps: OneOrMany<NonNegative>,
        /// Gradient steps of `pgd`.
        steps: Count = Count(40),
        /// Length of a step of `pgd`; by default 2.5 eps / steps.
        [unit = "units of the data"]
        step: Option<Positive>,
        /// Whether `pgd` starts from a random point of the box.
        random_start: bool = true,
        /// Independent attempts of `pgd`; the first that succeeds counts.
        restarts: Count = Count(1),
        /// The class that `fgsm` and `pgd` drive away from.
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
                random_start: self.random_start,
                restarts: self.restarts,
            }),
            Method::Gaussian => attack::Method::Gaussian,
            Method::Uniform => attack::Method::Uniform,
        };
        let class = match self.label {
            Target::True => AttackedClass::True,
            Target::Predicted => AttackedClass::Predicted,
        };
        let clip = if let [lo, hi] = self.clip { Some((*lo, *hi)) } else { None };
        Attack { method, class, clip, seed }
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

    /// Gradients taken per sample and size.
    pub(super) fn gradients(&self) -> u64 {
        match self.name {
            Method::Fgsm => 1,
            Method::Pgd => self.steps.0 * self.restarts.0,
            Method::Gaussian | Method::Uniform => 0,
        }
    }

    /// Draws per sample and size.
    pub(super) fn repetitions(&self) -> u64 {
        if self.is_noise() { self.repetitions.0 } else { 1 }
    }

    pub(super) fn is_noise(&self) -> bool {
        matches!(self.name, Method::Gaussian | Method::Uniform)
    }

    /// The attack, without its sizes.
    pub(super) fn plan(&self, seed: u64) -> Attack {
        let keys = AttackKeys {
            name: self.name,
            steps: self.steps,
            step: self.step,
            random_start: self.random_start,
            restarts: self.restarts.size(),
            label: self.label,
            clip: &self.clip,
        };
        keys.attack(seed)
    }

    /// The keys that have an effect.
    fn tree(&self) -> Tree {
        let mut keys = vec![
            ("name", self.name.to_tree()),
            ("eps", Some(Tree::List(self.sizes().into_iter().map(Tree::Float).collect()))),
            ("clip", self.clip.to_tree()),
        ];
        if self.is_noise() {
            keys.push(("repetitions", self.repetitions.to_tree()));
        } else {
            keys.push(("label", self.label.to_tree()));
        }
        if self.name == Method::Pgd {
            keys.push(("steps", self.steps.to_tree()));
            keys.push(("step", self.step.to_tree()));
            keys.push(("random_start", self.random_start.to_tree()));
            keys.push(("restarts", self.restarts.to_tree()));
        }
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }
}

impl Perturb {
    /// How sizes build on each other.
    pub(super) fn options(&self) -> SweepOptions {
        SweepOptions {
            survivors_only: self.survivors && !self.attack.is_noise(),
            warm_start: self.warm_start && self.attack.name == Method::Pgd,
        }
    }

    /// Reports what can be known to be wrong.
    pub(super) fn check(&self, cx: &mut InferContext<'_>) {
        let span = cx.span_of("attack.clip");
        let bad = match self.attack.clip.as_slice() {
            [] => None,
            [lo, hi] if lo < hi => None,
            [_, _] => Some("its first value must be below its second"),
            _ => Some("it needs two values, or none"),
        };
        if let Some(why) = bad {
            let fault = Fault::new("wrong-range", span, format!("`attack.clip` is no range: {why}"), "no range");
            cx.faults.push(fault.help("write `clip = [0.0, 1.0]`, or `clip = []` for data without a range"));
        }
    }

    /// The configuration as it enters the key: what has no effect is not in it.
    pub(super) fn tree(&self) -> Tree {
        let mut keys = vec![("attack", Some(self.attack.tree())), ("samples", self.samples.to_tree())];
        // With one size nothing builds on anything.
        if self.attack.sizes().len() > 1 && !self.attack.is_noise() {
            keys.push(("survivors", self.survivors.to_tree()));
            if self.attack.name == Method::Pgd {
                keys.push(("warm_start", self.warm_start.to_tree()));
            }
        }
        if self.attack.plan(0).is_random() {
            keys.push(("seed", self.seed.to_tree()));
        }
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::testing::{infer, key, read};

    const INPUTS: &str = "weights = 'train'\ndata = 'digits.test'\n";

    fn tree(attack: &str) -> Tree {
        key::<Perturb>(&format!("{INPUTS}{attack}"))
    }

    #[test]
    fn keys_without_effect_do_not_enter_the_key() {
        let fgsm = tree("attack = { name = 'fgsm', eps = 0.1 }");
        assert_eq!(fgsm, tree("attack = { name = 'fgsm', eps = [0.1], steps = 7, restarts = 3 }\nseed = 5"));
        assert_eq!(fgsm, tree("attack = { name = 'fgsm', eps = 0.1 }\nsurvivors = false\nwarm_start = true"));
        assert_ne!(fgsm, tree("attack = { name = 'fgsm', eps = 0.1, label = 'predicted' }"));
        let noise = tree("attack = { name = 'gaussian', eps = [0.2, 0.1, 0.2] }");
        assert_eq!(
            noise,
            tree("attack = { name = 'gaussian', eps = [0.1, 0.2], label = 'predicted' }\nsurvivors = false")
        );
        assert_ne!(noise, tree("attack = { name = 'gaussian', eps = [0.1, 0.2] }\nseed = 5"));
        let pgd = tree("attack = { name = 'pgd', eps = 0.1, random_start = false }");
        assert_eq!(pgd, tree("attack = { name = 'pgd', eps = 0.1, random_start = false }\nseed = 5"));
        assert_ne!(pgd, tree("attack = { name = 'pgd', eps = 0.1, random_start = false, steps = 5 }"));
    }

    #[test]
    fn the_published_attack_can_be_said() {
        let text = "attack = { name = 'pgd', eps = 0.3, steps = 10, step = 0.05, label = 'predicted' }";
        let (stage, _) = read::<Perturb>(&format!("{INPUTS}{text}")).expect("valid");
        let plan = stage.attack.plan(stage.seed.0);
        assert_eq!((plan.class, plan.clip, plan.seed), (AttackedClass::Predicted, Some((0.0, 1.0)), 42));
        let attack::Method::Pgd(pgd) = plan.method else { panic!("not pgd") };
        assert_eq!(pgd, Pgd { steps: 10, step: Step::Absolute(0.05), random_start: true, restarts: 1 });
    }

    #[test]
    fn data_that_do_not_fit_and_ranges_that_are_none_are_faults() {
        let faults = |features, attack: &str| -> Vec<&'static str> {
            let (_, faults) = infer::<Perturb>(&format!("{INPUTS}attack = {attack}"), features);
            faults.iter().map(|fault| fault.code).collect()
        };
        assert_eq!(faults(4, "{ name = 'fgsm', eps = 0.1 }"), [""; 0]);
        assert_eq!(faults(9, "{ name = 'fgsm', eps = 0.1 }"), ["shape-mismatch"]);
        assert_eq!(faults(4, "{ name = 'fgsm', eps = 0.1, clip = [1.0, 0.0] }"), ["wrong-range"]);
        assert_eq!(faults(4, "{ name = 'fgsm', eps = 0.1, clip = [0.0] }"), ["wrong-range"]);
        assert_eq!(faults(4, "{ name = 'fgsm', eps = 0.1, clip = [] }"), [""; 0]);
        assert_eq!(faults(4, "{ name = 'fgsm', eps = -0.1 }"), ["out-of-range"]);
        assert_eq!(faults(4, "{ name = 'fgms', eps = 0.1 }"), ["unknown-choice"]);
    }
}
