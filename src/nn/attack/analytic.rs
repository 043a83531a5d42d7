//! Attacks on linear classifiers, of which the smallest perturbation is known: the gap between two outputs over the dual norm of
//! the difference of their weights. And what every attack owes whatever the network: its norm, the range, the same points
//! however samples are batched.

use super::testing::small;
use super::*;
use crate::nn::activation::Activation;
use crate::nn::classes::argmax;
use crate::nn::classifier::Classifier;
use crate::nn::mlp::Mlp;
use crate::nn::mlp_weights::MlpWeights;
use crate::nn::random::Stream;

const FEATURES: usize = 20;
const CLASSES: usize = 5;
const ROWS: usize = 12;

struct Linear {
    weight: Vec<f32>,
    classifier: Classifier,
    x: Vec<f32>,
    labels: Vec<u32>,
    ids: Vec<u64>,
}

impl Linear {
    fn new() -> Self {
        let net = Mlp::new(FEATURES, &[], CLASSES, Activation::Identity, false);
        let mut weights = MlpWeights::zeros(&net);
        let mut weight = vec![0.0; FEATURES * CLASSES];
        Stream::new(5, "weights", &[]).fill_normal(&mut weight, 0.0, 1.0);
        weights.tensors[0].values.clone_from(&weight);
        let classifier = weights.classifier();
        let mut x = vec![0.0; ROWS * FEATURES];
        Stream::new(6, "x", &[]).fill_uniform(&mut x, 0.0, 1.0);
        let logits = classifier.logits(&x, ROWS).expect("fits");
        let labels = logits.chunks_exact(CLASSES).map(|logits| argmax(logits) as u32).collect();
        Self { weight, classifier, x, labels, ids: (0..ROWS as u64).collect() }
    }

    fn samples(&self) -> Samples<'_> {
        Samples { x: &self.x, labels: &self.labels, ids: &self.ids, draw: 0 }
    }

    /// The size of the smallest perturbation of a row, without a range.
    fn smallest(&self, row: usize, norm: Norm) -> f64 {
        let class = self.labels[row] as usize;
        let x = &self.x[row * FEATURES..(row + 1) * FEATURES];
        let to = |other: usize| {
            let difference: Vec<f64> = (0..FEATURES)
                .map(|i| f64::from(self.weight[class * FEATURES + i]) - f64::from(self.weight[other * FEATURES + i]))
                .collect();
            let gap: f64 = difference.iter().zip(x).map(|(d, x)| d * f64::from(*x)).sum();
            let dual = match norm {
                Norm::Linf => difference.iter().map(|d| d.abs()).sum::<f64>(),
                Norm::L2 => difference.iter().map(|d| d * d).sum::<f64>().sqrt(),
                _ => difference.iter().fold(0.0, |m: f64, d| m.max(d.abs())),
            };
            gap / dual
        };
        (0..CLASSES).filter(|other| *other != class).map(to).fold(f64::INFINITY, f64::min)
    }

    /// Attacks one row alone with that size; whether it is fooled, and the size of the change.
    fn fooled(&self, row: usize, method: Method, eps: f64) -> (bool, f64) {
        let at = row * FEATURES..(row + 1) * FEATURES;
        let samples =
            Samples { x: &self.x[at.clone()], labels: &self.labels[row..=row], ids: &self.ids[row..=row], draw: 0 };
        let plan = Attack { method, class: AttackedClass::True, clip: None, seed: 1 };
        let (x, results) = attack(&self.classifier, &samples, &plan, eps, None).expect("valid");
        (results[0].success, method.norm().of(&self.x[at], &x))
    }
}

fn pgd(norm: Norm, loss: Loss) -> Method {
    Method::Pgd(Pgd {
        steps: 100,
        step: Step::Relative(0.05),
        random_start: false,
        shortening: false,
        restarts: 1,
        norm,
        loss,
    })
}

fn apgd(norm: Norm, goal: Goal) -> Method {
    Method::Apgd(Apgd { steps: 100, restarts: 1, norm, goal })
}

#[test]
fn just_more_than_the_smallest_perturbation_fools_and_just_less_does_not() {
    let linear = Linear::new();
    let mut methods = vec![
        pgd(Norm::Linf, Loss::Margin),
        pgd(Norm::L2, Loss::Margin),
        pgd(Norm::L1, Loss::Margin),
        pgd(Norm::L2, Loss::CrossEntropy),
        pgd(Norm::Linf, Loss::Dlr),
    ];
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        methods.push(apgd(norm, Goal::Loss(Loss::CrossEntropy)));
        methods.push(apgd(norm, Goal::Loss(Loss::Dlr)));
        methods.push(apgd(norm, Goal::Targets(4)));
        methods.push(Method::Fmn(Minimal { steps: 200, norm }));
        methods.push(Method::Fab(Fab { steps: 30, targets: 4, norm }));
    }
    for norm in [Norm::Linf, Norm::L2] {
        methods.push(Method::DeepFool(Minimal { steps: 30, norm }));
    }
    for method in methods {
        let mut found = 0;
        for row in 0..ROWS {
            let smallest = linear.smallest(row, method.norm());
            assert!(!linear.fooled(row, method, smallest * 0.99).0, "{method:?} {row}: below what is possible");
            let (fooled, size) = linear.fooled(row, method, smallest * 1.1);
            assert!(size <= smallest * 1.1, "{method:?}");
            found += usize::from(fooled);
        }
        // Ascent follows the class that is nearest at first, which may not be the one whose boundary is nearest.
        let wanted = if matches!(method, Method::DeepFool(_) | Method::Fab(_)) { ROWS } else { ROWS * 3 / 4 };
        assert!(found >= wanted, "{method:?}: {found} of {ROWS}");
    }
}

#[test]
fn minimal_attacks_find_the_smallest_perturbation() {
    let linear = Linear::new();
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let mut methods =
            vec![Method::Fmn(Minimal { steps: 500, norm }), Method::Fab(Fab { steps: 60, targets: CLASSES - 1, norm })];
        if norm != Norm::L1 {
            methods.push(Method::DeepFool(Minimal { steps: 30, norm }));
        }
        for method in methods {
            let mut near = 0;
            for row in 0..ROWS {
                let (fooled, size) = linear.fooled(row, method, 1e3);
                let smallest = linear.smallest(row, norm);
                assert!(!fooled || size >= smallest * 0.999, "{method:?}: {size} {smallest}");
                near += usize::from(fooled && size <= smallest * 1.06);
            }
            // The minimum-norm attack goes for the class that is nearest where it stands, which may change from step to step.
            let wanted = if matches!(method, Method::Fmn(_)) { ROWS * 3 / 4 } else { ROWS };
            assert!(near >= wanted, "{method:?}: {near} of {ROWS}");
        }
    }
}

#[test]
fn searches_by_outputs_alone_reach_the_corner_of_the_box() {
    let linear = Linear::new();
    let square = Method::Square(Square { queries: 2_000, share: 0.8 });
    let found = (0..ROWS).filter(|row| linear.fooled(*row, square, linear.smallest(*row, Norm::Linf) * 1.2).0).count();
    assert!(found >= ROWS * 3 / 4, "{found} of {ROWS}");
    // One feature is enough exactly where the gap is no more than epsilon times the largest difference of weights.
    let pixel = Method::OnePixel(Evolution { steps: 60, population: 40 });
    let mut found = 0;
    for row in 0..ROWS {
        let smallest = linear.smallest(row, Norm::L1);
        assert!(!linear.fooled(row, pixel, smallest * 0.99).0, "{row}");
        found += usize::from(linear.fooled(row, pixel, smallest * 1.3).0);
    }
    // A population can settle on another feature.
    assert!(found >= ROWS * 3 / 4, "{found} of {ROWS}");
}

#[test]
fn every_attack_keeps_to_its_norm_and_range_and_does_not_see_its_batch() {
    let (classifier, x) = small(9);
    let labels: Vec<u32> = (0..9).map(|row| row % 3).collect();
    let ids: Vec<u64> = (40..49).collect();
    let random = |norm| {
        Method::Pgd(Pgd {
            random_start: true,
            steps: 4,
            restarts: 2,
            ..match pgd(norm, Loss::Dlr) {
                Method::Pgd(pgd) => pgd,
                _ => unreachable!("made above"),
            }
        })
    };
    let short = |norm, goal| Method::Apgd(Apgd { steps: 9, restarts: 1, norm, goal });
    for method in [
        random(Norm::Linf),
        random(Norm::L2),
        random(Norm::L1),
        short(Norm::Linf, Goal::Loss(Loss::CrossEntropy)),
        short(Norm::L2, Goal::Targets(2)),
        short(Norm::L1, Goal::Loss(Loss::Dlr)),
        Method::Fmn(Minimal { steps: 9, norm: Norm::L1 }),
        Method::Fab(Fab { steps: 4, targets: 2, norm: Norm::L2 }),
        Method::DeepFool(Minimal { steps: 5, norm: Norm::L2 }),
        Method::Fmn(Minimal { steps: 9, norm: Norm::Linf }),
        Method::Square(Square { queries: 20, share: 0.8 }),
        Method::OnePixel(Evolution { steps: 3, population: 6 }),
    ] {
        let plan = Attack { method, class: AttackedClass::True, clip: Some((0.0, 1.0)), seed: 2 };
        let samples = Samples { x: &x, labels: &labels, ids: &ids, draw: 0 };
        for eps in [0.0, 0.1, 0.7] {
            let moved = perturb(&classifier, &samples, &plan, eps, None).expect("valid");
            for row in 0..9 {
                let at = row * 25..(row + 1) * 25;
                assert!(method.norm().of(&x[at.clone()], &moved[at.clone()]) <= eps, "{method:?}");
                assert!(moved[at.clone()].iter().all(|v| (0.0..=1.0).contains(v)), "{method:?}");
                if matches!(method, Method::OnePixel(_)) {
                    let changed = x[at.clone()]
                        .iter()
                        .zip(&moved[at.clone()])
                        .filter(|(a, b)| a.to_bits() != b.to_bits())
                        .count();
                    assert!(changed <= 1, "{changed} pixels");
                }
                let alone = Samples { x: &x[at.clone()], labels: &labels[row..=row], ids: &ids[row..=row], draw: 0 };
                assert_eq!(perturb(&classifier, &alone, &plan, eps, None).expect("valid"), moved[at], "{method:?}");
            }
        }
    }
}

#[test]
fn a_transferred_attack_is_made_on_one_network_and_judged_on_another() {
    let linear = Linear::new();
    let mut other = Linear::new();
    // The same network with its first two classes exchanged.
    let (first, rest) = other.weight.split_at_mut(FEATURES);
    first.swap_with_slice(&mut rest[..FEATURES]);
    let mut weights = MlpWeights::zeros(&Mlp::new(FEATURES, &[], CLASSES, Activation::Identity, false));
    weights.tensors[0].values.clone_from(&other.weight);
    let judge = weights.classifier();
    let plan = Attack { method: pgd(Norm::Linf, Loss::Margin), class: AttackedClass::True, clip: None, seed: 1 };
    let made = perturb(&linear.classifier, &linear.samples(), &plan, 0.1, None).expect("valid");
    let (x, results) = attack_from(&linear.classifier, &judge, &linear.samples(), &plan, 0.1, None).expect("valid");
    assert_eq!(x, made);
    let logits = judge.logits(&made, ROWS).expect("fits");
    let wanted: Vec<u32> = logits.chunks_exact(CLASSES).map(|logits| argmax(logits) as u32).collect();
    assert_eq!(results.iter().map(|r| r.prediction).collect::<Vec<_>>(), wanted);
}
