use duress_network::arch::find;

use super::*;
use crate::stages::testing::read;

/// The network that the keys of a model make, or what is wrong with them.
fn network(keys: &str, input: &[usize]) -> Result<nn::Network, String> {
    let (model, _) = read::<Model>(keys).map_err(|faults| {
        faults.iter().map(|fault| format!("{} ({})", fault.message, fault.label)).collect::<Vec<_>>().join("; ")
    })?;
    model.network(input, 10).map_err(|error| error.to_string())
}

fn tree(keys: &str) -> duress_cache::Tree {
    read::<Model>(keys).expect("sound").0.shape_tree()
}

#[test]
fn residual_blocks_are_lists_in_a_list() {
    let keys = "
        arch = 'cnn'
        layers = [
            { conv = { channels = 16, padding = 'same', bias = false } }, 'batch-norm', 'relu',
            { residual = { body = [
                { conv = { channels = 32, stride = 2, padding = 'same', bias = false } }, 'batch-norm', 'relu',
                { conv = { channels = 32, padding = 'same', bias = false } }, 'batch-norm',
            ], shortcut = [{ option-a = { channels = 32 } }] } },
            'relu', 'global-average-pool', 'output',
        ]";
    let network = network(keys, &[3, 32, 32]).expect("fits");
    assert_eq!(network.parameter_count(), 16 * 27 + 32 + 32 * 144 + 64 + 32 * 288 + 64 + 330);
    assert_eq!(network.shapes()[network.find("residual.1.add").expect("named")], [32, 16, 16]);
}

#[test]
fn branches_of_branches_lie_side_by_side() {
    let keys = "
        arch = 'cnn'
        layers = [
            { concat = [[], [{ conv = { channels = 2, kernel = 1 } }, { concat = [['relu'], ['layer-norm']] }]] },
            'flatten', 'output',
        ]";
    let error = network(keys, &[3, 4, 4]).expect_err("no norm of images");
    assert!(error.contains("node `concat.1.2.concat.1.2.layer-norm.1` (layer-norm) reads [features]"), "{error}");
    let network = network(&keys.replace("layer-norm", "batch-norm"), &[3, 4, 4]).expect("fits");
    assert_eq!(network.shapes()[network.find("concat.1.join").expect("named")], [7, 4, 4]);
}

#[test]
fn sequences_are_read_by_lists_as_by_named_architectures() {
    let rnn = network("arch = 'rnn'\nhidden = [128]", &[1, 28, 28]).expect("fits");
    let list = "arch = 'cnn'\nlayers = [{ reshape = [28, 28] }, { rnn = { units = 128 } }, 'last-step', 'output']";
    assert_eq!(network(list, &[1, 28, 28]).expect("fits").parameter_count(), rnn.parameter_count());
    let encoder = find("transformer-encoder").expect("known").network(&[1, 28, 28], 10).expect("fits");
    let list = "
        arch = 'cnn'
        layers = [
            { conv = { channels = 64, kernel = 4, stride = 4 } }, 'tokens', 'position', 'encoder', { encoder = {} },
            'global-average-pool', 'output',
        ]";
    assert_eq!(network(list, &[1, 28, 28]).expect("fits").parameter_count(), encoder.parameter_count());
    let error = network("arch = 'cnn'\nlayers = ['encoder', 'output']", &[1, 28, 28]).expect_err("an image");
    assert!(error.contains("put \"tokens\" before it"), "{error}");
}

#[test]
fn sequence_networks_take_their_settings() {
    let small = "arch = 'transformer-encoder'\ntransformer = { width = 8, heads = 2, depth = 3, feedforward = 16, dropout = 0 }";
    let found = network(&format!("{small}\npooling = 'last'"), &[6, 4]).expect("fits");
    // Of each layer: attention 4 (8 8 + 8), hidden layer 2 8 16 + 24, two normalisations of 16.
    assert_eq!(found.parameter_count(), 40 + 6 * 8 + 3 * (288 + 280 + 32) + 90);
    assert!(found.find("last").is_some() && found.find("layers.2.norm2").is_some());
    let lstm = network("arch = 'lstm'\nhidden = [5, 5]\nbias = false\npooling = 'mean'", &[6, 4]).expect("fits");
    assert_eq!(lstm.parameter_count(), 20 * (4 + 5) + 20 * (5 + 5) + 60);
    let relu = network("arch = 'rnn'\nhidden = [5]\nnonlinearity = 'relu'", &[6, 4]).expect("fits");
    assert!(relu.nodes().iter().any(|node| format!("{:?}", node.op).contains("Relu")));
    let deep = "arch = 'transformer-encoder'\ntransformer = { depth = 4_000_000_000 }";
    assert!(network(deep, &[6, 4]).expect_err("too deep").contains("at most 256"));
}

#[test]
fn a_default_that_is_written_out_is_the_same_network() {
    for (plain, written) in [
        ("arch = 'transformer-encoder'", "transformer = { width = 64, heads = 4 }\npooling = 'mean'"),
        ("arch = 'rnn'\nhidden = [8]", "nonlinearity = 'tanh'\npooling = 'last'\nbias = true"),
        ("arch = 'lstm'\nhidden = [8]", "pooling = 'last'"),
        ("hidden = [8]", "activation = 'relu'\nbias = true"),
    ] {
        assert_eq!(tree(plain), tree(&format!("{plain}\n{written}")), "{plain}");
    }
    assert_ne!(tree("arch = 'lstm'\nhidden = [8]"), tree("arch = 'lstm'\nhidden = [8]\npooling = 'mean'"));
}

#[test]
fn mistakes_in_inner_lists_are_found_where_they_stand() {
    let text = "arch = 'cnn'\nlayers = [{ residual = { body = [{ conv = { chanels = 3 } }, 'rellu'] } }, 'output']";
    let faults = read::<Model>(text).expect_err("faults");
    let told: Vec<(&str, &str)> =
        faults.iter().map(|fault| (fault.label.as_str(), &text[fault.span.start..fault.span.end])).collect();
    assert!(told.contains(&("did you mean `channels`?", "chanels")), "{told:?}");
    assert!(told.contains(&("did you mean `relu`?", "'rellu'")), "{told:?}");
    for (keys, wanted) in [
        ("arch = 'lstm'\nhidden = [8]\nactivation = 'tanh'", "`lstm` has no use for `activation`"),
        ("hidden = [8]\npooling = 'mean'", "`mlp` has no use for `pooling`"),
        (
            "arch = 'cnn'\nlayers = [{ conv = { channels = 1, padding = 'sane' } }]",
            "expected a whole number >= 0, or `\"same\"`",
        ),
    ] {
        let error = network(keys, &[3, 8, 8]).expect_err("a mistake");
        assert!(error.contains(wanted), "{error}");
    }
}
