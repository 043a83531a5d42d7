//! The keys of `perturb`.

use duress_cache::Tree;
use duress_engine::input::Input;
use duress_engine::spec::{Choice as _, Count, Fault, FromSpec, NonNegative, OneOrMany, Positive, Seed};
use duress_engine::stage::InferContext;
use duress_engine::{choice, config};

use super::set::{Attacks, standard};
use crate::nn::attack::{
    self, Apgd, Attack, AttackedClass, Evolution, Fab, Goal, Minimal, Pgd, Square, Step, SweepOptions,
};
use crate::stages::artifact::{Split, Weights};

config! {
    /// Perturbs samples and asks the network about them.
    ///
    /// `robust_accuracy` is over all samples, `attack_success_rate` over those that were right when clean. Every perturbation is
    /// measured after it was made; one that is larger than it may be fails the stage.
    ///
    /// Several attacks, as in `attack = [{ name = "apgd", eps = 0.1 }, { name = "square" }]`, take their turns at what is left: the
    /// worst case over the set counts. They share `eps`, `norm`, `label` and `clip`, which the first one says. `autoattack` is the
    /// published set: `apgd`, `apgd-t`, `fab` and `square`.
    ///
    ///   attack      norms       sees       drives to   looks for      random  passes of the network
    ///   fgsm        linf        gradients  any class   one step       no      2
    ///   pgd         linf l2 l1  gradients  any class   a point        start   2 a step and restart
    ///   apgd        linf l2 l1  gradients  any class   a point        start   2 a step and restart
    ///   apgd-t      linf l2 l1  gradients  each class  a point        start   2 a step, restart and target
    ///   deepfool    linf l2     gradients  any class   the smallest   no      21 a step, once for all sizes
    ///   fmn         linf l2 l1  gradients  any class   the smallest   no      2 a step, once for all sizes
    ///   fab         linf l2 l1  gradients  each class  the smallest   no      3 a step and target, once for all sizes
    ///   square      linf        outputs    any class   a point        search  1 a query
    ///   one-pixel   linf        outputs    any class   one pixel      search  1 a step and candidate
    ///   gaussian    none        nothing    nowhere     noise          yes     1 a repetition
    ///   uniform     linf        nothing    nowhere     noise          yes     1 a repetition
    ///   autoattack  linf        both       each class  the worst      search  about 10 000 where nothing fools
    ///
    /// What survives is looked into: whether gradients vanish, the loss was still rising, more steps or a black-box attack fool
    /// more, samples stand though any change is allowed, or larger sizes do no more than small ones. `results` has what was found,
    /// with a `warning` where the accuracy is not to be trusted.
    pub struct Perturb {
        /// The network.
        weights: Input<Weights>,
        /// The samples.
        data: Input<Split>,
        /// Another network, against which perturbations are made that this one is then asked about; by default itself.
        surrogate: Option<Input<Weights>>,
        /// What is done to them; of several attacks the worst case counts.
        attack: Attacks,
        /// Take only the first so many samples; all by default.
        samples: Option<Count>,
        /// Go on with the survivors of smaller sizes only. Noise is always drawn for all.
        survivors: bool = true,
        /// Start `pgd` at each size from where the smaller size ended.
        warm_start: bool = false,
        /// Survivors of the largest size on which the strength of a gradient attack is looked into; 0 for none.
        [unit = "samples"] checks: u32 = 64,
        /// Seed of random starts and noise.
        seed: Seed,
    }
}

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
        /// Length of a step of `pgd`; by default 2.5 eps / steps.
        [unit = "units of the data"]
        step: Option<Positive>,
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
            Self::Pgd => &["norm", "loss", "steps", "step", "random_start", "restarts"],
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
                let step = self.step.map_or(Step::Relative(2.5 / self.steps.0 as f64), |step| Step::Absolute(step.0));
                attack::Method::Pgd(Pgd { steps, step, random_start: self.random_start, restarts, norm, loss })
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
            "random_start" => self.random_start.to_tree(),
            "restarts" => self.restarts.to_tree(),
            "targets" => self.targets.to_tree(),
            "queries" => self.queries.to_tree(),
            "population" => self.population.to_tree(),
            _ => self.repetitions.to_tree(),
        }
    }
}

impl Perturb {
    /// How sizes build on each other.
    pub(super) fn options(&self) -> SweepOptions {
        SweepOptions {
            survivors_only: self.survivors && !self.attack.is_noise(),
            warm_start: self.warm_start && self.attack.has(AttackName::Pgd),
        }
    }

    /// Survivors whose attack is looked into: none where it is noise, follows no gradient, or is made on another network.
    pub(super) fn checked(&self) -> usize {
        let follows = self.attack.plans(0).iter().any(|plan| plan.method.follows().is_some());
        if follows && self.surrogate.is_none() { self.checks as usize } else { 0 }
    }

    /// Reports a range that is none.
    pub(super) fn check(&self, cx: &mut InferContext<'_>) {
        let bad = match self.attack.first().clip.as_slice() {
            [] => None,
            [lo, hi] if lo < hi => None,
            [_, _] => Some("its first value must be below its second"),
            _ => Some("it needs two values, or none"),
        };
        if let Some(why) = bad {
            let message = format!("`attack.clip` is no range: {why}");
            let fault = Fault::new("wrong-range", Attacks::span(cx, 0, "clip"), message, "no range");
            cx.faults.push(fault.help("write `clip = [0.0, 1.0]`, or `clip = []` for data without a range"));
        }
    }

    /// Reports attacks that cannot work in their norm, cannot find enough candidates, or cannot be in a set.
    pub(super) fn check_attack(&self, cx: &mut InferContext<'_>) {
        for (at, attack) in self.attack.0.iter().enumerate() {
            let AttackTable { name, norm, population, .. } = attack;
            if !name.norms().contains(norm) {
                let words: Vec<String> = name.norms().iter().map(|norm| format!("`{}`", norm.word())).collect();
                let message = format!("`{}` does not work in the norm `{}`", name.word(), norm.word());
                let fault = Fault::new("wrong-norm", Attacks::span(cx, at, "norm"), message, "another norm");
                cx.faults.push(fault.help(format!("write {}, or another attack", words.join(" or "))));
            }
            if *name == AttackName::OnePixel && population.0 < 4 {
                let message = "`attack.population` is too small: each candidate is made of three others";
                let fault = Fault::new("out-of-range", Attacks::span(cx, at, "population"), message, "at least 4");
                cx.faults.push(fault.help("write `population = 40`"));
            }
            if attack.is_noise() && self.attack.0.len() > 1 {
                let message =
                    format!("`{}` is no attack that could be in a set: it is drawn for all samples", name.word());
                let fault = Fault::new("conflict", Attacks::span(cx, at, "name"), message, "noise among attacks");
                cx.faults.push(fault.help("give noise a stage of its own"));
            }
        }
    }

    /// The configuration as it enters the key: what has no effect is not in it.
    pub(super) fn tree(&self) -> Tree {
        let mut keys = vec![("attack", Some(self.attack.tree())), ("samples", self.samples.to_tree())];
        // With one size nothing builds on anything.
        if self.attack.sizes().len() > 1 && !self.attack.is_noise() {
            keys.push(("survivors", self.survivors.to_tree()));
            if self.attack.has(AttackName::Pgd) {
                keys.push(("warm_start", self.warm_start.to_tree()));
            }
        }
        // Looking into several steps asks Square, which draws.
        let checked = self.checked() > 0;
        if checked {
            keys.push(("checks", self.checks.to_tree()));
        }
        let draws = |plan: &Attack| plan.is_random() || (checked && plan.method != attack::Method::Fgsm);
        if self.attack.plans(0).iter().any(draws) {
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
        let unchecked = |more: &str| {
            tree(&format!("attack = {{ name = 'pgd', eps = 0.1, random_start = false }}\nchecks = 0\n{more}"))
        };
        assert_eq!(unchecked(""), unchecked("seed = 5"));
        // Looking into the attack draws random numbers.
        assert_ne!(pgd, tree("attack = { name = 'pgd', eps = 0.1, random_start = false }\nseed = 5"));
        assert_eq!(pgd, tree("attack = { name = 'pgd', eps = 0.1, random_start = false }\nchecks = 64"));
        assert_eq!(noise, tree("attack = { name = 'gaussian', eps = [0.1, 0.2] }\nchecks = 3"));
        assert_ne!(pgd, tree("attack = { name = 'pgd', eps = 0.1, random_start = false, steps = 5 }"));
    }

    #[test]
    fn the_table_of_attacks_says_what_they_do() {
        let duress_engine::spec::Schema::Record(record) = Perturb::schema() else { panic!("no table") };
        for word in AttackName::WORDS {
            let row = record.doc.lines().find(|line| line.trim().split("  ").next() == Some(word));
            let row = row.unwrap_or_else(|| panic!("`{word}` is not in the table"));
            let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
            let (stage, _) =
                read::<Perturb>(&format!("{INPUTS}attack = {{ name = '{word}', eps = 0.1 }}")).expect("valid");
            let (table, plans) = (stage.attack.first(), stage.attack.plans(0));
            let norms: Vec<&str> = table.name.norms().iter().map(duress_engine::spec::Choice::word).collect();
            let bounded = plans.iter().all(|plan| plan.method.norm() != attack::Norm::None);
            assert_eq!(cells[1], if bounded { norms.join(" ") } else { "none".to_owned() }, "{word}");
            let (white, black) = (
                plans.iter().any(|plan| plan.method.follows().is_some()),
                plans.iter().any(|plan| plan.method.is_black_box()),
            );
            let sees = match (white, black) {
                (true, true) => "both",
                (true, false) => "gradients",
                (false, true) => "outputs",
                (false, false) => "nothing",
            };
            assert_eq!(cells[2], sees, "{word}");
            assert_eq!(cells[4] == "the smallest", plans.iter().all(|plan| plan.method.is_minimal()), "{word}");
            assert_eq!(cells[5] == "no", !plans.iter().any(Attack::is_random), "{word}");
        }
    }

    #[test]
    fn the_published_attack_can_be_said() {
        let text = "attack = { name = 'pgd', eps = 0.3, steps = 10, step = 0.05, label = 'predicted' }";
        let (stage, _) = read::<Perturb>(&format!("{INPUTS}{text}")).expect("valid");
        let [plan] = stage.attack.plans(stage.seed.0)[..] else { panic!("not one attack") };
        assert_eq!((plan.class, plan.clip, plan.seed), (AttackedClass::Predicted, Some((0.0, 1.0)), 42));
        let attack::Method::Pgd(pgd) = plan.method else { panic!("not pgd") };
        let (norm, loss) = (attack::Norm::Linf, attack::Loss::CrossEntropy);
        assert_eq!(pgd, Pgd { steps: 10, step: Step::Absolute(0.05), random_start: true, restarts: 1, norm, loss });
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
        assert_eq!(faults(4, "{ name = 'fgsm', eps = 0.1, norm = 'l2' }"), ["wrong-norm"]);
        assert_eq!(faults(4, "{ name = 'deepfool', eps = 0.1, norm = 'l1' }"), ["wrong-norm"]);
        assert_eq!(faults(4, "{ name = 'apgd', eps = 0.1, norm = 'l1' }"), [""; 0]);
        assert_eq!(faults(4, "{ name = 'pgd', eps = 0.1, norm = 'l1' }"), [""; 0]);
        assert_eq!(faults(4, "{ name = 'one-pixel', eps = 1.0, population = 3 }"), ["out-of-range"]);
    }
}
