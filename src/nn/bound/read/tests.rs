//! Convolutional networks against the same networks unrolled to dense matrices, against crashes carried out, and refusals.

use duress_network::chosen::Processor;
use duress_network::op::{
    AvgPool, Beyond, Clamp, Linear, MaxPool, Nonlinearity, Normalise, Reshape, Rnn, ScaleShift, Select, ShortcutA, Step,
};
use duress_network::{Init, Node, Scheme, Stream};

use super::super::{CrashForm, DenseLayer, Norm, Spread, crash_bounds, norm_sums};
use super::*;
use crate::nn::Examples;
use crate::nn::fault::{CrashCampaign, SequenceExecutor, crash_rows};
use crate::nn::statistics::Moments;

/// A network of operations named by their kind and number.
fn network(input: &[usize], ops: Vec<Op>) -> Network {
    let node = |(index, op): (usize, Op)| Node { name: format!("{}{index}", op.name()), op, inputs: vec![index] };
    Network::new(input.to_vec(), ops.into_iter().enumerate().map(node).collect()).expect("fits")
}

fn linear(outputs: usize) -> Op {
    Op::Linear(Linear { outputs, bias: true })
}

/// Every operation that bounds follow, on images of 2 x 7 x 6: strides, groups, paddings of every kind.
fn convolutional(activation: Activation) -> Weights {
    let act = || Op::Activation(activation);
    let uneven = Conv2d { padding: [1, 0, 2, 1], stride: [1, 2], ..Conv2d::new(6, 3).groups(2).bias(true) };
    let ops = vec![
        Op::Normalise(Normalise { mean: vec![0.4, 0.5], std: vec![0.3, 0.2] }),
        Op::Conv2d(Conv2d::new(4, 3).padding(1)),
        Op::BatchNorm(BatchNorm::default()),
        act(),
        Op::AvgPool(AvgPool { count_include_pad: false, ..AvgPool::new(2).padding(1) }),
        Op::Conv2d(uneven),
        Op::ScaleShift(ScaleShift { scale: true, shift: true }),
        act(),
        Op::AvgPool(AvgPool::new(2)),
        Op::Flatten,
        linear(5),
        act(),
        linear(3),
    ];
    let network = network(&[2, 7, 6], ops);
    let scheme = Scheme::new(Init::GlorotNormal, Init::Normal { std: 0.2 });
    let mut weights = network.initialize(&scheme, 5);
    let mut draw = Stream::new(1, "statistics", &[]);
    for name in ["batch-norm2.running_mean", "batch-norm2.weight", "batch-norm2.bias", "scale-shift6.weight"] {
        draw.fill_uniform(weights.get_mut(name).expect("a parameter"), -0.8, 1.2);
    }
    draw.fill_uniform(weights.get_mut("batch-norm2.running_var").expect("a parameter"), 0.3, 2.0);
    weights
}

fn images(count: usize) -> Vec<f32> {
    let mut x = vec![0.0; count * 84];
    Stream::new(2, "images", &[]).fill_uniform(&mut x, 0.0, 1.0);
    x
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| f64::from(*v)).collect()
}

/// The matrix and the offset of one operation, found by the operation's own definition: it is given unit vectors.
fn unrolled(weights: &Weights, index: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let network = weights.network();
    let (node, shape) = (&network.nodes()[index], &network.shapes()[index]);
    let parameters: Vec<Vec<f64>> = weights.of(index + 1).iter().map(|tensor| wide(&tensor.values)).collect();
    let parameters: Vec<&[f64]> = parameters.iter().map(Vec::as_slice).collect();
    let run = |x: &[f64]| {
        let given = duress_network::op::Given {
            images: 1,
            node: index + 1,
            shapes: &[shape],
            x: &[x],
            parameters: &parameters,
            random: None,
        };
        duress_network::op::Reference::reference(&node.op, &given)
    };
    let inputs: usize = shape.iter().product();
    let offset = run(&vec![0.0; inputs]);
    let mut rows = vec![vec![0.0; inputs]; offset.len()];
    for i in 0..inputs {
        let mut unit = vec![0.0; inputs];
        unit[i] = 1.0;
        for (row, (y, zero)) in rows.iter_mut().zip(run(&unit).iter().zip(&offset)) {
            row[i] = y - zero;
        }
    }
    (rows, offset)
}

fn matrix(rows: &[Vec<f64>]) -> Matrix {
    Matrix::new(rows.len(), rows[0].len(), rows.concat()).expect("a matrix")
}

/// The layers of `weights` with every linear operation as a dense matrix; those before an activation in turn, with layers of
/// the identity between.
fn dense(weights: &Weights) -> (Chain, Vec<usize>) {
    let mut layers: Vec<DenseLayer> = Vec::new();
    let mut ends = vec![0];
    for layer in check_chain(weights.network()).expect("a chain").layers() {
        for index in layer.nodes.clone() {
            match &weights.network().nodes()[index].op {
                Op::Activation(activation) => layers.last_mut().expect("something linear").activation = *activation,
                Op::Flatten => {}
                _ => {
                    let (rows, bias) = unrolled(weights, index);
                    layers.push(DenseLayer { weight: matrix(&rows), bias, activation: Activation::Identity });
                }
            }
        }
        ends.push(layers.len());
    }
    (Chain::dense(layers).expect("fits"), ends)
}

#[track_caller]
fn close(got: f64, want: f64, what: &str) {
    assert!((got - want).abs() <= 1e-9 * want.abs().max(1e-6), "{what}: {got} and not {want}");
}

#[test]
fn a_convolutional_network_has_the_bounds_of_the_same_network_unrolled() {
    for activation in [Activation::Tanh, Activation::relu(), Activation::Sigmoid { gain: 4.0 }] {
        let weights = convolutional(activation);
        let chain = read_chain(&weights).expect("a chain");
        let (dense, ends) = dense(&weights);
        let x = wide(&images(3));
        for rates in [[0.0, 0.05, 0.0, 0.0, 0.0], [0.02, 0.1, 0.2, 0.1, 0.0], [0.0, 0.0, 0.3, 0.0, 0.5]] {
            let mut spread = vec![0.0; dense.depth() + 1];
            ends.iter().zip(rates).for_each(|(end, rate)| spread[*end] = rate);
            let got = crash_bounds(&chain, &x, &rates, CrashForm::default()).expect("valid");
            let want = crash_bounds(&dense, &x, &spread, CrashForm::default()).expect("valid");
            for (got, want) in got.iter().zip(&want) {
                for (bounds, oracle, name) in
                    [(&got.b2, &want.b2, "b2"), (&got.b3, &want.b3, "b3"), (&got.b4, &want.b4, "b4")]
                {
                    for (Spread { mean, std }, oracle) in bounds.iter().zip(oracle) {
                        close(*mean, oracle.mean, name);
                        close(*std, oracle.std, name);
                    }
                }
                got.b1.iter().zip(&want.b1).for_each(|(b1, oracle)| close(*b1, *oracle, "b1"));
                got.output.iter().zip(&want.output).for_each(|(y, oracle)| close(*y, *oracle, "output"));
            }
        }
        let (got, want) = (norm_sums(&chain), norm_sums(&dense));
        close(got.frobenius, want.frobenius, "Frobenius");
        close(got.two, want.two, "spectral");
    }
}

#[test]
fn a_mean_over_all_places_at_the_end_is_a_layer_of_its_own() {
    let ops = vec![Op::Conv2d(Conv2d::new(3, 3)), Op::Activation(Activation::Tanh), Op::GlobalAvgPool];
    let weights = network(&[2, 7, 6], ops).initialize(&Scheme::new(Init::GlorotNormal, Init::Zeros), 1);
    let chain = read_chain(&weights).expect("a chain");
    let x = wide(&images(1));
    let row = &crash_bounds(&chain, &x, &[0.0, 0.1, 0.0], CrashForm::default()).expect("valid")[0];
    // The means of 20 places each: what is linear in the crashes is known by hand.
    let h = &chain.trace(&x).h[1];
    for (k, b4) in row.b4.iter().enumerate() {
        let mean = -0.1 * h[k * 20..(k + 1) * 20].iter().sum::<f64>() / 20.0;
        close(b4.mean, mean, "b4");
        close(row.b3[k].mean, mean, "b3");
    }
}

#[test]
fn measured_crashes_of_a_convolutional_network_lie_under_its_bounds_and_where_estimates_have_them() {
    let weights = convolutional(Activation::relu());
    let sequence = check_chain(weights.network()).expect("a chain");
    let executor = SequenceExecutor::new(&Processor::default(), &weights, &sequence);
    let x = images(4);
    let chain = read_chain(&weights).expect("a chain");
    let data = Examples { features: 84, classes: 3, x: x.clone(), labels: vec![0; 4], ..Examples::default() };
    for rates in [vec![0.0, 0.02, 0.0, 0.0, 0.0], vec![0.0, 0.3, 0.2, 0.5, 0.0], vec![0.05, 0.0, 0.0, 0.0, 0.1]] {
        let campaign = CrashCampaign { rates: rates.clone(), repetitions: 4000, seed: 3 };
        let measured = crash_rows(&executor, &data, 0, &campaign).expect("valid");
        let bounds = crash_bounds(&chain, &wide(&x), &rates, CrashForm::default()).expect("valid");
        for (row, bound) in measured.iter().zip(&bounds) {
            let absolute: Vec<f64> = row.delta.iter().map(Moments::mean_abs).collect();
            for ((delta, b2), b4) in row.delta.iter().zip(&bound.b2).zip(&bound.b4) {
                let error = delta.standard_error().expect("many");
                assert!(delta.mean_abs() > 0.0 && delta.mean_abs() <= b2.mean + 4.0 * error, "{rates:?}");
                if rates.iter().sum::<f64>() < 0.03 {
                    // b4 is exact to first order in the rate; second order is what two crashes at once add.
                    assert!(
                        (delta.mean() - b4.mean).abs() < 4.0 * error + 0.1 * b4.std,
                        "{} {}",
                        delta.mean(),
                        b4.mean
                    );
                    assert!(
                        (delta.population_std() / b4.std - 1.0).abs() < 0.15,
                        "{} {}",
                        delta.population_std(),
                        b4.std
                    );
                }
            }
            let slack = 1.0 + 0.05;
            assert!(Norm::One.of_vector(&absolute) <= bound.b1[0] * slack);
            assert!(Norm::Infinity.of_vector(&absolute) <= bound.b1[2] * slack);
        }
    }
}

#[test]
fn a_sequence_runs_the_same_numbers_layer_by_layer_as_at_once() {
    use crate::nn::fault::Layered;
    let weights = convolutional(Activation::Tanh);
    let executor =
        SequenceExecutor::new(&Processor::default(), &weights, &check_chain(weights.network()).expect("a chain"));
    let x = images(1);
    let values = executor.values(&x, 1).expect("one example");
    let exact = read_chain(&weights).expect("a chain").trace(&wide(&x));
    assert_eq!(values.len(), exact.h.len());
    for (layer, (got, want)) in values.iter().zip(&exact.h).enumerate() {
        assert_eq!(got.len(), want.len());
        assert!(got.iter().zip(want).all(|(got, want)| (f64::from(*got) - want).abs() < 1e-5), "layer {layer}");
        if layer > 0 {
            assert_eq!(executor.forward(layer, &values[layer - 1], 1).as_ref(), Ok(got));
        }
    }
}

#[test]
fn every_operation_that_bounds_cannot_follow_is_refused_by_name_with_a_reason_and_a_fix() {
    let conv = || Op::Conv2d(Conv2d::new(2, 3).padding(1));
    let rnn = || Op::Rnn(Rnn { hidden: 3, layers: 1, nonlinearity: Nonlinearity::Tanh, bias: true });
    let refused: Vec<(&[usize], Vec<Op>, &str, &str)> = vec![
        (&[1, 4, 4], vec![conv(), Op::MaxPool(MaxPool::new(2))], "max-pool1", "average pooling"),
        (
            &[1, 4, 4],
            vec![conv(), Op::Clamp(Clamp { per_channel: false, beyond: Beyond::Bound })],
            "clamp1",
            "protection",
        ),
        (&[4], vec![linear(3), Op::Softmax], "softmax1", "leave it out"),
        (&[4], vec![linear(3), Op::LayerNorm(duress_network::op::LayerNorm::default())], "layer-norm1", "batch"),
        (
            &[1, 4, 4],
            vec![conv(), Op::ShortcutA(ShortcutA { channels: 4, stride: 2 })],
            "shortcut-a1",
            "without shortcuts",
        ),
        (&[1, 4, 4], vec![conv(), Op::Tokens], "tokens1", "vectors or images"),
        (&[5, 4], vec![linear(3)], "linear0", "vectors or images"),
        (&[5, 4], vec![Op::GlobalAvgPool, linear(3)], "global-avg-pool0", "vectors or images"),
        (&[5, 4], vec![rnn(), Op::Select(Select { step: Step::Last })], "rnn0", "vectors or images"),
        (
            &[4],
            vec![Op::Reshape(Reshape { shape: vec![4] }), Op::Activation(Activation::Tanh)],
            "activation1",
            "one operation",
        ),
    ];
    for (input, ops, node, fix) in refused {
        let told = check_chain(&network(input, ops)).expect_err(node);
        assert!(told.node == node && told.fix.contains(fix), "{told}");
    }
}
