//! Sums, differences, products and quotients: of two computed values, or of one and a constant.

use super::import::{Translation, Value};
use super::model::Node;
use super::operators::decimal;
use crate::files::draft::Known;
use crate::op::{Normalise, Op, ScaleShift};

/// How a constant lies along the value that it is combined with.
enum Spread {
    /// A number for each channel or feature.
    Channels(Vec<f32>),
    /// A number for each place.
    Everywhere(Vec<f32>),
}

/// What `node` computes.
pub(super) fn translate<'a>(graph: &mut Translation<'a>, node: &Node<'a>) -> Result<Known, String> {
    let mut computed = Vec::new();
    let mut constants = Vec::new();
    for index in 0..node.inputs.len() {
        match graph.input(node, index)? {
            Some(Value::Computed(known)) => computed.push(known.clone()),
            Some(Value::Constant(_)) => constants.push(index),
            Some(Value::Laid(_) | Value::Scores(_) | Value::Stack(_)) => {
                return Err("combines what was laid out anew in a way that is not supported".into());
            }
            Some(Value::Part(_)) => return Err("is a formula with an error function that is not supported".into()),
            None => return Err(format!("lacks input {index}")),
        }
    }
    match (node.op.as_str(), computed.as_slice(), constants.as_slice()) {
        ("Add" | "Sum", [only], []) => Ok(only.clone()),
        ("Add" | "Sum", several, []) => {
            let name = graph.name(node);
            Ok(graph.draft.push(&name, Op::Add, &several.iter().collect::<Vec<_>>()))
        }
        ("Add" | "Sum" | "Mul", [x], &[constant]) | ("Sub" | "Div", [x], &[constant @ 1]) => {
            let (shape, values) = graph.weights(node, constant)?;
            if values.len() == 1 {
                graph.charge(channels(x))?;
            }
            let factor = if values.len() == 1 { values.first().copied() } else { None };
            let spread = match spread(x, &shape, values) {
                Some(spread) => spread,
                None if x.guessed => return Ok(x.clone()),
                None => {
                    let problem = format!("combines {:?} with a constant of shape {shape:?}", x.shape);
                    return Err(format!("{problem}; only numbers for each channel, each place or all are supported"));
                }
            };
            let y = combine(graph, node, x, spread)?;
            match (node.op.as_str(), factor) {
                ("Mul", Some(factor)) => _ = graph.scaled.insert(y.value, (x.clone(), factor)),
                ("Div", Some(factor)) => _ = graph.scaled.insert(y.value, (x.clone(), factor.recip())),
                _ => {}
            }
            Ok(y)
        }
        _ => Err("combines these values in a way that is not supported".into()),
    }
}

/// The index along which channels or features lie.
fn axis(x: &Known) -> usize {
    if x.shape.len() == 3 { 0 } else { x.shape.len().saturating_sub(1) }
}

fn channels(x: &Known) -> usize {
    x.shape.get(axis(x)).copied().unwrap_or(0)
}

/// How a constant of `shape` lies along `x` by the rules of broadcasting, which align shapes at their ends.
fn spread(x: &Known, shape: &[usize], values: Vec<f32>) -> Option<Spread> {
    let (axis, channels) = (axis(x), channels(x));
    if values.len() == 1 {
        return Some(Spread::Channels(vec![values[0]; channels]));
    }
    // The batch goes first.
    let mut aligned = vec![1; (x.shape.len() + 1).checked_sub(shape.len())?];
    aligned.extend(shape);
    let (&batch, aligned) = aligned.split_first()?;
    let of_channels = aligned.iter().enumerate().all(|(at, &extent)| extent == if at == axis { channels } else { 1 });
    match batch {
        1 if of_channels => Some(Spread::Channels(values)),
        1 if aligned == x.shape => Some(Spread::Everywhere(values)),
        _ => None,
    }
}

fn combine<'a>(graph: &mut Translation<'a>, node: &Node<'a>, x: &Known, spread: Spread) -> Result<Known, String> {
    let name = graph.name(node);
    match (node.op.as_str(), spread) {
        ("Add" | "Sum", Spread::Channels(values)) => {
            let read_once = node.inputs.iter().all(|input| graph.is_read_once(input) || graph.is_constant(input));
            if read_once && add_last_bias(graph, x, &values) {
                return Ok(x.clone());
            }
            if let Some(layer) = read_once.then(|| add_bias(graph, x)).flatten() {
                graph.draft.parameter(&layer, "bias", vec![values.len()], values);
                return Ok(x.clone());
            }
            let y = graph.draft.push(&name, ScaleShift { scale: false, shift: true }, &[x]);
            graph.draft.parameter(&name, "bias", vec![values.len()], values);
            Ok(y)
        }
        ("Add" | "Sum", Spread::Everywhere(values)) => {
            let y = graph.draft.push(&name, Op::Position, &[x]);
            graph.draft.parameter(&name, "weight", x.shape.clone(), values);
            Ok(y)
        }
        ("Mul", Spread::Channels(values)) => {
            let y = graph.draft.push(&name, ScaleShift { scale: true, shift: false }, &[x]);
            graph.draft.parameter(&name, "weight", vec![values.len()], values);
            Ok(y)
        }
        ("Sub", Spread::Channels(values)) => {
            let mean = values.into_iter().map(decimal).collect();
            Ok(graph.draft.push(&name, Normalise { mean, std: vec![1.0] }, &[x]))
        }
        ("Div", Spread::Channels(values)) => {
            let std = values.into_iter().map(decimal).collect();
            Ok(graph.draft.push(&name, Normalise { mean: vec![0.0], std }, &[x]))
        }
        _ => Err("combines each place with a number of its own, which is supported for sums only".into()),
    }
}

/// Gives a bias to the last layer of the attention that computes `x` without one; whether it did.
fn add_last_bias(graph: &mut Translation<'_>, x: &Known, values: &[f32]) -> bool {
    if !graph.unbiased.remove(&x.value) {
        return false;
    }
    let name = graph.draft.node(x).map(|node| node.name.clone()).unwrap_or_default();
    graph.draft.replace(&name, "out_proj.bias", values.to_vec());
    true
}

/// Gives a bias to the linear layer or convolution that computes `x` without one, and tells its name.
fn add_bias(graph: &mut Translation<'_>, x: &Known) -> Option<String> {
    let node = graph.draft.node(x)?;
    let bias = match &mut node.op {
        Op::Linear(linear) => &mut linear.bias,
        Op::Conv2d(convolution) => &mut convolution.bias,
        _ => return None,
    };
    if *bias {
        return None;
    }
    *bias = true;
    Some(node.name.clone())
}
