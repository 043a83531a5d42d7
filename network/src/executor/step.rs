//! One stage with its weights arranged.

use super::plan::Stage;
use crate::device::{Convolution, Device, Fused};
use crate::graph::Network;
use crate::op::arithmetic::{Context, Forward, Kept, places};
use crate::op::{Op, ScaleShift};
use crate::tensor::Tensor;
use crate::weights::Weights;

/// A stage ready to run.
#[derive(Debug)]
pub(super) struct Step<D: Device> {
    work: Work<D>,
    bias: Option<D::Buffer>,
}

#[derive(Debug)]
enum Work<D: Device> {
    Linear(D::Linear),
    Convolution(Convolution, D::Kernel),
    /// A factor for each channel; the offset is the bias.
    Scale(D::Buffer),
    /// An operation with its parameters as they are.
    Plain(Vec<D::Buffer>),
}

/// A factor and an offset for each output.
struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    fn identity(outputs: usize, bias: Option<&Tensor>) -> Self {
        let shift = bias.map_or_else(|| vec![0.0; outputs], |b| b.values.iter().map(|v| f64::from(*v)).collect());
        Self { scale: vec![1.0; outputs], shift }
    }

    /// Followed by the normalisation or scaling `op`.
    fn then(mut self, op: &Op, tensors: &[Tensor]) -> Self {
        let value = |t: usize, j: usize| f64::from(tensors[t].values[j]);
        for (j, (scale, shift)) in self.scale.iter_mut().zip(&mut self.shift).enumerate() {
            let (factor, offset) = match op {
                Op::BatchNorm(norm) => {
                    let factor = value(0, j) / (value(3, j) + norm.eps).sqrt();
                    (factor, value(1, j) - value(2, j) * factor)
                }
                Op::ScaleShift(ScaleShift { scale, shift }) => {
                    (if *scale { value(0, j) } else { 1.0 }, if *shift { value(usize::from(*scale), j) } else { 0.0 })
                }
                _ => (1.0, 0.0),
            };
            *shift = *shift * factor + offset;
            *scale *= factor;
        }
        self
    }
}

impl<D: Device> Step<D> {
    /// Arranges the weights of a stage.
    pub(super) fn new(device: &D, weights: &Weights, stage: &Stage) -> Self {
        let (network, tensors) = (weights.network(), weights.of(stage.head));
        let node = &network.nodes()[stage.head - 1];
        let input = &network.shapes()[node.inputs[0]];
        let [_, outputs] = places(&network.shapes()[stage.head]);
        let plain = || tensors.iter().map(|t| device.upload(&t.values)).collect();
        let mut affine = match &node.op {
            Op::Linear(_) | Op::Conv2d(_) => Affine::identity(outputs, tensors.get(1)),
            op @ (Op::BatchNorm(_) | Op::ScaleShift(_)) => Affine::identity(outputs, None).then(op, tensors),
            _ => return Self { work: Work::Plain(plain()), bias: None },
        };
        for &folded in &stage.folded {
            affine = affine.then(&network.nodes()[folded - 1].op, weights.of(folded));
        }
        let Affine { scale, shift } = affine;
        let bias = shift.iter().any(|s| *s != 0.0).then(|| upload(device, &shift));
        let scaled = || {
            let mut values = tensors[0].values.clone();
            if !stage.folded.is_empty() {
                for (row, scale) in values.chunks_exact_mut(tensors[0].values.len() / outputs).zip(&scale) {
                    for w in row {
                        *w = (f64::from(*w) * scale) as f32;
                    }
                }
            }
            device.upload(&values)
        };
        let work = match &node.op {
            Op::Linear(_) => Work::Linear(device.pack_linear(outputs, places(input)[1], &scaled())),
            Op::Conv2d(op) => {
                let conv = op.geometry(input);
                let kernel = device.pack_kernel(&conv, &scaled());
                Work::Convolution(conv, kernel)
            }
            _ => Work::Scale(upload(device, &scale)),
        };
        Self { work, bias }
    }

    /// What the stage gives for `images` images.
    pub(super) fn run(
        &self,
        device: &D,
        network: &Network,
        stage: &Stage,
        images: usize,
        values: &[Option<D::Buffer>],
    ) -> D::Buffer {
        let value = |v: usize| values[v].as_ref().expect("steps come in the order of what they read");
        let node = &network.nodes()[stage.head - 1];
        let output = &network.shapes()[stage.head];
        let len = images * output.iter().product::<usize>();
        let [places, channels] = places(output);
        let x = value(stage.inputs[0]);
        let fused = Fused { bias: self.bias.as_ref(), residual: stage.residual.map(value), clip: stage.clip };
        let mut y = device.buffer(len);
        match &self.work {
            Work::Linear(weight) => device.linear(images * places, weight, x, fused, &mut y),
            Work::Convolution(conv, kernel) => device.convolution(images, conv, kernel, x, fused, &mut y),
            Work::Scale(scale) => device.scale_shift([images * places, channels], scale, x, fused, &mut y),
            Work::Plain(parameters) => {
                let shapes: Vec<&[usize]> = node.inputs.iter().map(|&v| network.shapes()[v].as_slice()).collect();
                let inputs: Vec<&D::Buffer> = stage.inputs.iter().map(|&v| value(v)).collect();
                let (node_number, random) = (stage.head, None);
                let cx = Context {
                    device,
                    images,
                    node: node_number,
                    inputs: &shapes,
                    output,
                    parameters,
                    random,
                    batch: None,
                    wants_statistics: false,
                };
                return node.op.forward(&cx, &inputs, &mut Kept::default());
            }
        }
        if let Some(f) = stage.then {
            device.activation_in_place(f, len, &mut y);
        }
        y
    }
}

fn upload<D: Device>(device: &D, values: &[f64]) -> D::Buffer {
    device.upload(&values.iter().map(|v| *v as f32).collect::<Vec<_>>())
}
