//! The perturbations themselves; see [`super::Method`].

use super::apgd::{self, Apgd};
use super::direction::{Direction, random_start};
use super::fab::Fab;
use super::minimal::{self, Minimal};
use super::pixel::{self, Evolution};
use super::region::Region;
use super::square::{self, Square};
use super::{Attack, AttackError, AttackedClass, Loss, Method, Norm, Pgd, Samples, Step};
use crate::nn::classes::{argmax, predict};
use crate::nn::classifier::{Classifier, Local};
use crate::nn::random::Stream;

/// The samples, perturbed against the current weights: what adversarial training trains on. Row for row as `samples.x`.
///
/// `known` may give, per sample, a point that is known already: for PGD where its first attempt starts, such as where it ended at
/// a smaller epsilon; for attacks that look for small perturbations what [`super::search`] found, which is then not searched for again.
///
/// # Errors
/// [`AttackError`] for samples, sizes and options that do not fit.
pub fn perturb(
    classifier: &Classifier,
    samples: &Samples<'_>,
    attack: &Attack,
    eps: f64,
    known: Option<&[f32]>,
) -> Result<Vec<f32>, AttackError> {
    check(classifier, samples, attack, eps)?;
    if let Some(start) = known.filter(|start| start.len() != samples.x.len()) {
        return Err(AttackError::Start { got: start.len(), want: samples.x.len() });
    }
    let n = classifier.inputs();
    let parts = classifier.spread(samples.ids.len(), |local, rows| {
        let part = samples.part(n, rows.clone());
        let run = Run::new(local, &part, attack, eps)?;
        let known = known.map(|known| &known[rows.start * n..rows.end * n]);
        if eps <= 0.0 { Ok(part.x.to_vec()) } else { run.perturbed(known) }
    });
    Ok(parts?.concat())
}

/// The class that each sample is driven away from.
fn classes(classifier: &Local<'_>, samples: &Samples<'_>, class: AttackedClass) -> Result<Vec<u32>, AttackError> {
    Ok(match class {
        AttackedClass::True => samples.labels.to_vec(),
        AttackedClass::Predicted => predict(&classifier.logits(samples.x, samples.ids.len())?, classifier.outputs()),
    })
}

/// An attack under way.
pub(super) struct Run<'a> {
    pub(super) classifier: &'a Local<'a>,
    pub(super) samples: &'a Samples<'a>,
    pub(super) attack: &'a Attack,
    pub(super) eps: f64,
    pub(super) region: Region,
    /// The class that each sample is driven away from; none for noise.
    pub(super) classes: Vec<u32>,
}

/// What an attack has found so far.
pub(super) struct Attempt {
    /// The rows that are not fooled yet.
    pub(super) open: Vec<usize>,
    /// The best point of each row: one that fools, else the one of largest margin.
    pub(super) best: Vec<f32>,
    margin: Vec<f32>,
}

impl Attempt {
    /// Takes notice of points of the rows `rows`, and of their outputs.
    pub(super) fn note(&mut self, run: &Run<'_>, rows: &[usize], x: &[f32], logits: &[f32]) {
        let n = run.features();
        let points = x.chunks_exact(n).zip(logits.chunks_exact(run.outputs()));
        for (&r, (x, logits)) in rows.iter().zip(points) {
            let margin = Loss::Margin.value(logits, run.classes[r] as usize);
            // The first point that fools is kept.
            if self.margin[r] <= 0.0 && margin > self.margin[r] {
                self.margin[r] = margin;
                self.best[r * n..(r + 1) * n].copy_from_slice(x);
            }
        }
    }

    /// Leaves out the rows that were fooled.
    pub(super) fn close(&mut self) {
        let margin = &self.margin;
        self.open.retain(|r| margin[*r] <= 0.0);
    }
}

impl<'a> Run<'a> {
    /// The attack on `samples`, which were checked, at `eps`, about to start.
    pub(super) fn new(
        classifier: &'a Local<'a>,
        samples: &'a Samples<'a>,
        attack: &'a Attack,
        eps: f64,
    ) -> Result<Self, AttackError> {
        let region = Region::new(samples, attack, eps)?;
        let idle = eps <= 0.0 || samples.labels.is_empty() || attack.method.is_noise();
        let classes = if idle { Vec::new() } else { classes(classifier, samples, attack.class)? };
        Ok(Self { classifier, samples, attack, eps, region, classes })
    }
}

impl Run<'_> {
    /// The samples, perturbed; `known` as of [`perturb`].
    fn perturbed(&self, known: Option<&[f32]>) -> Result<Vec<f32>, AttackError> {
        match self.attack.method {
            Method::Fgsm => self.fgsm(),
            Method::Pgd(pgd) => self.pgd(pgd, known),
            Method::Apgd(apgd) => apgd::run(self, apgd),
            Method::DeepFool(_) | Method::Fmn(_) | Method::Fab(_) => {
                let mut found = match known {
                    Some(known) => known.to_vec(),
                    None => minimal::run(self)?,
                };
                self.region.project(&mut found);
                Ok(found)
            }
            Method::Square(square) => square::run(self, square),
            Method::OnePixel(evolution) => pixel::run(self, evolution),
            Method::Gaussian => Ok(self.noise(Stream::normal)),
            Method::Uniform => Ok(self.noise(|random| 2.0 * random.uniform_f64() - 1.0)),
        }
    }

    /// Features of a sample.
    pub(super) fn features(&self) -> usize {
        self.classifier.inputs()
    }

    /// Outputs of the network.
    pub(super) fn outputs(&self) -> usize {
        self.classifier.outputs()
    }

    /// The state before anything was tried: rows that are fooled already are not open.
    pub(super) fn attempt(&self) -> Result<Attempt, AttackError> {
        let rows: Vec<usize> = (0..self.classes.len()).collect();
        let margin = vec![f32::NEG_INFINITY; rows.len()];
        let mut attempt = Attempt { open: rows.clone(), best: self.samples.x.to_vec(), margin };
        let logits = self.classifier.logits(self.samples.x, rows.len())?;
        attempt.note(self, &rows, self.samples.x, &logits);
        attempt.close();
        Ok(attempt)
    }

    /// The outputs of `rows` points, and the gradient of a scalar of each; `slope` is that of its outputs.
    pub(super) fn forward_backward(
        &self,
        x: &[f32],
        rows: usize,
        slope: impl Fn(usize, &[f32], &mut [f32]),
    ) -> Result<(Vec<f32>, Vec<f32>), AttackError> {
        Ok(self.classifier.forward_backward(x, rows, slope)?)
    }

    fn fgsm(&self) -> Result<Vec<f32>, AttackError> {
        let mut x = self.samples.x.to_vec();
        // One float more than epsilon: the region, which is exact, says where that ends.
        let step = f64::from((self.eps as f32).next_up());
        self.ascend(&mut x, &self.classes, (step, Norm::Linf, Loss::CrossEntropy), &self.region)?;
        Ok(x)
    }

    /// One step along the gradient of the loss, then back into the region.
    fn ascend(
        &self,
        x: &mut [f32],
        classes: &[u32],
        (length, norm, loss): (f64, Norm, Loss),
        region: &Region,
    ) -> Result<(), AttackError> {
        let (_, gradient) = self.forward_backward(x, classes.len(), |row, logits, out| {
            loss.gradient(logits, classes[row] as usize, out);
        })?;
        let n = self.features();
        for (x, gradient) in x.chunks_exact_mut(n).zip(gradient.chunks_exact(n)) {
            Direction::of(norm).step(x, gradient, length);
        }
        region.project(x);
        Ok(())
    }

    fn pgd(&self, pgd: Pgd, known: Option<&[f32]>) -> Result<Vec<f32>, AttackError> {
        let features = self.features();
        let mut best = self.samples.x.to_vec();
        let mut best_loss = vec![f32::NEG_INFINITY; self.classes.len()];
        let mut open: Vec<usize> = (0..self.classes.len()).collect();
        for restart in 0..pgd.restarts {
            let class: Vec<u32> = open.iter().map(|r| self.classes[*r]).collect();
            let region = self.region.select(&open);
            let mut x = self.start(&open, restart, pgd, known);
            region.project(&mut x);
            for step in 0..pgd.steps {
                self.ascend(&mut x, &class, (pgd.length(step, self.eps), pgd.norm, pgd.loss), &region)?;
            }
            if pgd.restarts == 1 {
                return Ok(x);
            }
            let logits = self.classifier.logits(&x, open.len())?;
            let ends = x.chunks_exact(features).zip(logits.chunks_exact(self.outputs()));
            let mut still_open = Vec::new();
            for ((&r, class), (x, logits)) in open.iter().zip(class).zip(ends) {
                let loss = pgd.loss.value(logits, class as usize);
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
    fn start(&self, rows: &[usize], restart: usize, pgd: Pgd, known: Option<&[f32]>) -> Vec<f32> {
        let n = self.features();
        let row = |from: &[f32], r: usize| from[r * n..(r + 1) * n].to_vec();
        match known {
            Some(known) if restart == 0 => rows.iter().flat_map(|r| row(known, *r)).collect(),
            _ if pgd.random_start => random_start(self, rows, restart as u64, pgd.norm),
            _ => rows.iter().flat_map(|r| row(self.samples.x, *r)).collect(),
        }
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

    /// The random numbers of a row for one purpose, by number of the attempt.
    pub(super) fn stream(&self, purpose: &str, row: usize, restart: usize) -> Stream {
        Stream::new(self.attack.seed, purpose, &[self.samples.ids[row], self.samples.draw, restart as u64])
    }
}

pub(super) fn check(
    classifier: &Classifier,
    samples: &Samples<'_>,
    attack: &Attack,
    eps: f64,
) -> Result<(), AttackError> {
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
        Method::Pgd(Pgd { restarts: 0, .. }) | Method::Apgd(Apgd { restarts: 0, .. }) => {
            Err(AttackError::Option("no restarts"))
        }
        Method::Pgd(Pgd { steps: 0, .. })
        | Method::Apgd(Apgd { steps: 0, .. })
        | Method::DeepFool(Minimal { steps: 0, .. })
        | Method::Fmn(Minimal { steps: 0, .. })
        | Method::Fab(Fab { steps: 0, .. })
        | Method::Square(Square { queries: 0, .. })
        | Method::OnePixel(Evolution { steps: 0, .. }) => Err(AttackError::Option("no steps")),
        Method::OnePixel(Evolution { population: 0..4, .. }) => Err(AttackError::Option("fewer than 4 candidates")),
        Method::Pgd(Pgd { step: Step::Absolute(step) | Step::Relative(step), .. })
            if !(step.is_finite() && step > 0.0) =>
        {
            Err(AttackError::Option("steps of no length"))
        }
        _ => Ok(()),
    }
}
