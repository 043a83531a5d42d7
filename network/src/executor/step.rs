//! One stage with its weights arranged.

use super::plan::Stage;
use crate::device::{Convolution, Device, Fused};
use crate::graph::Network;
use crate::kernel::tf32;
use crate::op::arithmetic::{Context, Forward, Kept, places};
use crate::op::{Op, ScaleShift};
use crate::tensor::Tensor;
use crate::weights::Weights;

/// A stage ready to run.
#[derive(Debug)]
pub(crate) struct Step<D: Device> {
    pub work: Work<D>,
    pub bias: Option<D::Buffer>,
    /// Whether factors are rounded to TF32.
    pub tf32: bool,
}

#[derive(Debug)]
pub(crate) enum Work<D: Device> {
    Linear(D::Linear),
    Convolution(Convolution, D::Kernel),
    /// A factor for each channel; the offset is the bias.
    Scale(D::Buffer),
    /// An operation with its parameters as they are.
    Plain(Vec<D::Buffer>),
}

/// A factor and an offset for each output.
pub(crate) struct Affine {
    pub scale: Vec<f64>,
    pub shift: Vec<f64>,
}

/// Makes the stored weights of one output those that the stage multiplies with.
pub(crate) fn arrange(row: &mut [f32], scale: f64, stage: &Stage, tf32: bool) {
    if tf32 {
        tf32::round_all(row);
    }
    if !stage.folded.is_empty() {
        for w in row {
            *w = (f64::from(*w) * scale) as f32;
        }
    }
}

/// All stored weights as the stage multiplies with them; `scale` holds a factor for each output.
fn multiplied(tensors: &[Tensor], scale: &[f64], stage: &Stage, tf32: bool) -> Vec<f32> {
    let mut values = tensors[0].values.clone();
    let row = values.len() / scale.len();
    for (row, scale) in values.chunks_exact_mut(row).zip(scale) {
        arrange(row, *scale, stage, tf32);
    }
    values
}

impl Affine {
    fn identity(outputs: usize, bias: Option<&Tensor>) -> Self {
        let shift = bias.map_or_else(|| vec![0.0; outputs], |b| b.values.iter().map(|v| f64::from(*v)).collect());
        Self { scale: vec![1.0; outputs], shift }
    }

    /// What stage `stage` does after its sums, or to its input where it is a normalisation; `None` for other operations.
    pub(crate) fn of(weights: &Weights, stage: &Stage) -> Option<Self> {
        let (network, tensors) = (weights.network(), weights.of(stage.head));
        let [_, outputs] = places(&network.shapes()[stage.head]);
        let start = match &network.nodes()[stage.head - 1].op {
            Op::Linear(_) | Op::Conv2d(_) => Self::identity(outputs, tensors.get(1)),
            op @ (Op::BatchNorm(_) | Op::ScaleShift(_)) => Self::identity(outputs, None).then(op, tensors),
            _ => return None,
        };
        let folded = stage.folded.iter();
        Some(folded.fold(start, |affine, &n| affine.then(&network.nodes()[n - 1].op, weights.of(n))))
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
    pub(crate) fn new(device: &D, weights: &Weights, stage: &Stage, tf32: bool) -> Self {
        let (network, tensors) = (weights.network(), weights.of(stage.head));
        let node = &network.nodes()[stage.head - 1];
        let input = &network.shapes()[node.inputs[0]];
        let [_, outputs] = places(&network.shapes()[stage.head]);
        let Some(Affine { scale, shift }) = Affine::of(weights, stage) else {
            let plain = tensors.iter().map(|t| device.upload(&t.values)).collect();
            return Self { work: Work::Plain(plain), bias: None, tf32: false };
        };
        let bias = shift.iter().any(|s| *s != 0.0).then(|| upload(device, &shift));
        let scaled = || device.upload(&multiplied(tensors, &scale, stage, tf32));
        let work = match &node.op {
            Op::Linear(_) => Work::Linear(device.pack_linear(outputs, places(input)[1], &scaled())),
            Op::Conv2d(op) => {
                let conv = op.geometry(input);
                let kernel = device.pack_kernel(&conv, &scaled());
                Work::Convolution(conv, kernel)
            }
            _ => return Self { work: Work::Scale(upload(device, &scale)), bias, tf32: false },
        };
        Self { work, bias, tf32 }
    }

    /// The weights that the stage multiplies with, which a convolution or a linear layer heads, as it has them itself.
    pub(crate) fn multiplied(&self, weights: &Weights, stage: &Stage) -> Vec<f32> {
        let affine = Affine::of(weights, stage).expect("layers with weights have channels");
        multiplied(weights.of(stage.head), &affine.scale, stage, self.tf32)
    }

    /// The first input as the stage's products take it, where that is not as it is.
    pub(crate) fn rounded(&self, device: &D, len: usize, x: &D::Buffer) -> Option<D::Buffer> {
        self.tf32.then(|| {
            let mut values = device.download(x, len);
            tf32::round_all(&mut values);
            device.upload(&values)
        })
    }

    /// What the stage gives for `images` images.
    pub(crate) fn run(
        &self,
        device: &D,
        network: &Network,
        stage: &Stage,
        images: usize,
        values: &[Option<D::Buffer>],
    ) -> D::Buffer {
        let value = |v: usize| values[v].as_ref().expect("steps come in the order of what they read");
        self.run_on(device, network, stage, images, value)
    }

    /// [`Step::run`] with values that are where `value` says.
    pub(crate) fn run_on<'v>(
        &self,
        device: &D,
        network: &Network,
        stage: &Stage,
        images: usize,
        value: impl Fn(usize) -> &'v D::Buffer,
    ) -> D::Buffer
    where
        D: 'v,
    {
        let node = &network.nodes()[stage.head - 1];
        let output = &network.shapes()[stage.head];
        let len = images * output.iter().product::<usize>();
        let [places, channels] = places(output);
        let x = value(stage.inputs[0]);
        let rounded = self.rounded(device, images * network.shapes()[stage.inputs[0]].iter().product::<usize>(), x);
        let x = rounded.as_ref().unwrap_or(x);
        let fused = Fused { bias: self.bias.as_ref(), residual: stage.residual.map(&value), clip: stage.clip };
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
