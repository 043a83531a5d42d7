//! The keys of `perturb`.

use duress_cache::Tree;
use duress_engine::config;
use duress_engine::input::Input;
use duress_engine::spec::{Choice as _, Count, Fault, FromSpec, Seed};
use duress_engine::stage::InferContext;

use super::attack::{AttackName, AttackTable};
use super::set::Attacks;
use crate::nn::attack::{self, Attack, SweepOptions};
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
        /// Start `pgd` at each size but the first with the change that the smaller size ended with, scaled up.
        warm_start: bool = false,
        /// Survivors of the largest size on which the strength of a gradient attack is looked into; 0 for none.
        [unit = "samples"] checks: u32 = 64,
        /// Seed of random starts and noise.
        seed: Seed,
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
    use crate::nn::attack::{AttackedClass, Pgd, Step};
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
        let shorter = |more: &str| tree(&format!("attack = {{ name = 'pgd', eps = 0.1, steps = 5{more} }}"));
        assert_eq!(shorter(""), shorter(", shortening = false"));
        assert_ne!(shorter(""), shorter(", shortening = true"));
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
        assert_eq!(
            pgd,
            Pgd {
                steps: 10,
                step: Step::Absolute(0.05),
                shortening: false,
                random_start: true,
                restarts: 1,
                norm,
                loss
            }
        );
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
