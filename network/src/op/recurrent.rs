//! What plain and gated recurrent layers share: `PyTorch`'s parameters, layer upon layer.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use super::operation::{OpError, ParameterSpec, Role, Shape, positive, sequence};

/// The most layers that one operation stacks.
const MAX_LAYERS: usize = 64;

/// The shape that `layers` recurrent layers of `hidden` units give.
///
/// # Errors
/// Where the input is no sequence, or a setting makes no sense.
pub(crate) fn output(inputs: &[&[usize]], hidden: usize, layers: usize) -> Result<Shape, OpError> {
    let [steps, _] = sequence(inputs)?;
    positive("hidden", hidden)?;
    if positive("layers", layers)? > MAX_LAYERS {
        return Err(OpError::Setting { key: "layers", value: layers.to_string(), fix: "use at most 64 layers" });
    }
    Ok(vec![steps, hidden])
}

/// The parameters of `layers` recurrent layers of `hidden` units with `gates` rows of gates for each.
pub(crate) fn parameters(
    features: usize,
    hidden: usize,
    layers: usize,
    gates: usize,
    bias: bool,
) -> Vec<ParameterSpec> {
    let rows = hidden.saturating_mul(gates);
    let mut all = Vec::with_capacity(4 * layers);
    for layer in 0..layers {
        let inputs = if layer == 0 { features } else { hidden };
        // PyTorch draws every recurrent parameter by the width of the hidden state.
        let mut push = |name: &str, shape, role, fan_in| {
            all.push(ParameterSpec::new(format!("{name}_l{layer}"), shape, role, fan_in, rows));
        };
        push("weight_ih", vec![rows, inputs], Role::Weight, inputs);
        push("weight_hh", vec![rows, hidden], Role::Weight, hidden);
        if bias {
            push("bias_ih", vec![rows], Role::Bias, inputs);
            push("bias_hh", vec![rows], Role::Bias, hidden);
        }
    }
    all
}

/// Multiply-accumulates of those layers over `steps` steps.
pub(crate) fn macs(steps: usize, features: usize, hidden: usize, layers: usize, gates: usize) -> u64 {
    parameters(features, hidden, layers, gates, false)
        .iter()
        .map(|p| p.shape.iter().fold(steps as u64, |product, &extent| product.saturating_mul(extent as u64)))
        .fold(0, u64::saturating_add)
}
