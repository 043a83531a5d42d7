//! Values and gradients of whole networks.
//!
//! A [`Trainer`] runs a network forward and keeps what the way back needs, then runs it backward to the gradients of
//! parameters and input. A normalisation, convolution or linear layer is done together with the sum and the rectifier that
//! follow it, where nothing else reads what lies between.

mod backward;
mod frozen;
mod plan;
mod resident;
mod sparse;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use thiserror::Error;

use crate::device::{Cpu, Device, DeviceError, Fused, Statistics};
use crate::graph::Network;
use crate::kernel::sparse::Pattern;
use crate::op::arithmetic::{Context, Forward, ForwardFused, Kept, Randomness};
use crate::op::layout::to_row_major;
use crate::op::{Op, Role};

pub use backward::{Gradients, Wanted};
use frozen::Arranged;
pub use frozen::Frozen;
use plan::Stage;
pub use resident::Resident;

/// Why a network cannot be run on what it is given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrainingError {
    /// Not one array for each parameter.
    #[error("network has {wanted} parameters but {found} arrays are given; give one for each parameter, buffers too")]
    Parameters {
        /// Parameters of the network.
        wanted: usize,
        /// Arrays given.
        found: usize,
    },
    /// An array of the wrong length.
    #[error("`{name}` holds {found} numbers instead of {wanted}; give it the shape that the network says")]
    Length {
        /// Of what.
        name: String,
        /// How many the network asks for.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
    /// The device gave up.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// How a network behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Statistics are those of the batch, and values are dropped at random.
    Train(Randomness),
    /// Statistics are the running ones, and nothing is dropped: for attacks and evaluation.
    Infer,
}

/// Runs a network forward and backward.
#[derive(Clone, Debug)]
pub struct Trainer<D = Cpu> {
    network: Arc<Network>,
    device: D,
    stages: Arc<[Stage]>,
    /// By parameter, which weights are given where not all are.
    patterns: Vec<Option<Arc<Pattern>>>,
}

/// Parameters in the memory of a device, and what is arranged for each node where they are frozen.
type Given<D> = (Arc<Vec<<D as Device>::Buffer>>, Option<Arc<Vec<Option<Arranged<D>>>>>);

/// A network's values on a batch, and what backward needs.
pub struct Saved<D: Device = Cpu> {
    images: usize,
    random: Option<Randomness>,
    parameters: Arc<Vec<D::Buffer>>,
    /// For each node, where parameters are frozen.
    arranged: Option<Arc<Vec<Option<Arranged<D>>>>>,
    /// The values that exist: the input, and what each stage gives.
    values: Vec<Option<D::Buffer>>,
    /// For each stage.
    kept: Vec<Kept<D>>,
    /// The statistics of values that have been taken with them.
    statistics: Vec<Option<Statistics>>,
    logits: Vec<f32>,
    running: Vec<(usize, Vec<f32>)>,
}

impl<D: Device> Saved<D> {
    /// What the network gives, row-major, image after image.
    #[must_use]
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// What the running statistics are after this batch: for each that moved, the parameter's number and its values.
    #[must_use]
    pub fn running_statistics(&self) -> &[(usize, Vec<f32>)] {
        &self.running
    }
}

impl<D: Device> Trainer<D> {
    /// Prepares to run `network` on `device`.
    #[must_use]
    pub fn new(network: &Network, device: D) -> Self {
        let patterns = vec![None; network.parameters().len()];
        Self { network: Arc::new(network.clone()), device, stages: plan::stages(network).into(), patterns }
    }

    /// The same on another device, which reads the memory of this one, such as a thread of it.
    #[must_use]
    pub fn on(&self, device: D) -> Self {
        let Self { network, stages, patterns, .. } = self;
        Self { network: Arc::clone(network), device, stages: Arc::clone(stages), patterns: patterns.clone() }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Runs `images` images of `x` (row-major, `[channel][row][column]`), with one array for each of
    /// [`Network::parameters`]; of those with a [`Trainer::pattern`] with the kept numbers.
    ///
    /// # Errors
    /// Where an array is missing or has the wrong length, or the device gives up.
    pub fn forward(
        &self,
        parameters: &[&[f32]],
        x: &[f32],
        images: usize,
        mode: Mode,
    ) -> Result<Saved<D>, TrainingError> {
        self.check_parameters(parameters)?;
        self.check_input(x, images)?;
        let saved = self.device.enter(|| self.run((self.upload(parameters), None), x, images, mode));
        self.unless_failed(saved)
    }

    /// The parameters in the device's memory.
    fn upload(&self, parameters: &[&[f32]]) -> Arc<Vec<D::Buffer>> {
        Arc::new(parameters.iter().map(|p| self.device.upload(p)).collect())
    }

    fn run(&self, (parameters, arranged): Given<D>, x: &[f32], images: usize, mode: Mode) -> Saved<D> {
        let device = &self.device;
        let random = match mode {
            Mode::Train(random) => Some(random),
            Mode::Infer => None,
        };
        let mut input = device.upload(x);
        if let Some(how) = to_row_major(self.network.input()) {
            let mut inside = device.buffer(x.len());
            device.copy(images, &how.reversed(), &input, false, &mut inside);
            input = inside;
        }
        let mut saved = Saved {
            images,
            random,
            parameters,
            arranged,
            values: (0..self.network.shapes().len()).map(|_| None).collect(),
            kept: Vec::with_capacity(self.stages.len()),
            statistics: vec![None; self.network.shapes().len()],
            logits: Vec::new(),
            running: Vec::new(),
        };
        saved.values[0] = Some(input);
        for stage in &*self.stages {
            self.stage_forward(stage, &mut saved);
        }
        let last = self.network.shapes().len() - 1;
        saved.logits = self.to_row_major(&saved, last, value_of(&saved, last));
        saved
    }

    fn check_parameters(&self, parameters: &[&[f32]]) -> Result<(), TrainingError> {
        let wanted = self.network.parameters();
        if parameters.len() != wanted.len() {
            return Err(TrainingError::Parameters { wanted: wanted.len(), found: parameters.len() });
        }
        let mut each = wanted.iter().zip(parameters).enumerate();
        each.try_for_each(|(index, (p, found))| check_length(&p.name, self.given(index), found.len()))
    }

    /// What was computed, unless the device gave up on the way.
    fn unless_failed<T>(&self, found: T) -> Result<T, TrainingError> {
        self.device.failure().map_or(Ok(found), |error| Err(error.into()))
    }

    fn check_input(&self, x: &[f32], images: usize) -> Result<(), TrainingError> {
        check_length("input", images * self.network.input_len(), x.len())
    }

    /// Calls `f` with the context of node `node`.
    fn with_context<R>(&self, saved: &Saved<D>, node: usize, f: impl FnOnce(Context<'_, D>) -> R) -> R {
        let shapes = self.network.shapes();
        let inputs: Vec<&[usize]> =
            self.network.nodes()[node - 1].inputs.iter().map(|&value| shapes[value].as_slice()).collect();
        f(Context {
            device: &self.device,
            images: saved.images,
            node,
            inputs: &inputs,
            output: &shapes[node],
            parameters: &saved.parameters[self.network.parameters_of(node)],
            random: saved.random,
            batch: saved.statistics[self.network.nodes()[node - 1].inputs[0]].as_ref(),
            wants_statistics: false,
        })
    }

    fn stage_forward(&self, stage: &Stage, saved: &mut Saved<D>) {
        let head = &self.network.nodes()[stage.head - 1];
        let mut kept = Kept::default();
        let x: Vec<&D::Buffer> = head.inputs.iter().map(|&value| value_of(saved, value)).collect();
        let pattern = self.pattern_of(stage.head);
        let y = self.with_context(saved, stage.head, |cx| {
            let cx = &Context { wants_statistics: stage.measured && saved.random.is_some(), ..cx };
            let fused = Fused {
                residual: stage.residual.map(|value| value_of(saved, value)),
                clip: if stage.rectified { (0.0, f32::INFINITY) } else { crate::device::UNLIMITED },
                ..Fused::default()
            };
            if let Some(pattern) = pattern {
                return sparse::forward(cx, pattern, x[0], fused, &mut kept);
            }
            if let Some(weight) = saved.arranged(stage.head) {
                return frozen::forward(cx, weight, x[0], fused);
            }
            match &head.op {
                Op::Linear(op) => op.forward_fused(cx, x[0], fused, &mut kept),
                Op::Conv2d(op) => op.forward_fused(cx, x[0], fused, &mut kept),
                Op::BatchNorm(op) => op.forward_fused(cx, x[0], fused, &mut kept),
                op => op.forward(cx, &x, &mut kept),
            }
        });
        if let (Op::BatchNorm(op), Some(batch)) = (&head.op, &kept.statistics) {
            let range = self.network.parameters_of(stage.head);
            let old = [range.start + 2, range.start + 3]
                .map(|i| self.device.download(&saved.parameters[i], self.network.parameters()[i].len()));
            let [mean, variance] = op.moved([&old[0], &old[1]], batch);
            saved.running.extend([(range.start + 2, mean), (range.start + 3, variance)]);
        }
        if stage.measured {
            saved.statistics[stage.last] = kept.statistics.take();
        }
        saved.values[stage.last] = Some(y);
        saved.kept.push(kept);
    }

    /// Whether parameter `index` has a gradient.
    fn is_trained(&self, index: usize) -> bool {
        self.network.parameters()[index].role != Role::Buffer
    }
}

fn check_length(name: &str, wanted: usize, found: usize) -> Result<(), TrainingError> {
    if wanted == found { Ok(()) } else { Err(TrainingError::Length { name: name.to_owned(), wanted, found }) }
}

/// A value that was computed earlier.
fn value_of<D: Device>(saved: &Saved<D>, value: usize) -> &D::Buffer {
    saved.values[value].as_ref().expect("stages come in the order of what they read, and give all that others read")
}
