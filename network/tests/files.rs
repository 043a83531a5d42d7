//! Files that other programs wrote, compared with what those programs read from them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a panic fails the test, and a skip is told")]

mod naive;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use duress_network::arch;
use duress_network::files::{self, Format, NameMap};
use duress_network::graph::{Builder, Network, Value};
use duress_network::op::{BatchNorm, Conv2d, Linear, MaxPool, Op};
use duress_network::weights::Weights;
use sha2::{Digest, Sha256};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A file beside the repository, unless it is absent.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if !path.exists() {
        println!("skipped: {name} is not beside the checkout");
    }
    path.exists().then_some(path)
}

/// Lines of `fixtures/digests.txt` by file: tensor, shape and SHA-256 of its numbers, as the original tools read them.
fn digests() -> BTreeMap<String, BTreeMap<String, (Vec<usize>, String)>> {
    let text = std::fs::read_to_string(fixture("digests.txt")).unwrap();
    let mut files: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for line in text.lines() {
        let [file, tensor, shape, digest] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let shape = shape.split(',').filter(|&extent| extent != "-").map(|extent| extent.parse().unwrap()).collect();
        files.entry(file.to_owned()).or_default().insert(tensor.to_owned(), (shape, digest.to_owned()));
    }
    files
}

fn digest(values: &[f32]) -> String {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let digest = Sha256::digest(raw);
    format!("{:016x}", u64::from_be_bytes(*digest.first_chunk().unwrap()))
}

#[test]
fn every_tensor_of_every_file_is_what_its_own_tool_reads() {
    for (file, wanted) in digests() {
        let Some(path) = (if file.contains('/') { real(&file) } else { Some(fixture(&file)) }) else { continue };
        let (_, contents) = files::read(&path).unwrap_or_else(|error| panic!("{error}"));
        let found: BTreeMap<_, _> = contents
            .tensors
            .iter()
            .map(|tensor| (tensor.name.clone(), (tensor.shape.clone(), digest(&tensor.values))))
            .collect();
        assert_eq!(found.len(), contents.tensors.len(), "{file}: a name twice");
        assert_eq!(found, wanted, "{file}");
    }
}

#[test]
fn formats_are_told_by_content() {
    for (name, wanted) in [
        ("tiny.pt", Format::PyTorch),
        ("tiny-legacy.pt", Format::PyTorch),
        ("tiny-tar.pt", Format::PyTorch),
        ("tiny.safetensors", Format::Safetensors),
        ("tiny.npz", Format::Npz),
        ("tiny.h5", Format::Keras),
        ("tiny.onnx", Format::Onnx),
    ] {
        let content = std::fs::read(fixture(name)).unwrap();
        assert_eq!(Format::recognise(&content).unwrap(), wanted, "{name}");
    }
    let error = files::read(&fixture("make.py")).unwrap_err().to_string();
    assert!(error.contains("make.py` is in no known format"), "{error}");
    let error = files::read(&fixture("absent.pt")).unwrap_err().to_string();
    assert!(error.contains("absent.pt"), "{error}");
    assert!(files::read(&fixture("")).unwrap_err().to_string().contains("regular file"));
}

#[test]
fn notes_beside_the_weights_are_kept() {
    let (_, contents) = files::read(&fixture("tiny-legacy.pt")).unwrap();
    assert_eq!(contents.metadata["epoch"], "7");
    assert_eq!(contents.metadata["arch"], "tiny");
    let (_, contents) = files::read(&fixture("types.safetensors")).unwrap();
    assert_eq!(contents.metadata["study"], "tiny");
    let (_, contents) = files::read(&fixture("tiny.h5")).unwrap();
    assert!(contents.metadata["model_config"].contains("\"class_name\": \"Sequential\""));
}

/// The network of the fixtures, `names` being those of its layers with parameters.
fn tiny([conv, norm, linear]: [&str; 3]) -> Network {
    let mut builder = Builder::new(&[1, 4, 4]);
    let x = builder.then(conv, Conv2d::new(2, 3).padding(1), Value::INPUT);
    let x = builder.then(norm, BatchNorm::default(), x);
    let x = builder.relu("relu", x);
    let x = builder.then("pool", MaxPool::new(2), x);
    let x = builder.then("flatten", Op::Flatten, x);
    builder.then(linear, Linear::new(3), x);
    builder.finish().unwrap()
}

#[test]
fn weights_of_a_network_are_imported_from_every_format() {
    let network = tiny(["conv1", "bn1", "linear"]);
    let plain = NameMap::default();
    let first = files::import(&fixture("tiny.pt"), &network, &plain).unwrap();
    assert_eq!(first.ignored, ["bn1.num_batches_tracked"]);
    for name in ["tiny-legacy.pt", "tiny-tar.pt", "tiny.safetensors", "tiny.npz", "tiny.onnx"] {
        let imported = files::import(&fixture(name), &network, &plain).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(imported.weights, first.weights, "{name}");
    }
}

#[test]
fn names_are_mapped_by_pattern() {
    let network = tiny(["stem.conv", "stem.norm", "head"]);
    let rules = [("conv1.*", "stem.conv.*"), ("bn1.{p}", "stem.norm.{p}"), ("linear.*", "head.*")];
    let imported = files::import(&fixture("tiny.npz"), &network, &NameMap::new(rules).unwrap()).unwrap();
    assert_eq!(imported.weights.get("head.bias").unwrap().shape, [3]);
}

#[test]
fn every_difference_is_listed_at_once_with_a_guess() {
    let error = files::import(&fixture("tiny.pt"), &tiny(["conv1", "norm", "fc"]), &NameMap::default()).unwrap_err();
    let text = error.to_string();
    for wanted in [
        "tiny.pt` does not fit the network: 6 missing, 6 unexpected",
        "missing: `norm.running_var` [2]; did you mean the file's `bn1.running_var`? map \"bn1.running_var\" = \"norm.running_var\"",
        "missing: `fc.weight` [3, 8]; did you mean the file's `linear.weight`?",
        "unexpected: `linear.bias` [3]",
    ] {
        assert!(text.contains(wanted), "{text}");
    }
    let rules = NameMap::new([("linear.weight", "linear.weight | transpose"), ("bn1.bias", "")]).unwrap();
    let error = files::import(&fixture("tiny.pt"), &tiny(["conv1", "bn1", "linear"]), &rules).unwrap_err().to_string();
    assert!(error.contains("`linear.weight` is [8, 3] in the file and [3, 8] in the network; transpose it"), "{error}");
    assert!(error.contains("missing: `bn1.bias` [2]"), "{error}");
}

#[test]
fn published_residual_networks_are_imported_without_a_rule() {
    for (name, blocks) in [("weights/resnet20-cifar10.th", 3), ("weights/resnet32-cifar10.th", 5)] {
        let Some(path) = real(name) else { continue };
        let network = arch::resnet::option_a(blocks, &[3, 32, 32], 10).unwrap();
        let imported = files::import(&path, &network, &NameMap::default()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(imported.weights.network(), &network);
    }
}

/// The largest difference between the network's outputs and those in the archive `name`, over its images.
fn difference(weights: &Weights, name: &str) -> f64 {
    let (_, archive) = files::read(&fixture(name)).unwrap();
    let (images, outputs) = (&archive.tensors[0], &archive.tensors[1]);
    let found = images.values.chunks(weights.network().input_len()).flat_map(|image| naive::outputs(weights, image));
    found.zip(&outputs.values).map(|(found, &wanted)| (found - f64::from(wanted)).abs()).fold(0.0, f64::max)
}

#[test]
fn a_pytorch_network_gives_the_logits_of_pytorch() {
    let network = tiny(["conv1", "bn1", "linear"]);
    let imported = files::import(&fixture("tiny.pt"), &network, &NameMap::default()).unwrap();
    assert!(difference(&imported.weights, "tiny-logits.npz") < 1e-6);
}

#[test]
fn an_onnx_graph_becomes_a_network_with_the_same_logits() {
    let imported = files::import_with_graph(&fixture("tiny.onnx")).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&str> = imported.weights.network().nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["conv1", "bn1", "relu", "pool", "flatten", "linear"]);
    assert_eq!(imported.weights.network(), &tiny(["conv1", "bn1", "linear"]));
    assert!(difference(&imported.weights, "tiny-logits.npz") < 1e-6);
}

#[test]
fn what_exporters_make_of_simple_things_becomes_simple_again() {
    let imported = files::import_with_graph(&fixture("idioms.onnx")).unwrap_or_else(|error| panic!("{error}"));
    let network = imported.weights.network();
    let ops: Vec<&str> = network.nodes().iter().map(|node| node.op.name()).collect();
    // A standardisation, a convolution, a clip, a pooling that rounds up, a sum, a mean; then a matrix whose product and
    // offset are two nodes, behind a flattening that is a program over shapes.
    let wanted = "normalise normalise conv2d activation max-pool conv2d add scale-shift global-avg-pool linear activation linear";
    assert_eq!(ops.join(" "), wanted);
    assert!(imported.softmax_removed);
    assert!(difference(&imported.weights, "idioms-logits.npz") < 1e-6);
}

#[test]
fn what_todays_exporters_write_is_read_with_the_same_logits() {
    for (name, logits) in [
        ("exported-trace.onnx", "exported-logits.npz"),
        ("exported-dynamo.onnx", "exported-logits.npz"),
        ("keras3.h5", "keras3-logits.npz"),
    ] {
        let imported = files::import_with_graph(&fixture(name)).unwrap_or_else(|error| panic!("{error}"));
        let found = difference(&imported.weights, logits);
        assert!(found < 1e-5, "{name}: {found}");
    }
}

#[test]
fn attention_and_recurrent_layers_of_todays_exporters_give_the_same_logits() {
    for name in ["attention", "steps-first", "products", "encoder", "patches", "rnn", "relu", "lstm"] {
        for by in ["trace", "dynamo"] {
            // The newer exporter unrolls plain recurrent layers step by step.
            if matches!((name, by), ("rnn" | "relu", "dynamo")) {
                continue;
            }
            let imported = files::import_with_graph(&fixture(&format!("sequences/{name}-{by}.onnx")));
            let imported = imported.unwrap_or_else(|error| panic!("{error}"));
            let ops: Vec<&str> = imported.weights.network().nodes().iter().map(|node| node.op.name()).collect();
            let wanted = match name {
                "rnn" | "relu" => "rnn",
                "lstm" => "lstm",
                _ => "attention",
            };
            assert!(ops.contains(&wanted) && !ops.contains(&"reshape"), "{name} by {by}: {ops:?}");
            let found = difference(&imported.weights, &format!("sequences/{name}.npz"));
            assert!(found < 1e-5, "{name} by {by}: {found}");
        }
    }
}

#[test]
fn recurrent_layers_that_this_program_lacks_are_refused_by_name() {
    for (name, wanted) in [
        ("gru-trace", "operator GRU is not supported: `/layers/GRU`; replace it before exporting"),
        ("rnn-dynamo", "an order that is not supported, such as a step within a sequence"),
    ] {
        let error = files::import_with_graph(&fixture(&format!("sequences/{name}.onnx"))).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn everything_that_a_graph_needs_and_this_program_lacks_is_listed() {
    let error = files::import_with_graph(&fixture("unsupported.onnx")).unwrap_err().to_string();
    for wanted in [
        "unsupported.onnx` (ONNX) cannot be made into a network:",
        "node `conv` (Conv) has auto_pad = STRANGE",
        "node `pool` (MaxPool) has dilations = [2, 2]",
        "operator Resize is not supported: `up1`, `up2`",
        "operator com.example.Magic is not supported: `magic`",
    ] {
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn the_network_of_the_onnx_zoo_gives_the_logits_of_onnxruntime() {
    let Some(path) = real("weights/cntk-mnist.onnx") else { return };
    let imported = files::import_with_graph(&path).unwrap_or_else(|error| panic!("{error}"));
    assert!(difference(&imported.weights, "cntk-logits.npz") < 1e-2);
}

#[test]
fn a_keras_model_becomes_a_network_with_the_same_outputs() {
    let imported = files::import_with_graph(&fixture("tiny.h5")).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&str> = imported.weights.network().nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["conv", "conv.activation", "norm", "flatten", "dense"]);
    assert!(imported.softmax_removed);
    assert!(difference(&imported.weights, "tiny-h5-logits.npz") < 1e-5);
}

#[test]
fn the_residual_network_of_mlperf_tiny_is_read_from_keras() {
    let Some(path) = real("weights/resnet8-cifar10.h5") else { return };
    let imported = files::import_with_graph(&path).unwrap_or_else(|error| panic!("{error}"));
    let network = imported.weights.network();
    assert_eq!((network.input(), network.output()), (&[3, 32, 32][..], &[10][..]));
    // MLPerf Tiny publishes 78 666 parameters, counting the running statistics of 240 channels.
    assert_eq!(network.parameter_count(), 78_666 - 2 * 240);
}
