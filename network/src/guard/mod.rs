//! Range restriction as a change of a network: its activations are measured on data, and operations that keep them within
//! what was seen are put behind them.
//!
//! A fault that blows up a weight mostly shows as an activation far outside of what any data cause; clamping it there is
//! Ranger (Chen, Li and Pattabiraman, DSN 2021), setting it to zero FT-ClipAct (Hoang, Hanif and Shafique, DATE 2020).

mod measure;

use std::collections::BTreeSet;

use crate::Tensor;
use crate::graph::{GraphError, Network, Node};
use crate::op::{Activation, Beyond, Clamp, Op};
use crate::weights::Weights;

pub use measure::{Ranges, measure};

/// Bounds to put behind a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// The node, from 1.
    pub node: usize,
    /// The lowest value that passes: one number, or one for each channel or feature.
    pub low: Vec<f32>,
    /// The highest value that passes, as many as lower ones.
    pub high: Vec<f32>,
    /// What is put in the place of others.
    pub beyond: Beyond,
}

/// A guarded network, and where what it was made of is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Guarded {
    /// The network and its weights, the bounds among them.
    pub weights: Weights,
    /// For each value of the network that was guarded, from the input on, its number in this one: before its guard.
    pub values: Vec<usize>,
    /// For each parameter of the network that was guarded, its position in this one.
    pub parameters: Vec<usize>,
}

/// The nodes that range restriction is for: all activation functions.
#[must_use]
pub fn activations(network: &Network) -> Vec<usize> {
    let function = |op: &Op| matches!(op, Op::Activation(function) if *function != Activation::Identity);
    (1..=network.nodes().len()).filter(|&node| function(&network.nodes()[node - 1].op)).collect()
}

/// `weights` with an operation behind each guarded node, read by all that read the node.
///
/// # Errors
/// Where bounds are neither one number nor one for each channel, or a node is not there.
pub fn guard(weights: &Weights, guards: &[Guard]) -> Result<Guarded, GraphError> {
    let network = weights.network();
    let mut taken: BTreeSet<String> = network.nodes().iter().map(|node| node.name.clone()).collect();
    let mut nodes = Vec::with_capacity(network.nodes().len() + guards.len());
    let mut bounds = Vec::new();
    // Where each value is, and where it is read: behind its guard.
    let (mut values, mut read) = (vec![0], vec![0]);
    for (index, node) in network.nodes().iter().enumerate() {
        let inputs = node.inputs.iter().map(|&input| read[input]).collect();
        nodes.push(Node { inputs, ..node.clone() });
        values.push(nodes.len());
        if let Some(guard) = guards.iter().find(|guard| guard.node == index + 1) {
            let mut name = format!("{}.clamp", node.name);
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            let clamp = Clamp { per_channel: guard.low.len() > 1, beyond: guard.beyond };
            bounds.extend([("low", &guard.low), ("high", &guard.high)].map(|(suffix, numbers)| Tensor {
                name: format!("{name}.{suffix}"),
                shape: vec![numbers.len()],
                values: numbers.clone(),
            }));
            nodes.push(Node { name, op: clamp.into(), inputs: vec![nodes.len()] });
        }
        read.push(nodes.len());
    }
    let guarded = Network::new(network.input().to_vec(), nodes)?;
    let place = |name: &String| guarded.parameters().iter().position(|parameter| parameter.name == *name);
    let parameters = network.parameters().iter().filter_map(|parameter| place(&parameter.name)).collect();
    let tensors = weights.tensors().iter().cloned().chain(bounds).collect();
    match Weights::new(guarded, tensors) {
        Ok(weights) => Ok(Guarded { weights, values, parameters }),
        Err(error) => Err(misfit(&error, guards, network)),
    }
}

/// The guard whose bounds do not fit its node.
fn misfit(error: &crate::weights::WeightsError, guards: &[Guard], network: &Network) -> GraphError {
    let wrong = error.misshapen.first();
    let name = wrong.map_or_else(String::new, |misfit| misfit.name.clone());
    let guard = guards
        .iter()
        .find(|guard| network.nodes().get(guard.node.wrapping_sub(1)).is_some_and(|node| name.starts_with(&node.name)));
    GraphError::Operation {
        node: name,
        op: "clamp",
        reason: crate::op::OpError::Setting {
            key: "bounds",
            value: guard.map_or(0, |guard| guard.high.len()).to_string(),
            fix: "give one lower and one upper bound, or one of each for each channel or feature",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Executor, Options};
    use crate::graph::{Builder, Value};
    use crate::op::{BatchNorm, Conv2d, Linear};
    use crate::{Init, Scheme, Stream};

    /// A residual block with a head, initialised.
    fn network() -> Weights {
        let mut b = Builder::new(&[3, 6, 6]);
        let stem = b.then("conv1", Conv2d::new(4, 3).padding(1), Value::INPUT);
        let stem = b.then("bn1", BatchNorm::default(), stem);
        let stem = b.relu("relu1", stem);
        let left = b.then("conv2", Conv2d::new(4, 3).padding(1), stem);
        let sum = b.join("add", Op::Add, &[left, stem]);
        let sum = b.relu("relu2", sum);
        let flat = b.then("flat", Op::Flatten, sum);
        b.then("head", Linear::new(5), flat);
        b.finish().unwrap().initialize(&Scheme::new(Init::HeNormal, Init::Zeros), 3)
    }

    fn images(count: usize) -> Vec<f32> {
        let mut x = vec![0.0; count * 108];
        Stream::new(5, "images", &[]).fill_normal(&mut x, 0.0, 1.0);
        x
    }

    fn guards(weights: &Weights, x: &[f32], share: f64, per_channel: bool, beyond: Beyond) -> Vec<Guard> {
        let nodes = activations(weights.network());
        assert_eq!(nodes, [3, 6]);
        let ranges = measure(weights, x, x.len() / 108, &nodes).unwrap();
        ranges.guards(share, per_channel, beyond)
    }

    #[test]
    fn bounds_of_the_data_change_no_answer_on_that_data() {
        let (weights, x) = (network(), images(40));
        let plain = Executor::new(&weights, &Options::default()).run(&x, 40).unwrap();
        for per_channel in [false, true] {
            for beyond in [Beyond::Bound, Beyond::Zero] {
                let guarded = guard(&weights, &guards(&weights, &x, 1.0, per_channel, beyond)).unwrap();
                let names: Vec<&str> = guarded.weights.network().nodes().iter().map(|n| n.name.as_str()).collect();
                assert_eq!(
                    names,
                    ["conv1", "bn1", "relu1", "relu1.clamp", "conv2", "add", "relu2", "relu2.clamp", "flat", "head"]
                );
                assert_eq!(guarded.values, [0, 1, 2, 3, 5, 6, 7, 9, 10]);
                for (parameter, &place) in weights.tensors().iter().zip(&guarded.parameters) {
                    assert_eq!(parameter, &guarded.weights.tensors()[place]);
                }
                let run = |weights: &Weights, options| Executor::new(weights, &options).run(&x, 40).unwrap();
                assert_eq!(run(&guarded.weights, Options::default()), plain);
                // Other arithmetic may pass a bound in its last place, which zero would make much of.
                let faithful = [&weights, &guarded.weights].map(|weights| run(weights, Options::faithful()));
                let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4 || beyond == Beyond::Zero;
                assert!(faithful[0].iter().zip(&faithful[1]).all(close));
            }
        }
    }

    #[test]
    fn a_blown_up_weight_does_not_get_beyond_its_layer() {
        let (weights, x) = (network(), images(40));
        for (beyond, faulty) in
            [(Beyond::Bound, 1e38), (Beyond::Zero, 1e38), (Beyond::Bound, f32::NAN), (Beyond::Zero, f32::NAN)]
        {
            let guards = guards(&weights, &x, 1.0, true, beyond);
            let mut guarded = guard(&weights, &guards).unwrap().weights;
            guarded.get_mut("conv1.weight").unwrap()[13] = faulty;
            let behind = Executor::new(&guarded, &Options::exposing([4])).trace(&x, 40, &[4]).unwrap().remove(0);
            for (i, value) in behind.iter().enumerate() {
                let channel = i / 36 % 4;
                let (low, high) = (guards[0].low[channel], guards[0].high[channel]);
                assert!(
                    (low..=high).contains(value) || (beyond == Beyond::Zero && *value == 0.0),
                    "{value} {beyond:?}"
                );
            }
            let logits = Executor::new(&guarded, &Options::default()).run(&x, 40).unwrap();
            assert!(logits.iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn bounds_that_do_not_fit_are_refused() {
        let weights = network();
        let guard_of =
            |low: Vec<f32>, high: Vec<f32>| guard(&weights, &[Guard { node: 3, low, high, beyond: Beyond::Bound }]);
        for (low, high) in [(vec![0.0; 3], vec![1.0; 3]), (vec![0.0], vec![1.0; 4]), (vec![], vec![])] {
            let text = guard_of(low, high).unwrap_err().to_string();
            assert!(text.contains("relu1.clamp") && text.contains("one of each for each channel"), "{text}");
        }
        assert!(guard_of(vec![0.0; 4], vec![1.0; 4]).is_ok());
    }
}
