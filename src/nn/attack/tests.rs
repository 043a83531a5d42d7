//! Attacks against their definitions, on networks small enough to know the answer.

use super::*;
use crate::nn::Init;
use crate::nn::activation::Activation;
use crate::nn::classifier::Classifier;
use crate::nn::mlp::Mlp;
use crate::nn::mlp_weights::MlpWeights;
use crate::nn::plain::Plain;
use crate::nn::random::Stream;

const FEATURES: usize = 12;

struct Setting {
    classifier: Classifier,
    /// The same network, computed in another way.
    other: Plain<f32>,
    x: Vec<f32>,
    labels: Vec<u32>,
    ids: Vec<u64>,
}

impl Setting {
    fn new(hidden: &[usize], rows: usize) -> Self {
        let net = Mlp::new(FEATURES, hidden, 4, Activation::relu(), true);
        let weights = net.initialize(Init::HeNormal, Init::Normal { std: 0.2 }, 3);
        let mut random = Stream::new(1, "x", &[]);
        let mut x = vec![0.0_f32; rows * FEATURES];
        random.fill_uniform(&mut x, 0.0, 1.0);
        // Some values at the ends of the range, where clipping acts.
        x.iter_mut().step_by(3).for_each(|v| *v = v.round());
        let (classifier, other) = (weights.classifier(), Plain::new(&weights));
        let labels = (0..rows).map(|_| random.below(4) as u32).collect();
        Self { classifier, other, x, labels, ids: (0..rows as u64).map(|i| 100 + i).collect() }
    }

    fn samples(&self) -> Samples<'_> {
        Samples { x: &self.x, labels: &self.labels, ids: &self.ids, draw: 0 }
    }

    /// With the labels that the network predicts, so that every sample is right when clean.
    fn predicted(mut self) -> Self {
        let logits = self.classifier.logits(&self.x, self.ids.len()).expect("fits");
        self.labels = crate::nn::classes::predict(&logits, 4);
        self
    }
}

const PGD: Pgd = Pgd {
    steps: 10,
    step: Step::Absolute(0.05),
    shortening: false,
    random_start: true,
    restarts: 1,
    norm: Norm::Linf,
    loss: Loss::CrossEntropy,
};

fn unit(method: Method) -> Attack {
    Attack { method, class: AttackedClass::True, clip: Some((0.0, 1.0)), seed: 7 }
}

const METHODS: [Method; 4] = [Method::Fgsm, Method::Pgd(PGD), Method::Gaussian, Method::Uniform];

#[test]
fn fgsm_moves_each_value_by_epsilon_along_the_sign_unless_clipped() {
    let s = Setting::new(&[9], 20);
    let moved = perturb(&s.classifier, &s.samples(), &unit(Method::Fgsm), 0.3, None).expect("valid");
    let classes: Vec<usize> = s.labels.iter().map(|l| *l as usize).collect();
    let gradient = super::testing::plain_gradient(&s.other, &s.x, 20, |row, logits, out| {
        crate::nn::gradient::cross_entropy_gradient(logits, classes[row], out);
    });
    let mut clipped = 0;
    for ((x, m), g) in s.x.iter().zip(&moved).zip(gradient) {
        let want = (f64::from(*x)
            + 0.3
                * f64::from(if g > 0.0 {
                    1i8
                } else if g < 0.0 {
                    -1
                } else {
                    0
                }))
        .clamp(0.0, 1.0);
        assert!((f64::from(*m) - want).abs() < 1e-7, "{x} {m} {g}");
        assert!((f64::from(*m) - f64::from(*x)).abs() <= 0.3);
        clipped += u32::from(*m <= 0.0 || *m >= 1.0);
    }
    assert!(clipped > 0);
}

#[test]
fn on_a_linear_network_fgsm_raises_the_margin_by_epsilon_times_the_one_norm() {
    let net = Mlp::new(5, &[], 2, Activation::Identity, true);
    let weights: MlpWeights = net.initialize(Init::HeNormal, Init::Normal { std: 0.5 }, 9);
    let classifier = weights.classifier();
    let x = [0.3f32, -0.8, 0.1, 1.2, -0.4];
    let samples = Samples { x: &x, labels: &[1], ids: &[0], draw: 0 };
    for method in [Method::Fgsm, Method::Pgd(Pgd { random_start: false, ..PGD })] {
        let plan = Attack { clip: None, ..unit(method) };
        let moved = perturb(&classifier, &samples, &plan, 0.25, None).expect("valid");
        let margin = |x: &[f32]| {
            let z = classifier.logits(x, 1).expect("fits");
            f64::from(z[0]) - f64::from(z[1])
        };
        let w = weights.weight(1);
        let one_norm: f64 = (0..5).map(|i| (f64::from(w[i]) - f64::from(w[5 + i])).abs()).sum();
        assert!((margin(&moved) - margin(&x) - 0.25 * one_norm).abs() < 1e-5, "{method:?}");
    }
}

#[test]
fn every_method_stays_in_its_box_and_in_the_range() {
    let s = Setting::new(&[9], 30);
    for method in METHODS {
        let (x, judged) = attack(&s.classifier, &s.samples(), &unit(method), 0.1, None).expect("valid");
        assert!(x.iter().all(|v| (0.0..=1.0).contains(v)));
        for (a, (x, clean)) in judged.iter().zip(x.chunks(FEATURES).zip(s.x.chunks(FEATURES))) {
            let linf = x.iter().zip(clean).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).fold(0.0, f64::max);
            assert!((a.linf - linf).abs() < f64::MIN_POSITIVE);
            assert!(a.l2 <= linf * (FEATURES as f64).sqrt() + 1e-12 && a.l2 >= linf);
            assert!(matches!(method, Method::Gaussian) || linf <= 0.1, "{method:?} {linf}");
        }
    }
}

#[test]
fn gradient_attacks_raise_the_loss_of_the_attacked_class() {
    let s = Setting::new(&[9], 40);
    for class in [AttackedClass::True, AttackedClass::Predicted] {
        for method in [Method::Fgsm, Method::Pgd(PGD)] {
            let plan = Attack { class, ..unit(method) };
            let (_, judged) = attack(&s.classifier, &s.samples(), &plan, 0.05, None).expect("valid");
            assert!(judged.iter().all(|a| a.loss_after >= a.loss_before - 1e-4), "{method:?} {class:?}");
        }
    }
}

#[test]
fn epsilon_zero_is_the_clean_sample() {
    let s = Setting::new(&[9], 10);
    for method in METHODS {
        let (x, judged) = attack(&s.classifier, &s.samples(), &unit(method), 0.0, None).expect("valid");
        assert_eq!(x, s.x);
        for (a, label) in judged.iter().zip(&s.labels) {
            assert_eq!(
                (a.prediction, a.success, a.clean_correct),
                (a.clean_prediction, a.clean_prediction != *label, a.clean_prediction == *label)
            );
        }
    }
}

#[test]
fn attacking_the_prediction_can_repair_a_wrong_one() {
    // Two classes, so that driving a wrong sample away from its class makes it right.
    let net = Mlp::new(2, &[], 2, Activation::Identity, false);
    let mut weights = MlpWeights::zeros(&net);
    weights.tensors[0].values = vec![1.0, 0.0, 0.0, 1.0];
    let classifier = weights.classifier();
    let x = [0.55f32, 0.45, 0.55, 0.45];
    let samples = Samples { x: &x, labels: &[0, 1], ids: &[0, 1], draw: 0 };
    let predicted = Attack { class: AttackedClass::Predicted, ..unit(Method::Fgsm) };
    let (_, judged) = attack(&classifier, &samples, &predicted, 0.2, None).expect("valid");
    assert_eq!((judged[0].clean_correct, judged[0].prediction, judged[0].success), (true, 1, true));
    assert_eq!((judged[1].clean_correct, judged[1].prediction, judged[1].success), (false, 1, true));
    let (_, judged) = attack(&classifier, &samples, &unit(Method::Fgsm), 0.2, None).expect("valid");
    assert_eq!((judged[1].prediction, judged[1].success), (0, true));
}

#[test]
fn batches_threads_and_order_do_not_change_a_bit() {
    let s = Setting::new(&[9], 130);
    let plan = unit(Method::Pgd(Pgd { restarts: 3, ..PGD }));
    for plan in [plan, unit(Method::Gaussian), unit(Method::Uniform)] {
        let with = |threads: usize, cut: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let mut all = (Vec::new(), Vec::new());
            for first in (0..130).step_by(cut) {
                let rows = first..(first + cut).min(130);
                let part = Samples {
                    x: &s.x[rows.start * FEATURES..rows.end * FEATURES],
                    labels: &s.labels[rows.clone()],
                    ids: &s.ids[rows],
                    draw: 0,
                };
                let (x, judged) = pool.install(|| attack(&s.classifier, &part, &plan, 0.1, None)).expect("valid");
                all.0.extend(x);
                all.1.extend(judged);
            }
            all
        };
        let whole = with(1, 130);
        assert_eq!(whole, with(3, 130));
        assert_eq!(whole, with(2, 17));
    }
}

#[test]
fn restarts_never_fool_fewer_samples_and_draws_differ() {
    let s = Setting::new(&[20, 20], 60).predicted();
    let fooled = |restarts| {
        let plan = unit(Method::Pgd(Pgd { restarts, steps: 2, ..PGD }));
        let (_, judged) = attack(&s.classifier, &s.samples(), &plan, 0.12, None).expect("valid");
        judged.iter().map(|a| a.success).collect::<Vec<_>>()
    };
    let (one, five) = (fooled(1), fooled(5));
    assert!(one.iter().zip(&five).all(|(one, five)| !one || *five));
    assert!(one.iter().any(|s| *s));
    let draw = |draw| {
        let samples = Samples { draw, ..s.samples() };
        perturb(&s.classifier, &samples, &unit(Method::Uniform), 0.1, None).expect("valid")
    };
    assert_ne!(draw(0), draw(1));
    assert_eq!(draw(1), draw(1));
}

#[test]
fn noise_has_the_size_it_is_asked_for_and_scales() {
    let s = Setting::new(&[4], 400);
    for (method, unit_std) in [(Method::Gaussian, 1.0), (Method::Uniform, (1.0f64 / 3.0).sqrt())] {
        let plan = Attack { clip: None, ..unit(method) };
        let noise = |eps| {
            let x = perturb(&s.classifier, &s.samples(), &plan, eps, None).expect("valid");
            x.iter().zip(&s.x).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect::<Vec<_>>()
        };
        let (small, large) = (noise(0.1), noise(0.2));
        let std = (small.iter().map(|d| d * d).sum::<f64>() / small.len() as f64).sqrt();
        assert!((std / (0.1 * unit_std) - 1.0).abs() < 0.04, "{method:?} {std}");
        assert!(small.iter().zip(&large).all(|(s, l)| (2.0 * s - l).abs() < 1e-6));
    }
}

#[test]
fn a_sweep_finds_the_critical_epsilon_of_a_linear_network() {
    let net = Mlp::new(2, &[], 2, Activation::Identity, false);
    let mut weights = MlpWeights::zeros(&net);
    weights.tensors[0].values = vec![1.0, 0.0, 0.0, 1.0];
    let classifier = weights.classifier();
    // Margins 0.1, 0.3 and 0.8, each undone by half of it; the fourth is wrong when clean.
    let x = [0.5f32, 0.4, 0.5, 0.2, 0.9, 0.1, 0.1, 0.3];
    let samples = Samples { x: &x, labels: &[0; 4], ids: &[0, 1, 2, 3], draw: 0 };
    let sizes = [0.02, 0.06, 0.1, 0.2];
    let result = sweep(&classifier, &samples, &unit(Method::Fgsm), &sizes, SweepOptions::default()).expect("valid");
    let critical: Vec<_> = result.samples.iter().map(|s| s.critical_eps).collect();
    assert_eq!(critical, [Some(0.06), Some(0.2), None, Some(0.0)]);
    assert_eq!(result.samples[0].attacked, [true, true, false, false]);
    assert_eq!(result.samples[3].attacked, [false; 4]);
    let curve: Vec<usize> = (0..4).map(|k| result.correct(k, &[0; 4])).collect();
    assert_eq!(curve, [3, 2, 2, 1]);
    assert_eq!(result.fooled(3), (2, 3));
    // The point that stands is the one that fooled, of the smaller size.
    assert!((result.samples[0].at[3].linf - 0.06).abs() < 1e-6);
    assert!((f64::from(result.x[0]) - 0.44).abs() < 1e-6);
}

#[test]
fn of_a_set_the_worst_case_counts_and_each_attack_sees_what_is_left() {
    let s = Setting::new(&[20, 20], 60).predicted();
    let weak = unit(Method::Fgsm);
    let strong = unit(Method::Pgd(Pgd { steps: 20, step: Step::Relative(0.15), ..PGD }));
    let sizes = [0.03, 0.06, 0.12];
    let options = SweepOptions::default();
    let alone = |plan: &Attack| sweep(&s.classifier, &s.samples(), plan, &sizes, options).expect("valid").samples;
    let set = sweep_set([&s.classifier; 2], &s.samples(), &[weak, strong], &sizes, options).expect("valid").samples;
    let never = f64::INFINITY;
    let (first, second) = (alone(&weak), alone(&strong));
    for ((set, first), second) in set.iter().zip(&first).zip(&second) {
        let smallest = first.critical_eps.unwrap_or(never).min(second.critical_eps.unwrap_or(never));
        assert_eq!(set.critical_eps, smallest.is_finite().then_some(smallest));
        let found = set.by.iter().flatten().next();
        // The cheap attack comes first: where it is as good, the point is its own.
        let cheap = first.critical_eps.is_some() && first.critical_eps == set.critical_eps;
        assert_eq!(found.copied(), set.critical_eps.map(|_| usize::from(!cheap)));
    }
    let by = |number| set.iter().filter(|sample| sample.by[2] == Some(number)).count();
    assert!(by(0) > 0 && by(1) > 0, "{} {}", by(0), by(1));
    let none = sweep_set([&s.classifier; 2], &s.samples(), &[], &sizes, options);
    assert_eq!(none.err(), Some(AttackError::NoAttack));
}

#[test]
fn a_search_for_the_smallest_change_answers_every_size() {
    let s = Setting::new(&[20, 20], 40).predicted();
    let norm = Norm::Linf;
    for method in [
        Method::DeepFool(Minimal { steps: 10, norm }),
        Method::Fmn(Minimal { steps: 30, norm }),
        Method::Fab(Fab { steps: 10, targets: 3, norm }),
    ] {
        let plan = unit(method);
        let found = search(&s.classifier, &s.samples(), &plan).expect("valid").expect("it searches");
        let sizes = [0.02, 0.05, 0.1, 0.2];
        let result = sweep(&s.classifier, &s.samples(), &plan, &sizes, SweepOptions::default()).expect("valid");
        let mut fooled = 0;
        for (row, sample) in result.samples.iter().enumerate() {
            let at = row * FEATURES..(row + 1) * FEATURES;
            let distance = norm.of(&s.x[at.clone()], &found[at.clone()]);
            // What was found fools from its distance on, if it fools at all; a point moved into a smaller ball may do so before.
            let right = crate::nn::classes::argmax(&s.classifier.logits(&found[at.clone()], 1).expect("fits"));
            let fools = right != s.labels[row] as usize;
            let bound = sizes.into_iter().find(|eps| fools && *eps >= distance);
            assert!(bound.is_none() || sample.critical_eps.is_some_and(|eps| Some(eps) <= bound), "{method:?} {row}");
            for (k, eps) in sizes.into_iter().enumerate() {
                let alone =
                    Samples { x: &s.x[at.clone()], labels: &s.labels[row..=row], ids: &s.ids[row..=row], draw: 0 };
                let (_, judged) = attack(&s.classifier, &alone, &plan, eps, None).expect("valid");
                assert!(!sample.attacked[k] || judged[0] == sample.at[k], "{method:?} {row} {eps}");
            }
            fooled += usize::from(sample.critical_eps.is_some());
        }
        assert!(fooled > 20, "{method:?}: {fooled}");
    }
}

#[test]
fn sweeps_are_monotone_with_survivors_and_equal_single_attacks_without() {
    let s = Setting::new(&[20, 20], 50).predicted();
    let plan = unit(Method::Pgd(Pgd { steps: 3, step: Step::Relative(0.5), ..PGD }));
    let sizes = [0.0, 0.05, 0.1, 0.2];
    for warm_start in [false, true] {
        let options = SweepOptions { survivors_only: true, warm_start };
        let result = sweep(&s.classifier, &s.samples(), &plan, &sizes, options).expect("valid");
        let curve: Vec<usize> = (0..4).map(|k| result.correct(k, &s.labels)).collect();
        assert!(curve.windows(2).all(|w| w[0] >= w[1]) && curve[0] == 50 && curve[3] < 50, "{curve:?}");
    }
    let all = SweepOptions { survivors_only: false, warm_start: false };
    let result = sweep(&s.classifier, &s.samples(), &plan, &sizes, all).expect("valid");
    for (k, eps) in sizes.into_iter().enumerate() {
        let (x, judged) = attack(&s.classifier, &s.samples(), &plan, eps, None).expect("valid");
        assert_eq!(result.samples.iter().map(|s| s.at[k]).collect::<Vec<_>>(), judged);
        assert!(k < 3 || x == result.x);
    }
}

#[test]
fn a_few_steps_that_shorten_and_start_warm_are_as_strong_as_many_that_do_not() {
    let s = Setting::new(&[20, 20], 60).predicted();
    let many = Pgd { steps: 20, step: Step::Relative(0.125), random_start: false, ..PGD };
    let sizes = [0.02, 0.04, 0.06, 0.09, 0.13, 0.2];
    let curve = |pgd: Pgd, warm_start| -> Vec<usize> {
        let plan = unit(Method::Pgd(pgd));
        let options = SweepOptions { survivors_only: true, warm_start };
        let result = sweep(&s.classifier, &s.samples(), &plan, &sizes, options).expect("valid");
        (0..sizes.len()).map(|k| result.correct(k, &s.labels)).collect()
    };
    let (cold, warm) = (curve(many, false), curve(Pgd { steps: 5, shortening: true, ..many }, true));
    assert!(cold[0] > 40 && cold[5] < 30, "{cold:?}");
    assert!(cold.iter().zip(&warm).all(|(cold, warm)| *warm <= cold + 1), "{cold:?} {warm:?}");
}

#[test]
fn steps_shorten_from_epsilon_to_their_own_length() {
    let pgd = Pgd { steps: 4, step: Step::Relative(0.125), shortening: true, ..PGD };
    let is = |pgd: Pgd, step, length: f64| assert!((pgd.length(step, 0.4) - length).abs() < 1e-12, "{pgd:?} {step}");
    for (step, length) in [0.4, 0.2, 0.1, 0.05].into_iter().enumerate() {
        is(pgd, step, length);
    }
    is(Pgd { steps: 1, ..pgd }, 0, 0.4);
    is(Pgd { shortening: false, ..pgd }, 3, 0.05);
    // Steps that are longer than the ball to begin with stay as they are.
    is(Pgd { step: Step::Absolute(0.5), ..pgd }, 0, 0.5);
}

#[test]
fn what_does_not_fit_is_refused() {
    let s = Setting::new(&[4], 2);
    let run = |samples: &Samples<'_>, plan: &Attack, eps| attack(&s.classifier, samples, plan, eps, None).err();
    let fgsm = unit(Method::Fgsm);
    assert!(matches!(run(&s.samples(), &fgsm, f64::NAN), Some(AttackError::Epsilon(_))));
    assert!(matches!(run(&s.samples(), &fgsm, -0.1), Some(AttackError::Epsilon(_))));
    let few = Samples { labels: &[0], ..s.samples() };
    assert!(matches!(run(&few, &fgsm, 0.1), Some(AttackError::Samples { rows: 1, ids: 2, .. })));
    let wrong = Samples { labels: &[0, 4], ..s.samples() };
    assert_eq!(run(&wrong, &fgsm, 0.1), Some(AttackError::Label { id: 101, label: 4, classes: 4 }));
    let narrow = Attack { clip: Some((0.0, 0.5)), ..fgsm };
    assert!(matches!(run(&s.samples(), &narrow, 0.1), Some(AttackError::OutsideRange { .. })));
    let none = unit(Method::Pgd(Pgd { restarts: 0, ..PGD }));
    assert_eq!(run(&s.samples(), &none, 0.1), Some(AttackError::Option("no restarts")));
    let still = unit(Method::Pgd(Pgd { step: Step::Relative(0.0), ..PGD }));
    assert_eq!(run(&s.samples(), &still, 0.1), Some(AttackError::Option("steps of no length")));
    let start = perturb(&s.classifier, &s.samples(), &unit(Method::Pgd(PGD)), 0.1, Some(&[0.0]));
    assert_eq!(start, Err(AttackError::Start { got: 1, want: 2 * FEATURES }));
    let falling = sweep(&s.classifier, &s.samples(), &fgsm, &[0.2, 0.1], SweepOptions::default());
    assert_eq!(falling.err(), Some(AttackError::Epsilon(0.1)));
    let nobody = Samples { x: &[], labels: &[], ids: &[], draw: 0 };
    assert_eq!(run(&nobody, &fgsm, 0.1), None);
}
