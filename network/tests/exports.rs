//! Files that this program writes: read back by itself, and left in cargo's folder for temporary files, where
//! `check_exports.py` compares them with what other programs make of them.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod naive;

use std::path::{Path, PathBuf};

use duress_network::Stream;
use duress_network::activation::Activation;
use duress_network::arch::catalogue;
use duress_network::executor::{Executor, Options};
use duress_network::files::{self, Format, NameMap};
use duress_network::graph::{Builder, Network, Value};
use duress_network::op::{
    AvgPool, BatchNorm, Beyond, Clamp, Conv2d, Crash, Dropout, Linear, MaxPool, Normalise, Op, Reshape, Role,
    ScaleShift, ShortcutA,
};
use duress_network::tensor::Tensor;
use duress_network::weights::Weights;

/// Random weights of the size that keeps activations in range, and random statistics.
fn random(network: &Network) -> Weights {
    let mut weights = Weights::zeros(network);
    for (index, (values, parameter)) in weights.values_mut().zip(network.parameters()).enumerate() {
        let mut stream = Stream::new(7, "exports", &[index as u64]);
        let (low, high) = match parameter.role {
            Role::Weight => {
                let limit = (3.0 / parameter.fan_in as f64).sqrt();
                (-limit, limit)
            }
            Role::Scale => (0.5, 1.5),
            Role::Buffer if parameter.name.ends_with("var") => (0.5, 2.0),
            Role::Buffer if parameter.name.ends_with("low") => (-1.0, -0.3),
            Role::Buffer if parameter.name.ends_with("high") => (0.3, 1.0),
            _ => (-0.5, 0.5),
        };
        stream.fill_uniform(values, low, high);
    }
    weights
}

/// Every operation on images and every activation function.
fn menagerie() -> Network {
    let mut builder = Builder::new(&[2, 11, 9]);
    let x = builder.then("normalise", Normalise { mean: vec![0.1, 0.2], std: vec![0.5, 0.25] }, Value::INPUT);
    let x = builder.then("shift", Normalise { mean: vec![0.05], std: vec![2.0] }, x);
    let odd =
        Conv2d { padding: [1, 0, 2, 1], stride: [2, 1], dilation: [1, 2], ..Conv2d::new(4, 3).groups(2).bias(true) };
    let x = builder.then("conv", odd, x);
    let x = builder.then("norm", BatchNorm { eps: 1e-3, momentum: 0.01 }, x);
    let mut branches = Vec::new();
    for (name, function) in [
        ("identity", Activation::Identity),
        ("relu", Activation::relu()),
        ("steep", Activation::Relu { slope: 1.5 }),
        ("leaky", Activation::LeakyRelu { slope: 0.1 }),
        ("elu", Activation::Elu { alpha: 0.7 }),
        ("sigmoid", Activation::sigmoid()),
        ("gain", Activation::Sigmoid { gain: 4.0 }),
        ("tanh", Activation::Tanh),
        ("softplus", Activation::Softplus),
        ("power", Activation::RectifiedPower { power: 2.5 }),
        ("gelu", Activation::Gelu),
        ("relu6", Activation::relu6()),
    ] {
        branches.push(builder.then(name, function, x));
    }
    for (name, per_channel, beyond) in [
        ("bound", false, Beyond::Bound),
        ("bounds", true, Beyond::Bound),
        ("out", false, Beyond::Zero),
        ("outs", true, Beyond::Zero),
    ] {
        branches.push(builder.then(name, Clamp { per_channel, beyond }, x));
    }
    let x = builder.join("concat", Op::Concat, &branches);
    let shortcut = builder.then("shortcut", ShortcutA { channels: 67, stride: 2 }, x);
    let x = builder.then("pool", MaxPool { padding: [1, 0, 0, 1], ..MaxPool::new(2).stride(1) }, x);
    let x = builder.then("mean", AvgPool { padding: [1; 4], count_include_pad: false, ..AvgPool::new(3).stride(2) }, x);
    let y = builder.then("padded", AvgPool::new(3).stride(1).padding(1), x);
    let x = builder.join("sum", Op::Add, &[x, y, x]);
    let x = builder.then("narrow", Conv2d::new(67, 1), x);
    let x = builder.join("residual", Op::Add, &[x, shortcut]);
    let x = builder.then("scale", ScaleShift { scale: true, shift: false }, x);
    let x = builder.then("both", ScaleShift { scale: true, shift: true }, x);
    let x = builder.then("place", Op::Position, x);
    let x = builder.then("drop", Dropout { rate: 0.5 }, x);
    let x = builder.then("crash", Crash { rate: 0.1 }, x);
    let pooled = builder.then("pooled", Op::GlobalAvgPool, x);
    let flat = builder.then("flat", Op::Flatten, x);
    let flat = builder.then("small", Linear::new(12).bias(false), flat);
    let image = builder.then("image", Reshape { shape: vec![3, 2, 2] }, flat);
    let flat = builder.then("flat2", Op::Flatten, image);
    let x = builder.join("join", Op::Concat, &[pooled, flat]);
    let x = builder.then("offset", ScaleShift { scale: false, shift: true }, x);
    let x = builder.then("head", Linear::new(5), x);
    builder.then("probabilities", Op::Softmax, x);
    builder.finish().unwrap()
}

/// Sequences through sums over steps, which no architecture has.
fn steps() -> Network {
    let mut builder = Builder::new(&[3, 4, 5]);
    let x = builder.then("tokens", Op::Tokens, Value::INPUT);
    let x = builder.then("map", Linear::new(6), x);
    let x = builder.then("plain", Linear::new(4).bias(false), x);
    let x = builder.then("scale", ScaleShift { scale: true, shift: true }, x);
    let x = builder.then("mean", Op::GlobalAvgPool, x);
    builder.then("head", Linear::new(3), x);
    builder.finish().unwrap()
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exports");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes the network in every format, and images with their outputs beside it; gives the ONNX file.
fn write(name: &str, network: &Network) -> (PathBuf, Weights) {
    let weights = random(network);
    let count = if network.macs() > 10_000_000 { 1 } else { 3 };
    let mut images = vec![0.0_f32; count * network.input_len()];
    Stream::new(3, "images", &[]).fill_uniform(&mut images, -1.0, 1.0);
    let outputs = images.chunks(network.input_len()).flat_map(|image| naive::outputs(&weights, image));
    let values: Vec<f32> = outputs.map(|output| output as f32).collect();
    let shaped = |name: &str, shape: &[usize], values| Tensor {
        name: name.to_owned(),
        shape: [count].into_iter().chain(shape.iter().copied()).collect(),
        values,
    };
    let outputs = shaped("outputs", network.output(), values);
    let pair = files::arrays_to_npz(&[shaped("images", network.input(), images), outputs]).unwrap();
    std::fs::write(folder().join(format!("{name}.outputs.npz")), pair).unwrap();
    for (format, ending) in [(Format::Safetensors, "safetensors"), (Format::Npz, "npz"), (Format::Onnx, "onnx")] {
        files::export(&weights, format, &folder().join(format!("{name}.{ending}"))).unwrap();
    }
    (folder().join(format!("{name}.onnx")), weights)
}

fn check(name: &str, network: &Network) {
    let (path, weights) = write(name, network);
    for format in ["safetensors", "npz"] {
        let path = path.with_extension(format);
        assert_eq!(files::import(&path, network, &NameMap::default()).unwrap().weights, weights, "{name} {format}");
    }
    let described = files::import_with_graph(&path.with_extension("safetensors")).unwrap();
    assert_eq!(described.weights, weights, "{name}: the network that the file describes");
}

#[test]
fn weights_survive_export_and_import_bit_for_bit() {
    check("menagerie", &menagerie());
    check("steps", &steps());
    for name in ["mlp", "lenet-5", "rnn", "lstm", "transformer-encoder", "resnet-20"] {
        let architecture = catalogue().iter().find(|architecture| architecture.name == name).unwrap();
        check(name, &architecture.network(architecture.input, architecture.outputs).unwrap());
    }
}

#[test]
#[ignore = "definitions in double precision take minutes on large networks"]
fn every_architecture_is_written() {
    for architecture in catalogue() {
        let network = architecture.network(architecture.input, architecture.outputs).unwrap();
        if network.macs() < 700_000_000 {
            check(architecture.name, &network);
        }
    }
}

#[test]
fn an_exported_graph_computes_the_same_bits_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.onnx");
    for architecture in catalogue() {
        let network = architecture.network(architecture.input, architecture.outputs).unwrap();
        if network.macs() > 700_000_000 {
            continue;
        }
        let weights = random(&network);
        files::export(&weights, Format::Onnx, &path).unwrap();
        let imported = files::import_with_graph(&path).unwrap_or_else(|error| panic!("{error}"));
        let mut images = vec![0.0_f32; 2 * network.input_len()];
        Stream::new(3, "images", &[]).fill_uniform(&mut images, -1.0, 1.0);
        let [first, again] =
            [&weights, &imported.weights].map(|w| Executor::new(w, &Options::faithful()).run(&images, 2).unwrap());
        assert_eq!(first, again, "{}", architecture.name);
        assert_eq!(network.parameter_count(), imported.weights.network().parameter_count(), "{}", architecture.name);
    }
}

#[test]
fn what_cannot_be_written_leaves_no_file() {
    let weights = random(&steps());
    let path = folder().join("steps.pt");
    let error = files::export(&weights, Format::PyTorch, &path).unwrap_err().to_string();
    assert!(error.contains("write safetensors, NPZ or ONNX") && !path.exists(), "{error}");
    let error = files::export(&weights, Format::Npz, &folder().join("absent/steps.npz")).unwrap_err().to_string();
    assert!(error.contains("absent"), "{error}");
    let parts = std::fs::read_dir(folder())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".steps.pt"));
    assert_eq!(parts.count(), 0);
}
