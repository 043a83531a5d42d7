//! A network as an ONNX graph for inference, operation by operation (onnx.proto3, operator sets 17 and 20).

use super::wire::Message;
use super::writer::{Writer, float, int, ints, strings};
use crate::activation::Activation;
use crate::files::layout::permute;
use crate::graph::Node;
use crate::op::{
    AvgPool, BatchNorm, Beyond, Clamp, Conv2d, Linear, MaxPool, Nonlinearity, Normalise, Op, ScaleShift, Window,
};
use crate::tensor::Tensor;
use crate::weights::Weights;

/// The bytes of a model with the graph of `weights`.
pub(in crate::files) fn write(weights: &Weights) -> Vec<u8> {
    let network = weights.network();
    let mut writer = Writer::new(network);
    for (index, node) in network.nodes().iter().enumerate() {
        let inputs: Vec<String> = node.inputs.iter().map(|&input| writer.value(network, input)).collect();
        let shape = &network.shapes()[node.inputs[0]];
        let layer = Layer { node, inputs, shape, output: &network.shapes()[index + 1], tensors: weights.of(index + 1) };
        layer.write(&mut writer);
    }
    writer.finish(network)
}

/// A node with what it reads and owns.
pub(super) struct Layer<'a> {
    pub(super) node: &'a Node,
    pub(super) inputs: Vec<String>,
    /// The shape of its first input, for one example.
    pub(super) shape: &'a [usize],
    pub(super) output: &'a [usize],
    pub(super) tensors: &'a [Tensor],
}

impl Layer<'_> {
    fn write(&self, to: &mut Writer) {
        let x = self.inputs[0].as_str();
        match &self.node.op {
            Op::Linear(linear) => self.linear(to, linear),
            Op::Conv2d(convolution) => self.convolution(to, convolution),
            Op::BatchNorm(norm) => self.batch_norm(to, norm),
            Op::Activation(function) => self.activation(to, *function),
            Op::Clamp(clamp) => self.clamp(to, *clamp),
            Op::MaxPool(pool) => self.max_pool(to, pool),
            Op::AvgPool(pool) => self.average_pool(to, pool),
            Op::GlobalAvgPool if self.shape.len() == 3 => {
                let pixel = to.node("GlobalAveragePool", &[x], &self.part("pixel"), vec![]);
                self.node(to, "Flatten", &[&pixel], vec![]);
            }
            Op::GlobalAvgPool => self.mean_of_steps(to),
            Op::Flatten => self.node(to, "Flatten", &[x], vec![]),
            Op::Reshape(_) => {
                let extents = self.output.iter().map(|&extent| extent as i64);
                let shape = to.ints(&self.part("shape"), &[-1].into_iter().chain(extents).collect::<Vec<_>>());
                self.node(to, "Reshape", &[x, &shape], vec![]);
            }
            Op::Tokens => {
                let shape = to.ints(&self.part("shape"), &[0, self.shape[0] as i64, -1]);
                let rows = to.node("Reshape", &[x, &shape], &self.part("rows"), vec![]);
                self.node(to, "Transpose", &[&rows], vec![ints("perm", &[0, 2, 1])]);
            }
            Op::Add => self.node(to, "Sum", &self.all(), vec![]),
            Op::Concat => self.node(to, "Concat", &self.all(), vec![int("axis", 1)]),
            Op::ShortcutA(shortcut) => {
                let before = shortcut.channels_before(self.shape[0]);
                self.shortcut(to, shortcut.stride, before, shortcut.channels - self.shape[0] - before);
            }
            Op::Dropout(_) | Op::Crash(_) => self.node(to, "Identity", &[x], vec![]),
            Op::Normalise(normalise) => self.normalise(to, normalise),
            Op::ScaleShift(op) => self.scale_shift(to, op),
            Op::LayerNorm(norm) => {
                let [weight, bias] = [0, 1].map(|index| to.tensor(&self.tensors[index]));
                let eps = float("epsilon", norm.eps as f32);
                self.node(to, "LayerNormalization", &[x, &weight, &bias], vec![int("axis", -1), eps]);
            }
            Op::Attention(attention) => self.attention(to, attention.heads),
            Op::Rnn(rnn) => {
                let name = if rnn.nonlinearity == Nonlinearity::Tanh { "Tanh" } else { "Relu" };
                self.recurrent(to, "RNN", rnn.hidden, rnn.layers, &[0], vec![strings("activations", &[name])]);
            }
            // PyTorch's gates are i, f, g, o; those of ONNX are i, o, f, c, its c being g.
            Op::Lstm(lstm) => self.recurrent(to, "LSTM", lstm.hidden, lstm.layers, &[0, 3, 1, 2], vec![]),
            Op::Softmax => self.node(to, "Softmax", &[x], vec![int("axis", -1)]),
            Op::Select(select) => {
                let index = to.scalar_int(&self.part("step"), select.index(self.shape[0]) as i64);
                self.node(to, "Gather", &[x, &index], vec![int("axis", 1)]);
            }
            Op::Position => {
                let weight = to.tensor(&self.tensors[0]);
                self.node(to, "Add", &[x, &weight], vec![]);
            }
        }
    }

    /// The node that gives the layer's output.
    pub(super) fn node(&self, to: &mut Writer, op: &str, inputs: &[&str], attributes: Vec<Message>) {
        to.node(op, inputs, &self.node.name, attributes);
    }

    /// The name of something within the layer.
    pub(super) fn part(&self, name: &str) -> String {
        format!("{}/{name}", self.node.name)
    }

    fn all(&self) -> Vec<&str> {
        self.inputs.iter().map(String::as_str).collect()
    }

    fn linear(&self, to: &mut Writer, linear: &Linear) {
        let x = self.inputs[0].as_str();
        if self.shape.len() == 1 {
            let weights: Vec<String> = self.tensors.iter().map(|tensor| to.tensor(tensor)).collect();
            let inputs: Vec<&str> = [x].into_iter().chain(weights.iter().map(String::as_str)).collect();
            return self.node(to, "Gemm", &inputs, vec![int("transB", 1)]);
        }
        let product = if linear.bias { self.part("product") } else { self.node.name.clone() };
        multiply(to, x, &self.tensors[0], &product);
        if linear.bias {
            let bias = to.tensor(&self.tensors[1]);
            self.node(to, "Add", &[&product, &bias], vec![]);
        }
    }

    fn convolution(&self, to: &mut Writer, convolution: &Conv2d) {
        let weights: Vec<String> = self.tensors.iter().map(|tensor| to.tensor(tensor)).collect();
        let inputs: Vec<&str> =
            [self.inputs[0].as_str()].into_iter().chain(weights.iter().map(String::as_str)).collect();
        let mut attributes = window(&convolution.window());
        attributes.push(ints("dilations", &convolution.dilation));
        attributes.push(int("group", convolution.groups as i64));
        self.node(to, "Conv", &inputs, attributes);
    }

    fn batch_norm(&self, to: &mut Writer, norm: &BatchNorm) {
        let tensors: Vec<String> = self.tensors.iter().map(|tensor| to.tensor(tensor)).collect();
        let inputs: Vec<&str> =
            [self.inputs[0].as_str()].into_iter().chain(tensors.iter().map(String::as_str)).collect();
        let attributes = vec![float("epsilon", norm.eps as f32), float("momentum", (1.0 - norm.momentum) as f32)];
        self.node(to, "BatchNormalization", &inputs, attributes);
    }

    fn max_pool(&self, to: &mut Writer, pool: &MaxPool) {
        self.node(to, "MaxPool", &[&self.inputs[0]], window(&pool.window()));
    }

    fn average_pool(&self, to: &mut Writer, pool: &AvgPool) {
        let mut attributes = window(&pool.window());
        attributes.push(int("count_include_pad", i64::from(pool.count_include_pad)));
        self.node(to, "AveragePool", &[&self.inputs[0]], attributes);
    }

    /// The mean over the steps of a sequence, as a product: its operator takes axes differently from set to set.
    fn mean_of_steps(&self, to: &mut Writer) {
        let steps = self.shape[0];
        let row = to.floats(&self.part("row"), &[1, steps], &vec![1.0; steps]);
        let sum = to.node("MatMul", &[&row, &self.inputs[0]], &self.part("sum"), vec![]);
        let count = to.floats(&self.part("count"), &[], &[steps as f32]);
        let mean = to.node("Div", &[&sum, &count], &self.part("mean"), vec![]);
        self.node(to, "Flatten", &[&mean], vec![]);
    }

    /// Every `stride`-th row and column, then channels of zeros before and after.
    fn shortcut(&self, to: &mut Writer, stride: usize, before: usize, after: usize) {
        let stride = stride as i64;
        let [start, end, axes, step] =
            [("start", [0; 2]), ("end", [i64::MAX; 2]), ("axes", [2, 3]), ("step", [stride; 2])]
                .map(|(name, values)| to.ints(&self.part(name), &values));
        let inputs = [self.inputs[0].as_str(), &start, &end, &axes, &step];
        let kept = to.node("Slice", &inputs, &self.part("kept"), vec![]);
        let pads = to.ints(&self.part("pads"), &[0, before as i64, 0, 0, 0, after as i64, 0, 0]);
        self.node(to, "Pad", &[&kept, &pads], vec![]);
    }

    /// A constant that lies along the channels or features of the input.
    fn along_channels(&self, to: &mut Writer, name: &str, values: &[f32]) -> String {
        let image = self.shape.len() == 3 && values.len() > 1;
        let shape = if image { vec![values.len(), 1, 1] } else { vec![values.len()] };
        to.floats(name, &shape, values)
    }

    fn normalise(&self, to: &mut Writer, normalise: &Normalise) {
        let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
        let mean = self.along_channels(to, &self.part("mean"), &narrow(&normalise.mean));
        let std = self.along_channels(to, &self.part("std"), &narrow(&normalise.std));
        let centred = to.node("Sub", &[&self.inputs[0], &mean], &self.part("centred"), vec![]);
        self.node(to, "Div", &[&centred, &std], vec![]);
    }

    fn scale_shift(&self, to: &mut Writer, op: &ScaleShift) {
        let mut x = self.inputs[0].clone();
        if op.scale {
            let weight = self.along_channels(to, &self.tensors[0].name, &self.tensors[0].values);
            let output = if op.shift { self.part("scaled") } else { self.node.name.clone() };
            x = to.node("Mul", &[&x, &weight], &output, vec![]);
        }
        if let Some(bias) = self.tensors.last().filter(|_| op.shift) {
            let bias = self.along_channels(to, &bias.name, &bias.values);
            self.node(to, "Add", &[&x, &bias], vec![]);
        }
    }

    /// Limits that are the same for all values are a clipping, others the larger and the smaller of two. These pass NaN on,
    /// as the standard leaves open; a choice of zero does not.
    fn clamp(&self, to: &mut Writer, clamp: Clamp) {
        let x = self.inputs[0].as_str();
        let [low, high] = [0, 1].map(|which| {
            let tensor = &self.tensors[which];
            if clamp.per_channel || clamp.beyond == Beyond::Zero {
                self.along_channels(to, &tensor.name, &tensor.values)
            } else {
                to.floats(&tensor.name, &[], &tensor.values)
            }
        });
        match clamp.beyond {
            Beyond::Bound if clamp.per_channel => {
                let above = to.node("Max", &[x, &low], &self.part("above"), vec![]);
                self.node(to, "Min", &[&above, &high], vec![]);
            }
            Beyond::Bound => self.node(to, "Clip", &[x, &low, &high], vec![]),
            Beyond::Zero => {
                let above = to.node("GreaterOrEqual", &[x, &low], &self.part("above"), vec![]);
                let below = to.node("LessOrEqual", &[x, &high], &self.part("below"), vec![]);
                let inside = to.node("And", &[&above, &below], &self.part("inside"), vec![]);
                let zero = to.floats(&self.part("zero"), &[], &[0.0]);
                self.node(to, "Where", &[&inside, x, &zero], vec![]);
            }
        }
    }

    fn activation(&self, to: &mut Writer, function: Activation) {
        let x = self.inputs[0].as_str();
        let number = |to: &mut Writer, name: &str, value: f64| to.floats(&self.part(name), &[], &[value as f32]);
        match function {
            Activation::Identity => self.node(to, "Identity", &[x], vec![]),
            Activation::Relu { slope: 1.0 } => self.node(to, "Relu", &[x], vec![]),
            Activation::Relu { slope } => {
                let positive = to.node("Relu", &[x], &self.part("positive"), vec![]);
                let slope = number(to, "slope", slope);
                self.node(to, "Mul", &[&positive, &slope], vec![]);
            }
            Activation::LeakyRelu { slope } => self.node(to, "LeakyRelu", &[x], vec![float("alpha", slope as f32)]),
            Activation::Sigmoid { gain: 1.0 } => self.node(to, "Sigmoid", &[x], vec![]),
            Activation::Sigmoid { gain } => {
                let gain = number(to, "gain", gain);
                let steep = to.node("Mul", &[x, &gain], &self.part("steep"), vec![]);
                self.node(to, "Sigmoid", &[&steep], vec![]);
            }
            Activation::Tanh => self.node(to, "Tanh", &[x], vec![]),
            Activation::Softplus => self.node(to, "Softplus", &[x], vec![]),
            Activation::Elu { alpha } => self.node(to, "Elu", &[x], vec![float("alpha", alpha as f32)]),
            Activation::RectifiedPower { power } => {
                let positive = to.node("Relu", &[x], &self.part("positive"), vec![]);
                let power = number(to, "power", power);
                self.node(to, "Pow", &[&positive, &power], vec![]);
            }
            Activation::Gelu => {
                to.need_opset(20);
                self.node(to, "Gelu", &[x], vec![]);
            }
            Activation::Clip { low, high } => {
                let (low, high) = (number(to, "low", low), number(to, "high", high));
                self.node(to, "Clip", &[x, &low, &high], vec![]);
            }
        }
    }
}

/// `x` times the transposed `weight`, step by step of a sequence.
pub(super) fn multiply(to: &mut Writer, x: &str, weight: &Tensor, output: &str) {
    let (rows, columns) = (weight.shape[0], weight.shape[1]);
    let values = permute(&weight.shape, &weight.values, &[1, 0]);
    let transposed = to.floats(&format!("{}.transposed", weight.name), &[columns, rows], &values);
    to.node("MatMul", &[x, &transposed], output, vec![]);
}

fn window(window: &Window) -> Vec<Message> {
    vec![ints("kernel_shape", &window.kernel), ints("strides", &window.stride), ints("pads", &window.padding)]
}
