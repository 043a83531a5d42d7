//! Gradients of margins: by how much the lead of the predicted class over every other one changes with each value.

use super::Campaign;
use super::full::inside;
use super::tile::Chunk;
use crate::device::{Buffer, Cpu, Device, Place, Product, UNLIMITED};
use crate::executor::plan::Stage;
use crate::executor::step::{Step, Work};
use crate::kernel::{Threads, conv};
use crate::op::Op;
use crate::op::arithmetic::{Backward, Context, Forward, Kept, Pass, Target, Targets, places};

/// What the way back through a stage needs besides its values.
#[derive(Debug)]
pub(super) enum Reverse {
    Convolution(conv::PackedBackward),
    /// `outputs x inputs`, row-major.
    Linear(Buffer),
    /// The step has all there is.
    Other,
}

impl Campaign<'_> {
    /// Every stage arranged for the way back.
    pub(super) fn reversed(&self) -> Vec<Reverse> {
        let (executor, device) = (&self.executor, self.executor.device());
        let each = |(stage, step): (&Stage, &Step<Cpu>)| {
            let weights = || step.multiplied(self.weights, stage);
            match &step.work {
                Work::Convolution(geometry, _) => {
                    Reverse::Convolution(conv::PackedBackward::new(device.instruction_set(), geometry, &weights()))
                }
                Work::Linear(_) => Reverse::Linear(device.upload(&weights())),
                _ => Reverse::Other,
            }
        };
        executor.plan().stages.iter().zip(executor.steps()).map(each).collect()
    }
}

/// Gradients of the margins of a chunk's examples on their way back; rows are `[example][other class]`.
pub(super) struct Margins<'a, 'c> {
    campaign: &'a Campaign<'c>,
    device: &'a Cpu,
    chunk: &'a Chunk,
    reversed: &'a [Reverse],
    /// Of each value, as far as its readers have added theirs.
    values: Vec<Option<Buffer>>,
}

impl<'a, 'c> Margins<'a, 'c> {
    /// The gradients of the outputs.
    pub(super) fn new(campaign: &'a Campaign<'c>, device: &'a Cpu, chunk: &'a Chunk, reversed: &'a [Reverse]) -> Self {
        let network = campaign.weights.network();
        let (classes, shape) = (network.output_len(), network.output());
        let mut rows = vec![0.0; chunk.images.len() * (classes - 1) * classes];
        for (example, rows) in chunk.images.iter().zip(rows.chunks_exact_mut(((classes - 1) * classes).max(1))) {
            let predicted = campaign.predicted[*example as usize];
            for (row, other) in rows.chunks_exact_mut(classes).zip((0..classes).filter(|&j| j != predicted)) {
                row[inside(shape, predicted)] = 1.0;
                row[inside(shape, other)] = -1.0;
            }
        }
        let mut values: Vec<Option<Buffer>> = network.shapes().iter().map(|_| None).collect();
        values[campaign.output()] = Some(device.upload(&rows));
        Self { campaign, device, chunk, reversed, values }
    }

    fn others(&self) -> usize {
        self.campaign.weights.network().output_len() - 1
    }

    fn rows(&self) -> usize {
        self.chunk.images.len() * self.others()
    }

    /// The gradient of value `value`, `[example][channel][other class][place]`; `None` where it reaches no output. It is complete once
    /// all stages that read the value have been taken back.
    pub(super) fn of(&self, value: usize) -> Option<Vec<f32>> {
        let from = self.values[value].as_ref()?;
        let [count, channels] = places(&self.campaign.weights.network().shapes()[value]);
        let (others, len) = (self.others(), count * channels);
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

    /// Takes stage `index` back.
    pub(super) fn back(&mut self, index: usize) {
        let stage = &self.campaign.executor.plan().stages[index];
        let Some(mut g) = self.values[stage.last].take() else { return };
        self.gate(stage, index, &mut g);
        if let Some(value) = stage.residual {
            self.add(value, &g);
        }
        let network = self.campaign.weights.network();
        let (rows, step) = (self.rows(), &self.campaign.executor.steps()[index]);
        let input = stage.inputs[0];
        match (&self.reversed[index], &step.work) {
            (Reverse::Convolution(weights), Work::Convolution(geometry, _)) => {
                let (accumulate, mut dx) = self.target(input);
                let how = (self.device.instruction_set(), Threads::One);
                let dy = &g[..rows * geometry.output_len()];
                conv::backward_input(how, geometry, weights, dy, accumulate, &mut dx[..rows * geometry.input_len()]);
                self.values[input] = Some(dx);
            }
            (Reverse::Linear(weights), _) => {
                let ([count, inputs], [_, outputs]) =
                    (places(&network.shapes()[input]), places(&network.shapes()[stage.last]));
                let (accumulate, mut dx) = self.target(input);
                let size = [rows * count, outputs, inputs];
                let product = Product::one(size, Place::rows(outputs), Place::rows(inputs), Place::rows(inputs));
                self.device.product(&Product { accumulate, ..product }, &g, weights, &mut dx);
                self.values[input] = Some(dx);
            }
            (_, Work::Scale(scale)) => {
                let [_, channels] = places(&network.shapes()[input]);
                let len = rows * self.campaign.executor.len(input);
                for place in g[..len].chunks_exact_mut(channels) {
                    place.iter_mut().zip(scale.iter()).for_each(|(g, scale)| *g *= scale);
                }
                self.add(input, &g);
            }
            (_, Work::Plain(parameters)) => self.plain(stage, parameters, &g),
            _ => {}
        }
    }

    /// Where gradient of `value` goes, and whether something is there already.
    fn target(&mut self, value: usize) -> (bool, Buffer) {
        let sum = self.values[value].take();
        let accumulate = sum.is_some();
        let room = || self.device.buffer(self.rows() * self.campaign.executor.len(value));
        (accumulate, sum.unwrap_or_else(room))
    }

    fn add(&mut self, value: usize, g: &Buffer) {
        let len = self.rows() * self.campaign.executor.len(value);
        let (accumulate, mut sum) = self.target(value);
        if accumulate {
            self.device.accumulate(len, g, &mut sum);
        } else {
            sum[..len].copy_from_slice(&g[..len]);
        }
        self.values[value] = Some(sum);
    }

    /// From the gradient of what a stage gives to that of its sums: limits and functions that follow them.
    fn gate(&self, stage: &Stage, index: usize, g: &mut Buffer) {
        let (others, len) = (self.others(), self.campaign.executor.len(stage.last));
        let each = |factors: &[f32], g: &mut [f32]| {
            for (row, g) in g[..self.rows() * len].chunks_exact_mut(len).enumerate() {
                let factors = &factors[row / others * len..][..len];
                g.iter_mut().zip(factors).for_each(|(g, factor)| *g *= factor);
            }
        };
        let all = self.chunk.images.len() * len;
        if stage.clip != UNLIMITED {
            let (low, high) = stage.clip;
            let y = &self.chunk.value(stage.last)[..all];
            let factors: Vec<f32> = y.iter().map(|v| if *v > low && *v < high { 1.0 } else { 0.0 }).collect();
            each(&factors, g);
        }
        if let Some(f) = stage.then {
            let (executor, network) = (&self.campaign.executor, self.campaign.weights.network());
            let before = Stage { then: None, ..stage.clone() };
            let images = self.chunk.images.len();
            let z = executor.steps()[index].run(self.device, network, &before, images, &self.chunk.values);
            let factors: Vec<f32> = z[..all].iter().map(|z| f.derivative(*z)).collect();
            each(&factors, g);
        }
    }

    /// An operation without weights of its own kind: forward and backward as in training, each example once for every margin.
    fn plain(&mut self, stage: &Stage, parameters: &[Buffer], g: &Buffer) {
        let (network, device, rows) = (self.campaign.weights.network(), self.device, self.rows());
        let op: &Op = &network.nodes()[stage.head - 1].op;
        let inputs: Vec<&[usize]> =
            network.nodes()[stage.head - 1].inputs.iter().map(|&value| network.shapes()[value].as_slice()).collect();
        let repeated = |&value: &usize| {
            let len = self.campaign.executor.len(value);
            let x = self.chunk.value(value)[..self.chunk.images.len() * len].chunks_exact(len.max(1));
            device
                .upload(&x.flat_map(|x| std::iter::repeat_n(x, self.others())).flatten().copied().collect::<Vec<f32>>())
        };
        let x: Vec<Buffer> = stage.inputs.iter().map(repeated).collect();
        let x: Vec<&Buffer> = x.iter().collect();
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
        let mut targets: Vec<Option<Target<Cpu>>> = stage.inputs.iter().map(room).collect();
        let pass = Pass { x: &x, y: &y, kept: &kept, dy: g, sums: None };
        let mut own: Vec<Buffer> = parameters.iter().map(|p| device.buffer(p.len())).collect();
        op.backward(&cx, &pass, &mut Targets { inputs: &mut targets, parameters: &mut own });
        for (target, &value) in targets.into_iter().zip(&stage.inputs) {
            if let Some(Target { buffer, .. }) = target {
                self.add(value, &buffer);
            }
        }
    }
}
