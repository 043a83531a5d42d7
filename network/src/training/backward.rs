//! The way back through a network.

use super::plan::Stage;
use super::{Saved, Trainer, TrainingError, check_length, frozen, sparse, value_of};
use crate::device::Device;
use crate::graph::Node;
use crate::op::Op;
use crate::op::arithmetic::{Backward, Pass, Target, Targets};
use crate::op::batch_norm::backward::rectified_sums;
use crate::op::layout::{plain, relayout, to_row_major};

/// Which gradients are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Those of the parameters.
    pub parameters: bool,
    /// That of the input.
    pub input: bool,
}

/// The gradients of a loss.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradients {
    /// One array for each parameter of the network, empty for buffers, and with the kept numbers of those with a
    /// [`Trainer::pattern`]; none at all where they were not asked for.
    pub parameters: Vec<Vec<f32>>,
    /// That of the input, row-major, image after image; empty where it was not asked for.
    pub input: Vec<f32>,
}

/// Gradients on their way.
struct Flow<D: Device> {
    /// Of each value, as far as its readers have added theirs.
    values: Vec<Option<D::Buffer>>,
    /// Whether anybody wants the gradient of a value.
    needed: Vec<bool>,
    /// Of the parameters, as far as they are trained and gradients are asked for.
    parameters: Vec<Option<D::Buffer>>,
}

impl<D: Device> Trainer<D> {
    /// The gradients of a loss from that of the logits.
    ///
    /// # Errors
    /// Where `dlogits` is not as long as the logits, or the device gives up.
    pub fn backward(&self, saved: &Saved<D>, dlogits: &[f32], wanted: Wanted) -> Result<Gradients, TrainingError> {
        check_length("gradient of the logits", saved.logits.len(), dlogits.len())?;
        let run = || self.downloaded(saved, self.run_backward(saved, dlogits, wanted), wanted);
        let gradients = self.device.enter(run);
        self.unless_failed(gradients)
    }

    fn downloaded(&self, saved: &Saved<D>, mut flow: Flow<D>, wanted: Wanted) -> Gradients {
        let sizes = (0..self.network.parameters().len()).map(|index| self.given(index));
        let download = |(gradient, len): (&Option<D::Buffer>, usize)| {
            gradient.as_ref().map_or_else(Vec::new, |gradient| self.device.download(gradient, len))
        };
        let parameters = flow.parameters.iter().zip(sizes).map(download).collect();
        let input = match flow.values[0].take() {
            _ if !wanted.input => Vec::new(),
            Some(dx) => self.to_row_major(saved, 0, &dx),
            None => vec![0.0; saved.images * self.network.input_len()],
        };
        Gradients { parameters, input }
    }

    /// The gradients of the parameters, in the device's memory; of those that are trained.
    pub(super) fn parameter_gradients(&self, saved: &Saved<D>, dlogits: &[f32]) -> Vec<Option<D::Buffer>> {
        self.run_backward(saved, dlogits, Wanted { parameters: true, input: false }).parameters
    }

    fn run_backward(&self, saved: &Saved<D>, dlogits: &[f32], wanted: Wanted) -> Flow<D> {
        let parameters = if wanted.parameters { self.network.parameters().len() } else { 0 };
        let mut flow = Flow {
            values: (0..saved.values.len()).map(|_| None).collect(),
            needed: self.needed(wanted),
            parameters: (0..parameters).map(|_| None).collect(),
        };
        let last = saved.values.len() - 1;
        flow.values[last] = Some(self.inside(saved, last, dlogits));
        for (index, stage) in self.stages.iter().enumerate().rev() {
            self.stage_backward(stage, index, saved, &mut flow, wanted);
        }
        flow
    }

    /// Which values' gradients lead to one that is asked for.
    fn needed(&self, wanted: Wanted) -> Vec<bool> {
        let mut needed = vec![wanted.input];
        for (index, node) in self.network.nodes().iter().enumerate() {
            let own = wanted.parameters && self.network.parameters_of(index + 1).any(|p| self.is_trained(p));
            needed.push(own || node.inputs.iter().any(|&value| needed[value]));
        }
        needed
    }

    fn stage_backward(&self, stage: &Stage, index: usize, saved: &Saved<D>, flow: &mut Flow<D>, wanted: Wanted) {
        let device = &self.device;
        let Some(mut dy) = flow.values[stage.last].take() else { return };
        let y = value_of(saved, stage.last);
        let len = |value: usize| saved.images * self.network.shapes()[value].iter().product::<usize>();
        let mut sums = None;
        match &self.network.nodes()[stage.head - 1] {
            _ if !stage.rectified => {}
            Node { op: Op::BatchNorm(_), inputs, .. } => {
                let known = (value_of(saved, inputs[0]), y, &saved.kept[index]);
                sums = Some(self.with_context(saved, stage.head, |cx| rectified_sums(&cx, known, &mut dy)));
            }
            _ => device.rectify_gradient(len(stage.last), y, &mut dy),
        }
        self.head_backward(stage, index, saved, flow, (&dy, sums, wanted));
        let Some(other) = stage.residual.filter(|&value| flow.needed[value]) else { return };
        if let Some(sum) = &mut flow.values[other] {
            device.accumulate(len(other), &dy, sum);
        } else {
            flow.values[other] = Some(dy);
        }
    }

    fn head_backward(
        &self,
        stage: &Stage,
        index: usize,
        saved: &Saved<D>,
        flow: &mut Flow<D>,
        (dy, sums, wanted): (&D::Buffer, Option<[Vec<f64>; 2]>, Wanted),
    ) {
        let (node, device) = (&self.network.nodes()[stage.head - 1], &self.device);
        let range = self.network.parameters_of(stage.head);
        let x: Vec<&D::Buffer> = node.inputs.iter().map(|&value| value_of(saved, value)).collect();
        let mut inputs: Vec<Option<Target<D>>> = Vec::with_capacity(x.len());
        for &value in &node.inputs {
            let len = saved.images * self.network.shapes()[value].iter().product::<usize>();
            inputs.push(flow.needed[value].then(|| {
                // A value that is read twice finds its first gradient taken, and is given a second one.
                let sum = flow.values[value].take();
                let accumulate = sum.is_some();
                Target { buffer: sum.unwrap_or_else(|| device.buffer(len)), accumulate }
            }));
        }
        let mut parameters: Vec<D::Buffer> =
            if wanted.parameters { range.clone().map(|p| device.buffer(self.given(p))).collect() } else { Vec::new() };
        self.with_context(saved, stage.head, |cx| {
            // Only a stage that is one node gives its operation's own output.
            let y = value_of(saved, stage.last);
            let pass = Pass { x: &x, y, kept: &saved.kept[index], dy, sums };
            let mut targets = Targets { inputs: &mut inputs, parameters: &mut parameters };
            match (self.pattern_of(stage.head), saved.arranged(stage.head)) {
                (Some(pattern), _) => sparse::backward(&cx, pattern, &pass, &mut targets),
                (None, Some(weight)) => frozen::backward(&cx, weight, &pass, &mut targets),
                (None, None) => node.op.backward(&cx, &pass, &mut targets),
            }
        });
        for (gradient, p) in parameters.into_iter().zip(range) {
            flow.parameters[p] = self.is_trained(p).then_some(gradient);
        }
        for (target, &value) in inputs.into_iter().zip(&node.inputs) {
            let Some(Target { buffer, .. }) = target else { continue };
            if let Some(sum) = &mut flow.values[value] {
                device.accumulate(saved.images * self.network.shapes()[value].iter().product::<usize>(), &buffer, sum);
            } else {
                flow.values[value] = Some(buffer);
            }
        }
    }

    /// Row-major numbers as they are inside for value `value`.
    fn inside(&self, saved: &Saved<D>, value: usize, numbers: &[f32]) -> D::Buffer {
        let (shape, device) = (&self.network.shapes()[value], &self.device);
        let given = device.upload(numbers);
        if to_row_major(shape).is_none() {
            return given;
        }
        let len = shape.iter().product();
        let mut inside = device.buffer(numbers.len());
        relayout(device, saved.images, (&[len], &given), shape, false, &mut inside);
        inside
    }

    /// The numbers of value `value` in row-major order.
    pub(super) fn to_row_major(&self, saved: &Saved<D>, value: usize, inside: &D::Buffer) -> Vec<f32> {
        let (shape, device) = (&self.network.shapes()[value], &self.device);
        let len: usize = shape.iter().product();
        let mut given = device.buffer(saved.images * len);
        let how = to_row_major(shape).unwrap_or(plain(len));
        device.copy(saved.images, &how, inside, false, &mut given);
        device.download(&given, saved.images * len)
    }
}
