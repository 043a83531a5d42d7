//! The published campaign on ResNet-20: its network, its images, its faults and what they did, where they lie beside the checkout.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a panic fails the test, and a skip is told")]

use std::fs::File;
use std::path::{Path, PathBuf};

use duress_network::campaign::{Fault, Stored};
use duress_network::files::{self, NameMap};
use duress_network::op::Normalise;
use duress_network::{Network, Node, Weights, arch};

/// The network behind its normalisation of pixels in 0..=255, and the images of the test set.
pub(crate) struct Setting {
    pub(crate) weights: Weights,
    pub(crate) pixels: Vec<f32>,
    pub(crate) labels: Vec<u32>,
}

/// A fault of the published list, and the images that it left alike, left in their class, and took out of it.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) number: usize,
    pub(crate) layer: String,
    pub(crate) bit: u32,
    pub(crate) fault: Fault,
    pub(crate) masked: u32,
    pub(crate) non_critical: u32,
    pub(crate) critical: u32,
}

fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if !path.exists() {
        println!("skipped: {name} is not beside the checkout");
    }
    path.exists().then_some(path)
}

/// The published setting.
pub(crate) fn setting() -> Option<Setting> {
    let plain = arch::resnet::option_a(3, &[3, 32, 32], 10).unwrap();
    let scale = |values: [f64; 3]| values.iter().map(|value| value * 255.0).collect();
    let (mean, std) = (scale([0.4914, 0.4822, 0.4465]), scale([0.2023, 0.1994, 0.2010]));
    let first = Node { name: "data".into(), op: Normalise { mean, std }.into(), inputs: vec![0] };
    let later = plain.nodes().iter().map(|node| {
        let inputs = node.inputs.iter().map(|&input| input + 1).collect();
        Node { inputs, ..node.clone() }
    });
    let network = Network::new(vec![3, 32, 32], [first].into_iter().chain(later).collect()).unwrap();
    let weights = files::import(&real("weights/resnet20-cifar10.th")?, &network, &NameMap::default()).unwrap().weights;
    let raw = zstd::stream::decode_all(File::open(real("data/cifar-10/test_batch.bin.zst")?).unwrap()).unwrap();
    let records = raw.chunks_exact(3073);
    let pixels = records.clone().flat_map(|record| &record[1..]).map(|&pixel| f32::from(pixel)).collect();
    Some(Setting { weights, pixels, labels: records.map(|record| record[0].into()).collect() })
}

/// The published list with its outcomes.
pub(crate) fn published(weights: &Weights) -> Option<Vec<Published>> {
    let text = std::fs::read_to_string(real("campaigns/cifar10-resnet20.csv")?).unwrap();
    Some(text.lines().skip(1).map(|line| row(weights, line)).collect())
}

/// `0,conv1,"(3, 0, 2, 1)",15,10000,14,9985,1`
fn row(weights: &Weights, line: &str) -> Published {
    let (before, rest) = line.split_once(",\"(").unwrap();
    let (index, after) = rest.split_once(")\",").unwrap();
    let (number, layer) = before.split_once(',').unwrap();
    let numbers: Vec<u32> = after.split(',').map(|field| field.parse().unwrap()).collect();
    let [bit, _, masked, non_critical, critical] = numbers[..] else { panic!("five numbers: {line}") };
    let name = format!("{layer}.weight");
    let parameter = weights.network().parameters().iter().position(|p| p.name == name).unwrap();
    let tensor = &weights.tensors()[parameter];
    let index = index.split(", ").map(|at| at.parse::<usize>().unwrap());
    let element = index.zip(&tensor.shape).fold(0, |element, (at, extent)| element * extent + at);
    let value = f32::from_bits(tensor.values[element].to_bits() ^ (1 << bit));
    let fault = Fault::Stored(vec![Stored { parameter, element, value }]);
    Published { number: number.parse().unwrap(), layer: layer.into(), bit, fault, masked, non_critical, critical }
}
