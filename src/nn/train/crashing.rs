//! Neurons that crash while a network is trained: the network with crash layers between its own.

use duress_network::op::Crash;
use duress_network::{Network, Node};

use super::TrainError;
use crate::nn::mlp::Mlp;

/// `network` with a crash layer behind each layer of a multilayer perceptron whose rate is not 0; `rates` are by layer, the
/// input first. Its parameters are those of `network`.
///
/// # Errors
/// Where the network is none of those layers, or the rates are not one probability per layer.
pub(super) fn crashing(network: &Network, rates: &[f64]) -> Result<Network, TrainError> {
    if rates.iter().all(|rate| *rate == 0.0) {
        return Ok(network.clone());
    }
    let layers = Mlp::of(network).map_or(0, |mlp| mlp.depth() + 1);
    if rates.len() != layers {
        let problem = format!(
            "crash has {} probabilities; give one for the input and each layer of a multilayer perceptron",
            rates.len()
        );
        return Err(TrainError::Unfit(problem));
    }
    let mut rates = rates.iter();
    let mut nodes: Vec<Node> = Vec::with_capacity(network.nodes().len() + layers);
    let mut push = |nodes: &mut Vec<Node>, name: String, op| {
        let inputs = vec![nodes.len()];
        nodes.push(Node { name, op, inputs });
    };
    let own = network.nodes();
    for (index, node) in own.iter().enumerate() {
        // A layer ends before the next linear node: its activation, if it has one, belongs to it.
        if matches!(node.op, duress_network::Op::Linear(_)) {
            crash(&mut nodes, rates.next(), &mut push);
        }
        push(&mut nodes, node.name.clone(), node.op.clone());
        if index + 1 == own.len() {
            crash(&mut nodes, rates.next(), &mut push);
        }
    }
    Network::new(network.input().to_vec(), nodes).map_err(|error| TrainError::Unfit(error.to_string()))
}

/// Appends a crash layer of that rate, unless it is 0.
fn crash(nodes: &mut Vec<Node>, rate: Option<&f64>, push: &mut impl FnMut(&mut Vec<Node>, String, duress_network::Op)) {
    if let Some(&rate) = rate.filter(|rate| **rate > 0.0) {
        let name = format!("crash after {}", nodes.last().map_or("input", |node| node.name.as_str()));
        push(nodes, name, Crash { rate }.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::activation::Activation;

    #[test]
    fn crashes_stand_behind_their_layers_and_change_no_parameter() {
        let network = Mlp::new(4, &[3, 5], 2, Activation::relu(), true).graph().unwrap();
        let with = crashing(&network, &[0.1, 0.0, 0.2, 0.3]).unwrap();
        let names: Vec<_> = with.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "crash after input",
                "hidden.1",
                "hidden.1.activation",
                "hidden.2",
                "hidden.2.activation",
                "crash after hidden.2.activation",
                "output",
                "crash after output"
            ]
        );
        let parameters = |network: &Network| network.parameters().iter().map(|p| p.name.clone()).collect::<Vec<_>>();
        assert_eq!(parameters(&with), parameters(&network));
        assert_eq!(crashing(&network, &[]).unwrap(), network);
        assert!(crashing(&network, &[0.1]).is_err());
    }
}
