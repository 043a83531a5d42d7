//! Synaptic flow (Tanaka, Kunin, Yamins and Ganguli 2020): what passes through each weight when a constant flows through the
//! network with all signs taken off.

use duress_network::device::Cpu;
use duress_network::graph::Node;
use duress_network::op::{Normalise, Op, Role};
use duress_network::training::{Mode, Saved, Trainer, Wanted};
use duress_network::{Activation, Network, Weights};

use super::PruneError;

/// By so many powers of two input and gradient are scaled where they leave the range of single precision.
const STRIDE: i32 = 32;

/// How far they may be scaled.
const FARTHEST: i32 = 96;

/// The network through which a constant flows: functions are the identity, the data are not centred.
///
/// # Errors
/// Where an operation is neither linear nor elementwise.
pub fn linear(network: &Network) -> Result<Network, PruneError> {
    let linear = |node: &Node| {
        let op = match &node.op {
            Op::Activation(_) => Op::Activation(Activation::Identity),
            Op::Normalise(op) => Op::Normalise(Normalise { mean: vec![0.0; op.mean.len()], std: op.std.clone() }),
            Op::Clamp(_) | Op::LayerNorm(_) | Op::Attention(_) | Op::Rnn(_) | Op::Lstm(_) | Op::Softmax => {
                return Err(PruneError::NotLinear { node: node.name.clone(), op: node.op.name() });
            }
            op => op.clone(),
        };
        Ok(Node { op, ..node.clone() })
    };
    let nodes: Vec<Node> = network.nodes().iter().map(linear).collect::<Result<_, _>>()?;
    let first = nodes[0].name.clone();
    Network::new(network.input().to_vec(), nodes).map_err(|_| PruneError::NotLinear { node: first, op: "input" })
}

/// `|w| dR/d|w|` for every weight, up to a factor that all share; `R` is the sum of the outputs for an input of ones, with
/// absolute weights and scales and without any offset.
///
/// # Errors
/// Where the network is not one that [`linear`] takes, or the flow is beyond single precision.
pub(super) fn scores(weights: &Weights) -> Result<Vec<Vec<f64>>, PruneError> {
    let network = linear(weights.network())?;
    let trainer = Trainer::new(&network, Cpu::new());
    let absolute = absolute(weights);
    let parameters: Vec<&[f32]> = absolute.iter().map(Vec::as_slice).collect();
    let saved = forward(&trainer, &parameters)?;
    let gradients = backward(&trainer, &saved)?;
    let scored =
        network.parameters().iter().zip(absolute.iter().zip(&gradients)).filter(|(p, _)| p.role == Role::Weight);
    let product = |(w, g): (&f32, &f32)| f64::from(*w) * f64::from(*g);
    Ok(scored.map(|(_, (w, g))| w.iter().zip(g).map(product).collect()).collect())
}

/// The parameters without signs and offsets.
fn absolute(weights: &Weights) -> Vec<Vec<f32>> {
    let parameters = weights.network().parameters().iter().zip(weights.tensors());
    let values = parameters.map(|(p, tensor)| match p.role {
        Role::Weight | Role::Scale => tensor.values.iter().map(|value| value.abs()).collect(),
        Role::Buffer if !p.name.ends_with("running_mean") => tensor.values.clone(),
        Role::Buffer | Role::Bias | Role::Shift | Role::Position => vec![0.0; p.len()],
    });
    values.collect()
}

/// What a constant gives, the constant being as large as lets the sum be of a middling size: all that follows is linear in it.
fn forward(trainer: &Trainer, parameters: &[&[f32]]) -> Result<Saved, PruneError> {
    let mut exponent = 0;
    loop {
        let x = vec![libm::ldexpf(1.0, exponent); trainer.network().input_len()];
        let saved = trainer.forward(parameters, &x, 1, Mode::Infer)?;
        let sum: f64 = saved.logits().iter().map(|logit| f64::from(*logit)).sum();
        let limit = libm::ldexp(1.0, STRIDE);
        match sum {
            _ if !sum.is_finite() || sum > limit => exponent -= STRIDE,
            _ if sum > 0.0 && sum < 1.0 / limit => exponent += STRIDE,
            _ => return Ok(saved),
        }
        if exponent.abs() > FARTHEST {
            return if sum.is_finite() { Ok(saved) } else { Err(PruneError::Overflow) };
        }
    }
}

fn backward(trainer: &Trainer, saved: &Saved) -> Result<Vec<Vec<f32>>, PruneError> {
    let wanted = Wanted { parameters: true, input: false };
    let mut exponent = 0;
    while exponent >= -FARTHEST {
        let ones = vec![libm::ldexpf(1.0, exponent); saved.logits().len()];
        let gradients = trainer.backward(saved, &ones, wanted)?.parameters;
        if gradients.iter().flatten().all(|g| g.is_finite()) {
            return Ok(gradients);
        }
        exponent -= STRIDE;
    }
    Err(PruneError::Overflow)
}
