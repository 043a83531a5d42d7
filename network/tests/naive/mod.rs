//! Inference by the definitions, in double precision: slow, short, and sharing no code with what it checks.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use duress_network::Activation;
use duress_network::op::{Beyond, Nonlinearity, Op, Step};
use duress_network::weights::Weights;

/// The network's output for one example.
pub(crate) fn outputs(weights: &Weights, image: &[f32]) -> Vec<f64> {
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
        Op::Linear(linear) => {
            let bias = linear.bias.then(|| parameters[1].as_slice());
            x.chunks(shape[shape.len() - 1]).flat_map(|x| affine(&parameters[0], bias, x)).collect()
        }
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
        Op::BatchNorm(norm) => per_channel(x, shape, |c, x| {
            (x - parameters[2][c]) / (parameters[3][c] + norm.eps).sqrt() * parameters[0][c] + parameters[1][c]
        }),
        Op::ScaleShift(op) => per_channel(x, shape, |c, x| {
            let scaled = if op.scale { x * parameters[0][c] } else { x };
            if op.shift { scaled + parameters[usize::from(op.scale)][c] } else { scaled }
        }),
        Op::Normalise(op) => per_channel(x, shape, |c, x| {
            let pick = |values: &[f64]| values[if values.len() == 1 { 0 } else { c }];
            (x - pick(&op.mean)) / pick(&op.std)
        }),
        Op::Clamp(clamp) => per_channel(x, shape, |c, x| {
            let [low, high] = [0, 1].map(|which| parameters[which][if clamp.per_channel { c } else { 0 }]);
            match clamp.beyond {
                Beyond::Zero if x < low || x > high => 0.0,
                Beyond::Zero => x,
                Beyond::Bound => x.clamp(low, high),
            }
        }),
        Op::Activation(function) => x.iter().map(|&x| activation(*function, x)).collect(),
        Op::GlobalAvgPool if shape.len() == 3 => {
            x.chunks(channel_len).map(|c| c.iter().sum::<f64>() / c.len() as f64).collect()
        }
        Op::GlobalAvgPool => {
            let mean = |feature| x.iter().skip(feature).step_by(shape[1]).sum::<f64>() / shape[0] as f64;
            (0..shape[1]).map(mean).collect()
        }
        Op::Flatten | Op::Reshape(_) | Op::Dropout(_) | Op::Crash(_) => x.to_vec(),
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
        Op::Softmax => x.chunks(shape[shape.len() - 1]).flat_map(softmax).collect(),
        Op::Tokens => (0..channel_len).flat_map(|p| (0..shape[0]).map(move |c| x[c * channel_len + p])).collect(),
        Op::Select(select) => match select.step {
            Step::First => x[..shape[1]].to_vec(),
            Step::Last => x[x.len() - shape[1]..].to_vec(),
        },
        Op::LayerNorm(norm) => {
            x.chunks(shape[shape.len() - 1]).flat_map(|x| layer_norm(x, norm.eps, parameters)).collect()
        }
        Op::Rnn(rnn) => recurrent(x, shape[1], parameters, (rnn.hidden, rnn.layers), |sums, _| {
            let f = |x: &f64| if rnn.nonlinearity == Nonlinearity::Tanh { x.tanh() } else { x.max(0.0) };
            sums.iter().map(f).collect()
        }),
        Op::Lstm(lstm) => recurrent(x, shape[1], parameters, (lstm.hidden, lstm.layers), |sums, cell| {
            let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
            let gate = |which: usize, at: usize| sums[which * lstm.hidden + at];
            (0..lstm.hidden)
                .map(|at| {
                    cell[at] = sigmoid(gate(1, at)) * cell[at] + sigmoid(gate(0, at)) * gate(2, at).tanh();
                    sigmoid(gate(3, at)) * cell[at].tanh()
                })
                .collect()
        }),
        Op::Attention(op) => attention(x, shape[1], op.heads, parameters),
    }
}

fn layer_norm(x: &[f64], eps: f64, parameters: &[Vec<f64>]) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let var = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let place = x.iter().zip(&parameters[0]).zip(&parameters[1]);
    place.map(|((x, w), b)| (x - mean) / (var + eps).sqrt() * w + b).collect()
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

fn per_channel(x: &[f64], shape: &[usize], f: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    let channel = |i: usize| if shape.len() == 3 { i / (shape[1] * shape[2]) } else { i % shape[shape.len() - 1] };
    x.iter().enumerate().map(|(i, &x)| f(channel(i), x)).collect()
}

/// `W x + b`.
fn affine(weight: &[f64], bias: Option<&[f64]>, x: &[f64]) -> Vec<f64> {
    let products = weight.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>());
    products.enumerate().map(|(o, product)| product + bias.map_or(0.0, |bias| bias[o])).collect()
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let exponentials: Vec<f64> = x.iter().map(|x| x.exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|e| e / sum).collect()
}

/// Recurrent layers: `step` makes the next state of the sums of each gate, keeping what it needs besides.
fn recurrent(
    x: &[f64],
    features: usize,
    parameters: &[Vec<f64>],
    (hidden, layers): (usize, usize),
    step: impl Fn(&[f64], &mut Vec<f64>) -> Vec<f64>,
) -> Vec<f64> {
    let (mut x, mut features) = (x.to_vec(), features);
    for parameters in parameters.chunks(parameters.len() / layers) {
        let (mut state, mut cell) = (vec![0.0; hidden], vec![0.0; hidden]);
        let mut states = Vec::new();
        for x in x.chunks(features) {
            let of_input = affine(&parameters[0], parameters.get(2).map(Vec::as_slice), x);
            let of_state = affine(&parameters[1], parameters.get(3).map(Vec::as_slice), &state);
            let sums: Vec<f64> = of_input.iter().zip(of_state).map(|(a, b)| a + b).collect();
            state = step(&sums, &mut cell);
            states.extend(&state);
        }
        (x, features) = (states, hidden);
    }
    x
}

fn attention(x: &[f64], features: usize, heads: usize, parameters: &[Vec<f64>]) -> Vec<f64> {
    let width = features / heads;
    let rows: Vec<Vec<f64>> = x.chunks(features).map(|x| affine(&parameters[0], Some(&parameters[1]), x)).collect();
    let part = |row: usize, which: usize, head: usize| &rows[row][which * features + head * width..][..width];
    let mut mixed = Vec::new();
    for row in 0..rows.len() {
        let mut seen = vec![0.0; features];
        for head in 0..heads {
            let scores: Vec<f64> = (0..rows.len())
                .map(|other| part(row, 0, head).iter().zip(part(other, 1, head)).map(|(q, k)| q * k).sum::<f64>())
                .map(|product| product / (width as f64).sqrt())
                .collect();
            for (other, share) in softmax(&scores).into_iter().enumerate() {
                for (at, v) in part(other, 2, head).iter().enumerate() {
                    seen[head * width + at] += share * v;
                }
            }
        }
        mixed.extend(affine(&parameters[2], Some(&parameters[3]), &seen));
    }
    mixed
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
        Activation::Identity => x,
        Activation::Gelu => x * 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2),
    }
}
