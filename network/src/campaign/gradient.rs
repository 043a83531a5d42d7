//! Gradients of margins: by how much the lead of the predicted class over every other one changes with each value.

use super::Campaign;
use super::full::inside;
use crate::device::{Bounds, Buffer, Cpu, Device, Fused, Place, Product, UNLIMITED};
use crate::executor::plan::Stage;
use crate::executor::step::{Step, Work};
use crate::op::arithmetic::{Backward, Context, Forward, Kept, Pass, Target, Targets, places};
use crate::op::layout::plain;
use crate::op::{Beyond, Op};

/// What the way back through a stage needs besides its values.
#[derive(Debug)]
pub(super) enum Reverse<D: Device> {
    Convolution(D::Backward),
    /// `outputs x inputs`, row-major.
    Linear(D::Buffer),
    /// The step has all there is.
    Other,
}

impl<D: Device> Campaign<'_, D> {
    /// Every stage arranged for the way back.
    pub(super) fn reversed(&self) -> Vec<Reverse<D>> {
        let (executor, device) = (&self.executor, self.executor.device());
        let each = |(stage, step): (&Stage, &Step<D>)| {
            let weights = || device.upload(&step.multiplied(self.weights, stage));
            match &step.work {
                Work::Convolution(geometry, _) => Reverse::Convolution(device.pack_backward(geometry, &weights())),
                Work::Linear(_) => Reverse::Linear(weights()),
                _ => Reverse::Other,
            }
        };
        executor.plan().stages.iter().zip(executor.steps()).map(each).collect()
    }
}

/// Gradients of the margins of some examples on their way back; rows are `[example][other class]`.
pub(super) struct Margins<'a, 'c, D: Device> {
    campaign: &'a Campaign<'c, D>,
    device: &'a D,
    /// How many examples there are.
    images: usize,
    /// Every value of the network for them.
    golden: &'a [Option<D::Buffer>],
    reversed: &'a [Reverse<D>],
    /// Of each value, as far as its readers have added theirs.
    values: Vec<Option<D::Buffer>>,
}

impl<'a, 'c, D: Device> Margins<'a, 'c, D> {
    /// The gradients of the outputs, for examples and every value of the network for them.
    pub(super) fn new(
        campaign: &'a Campaign<'c, D>,
        device: &'a D,
        (images, golden): (&[u32], &'a [Option<D::Buffer>]),
        reversed: &'a [Reverse<D>],
    ) -> Self {
        let network = campaign.weights.network();
        let (classes, shape) = (network.output_len(), network.output());
        let mut rows = vec![0.0; images.len() * (classes - 1) * classes];
        for (example, rows) in images.iter().zip(rows.chunks_exact_mut(((classes - 1) * classes).max(1))) {
            let predicted = campaign.predicted[*example as usize];
            for (row, other) in rows.chunks_exact_mut(classes).zip((0..classes).filter(|&j| j != predicted)) {
                row[inside(shape, predicted)] = 1.0;
                row[inside(shape, other)] = -1.0;
            }
        }
        let mut values: Vec<Option<D::Buffer>> = network.shapes().iter().map(|_| None).collect();
        values[campaign.output()] = Some(device.upload(&rows));
        Self { campaign, device, images: images.len(), golden, reversed, values }
    }

    fn rows(&self) -> usize {
        self.images * self.campaign.others()
    }

    fn golden(&self, value: usize) -> &'a D::Buffer {
        self.golden[value].as_ref().expect("fault-free values of all stages are there")
    }

    /// The gradient of value `value`, `[example][other class]` and then in the order inside; `None` where it reaches no output. It is
    /// complete once all stages that read the value have been taken back.
    pub(super) fn inside(&self, value: usize) -> Option<&D::Buffer> {
        self.values[value].as_ref()
    }

    /// Takes stage `index` back.
    pub(super) fn back(&mut self, index: usize) {
        let (campaign, device) = (self.campaign, self.device);
        let stage = &campaign.executor.plan().stages[index];
        let Some(mut g) = self.values[stage.last].take() else { return };
        self.gate(stage, index, &mut g);
        if let Some(value) = stage.residual {
            self.add(value, &g);
        }
        let shapes = campaign.weights.network().shapes();
        let (rows, step) = (self.rows(), &campaign.executor.steps()[index]);
        let input = stage.inputs[0];
        match (&self.reversed[index], &step.work) {
            (Reverse::Convolution(weights), Work::Convolution(geometry, _)) => {
                let (accumulate, mut dx) = self.target(input);
                device.convolution_backward_input(rows, geometry, weights, &g, accumulate, &mut dx);
                self.values[input] = Some(dx);
            }
            (Reverse::Linear(weights), _) => {
                let ([count, inputs], [_, outputs]) = (places(&shapes[input]), places(&shapes[stage.last]));
                let (accumulate, mut dx) = self.target(input);
                let size = [rows * count, outputs, inputs];
                let product = Product::one(size, Place::rows(outputs), Place::rows(inputs), Place::rows(inputs));
                device.product(&Product { accumulate, ..product }, &g, weights, &mut dx);
                self.values[input] = Some(dx);
            }
            (_, Work::Scale(scale)) => {
                let [count, channels] = places(&shapes[input]);
                let mut scaled = device.buffer(rows * count * channels);
                device.scale_shift([rows * count, channels], scale, &g, Fused::default(), &mut scaled);
                self.add(input, &scaled);
            }
            (_, Work::Plain(parameters)) => self.plain(stage, parameters, &g),
            _ => {}
        }
    }

    /// Where gradient of `value` goes, and whether something is there already.
    fn target(&mut self, value: usize) -> (bool, D::Buffer) {
        let sum = self.values[value].take();
        let accumulate = sum.is_some();
        let room = || self.device.buffer(self.rows() * self.campaign.executor.len(value));
        (accumulate, sum.unwrap_or_else(room))
    }

    fn add(&mut self, value: usize, g: &D::Buffer) {
        let len = self.rows() * self.campaign.executor.len(value);
        let (accumulate, mut sum) = self.target(value);
        self.device.copy(1, &plain(len), g, accumulate, &mut sum);
        self.values[value] = Some(sum);
    }

    /// From the gradient of what a stage gives to that of its sums: limits and functions that follow them.
    fn gate(&self, stage: &Stage, index: usize, g: &mut D::Buffer) {
        if stage.clip == UNLIMITED && stage.then.is_none() {
            return;
        }
        let (device, executor) = (self.device, &self.campaign.executor);
        let [count, channels] = places(&self.campaign.weights.network().shapes()[stage.last]);
        let len = count * channels;
        let all = self.images * len;
        let (mut ones, mut factors) = (device.buffer(all), device.buffer(all));
        device.fill(1.0, all, &mut ones);
        if stage.clip != UNLIMITED {
            // A number at a limit was cut off, so only those strictly between pass.
            let [low, high] =
                [stage.clip.0, stage.clip.1.next_down()].map(|limit| device.upload(&vec![limit; channels]));
            let bounds = Bounds { low: &low, high: &high, beyond: Beyond::Bound };
            let y = self.golden(stage.last);
            device.clamp_backward([self.images * count, channels], bounds, (y, &ones), false, &mut factors);
            device.multiply_each([self.images, self.campaign.others(), len], &factors, g);
        }
        if let Some(f) = stage.then {
            let before = Stage { then: None, ..stage.clone() };
            let network = self.campaign.weights.network();
            let z = executor.steps()[index].run(device, network, &before, self.images, self.golden);
            device.activation_backward(f, all, &z, &ones, false, &mut factors);
            device.multiply_each([self.images, self.campaign.others(), len], &factors, g);
        }
    }

    /// An operation without weights of its own kind: forward and backward as in training, each example once for every margin.
    fn plain(&mut self, stage: &Stage, parameters: &[D::Buffer], g: &D::Buffer) {
        let (network, device, rows) = (self.campaign.weights.network(), self.device, self.rows());
        let op: &Op = &network.nodes()[stage.head - 1].op;
        let inputs: Vec<&[usize]> =
            network.nodes()[stage.head - 1].inputs.iter().map(|&value| network.shapes()[value].as_slice()).collect();
        let example_of: Vec<u32> = (0..rows).map(|row| (row / self.campaign.others()) as u32).collect();
        let repeated = |&value: &usize| {
            let len = self.campaign.executor.len(value);
            let mut x = device.buffer(rows * len);
            device.pick_rows(len, &example_of, self.golden(value), &mut x);
            x
        };
        let x: Vec<D::Buffer> = stage.inputs.iter().map(repeated).collect();
        let x: Vec<&D::Buffer> = x.iter().collect();
        let cx = Context {
            device,
            images: rows,
            node: stage.head,
            inputs: &inputs,
            output: &network.shapes()[stage.head],
            parameters,
            random: None,
            batch: None,
            wants_statistics: false,
        };
        let mut kept = Kept::default();
        let y = op.forward(&cx, &x, &mut kept);
        let room = |&value: &usize| {
            Some(Target { buffer: device.buffer(rows * self.campaign.executor.len(value)), accumulate: false })
        };
        let mut targets: Vec<Option<Target<D>>> = stage.inputs.iter().map(room).collect();
        let pass = Pass { x: &x, y: &y, kept: &kept, dy: g, sums: None };
        let len = |p: usize| network.parameters()[p].len();
        let mut own: Vec<D::Buffer> = network.parameters_of(stage.head).map(|p| device.buffer(len(p))).collect();
        op.backward(&cx, &pass, &mut Targets { inputs: &mut targets, parameters: &mut own });
        for (target, &value) in targets.into_iter().zip(&stage.inputs) {
            if let Some(Target { buffer, .. }) = target {
                self.add(value, &buffer);
            }
        }
    }
}

impl Margins<'_, '_, Cpu> {
    /// [`Margins::inside`] as `[example][channel][other class][place]`.
    pub(super) fn of(&self, value: usize) -> Option<Vec<f32>> {
        let from: &Buffer = self.inside(value)?;
        let [count, channels] = places(&self.campaign.weights.network().shapes()[value]);
        let (others, len) = (self.campaign.others(), count * channels);
        let mut to = vec![0.0; self.rows() * len];
        for (row, from) in from[..self.rows() * len].chunks_exact(len).enumerate() {
            let (example, other) = (row / others, row % others);
            for channel in 0..channels {
                let to = &mut to[((example * channels + channel) * others + other) * count..][..count];
                to.iter_mut().zip(from[channel..].iter().step_by(channels)).for_each(|(to, g)| *to = *g);
            }
        }
        Some(to)
    }
}
