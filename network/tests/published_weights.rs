//! Networks that others trained, read from their files: the accuracy that they state, and the logits of `PyTorch`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a panic fails the test, and a skip is told")]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use duress_network::arch;
use duress_network::executor::{Executor, Options};
use duress_network::files::{self, Imported, NameMap, parity};
use duress_network::graph::{Builder, Network, Node, Value};
use duress_network::op::{BatchNorm, Conv2d, Linear, Normalise, Op};
use duress_network::weights::Weights;

/// A file beside the repository, unless it is absent.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if !path.exists() {
        println!("skipped: {name} is not beside the checkout");
    }
    path.exists().then_some(path)
}

/// Test images with pixels in 0..=255, and their labels.
struct Images {
    pixels: Vec<f32>,
    labels: Vec<usize>,
}

fn mnist() -> Option<Images> {
    let unpack = |name: &str| {
        let mut raw = Vec::new();
        flate2::read::GzDecoder::new(File::open(real(name)?).unwrap()).read_to_end(&mut raw).unwrap();
        Some(raw)
    };
    let pixels = unpack("data/mnist/t10k-images-idx3-ubyte.gz")?[16..].iter().map(|&pixel| f32::from(pixel)).collect();
    let labels = unpack("data/mnist/t10k-labels-idx1-ubyte.gz")?[8..].iter().map(|&label| label.into()).collect();
    Some(Images { pixels, labels })
}

fn cifar10() -> Option<Images> {
    let file = File::open(real("data/cifar-10/test_batch.bin.zst")?).unwrap();
    let raw = zstd::stream::decode_all(file).unwrap();
    let records = raw.chunks_exact(3073);
    let pixels = records.clone().flat_map(|record| &record[1..]).map(|&pixel| f32::from(pixel)).collect();
    Some(Images { pixels, labels: records.map(|record| record[0].into()).collect() })
}

/// `network` behind a normalisation of data in 0..=255: `(x / 255 - mean) / std`.
fn normalised(network: &Network, mean: &[f64], std: &[f64]) -> Network {
    let scale = |values: &[f64]| values.iter().map(|value| value * 255.0).collect();
    let first =
        Node { name: "data".into(), op: Normalise { mean: scale(mean), std: scale(std) }.into(), inputs: vec![0] };
    let later = network.nodes().iter().map(|node| {
        let inputs = node.inputs.iter().map(|&input| input + 1).collect();
        Node { inputs, ..node.clone() }
    });
    Network::new(network.input().to_vec(), [first].into_iter().chain(later).collect()).unwrap()
}

/// The share of images classified as labelled, in percent.
fn accuracy(weights: &Weights, images: &Images) -> f64 {
    let executor = Executor::new(weights, &Options::default());
    let outputs = executor.run(&images.pixels, images.labels.len()).unwrap();
    let rows = outputs.chunks_exact(executor.network().output_len());
    let largest = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let right = rows.zip(&images.labels).filter(|(row, label)| largest(row) == **label).count();
    100.0 * right as f64 / images.labels.len() as f64
}

/// Asserts that the outputs for the first images are `PyTorch`'s, faithfully computed or not.
fn assert_parity(name: &str, weights: &Weights, images: &Images) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/published-logits.npz");
    let logits = parity::read_array(&fixture, name).unwrap();
    let first = &images.pixels[..logits.shape[0] * weights.network().input_len()];
    for options in [Options::faithful(), Options::default()] {
        let parity = parity::compare(&Executor::new(weights, &options), first, &logits).unwrap();
        println!("{name}: {parity:?}");
        assert!(parity.largest_difference <= 1e-4 && parity.agreeing == 16, "{name}: {parity:?}");
    }
}

fn assert_accuracy(name: &str, weights: &Weights, images: &Images, stated: f64) {
    let found = accuracy(weights, images);
    println!("{name}: {found} %, stated {stated} %");
    assert!((found - stated).abs() <= 0.1, "{name}: {found} %, stated {stated} %");
}

fn import(path: &Path, network: &Network, names: &NameMap) -> Weights {
    files::import(path, network, names).unwrap_or_else(|error| panic!("{error}")).weights
}

const CIFAR: ([f64; 3], [f64; 3]) = ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]);
const IMAGENET: ([f64; 3], [f64; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

#[test]
fn residual_networks_of_cifar10() {
    let (Some(images), plain) = (cifar10(), NameMap::default()) else { return };
    for (name, blocks, stated) in
        [("resnet20-cifar10.th", 3, [91.48, 91.73]), ("resnet32-cifar10.th", 5, [92.3, 92.63])]
    {
        let Some(path) = real(&format!("weights/{name}")) else { return };
        let network = arch::resnet::option_a(blocks, &[3, 32, 32], 10).unwrap();
        let (mean, std) = IMAGENET;
        assert_parity(name, &import(&path, &normalised(&network, &mean, &std), &plain), &images);
        for ((mean, std), stated) in [CIFAR, IMAGENET].into_iter().zip(stated) {
            let weights = import(&path, &normalised(&network, &mean, &std), &plain);
            assert_accuracy(name, &weights, &images, stated);
        }
    }
}

/// Images of 28 x 28 at 32 x 32, by bilinear interpolation between pixel centres.
fn enlarged(images: &Images) -> Images {
    let place = |at: usize| ((at as f32 + 0.5) * 28.0 / 32.0 - 0.5).max(0.0);
    let corners = |at: f32| (at as usize, (at as usize + 1).min(27), at.fract());
    let mut pixels = Vec::new();
    for image in images.pixels.chunks_exact(784) {
        for (row, column) in (0..32).flat_map(|row| (0..32).map(move |column| (row, column))) {
            let ((top, bottom, down), (left, right, across)) = (corners(place(row)), corners(place(column)));
            let along = |row: usize| image[row * 28 + left] * (1.0 - across) + image[row * 28 + right] * across;
            pixels.push(along(top) * (1.0 - down) + along(bottom) * down);
        }
    }
    Images { pixels, labels: images.labels.clone() }
}

#[test]
fn a_lenet_under_other_names() {
    let (Some(images), Some(path)) = (mnist(), real("weights/lenet5-mnist-32x32.pth")) else { return };
    let network = arch::lenet::LeNet::default().network(&[1, 32, 32], 10).unwrap();
    let names = NameMap::new([("convBlock{n}.0.{p}", "conv{n}.{p}"), ("fc{n}.0.{p}", "fc{n}.{p}")]).unwrap();
    let weights = import(&path, &normalised(&network, &[0.1307], &[0.3081]), &names);
    let images = enlarged(&images);
    assert_accuracy("lenet-5", &weights, &images, 97.59);
    assert_parity("lenet5-mnist-32x32.pth", &weights, &images);
}

#[test]
fn a_perceptron_with_batch_normalisation() {
    let (Some(images), Some(path)) = (mnist(), real("weights/mlp-bn-mnist.pt")) else { return };
    let mut builder = Builder::new(&[784]);
    let mut x = Value::INPUT;
    for (index, width) in [(1, 512), (2, 512), (3, 256)] {
        x = builder.then(format!("fc{index}"), Linear::new(width), x);
        x = builder.then(format!("bn{index}"), BatchNorm::default(), x);
        x = builder.relu(format!("relu{index}"), x);
    }
    builder.then("fc4", Linear::new(10), x);
    let network = normalised(&builder.finish().unwrap(), &[0.0], &[1.0]);
    let weights = import(&path, &network, &NameMap::default());
    assert_accuracy("mlp-bn", &weights, &images, 98.26);
    assert_parity("mlp-bn-mnist.pt", &weights, &images);
}

#[test]
fn a_convolutional_network_in_safetensors() {
    let (Some(mut images), Some(path)) = (mnist(), real("weights/cnn-mnist.safetensors")) else { return };
    let mut builder = Builder::new(&[1, 28, 28]);
    let mut x = Value::INPUT;
    for (index, channels) in [(1, 8), (2, 16), (3, 24)] {
        x = builder.then(format!("conv{index}"), Conv2d::new(channels, 3).bias(true), x);
        x = builder.relu(format!("relu{index}"), x);
    }
    x = builder.then("norm1", BatchNorm::default(), x);
    x = builder.then("flatten", Op::Flatten, x);
    x = builder.then("fc1", Linear::new(32), x);
    x = builder.relu("relu4", x);
    x = builder.then("fc2", Linear::new(10), x);
    builder.then("norm2", BatchNorm::default(), x);
    let network = normalised(&builder.finish().unwrap(), &[0.1307], &[0.3081]);
    let weights = import(&path, &network, &NameMap::default());
    assert_parity("cnn-mnist.safetensors", &weights, &images);
    // The stated accuracy is that on the first 1000 images.
    images.labels.truncate(1000);
    images.pixels.truncate(784_000);
    assert_accuracy("cnn", &weights, &images, 99.1);
}

#[test]
fn networks_that_their_files_describe() {
    let with_graph = |path: &Path| files::import_with_graph(path).unwrap_or_else(|error| panic!("{error}"));
    if let (Some(mut images), Some(path)) = (mnist(), real("weights/cntk-mnist.onnx")) {
        images.pixels.iter_mut().for_each(|pixel| *pixel /= 255.0);
        assert_accuracy("cntk", &with_graph(&path).weights, &images, 98.90);
    }
    if let (Some(images), Some(path)) = (cifar10(), real("weights/resnet8-cifar10.h5")) {
        let Imported { weights, softmax_removed, .. } = with_graph(&path);
        assert!(softmax_removed);
        assert_accuracy("resnet-8", &weights, &images, 87.19);
    }
}
