//! Inference by the definitions, in double precision: slow, short, and sharing no code with what it checks.

use duress_network::Activation;
use duress_network::op::Op;
use duress_network::weights::Weights;

/// The network's output for one example.
pub fn outputs(weights: &Weights, image: &[f32]) -> Vec<f64> {
    let network = weights.network();
    let mut values: Vec<Vec<f64>> = vec![image.iter().map(|&x| f64::from(x)).collect()];
    for (index, node) in network.nodes().iter().enumerate() {
        let parameters: Vec<Vec<f64>> =
            weights.of(index + 1).iter().map(|t| t.values.iter().map(|&x| f64::from(x)).collect()).collect();
        let inputs: Vec<&[f64]> = node.inputs.iter().map(|&input| values[input].as_slice()).collect();
        let shape = &network.shapes()[node.inputs[0]];
        let output = &network.shapes()[index + 1];
        values.push(apply(&node.op, &inputs, shape, output, &parameters));
    }
    values.pop().unwrap()
}

fn apply(op: &Op, inputs: &[&[f64]], shape: &[usize], output: &[usize], parameters: &[Vec<f64>]) -> Vec<f64> {
    let x = inputs[0];
    let channel_len = if shape.len() == 3 { shape[1] * shape[2] } else { 1 };
    match op {
        Op::Linear(linear) => (0..linear.outputs)
            .map(|o| {
                let row = &parameters[0][o * x.len()..(o + 1) * x.len()];
                let bias = if linear.bias { parameters[1][o] } else { 0.0 };
                row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias
            })
            .collect(),
        Op::Conv2d(conv) => {
            let (out_group, in_group) = (conv.outputs / conv.groups, shape[0] / conv.groups);
            windows(output, |o, at, visit| {
                let mut sum = if conv.bias { parameters[1][o] } else { 0.0 };
                for c in 0..in_group {
                    let channel = o / out_group * in_group + c;
                    let kernel = (o * in_group + c) * conv.kernel[0] * conv.kernel[1];
                    visit(conv.kernel, conv.stride, conv.dilation, conv.padding, at, shape, &mut |place, pixel| {
                        sum += parameters[0][kernel + place] * pixel.map_or(0.0, |p| x[channel * channel_len + p]);
                    });
                }
                sum
            })
        }
        Op::MaxPool(pool) => windows(output, |o, at, visit| {
            let mut best = f64::NEG_INFINITY;
            visit(pool.kernel, pool.stride, [1; 2], pool.padding, at, shape, &mut |_, pixel| {
                best = best.max(pixel.map_or(f64::NEG_INFINITY, |p| x[o * channel_len + p]));
            });
            best
        }),
        Op::AvgPool(pool) => windows(output, |o, at, visit| {
            let (mut sum, mut count) = (0.0, 0.0);
            visit(pool.kernel, pool.stride, [1; 2], pool.padding, at, shape, &mut |_, pixel| {
                sum += pixel.map_or(0.0, |p| x[o * channel_len + p]);
                count += f64::from(u8::from(pixel.is_some() || pool.count_include_pad));
            });
            sum / count
        }),
        Op::BatchNorm(norm) => per_channel(x, channel_len, |c, x| {
            (x - parameters[2][c]) / (parameters[3][c] + norm.eps).sqrt() * parameters[0][c] + parameters[1][c]
        }),
        Op::ScaleShift(op) => per_channel(x, channel_len, |c, x| {
            let scaled = if op.scale { x * parameters[0][c] } else { x };
            if op.shift { scaled + parameters[usize::from(op.scale)][c] } else { scaled }
        }),
        Op::Normalise(op) => per_channel(x, channel_len, |c, x| {
            let pick = |values: &[f64]| values[if values.len() == 1 { 0 } else { c }];
            (x - pick(&op.mean)) / pick(&op.std)
        }),
        Op::Activation(function) => x.iter().map(|&x| activation(*function, x)).collect(),
        Op::GlobalAvgPool => x.chunks(channel_len).map(|c| c.iter().sum::<f64>() / c.len() as f64).collect(),
        Op::Flatten | Op::Reshape(_) | Op::Dropout(_) => x.to_vec(),
        Op::Add => (0..x.len()).map(|i| inputs.iter().map(|input| input[i]).sum()).collect(),
        Op::Concat => inputs.concat(),
        Op::Position => x.iter().zip(&parameters[0]).map(|(x, w)| x + w).collect(),
        Op::ShortcutA(op) => {
            let before = op.channels_before(shape[0]);
            windows(output, |o, [row, column], _| match o.checked_sub(before).filter(|&c| c < shape[0]) {
                Some(c) => x[c * channel_len + row * op.stride * shape[2] + column * op.stride],
                None => 0.0,
            })
        }
        Op::Softmax => {
            let exponentials: Vec<f64> = x.iter().map(|x| x.exp()).collect();
            let sum: f64 = exponentials.iter().sum();
            exponentials.iter().map(|e| e / sum).collect()
        }
        other => panic!("no definition of {}", other.name()),
    }
}

type Visit<'a> = &'a dyn Fn(
    [usize; 2],
    [usize; 2],
    [usize; 2],
    [usize; 4],
    [usize; 2],
    &[usize],
    &mut dyn FnMut(usize, Option<usize>),
);

/// `value(channel, [row, column], visit)` of every place of `output`.
fn windows(output: &[usize], value: impl Fn(usize, [usize; 2], Visit<'_>) -> f64) -> Vec<f64> {
    let mut all = Vec::new();
    for o in 0..output[0] {
        for row in 0..output[1] {
            for column in 0..output[2] {
                all.push(value(o, [row, column], &visit));
            }
        }
    }
    all
}

/// Each place of a window with the pixel under it, `None` in the padding.
fn visit(
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 4],
    [row, column]: [usize; 2],
    shape: &[usize],
    see: &mut dyn FnMut(usize, Option<usize>),
) {
    for i in 0..kernel[0] {
        for j in 0..kernel[1] {
            let y = (row * stride[0] + i * dilation[0]).checked_sub(padding[0]).filter(|&y| y < shape[1]);
            let x = (column * stride[1] + j * dilation[1]).checked_sub(padding[1]).filter(|&x| x < shape[2]);
            see(i * kernel[1] + j, y.zip(x).map(|(y, x)| y * shape[2] + x));
        }
    }
}

fn per_channel(x: &[f64], channel_len: usize, f: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    x.iter().enumerate().map(|(i, &x)| f(i / channel_len, x)).collect()
}

fn activation(function: Activation, x: f64) -> f64 {
    match function {
        Activation::Relu { slope } => (slope * x).max(0.0),
        Activation::LeakyRelu { slope } => {
            if x < 0.0 {
                slope * x
            } else {
                x
            }
        }
        Activation::Elu { alpha } => {
            if x < 0.0 {
                alpha * (x.exp() - 1.0)
            } else {
                x
            }
        }
        Activation::Sigmoid { gain } => 1.0 / (1.0 + (-gain * x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::Softplus => (1.0 + x.exp()).ln(),
        Activation::RectifiedPower { power } => x.max(0.0).powf(power),
        Activation::Clip { low, high } => x.clamp(low, high),
        other => panic!("no definition of {other:?}"),
    }
}
