//! The executor against the definition of every operation.

use duress_network::device::Cpu;
use duress_network::executor::{Executor, ExecutorError, Options};
use duress_network::graph::{Builder, Network, Value};
use duress_network::kernel::InstructionSet;
use duress_network::op::{BatchNorm, Conv2d, Given, Linear, MaxPool, Normalise, Reference, ScaleShift, ShortcutA};
use duress_network::{Activation, Op, Stream, Weights};

/// Random weights with usable running variances.
fn weights(network: &Network) -> Weights {
    let mut weights = Weights::zeros(network);
    let names: Vec<String> = network.parameters().iter().map(|p| p.name.clone()).collect();
    for (name, values) in names.iter().zip(weights.values_mut()) {
        Stream::new(3, name, &[]).fill_normal(values, 0.0, 0.4);
        if name.ends_with("running_var") {
            for v in values {
                *v = 0.5 + v.abs();
            }
        }
    }
    weights
}

fn images(network: &Network, count: usize) -> Vec<f32> {
    let mut x = vec![0.0; count * network.input_len()];
    Stream::new(4, "images", &[]).fill_normal(&mut x, 0.0, 1.0);
    x
}

/// Every value of the network in double precision.
fn reference(weights: &Weights, x: &[f32], images: usize) -> Vec<Vec<f64>> {
    let network = weights.network();
    let wide = |v: &[f32]| v.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let mut values = vec![wide(x)];
    for (index, node) in network.nodes().iter().enumerate() {
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|&v| network.shapes()[v].as_slice()).collect();
        let x: Vec<&[f64]> = node.inputs.iter().map(|&v| values[v].as_slice()).collect();
        let own: Vec<Vec<f64>> = weights.of(index + 1).iter().map(|t| wide(&t.values)).collect();
        let own: Vec<&[f64]> = own.iter().map(Vec::as_slice).collect();
        let y = node.op.reference(&Given {
            images,
            node: index + 1,
            shapes: &shapes,
            x: &x,
            parameters: &own,
            random: None,
        });
        values.push(y);
    }
    values
}

fn assert_close(found: &[f32], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(1.0f64, |largest, v| largest.max(v.abs()));
    for (a, b) in found.iter().zip(wanted) {
        assert!((f64::from(*a) - b).abs() <= 2e-5 * scale, "{what}: {a} instead of {b}");
    }
}

/// Everything that is merged, and what is not: residuals both ways, relu6, other functions, concatenation, dense layers.
fn network() -> Network {
    let mut b = Builder::new(&[3, 10, 9]);
    let x = b.then("normalise", Normalise { mean: vec![0.1], std: vec![0.5, 0.6, 0.7] }, Value::INPUT);
    let stem = b.then("stem", Conv2d::new(20, 3).padding(1).bias(true), x);
    let stem = b.then("stem_bn", BatchNorm::default(), stem);
    let stem = b.then("relu6", Activation::relu6(), stem);
    let left = b.then("conv1", Conv2d::new(24, 3).stride(2).padding(1), stem);
    let left = b.then("scaled", ScaleShift { scale: true, shift: true }, left);
    let right = b.then("short", ShortcutA { channels: 24, stride: 2 }, stem);
    let sum = b.join("sum", Op::Add, &[right, left]);
    let sum = b.relu("relu", sum);
    let deep = b.then("depthwise", Conv2d::new(24, 3).groups(24).padding(1), sum);
    let deep = b.then("elu", Activation::Elu { alpha: 0.5 }, deep);
    let both = b.join("concat", Op::Concat, &[deep, sum]);
    let both = b.then("pre_bn", BatchNorm::default(), both);
    let both = b.relu("pre_relu", both);
    let pooled = b.then("pool", MaxPool::new(2), both);
    let flat = b.then("flat", Op::Flatten, pooled);
    let hidden = b.then("hidden", Linear::new(33), flat);
    let hidden = b.then("hidden_bn", BatchNorm::default(), hidden);
    let hidden = b.then("tanh", Activation::Tanh, hidden);
    b.then("output", Linear::new(10), hidden);
    b.finish().expect("a valid network")
}

#[test]
fn merged_and_faithful_executors_give_the_values_of_the_definition() {
    let (network, count) = (network(), 5);
    let (weights, x) = (weights(&network), images(&network, 5));
    let values = reference(&weights, &x, count);
    let logits = values.last().expect("values");
    assert_close(&Executor::new(&weights, &Options::default()).run(&x, count).expect("it fits"), logits, "merged");
    let faithful = Executor::new(&weights, &Options::faithful());
    let all: Vec<usize> = (0..network.shapes().len()).collect();
    let traced = faithful.trace(&x, count, &all).expect("all exist");
    for (value, (found, wanted)) in traced.iter().zip(&values).enumerate() {
        assert_close(found, wanted, &format!("value {value}"));
    }
}

#[test]
fn bits_do_not_depend_on_batch_threads_or_instructions() {
    let network = network();
    let (weights, x) = (weights(&network), images(&network, 70));
    let wanted = Executor::new(&weights, &Options::default()).run(&x, 70).expect("it fits");
    for set in InstructionSet::available() {
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let executor = Executor::on(Cpu::with(set), &weights, &Options::default());
            let found = pool.install(|| executor.run(&x, 70)).expect("it fits");
            assert!(found == wanted, "{} with {threads} threads", set.name());
            let one = executor.run(&x[69 * network.input_len()..], 1).expect("it fits");
            assert_eq!(one, wanted[690..]);
        }
    }
}

#[test]
fn a_run_goes_on_from_any_value_with_the_same_bits() {
    let network = network();
    let (weights, x) = (weights(&network), images(&network, 4));
    let find = |name: &str| network.find(name).expect("a node");
    let (sum, deep) = (find("relu"), find("elu"));
    let executor = Executor::new(&weights, &Options::exposing([sum, deep]));
    let wanted = executor.run(&x, 4).expect("it fits");
    let traced = executor.trace(&x, 4, &[sum, deep]).expect("exposed");
    assert_eq!(executor.run_from(&[(sum, &traced[0])], 4), Ok(wanted.clone()));
    assert_eq!(executor.run_from(&[(sum, &traced[0]), (deep, &traced[1])], 4), Ok(wanted));
    assert_eq!(executor.run_from(&[(deep, &traced[1])], 4), Err(ExecutorError::NotGiven("input".into())));
    assert_eq!(executor.run_from(&[(find("stem"), &[])], 4), Err(ExecutorError::Merged("stem".into())));
    assert_eq!(executor.run_from(&[(99, &[])], 4), Err(ExecutorError::Unknown(99)));
    let length = executor.run(&x[1..], 4).expect_err("one number too few").to_string();
    assert_eq!(length, "value `input` of 4 images holds 1080 numbers but 1079 are given; check the shape");
}

#[test]
fn a_changed_parameter_is_taken_over_on_request() {
    let network = network();
    let (mut weights, x) = (weights(&network), images(&network, 2));
    let mut executor = Executor::new(&weights, &Options::default());
    let before = executor.run(&x, 2).expect("it fits");
    weights.get_mut("stem_bn.weight").expect("a parameter")[3] = 9.0;
    assert_eq!(executor.run(&x, 2), Ok(before.clone()));
    executor.refresh(&weights, network.find("stem_bn").expect("a node"));
    let after = executor.run(&x, 2).expect("it fits");
    assert_ne!(after, before);
    assert_eq!(Executor::new(&weights, &Options::default()).run(&x, 2), Ok(after));
}
