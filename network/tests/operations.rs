//! Every operation on every device: values against the definition in double precision, gradients against differences of it.

mod devices;

use devices::{OnDevice, assert_agree, is_exact};
use duress_network::device::{Cpu, Device};
use duress_network::graph::{Builder, Network, Value};
use duress_network::kernel::InstructionSet;
use duress_network::op::{
    Attention, AvgPool, BatchNorm, Beyond, Clamp, Conv2d, Crash, Dropout, Given, LayerNorm, Linear, Lstm, MaxPool,
    Nonlinearity, Normalise, Randomness, Reference, Reshape, Rnn, ScaleShift, Select, ShortcutA, Step,
};
use duress_network::training::{Mode, Trainer, Wanted};
use duress_network::{Activation, Op, Stream};

/// Images in a batch.
const IMAGES: usize = 3;
/// Entries of an array whose differences are taken.
const ENTRIES: usize = 24;
const TRAINING: Randomness = Randomness { seed: 11, step: 4, first: 0 };

/// A network with inputs for everything it reads.
struct Case {
    name: String,
    network: Network,
    parameters: Vec<Vec<f32>>,
    x: Vec<f32>,
    /// The loss is the sum of the outputs times these.
    factors: Vec<f32>,
}

fn random(purpose: &str, name: &str, len: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    Stream::new(9, &format!("{purpose} {name}"), &[]).fill_normal(&mut values, 0.0, 1.0);
    values
}

fn case(name: &str, network: Network) -> Case {
    let parameter = |p: &duress_network::graph::Parameter| -> Vec<f32> {
        let values = random("parameter", &p.name, p.len());
        let value = |v: f32| match p.name.rsplit('.').next() {
            Some("running_var") => 0.5 + v.abs(),
            Some("low") => -0.2 - v.abs(),
            Some("high") => 0.2 + v.abs(),
            _ => 0.7 * v,
        };
        values.into_iter().map(value).collect()
    };
    Case {
        name: name.to_owned(),
        parameters: network.parameters().iter().map(parameter).collect(),
        x: random("x", name, IMAGES * network.input_len()),
        factors: random("factors", name, IMAGES * network.output_len()),
        network,
    }
}

/// One operation on an input of `shape`.
fn one(name: &str, shape: &[usize], op: impl Into<Op>) -> Case {
    let mut b = Builder::new(shape);
    b.then("op", op, Value::INPUT);
    case(name, b.finish().expect("a valid network"))
}

/// The outputs in double precision.
fn reference(network: &Network, parameters: &[Vec<f64>], x: &[f64], random: Option<Randomness>) -> Vec<f64> {
    let mut values = vec![x.to_vec()];
    for (index, node) in network.nodes().iter().enumerate() {
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|&v| network.shapes()[v].as_slice()).collect();
        let x: Vec<&[f64]> = node.inputs.iter().map(|&v| values[v].as_slice()).collect();
        let own: Vec<&[f64]> = parameters[network.parameters_of(index + 1)].iter().map(Vec::as_slice).collect();
        let given = Given { images: IMAGES, node: index + 1, shapes: &shapes, x: &x, parameters: &own, random };
        let y = node.op.reference(&given);
        values.push(y);
    }
    values.pop().expect("at least the input")
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

fn assert_close(found: &[f32], wanted: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(1.0f64, |largest, v| largest.max(v.abs()));
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        assert!((f64::from(*a) - b).abs() <= tolerance * scale, "{what} [{i}]: {a} instead of {b}");
    }
}

/// The derivatives of the loss with respect to some entries of one array, and which entries.
fn differences(case: &Case, random: Option<Randomness>, array: Option<usize>) -> Vec<(usize, f64)> {
    let mut parameters: Vec<Vec<f64>> = case.parameters.iter().map(|p| wide(p)).collect();
    let mut x = wide(&case.x);
    let len = array.map_or(x.len(), |p| parameters[p].len());
    let step = 1e-5;
    let mut loss = |entry: usize, by: f64| -> f64 {
        let place = |parameters: &mut Vec<Vec<f64>>, x: &mut Vec<f64>, by: f64| match array {
            Some(p) => parameters[p][entry] += by,
            None => x[entry] += by,
        };
        place(&mut parameters, &mut x, by);
        let y = reference(&case.network, &parameters, &x, random);
        place(&mut parameters, &mut x, -by);
        y.iter().zip(&case.factors).map(|(y, f)| y * f64::from(*f)).sum()
    };
    let entries = (0..len).step_by(len.div_ceil(ENTRIES).max(1));
    entries.map(|entry| (entry, (loss(entry, step) - loss(entry, -step)) / (2.0 * step))).collect()
}

fn check<D: Device>(case: &Case, device: D, mode: Mode) -> Vec<Vec<u32>> {
    let random = match mode {
        Mode::Train(random) => Some(random),
        Mode::Infer => None,
    };
    let what = |of: &str| format!("{} ({mode:?}): {of}", case.name);
    let trainer = Trainer::new(&case.network, device);
    let parameters: Vec<&[f32]> = case.parameters.iter().map(Vec::as_slice).collect();
    let saved = trainer.forward(&parameters, &case.x, IMAGES, mode).expect("the arrays fit");
    let wide_parameters: Vec<Vec<f64>> = case.parameters.iter().map(|p| wide(p)).collect();
    let wanted = reference(&case.network, &wide_parameters, &wide(&case.x), random);
    assert_close(saved.logits(), &wanted, 2e-5, &what("values"));

    let all = Wanted { parameters: true, input: true };
    let gradients = trainer.backward(&saved, &case.factors, all).expect("the gradient fits");
    for (index, p) in case.network.parameters().iter().enumerate() {
        if !p.role.is_trained() {
            assert!(gradients.parameters[index].is_empty(), "{}", what(&p.name));
            continue;
        }
        compare(&gradients.parameters[index], &differences(case, random, Some(index)), &what(&p.name));
    }
    compare(&gradients.input, &differences(case, random, None), &what("input"));
    let alone = trainer.backward(&saved, &case.factors, Wanted { parameters: false, input: true }).expect("it fits");
    assert!(alone.parameters.is_empty() && alone.input == gradients.input, "{}", what("input alone"));
    let mut bits = vec![saved.logits().to_vec(), gradients.input];
    bits.extend(gradients.parameters);
    bits.into_iter().map(|values| values.into_iter().map(f32::to_bits).collect()).collect()
}

fn compare(found: &[f32], differences: &[(usize, f64)], what: &str) {
    let (found, wanted): (Vec<f32>, Vec<f64>) = differences.iter().map(|(i, d)| (found[*i], *d)).unzip();
    assert_close(&found, &wanted, 2e-4, what);
}

/// Every device that this machine has: a CPU per instruction set, with and without threads, and the others.
fn check_everywhere(case: &Case) {
    for mode in [Mode::Train(TRAINING), Mode::Infer] {
        let mut first: Option<Vec<Vec<u32>>> = None;
        for set in InstructionSet::available() {
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                let bits = pool.install(|| check(case, Cpu::with(set), mode));
                let first = first.get_or_insert_with(|| bits.clone());
                assert!(*first == bits, "{}: {} with {threads} threads gives other bits", case.name, set.name());
            }
        }
        devices::others(&mut Checked { case, mode, wanted: first.expect("a processor") });
    }
}

/// A case on other devices: held to the definition, and to what the processor made of it.
struct Checked<'a> {
    case: &'a Case,
    mode: Mode,
    wanted: Vec<Vec<u32>>,
}

impl OnDevice for Checked<'_> {
    fn on<D: Device + Clone + 'static>(&mut self, name: &str, device: &D) {
        let found = check(self.case, device.clone(), self.mode);
        let floats = |bits: &Vec<u32>| bits.iter().map(|bits| f32::from_bits(*bits)).collect::<Vec<f32>>();
        for (i, (found, wanted)) in found.iter().zip(&self.wanted).enumerate() {
            let what = format!("{} ({:?}) on {name}, array {i}", self.case.name, self.mode);
            assert_agree(&floats(found), &floats(wanted), is_exact(&self.case.network), &what);
        }
    }
}

macro_rules! operations {
    ($($name:ident: [$($case:expr),+ $(,)?];)+) => {
        $(#[test]
        fn $name() {
            for case in [$($case),+] {
                check_everywhere(&case);
            }
        })+

        /// The names of the tests above.
        const CHECKED: &[&str] = &[$(stringify!($name)),+];
    };
}

/// Two different values of the same shape, side by side or added.
fn joined(op: Op, shape: &[usize]) -> Case {
    let mut b = Builder::new(shape);
    let a = b.then("tanh", Activation::Tanh, Value::INPUT);
    let c = b.then("sigmoid", Activation::sigmoid(), Value::INPUT);
    b.join("op", op, &[a, Value::INPUT, c]);
    case("joined", b.finish().expect("a valid network"))
}

operations! {
    linear: [
        one("vector", &[7], Linear::new(5)),
        one("wide", &[3], Linear::new(40).bias(false)),
        one("sequence", &[4, 6], Linear::new(3)),
    ];
    conv2d: [
        one("plain", &[3, 6, 7], Conv2d::new(5, 3).padding(1).bias(true)),
        one("strided", &[4, 9, 8], Conv2d::new(18, 3).stride(2).padding(1)),
        one("grouped", &[6, 5, 5], Conv2d::new(4, 2).groups(2).bias(true)),
        one("depthwise", &[5, 6, 6], Conv2d::new(5, 3).groups(5).stride(2).padding(1)),
        one("dilated", &[2, 8, 7], Conv2d { dilation: [2, 1], padding: [2, 0, 1, 1], ..Conv2d::new(3, 3) }),
        one("pointwise", &[17, 4, 4], Conv2d::new(33, 1)),
    ];
    batch_norm: [
        one("image", &[5, 4, 3], BatchNorm::default()),
        one("vector", &[6], BatchNorm { eps: 1e-3, momentum: 0.2 }),
    ];
    activation: [
        one("identity", &[9], Activation::Identity),
        one("relu", &[4, 3, 3], Activation::relu()),
        one("steep relu", &[9], Activation::Relu { slope: 2.5 }),
        one("leaky", &[9], Activation::LeakyRelu { slope: 0.1 }),
        one("elu", &[9], Activation::Elu { alpha: 0.7 }),
        one("sigmoid", &[9], Activation::Sigmoid { gain: 2.0 }),
        one("tanh", &[9], Activation::Tanh),
        one("softplus", &[9], Activation::Softplus),
        one("power", &[9], Activation::RectifiedPower { power: 2.5 }),
        one("gelu", &[9], Activation::Gelu),
        one("clip", &[9], Activation::Clip { low: -0.5, high: 0.6 }),
    ];
    clamp: [
        one("image", &[4, 3, 2], Clamp { per_channel: true, beyond: Beyond::Bound }),
        one("whole image", &[4, 3, 2], Clamp { per_channel: false, beyond: Beyond::Bound }),
        one("zero", &[3, 7], Clamp { per_channel: true, beyond: Beyond::Zero }),
        one("vector", &[40], Clamp { per_channel: false, beyond: Beyond::Zero }),
    ];
    max_pool: [
        one("plain", &[3, 6, 6], MaxPool::new(2)),
        one("overlapping", &[18, 7, 5], MaxPool::new(3).stride(2).padding(1)),
    ];
    avg_pool: [
        one("plain", &[3, 6, 6], AvgPool::new(2)),
        one("padded", &[3, 7, 5], AvgPool::new(3).stride(2).padding(1)),
        one("uncounted", &[3, 7, 5], AvgPool { count_include_pad: false, ..AvgPool::new(3).stride(2).padding(1) }),
    ];
    global_avg_pool: [one("image", &[5, 3, 4], Op::GlobalAvgPool), one("sequence", &[5, 3], Op::GlobalAvgPool)];
    flatten: [one("image", &[5, 3, 4], Op::Flatten), one("sequence", &[5, 3], Op::Flatten)];
    reshape: [
        one("to an image", &[24], Reshape { shape: vec![2, 3, 4] }),
        one("between images", &[4, 2, 3], Reshape { shape: vec![2, 3, 4] }),
        one("to a sequence", &[4, 2, 3], Reshape { shape: vec![3, 8] }),
    ];
    tokens: [one("image", &[5, 3, 4], Op::Tokens)];
    add: [joined(Op::Add, &[5, 3, 4]), joined(Op::Add, &[6])];
    concat: [joined(Op::Concat, &[5, 3, 4]), joined(Op::Concat, &[6])];
    shortcut_a: [
        one("wider", &[3, 5, 6], ShortcutA { channels: 8, stride: 2 }),
        one("same", &[3, 5, 6], ShortcutA { channels: 3, stride: 1 }),
    ];
    dropout: [one("image", &[3, 4, 4], Dropout { rate: 0.4 }), one("vector", &[30], Dropout { rate: 0.1 })];
    crash: [one("image", &[3, 4, 4], Crash { rate: 0.4 })];
    normalise: [
        one("image", &[2, 3, 3], Normalise { mean: vec![0.4, -1.0], std: vec![0.3, 2.0] }),
        one("vector", &[5], Normalise { mean: vec![0.5], std: vec![0.25] }),
    ];
    scale_shift: [
        one("both", &[4, 3, 2], ScaleShift { scale: true, shift: true }),
        one("scale", &[7], ScaleShift { scale: true, shift: false }),
        one("shift", &[3, 7], ScaleShift { scale: false, shift: true }),
    ];
    layer_norm: [one("vector", &[9], LayerNorm { eps: 1e-3 }), one("sequence", &[4, 9], LayerNorm::default())];
    attention: [one("two heads", &[5, 6], Attention { heads: 2 }), one("one head", &[3, 4], Attention { heads: 1 })];
    rnn: [
        one("tanh", &[4, 3], Rnn { hidden: 5, layers: 2, nonlinearity: Nonlinearity::Tanh, bias: true }),
        one("relu", &[3, 3], Rnn { hidden: 4, layers: 1, nonlinearity: Nonlinearity::Relu, bias: false }),
    ];
    lstm: [
        one("two layers", &[4, 3], Lstm { hidden: 5, layers: 2, bias: true }),
        one("no bias", &[3, 2], Lstm { hidden: 4, layers: 1, bias: false }),
    ];
    softmax: [one("vector", &[6], Op::Softmax), one("sequence", &[3, 4], Op::Softmax)];
    select: [
        one("first", &[4, 3], Select { step: Step::First }),
        one("last", &[4, 3], Select { step: Step::Last }),
    ];
    position: [one("image", &[3, 2, 4], Op::Position), one("sequence", &[4, 3], Op::Position)];
}

#[test]
fn every_operation_is_checked() {
    let name = |line: &'static str| Some(line.trim().strip_suffix("\",")?.split_once("=> \"")?.1.replace('-', "_"));
    let names: Vec<String> = include_str!("../src/op/mod.rs").lines().filter_map(name).collect();
    assert!(names.len() >= 25, "{names:?}");
    for name in names {
        assert!(CHECKED.contains(&name.as_str()), "no test of `{name}`");
    }
}

/// A residual block of stride 2 with everything that is fused, between a stem and a head.
#[test]
fn a_whole_network_is_the_sum_of_its_operations() {
    let mut b = Builder::new(&[2, 8, 8]);
    let stem = b.then("stem", Conv2d::new(4, 3).padding(1).bias(true), Value::INPUT);
    let stem = b.relu("relu0", stem);
    let left = b.then("conv1", Conv2d::new(6, 3).stride(2).padding(1), stem);
    let left = b.then("bn1", BatchNorm::default(), left);
    let left = b.relu("relu1", left);
    let left = b.then("conv2", Conv2d::new(6, 3).padding(1), left);
    let left = b.then("bn2", BatchNorm::default(), left);
    let right = b.then("short", ShortcutA { channels: 6, stride: 2 }, stem);
    let sum = b.join("add", Op::Add, &[left, right]);
    let sum = b.relu("relu2", sum);
    let twice = b.join("twice", Op::Add, &[sum, sum]);
    let flat = b.then("flat", Op::Flatten, twice);
    let hidden = b.then("hidden", Linear::new(7), flat);
    let hidden = b.relu("relu3", hidden);
    b.then("output", Linear::new(3), hidden);
    check_everywhere(&case("block", b.finish().expect("a valid network")));
}

#[test]
fn running_statistics_move_by_momentum_towards_the_unbiased_ones() {
    let case = one("moved", &[2, 1, 2], BatchNorm { eps: 1e-5, momentum: 0.25 });
    let parameters: [&[f32]; 4] = [&[1.0, 1.0], &[0.0, 0.0], &[4.0, 0.0], &[1.0, 2.0]];
    let trainer = Trainer::new(&case.network, Cpu::new());
    let x = [1.0, 3.0, 0.0, 0.0, 5.0, 7.0, 0.0, 0.0];
    let saved = trainer.forward(&parameters, &x, 2, Mode::Train(TRAINING)).expect("it fits");
    // Channel 0 holds 1, 3, 5, 7: mean 4, unbiased variance 20 / 3.
    let variance = (0.75 + 0.25 * 20.0 / 3.0_f64) as f32;
    assert_eq!(saved.running_statistics(), [(2, vec![4.0, 0.0]), (3, vec![variance, 1.5])]);
    let saved = trainer.forward(&parameters, &x, 2, Mode::Infer).expect("it fits");
    assert!(saved.running_statistics().is_empty());
}

#[test]
fn a_batch_may_come_in_parts_without_changing_what_is_dropped() {
    let case = one("parts", &[40], Dropout { rate: 0.5 });
    let trainer = Trainer::new(&case.network, Cpu::new());
    let run = |x: &[f32], images, first| {
        let mode = Mode::Train(Randomness { first, ..TRAINING });
        trainer.forward(&[], x, images, mode).expect("it fits").logits().to_vec()
    };
    let whole = run(&case.x, 3, 0);
    assert_eq!(whole[..40], run(&case.x[..40], 1, 0));
    assert_eq!(whole[40..], run(&case.x[40..], 2, 1));
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let case = one("refused", &[3], Linear::new(2));
    let trainer = Trainer::new(&case.network, Cpu::new());
    let text = |parameters: &[&[f32]], x: &[f32]| match trainer.forward(parameters, x, 1, Mode::Infer) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert!(text(&[&[0.0; 6]], &[0.0; 3]).contains("network has 2 parameters but 1 arrays"));
    assert!(text(&[&[0.0; 5], &[0.0; 2]], &[0.0; 3]).contains("`op.weight` holds 5 numbers instead of 6"));
    assert!(text(&[&[0.0; 6], &[0.0; 2]], &[0.0; 4]).contains("`input` holds 4 numbers instead of 3"));
}
