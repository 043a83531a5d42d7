//! The perturbations themselves; see [`super::Method`].

use super::region::Region;
use super::{Attack, AttackError, AttackedClass, Method, Pgd, Samples, Step};
use crate::nn::classifier::Classifier;
use crate::nn::executor::{argmax, predict};
use crate::nn::gradient::{cross_entropy, cross_entropy_gradient};
use crate::nn::random::Stream;

/// The samples, perturbed against the current weights: what adversarial training trains on. Row for row as `samples.x`.
///
/// `warm` may give, per sample, a point to start the first attempt of PGD from, such as what a smaller epsilon ended in.
///
/// # Errors
/// [`AttackError`] for samples, sizes and options that do not fit.
pub fn perturb(
    classifier: &Classifier,
    samples: &Samples<'_>,
    attack: &Attack,
    eps: f64,
    warm: Option<&[f32]>,
) -> Result<Vec<f32>, AttackError> {
    check(classifier, samples, attack, eps)?;
    if let Some(start) = warm.filter(|start| start.len() != samples.x.len()) {
        return Err(AttackError::Start { got: start.len(), want: samples.x.len() });
    }
    let region = Region::new(samples, attack, eps)?;
    if eps <= 0.0 {
        return Ok(samples.x.to_vec());
    }
    let run = Run { classifier, samples, attack, eps, region };
    match attack.method {
        Method::Fgsm => run.fgsm(),
        Method::Pgd(pgd) => run.pgd(pgd, warm),
        Method::Gaussian => Ok(run.noise(Stream::normal)),
        Method::Uniform => Ok(run.noise(|random| 2.0 * random.uniform_f64() - 1.0)),
    }
}

/// The class that each sample is driven away from.
pub(super) fn classes(
    classifier: &Classifier,
    samples: &Samples<'_>,
    class: AttackedClass,
) -> Result<Vec<u32>, AttackError> {
    Ok(match class {
        AttackedClass::True => samples.labels.to_vec(),
        AttackedClass::Predicted => predict(&classifier.logits(samples.x, samples.ids.len())?, classifier.outputs()),
    })
}

struct Run<'a> {
    classifier: &'a Classifier,
    samples: &'a Samples<'a>,
    attack: &'a Attack,
    eps: f64,
    region: Region,
}

impl Run<'_> {
    fn fgsm(&self) -> Result<Vec<f32>, AttackError> {
        let classes = classes(self.classifier, self.samples, self.attack.class)?;
        let mut x = self.samples.x.to_vec();
        // One float more than epsilon: the region, which is exact, says where that ends.
        self.ascend(&mut x, &classes, (self.eps as f32).next_up(), &self.region)?;
        Ok(x)
    }

    /// One step of `length` along the sign of the gradient of the cross-entropy, then back into the region.
    fn ascend(&self, x: &mut [f32], classes: &[u32], length: f32, region: &Region) -> Result<(), AttackError> {
        let gradient = self.classifier.input_gradient(x, classes.len(), |row, logits, out| {
            cross_entropy_gradient(logits, classes[row] as usize, out);
        })?;
        for (v, g) in x.iter_mut().zip(gradient) {
            // The sign of 0 is 0, and NaN points nowhere; -0 changes nothing that it is added to.
            let down = if g < 0.0 { -length } else { -0.0 };
            *v += if g > 0.0 { length } else { down };
        }
        region.project(x);
        Ok(())
    }

    fn pgd(&self, pgd: Pgd, warm: Option<&[f32]>) -> Result<Vec<f32>, AttackError> {
        let features = self.classifier.inputs();
        let classes = classes(self.classifier, self.samples, self.attack.class)?;
        let mut best = self.samples.x.to_vec();
        let mut best_loss = vec![f32::NEG_INFINITY; classes.len()];
        let mut open: Vec<usize> = (0..classes.len()).collect();
        for restart in 0..pgd.restarts {
            let class: Vec<u32> = open.iter().map(|r| classes[*r]).collect();
            let region = self.region.select(&open, features);
            let mut x = self.start(&open, restart, pgd, warm);
            region.project(&mut x);
            for _ in 0..pgd.steps {
                self.ascend(&mut x, &class, pgd.step.at(self.eps) as f32, &region)?;
            }
            if pgd.restarts == 1 {
                return Ok(x);
            }
            let logits = self.classifier.logits(&x, open.len())?;
            let ends = x.chunks_exact(features).zip(logits.chunks_exact(self.classifier.outputs()));
            let mut still_open = Vec::new();
            for ((&r, class), (x, logits)) in open.iter().zip(class).zip(ends) {
                let loss = cross_entropy(logits, class as usize);
                let fooled = argmax(logits) != class as usize;
                if fooled || restart == 0 || loss > best_loss[r] {
                    best[r * features..(r + 1) * features].copy_from_slice(x);
                    best_loss[r] = loss;
                }
                if !fooled {
                    still_open.push(r);
                }
            }
            open = still_open;
            if open.is_empty() {
                break;
            }
        }
        Ok(best)
    }

    /// Where attempt `restart` on the rows `rows` starts.
    fn start(&self, rows: &[usize], restart: usize, pgd: Pgd, warm: Option<&[f32]>) -> Vec<f32> {
        let features = self.classifier.inputs();
        let row = |from: &[f32], r: usize| from[r * features..(r + 1) * features].to_vec();
        if let (0, Some(warm)) = (restart, warm) {
            return rows.iter().flat_map(|r| row(warm, *r)).collect();
        }
        let clean = |r: &usize| row(self.samples.x, *r);
        if !pgd.random_start {
            return rows.iter().flat_map(clean).collect();
        }
        let moved = |r: &usize| {
            let mut random = self.stream("attack-start", *r, restart);
            let mut x = clean(r);
            for v in &mut x {
                *v = (f64::from(*v) + self.eps * (2.0 * random.uniform_f64() - 1.0)) as f32;
            }
            x
        };
        rows.iter().flat_map(moved).collect()
    }

    /// Adds epsilon times `draw` to every value.
    fn noise(&self, draw: impl Fn(&mut Stream) -> f64) -> Vec<f32> {
        let mut x = self.samples.x.to_vec();
        for (r, row) in x.chunks_exact_mut(self.classifier.inputs()).enumerate() {
            let mut random = self.stream("noise", r, 0);
            for v in row {
                *v = (f64::from(*v) + self.eps * draw(&mut random)) as f32;
            }
        }
        self.region.project(&mut x);
        x
    }

    fn stream(&self, purpose: &str, row: usize, restart: usize) -> Stream {
        Stream::new(self.attack.seed, purpose, &[self.samples.ids[row], self.samples.draw, restart as u64])
    }
}

fn check(classifier: &Classifier, samples: &Samples<'_>, attack: &Attack, eps: f64) -> Result<(), AttackError> {
    let (rows, values, ids) = (samples.labels.len(), samples.x.len(), samples.ids.len());
    let (inputs, classes) = (classifier.inputs(), classifier.outputs());
    if values != rows * inputs || ids != rows {
        return Err(AttackError::Samples { rows, values, ids, inputs });
    }
    if let Some((label, id)) = samples.labels.iter().zip(samples.ids).find(|(label, _)| **label as usize >= classes) {
        return Err(AttackError::Label { id: *id, label: *label, classes });
    }
    if !eps.is_finite() || eps < 0.0 {
        return Err(AttackError::Epsilon(eps));
    }
    match attack.method {
        Method::Pgd(Pgd { restarts: 0, .. }) => Err(AttackError::Option("no restarts")),
        Method::Pgd(Pgd { steps: 0, .. }) => Err(AttackError::Option("no steps")),
        Method::Pgd(Pgd { step: Step::Absolute(step) | Step::Relative(step), .. })
            if !(step.is_finite() && step > 0.0) =>
        {
            Err(AttackError::Option("steps of no length"))
        }
        _ => Ok(()),
    }
}
