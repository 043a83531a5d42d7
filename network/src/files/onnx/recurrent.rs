//! ONNX's recurrent operators.

use super::import::{Translation, Value, text};
use super::laid::Laid;
use super::model::Node;
use super::settings::Settings;
use super::settle::settle;
use crate::files::draft::Known;
use crate::op::{Lstm, Nonlinearity, Rnn};

/// What `node` gives, output by output, where it is a recurrent operator that this program has.
pub(super) fn translate<'a>(
    graph: &mut Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
) -> Option<Result<Vec<Value<'a>>, String>> {
    match node.op.as_str() {
        "RNN" | "LSTM" => Some(layer(graph, node, settings)),
        _ => None,
    }
}

fn layer<'a>(
    graph: &mut Translation<'a>,
    node: &Node<'a>,
    settings: &Settings<'_, 'a>,
) -> Result<Vec<Value<'a>>, String> {
    let is_lstm = node.op == "LSTM";
    let first = settings.int("layout", 0) != 0;
    let x = sequence(graph, node, first)?;
    check(graph, node, settings)?;
    // Where each of PyTorch's gates (i, f, g, o) is among ONNX's (i, o, f, c).
    let gates: &[usize] = if is_lstm { &[0, 2, 3, 1] } else { &[0] };
    let hidden = usize::try_from(settings.int("hidden_size", 0)).unwrap_or(0);
    let rows = gates.len().saturating_mul(hidden);
    let nonlinearity = nonlinearity(settings, is_lstm)?;
    let features = x.shape[1];
    let input_weight = matrix(graph, node, 1, &[1, rows, features], gates)?;
    let state_weight = matrix(graph, node, 2, &[1, rows, hidden], gates)?;
    let biases = if graph.constant(node, 3)?.is_some() {
        let both = array(graph, node, 3, &[1, rows.saturating_mul(2)])?;
        Some([reordered(&both[..rows], gates), reordered(&both[rows..], gates)])
    } else {
        None
    };
    let (name, bias) = (graph.name(node), biases.is_some());
    let y = if is_lstm {
        graph.draft.push(&name, Lstm { hidden, layers: 1, bias }, &[&x])
    } else {
        graph.draft.push(&name, Rnn { hidden, layers: 1, nonlinearity, bias }, &[&x])
    };
    graph.draft.parameter(&name, "weight_ih_l0", vec![rows, features], input_weight);
    graph.draft.parameter(&name, "weight_hh_l0", vec![rows, hidden], state_weight);
    for (suffix, values) in ["bias_ih_l0", "bias_hh_l0"].into_iter().zip(biases.into_iter().flatten()) {
        graph.draft.parameter(&name, suffix, vec![rows], values);
    }
    outputs(graph, node, &y, first)
}

/// All states, and the last one; a cell that is read is refused.
fn outputs<'a>(graph: &Translation<'a>, node: &Node<'a>, y: &Known, first: bool) -> Result<Vec<Value<'a>>, String> {
    if let Some(cell) = node.outputs.get(2).filter(|name| graph.is_read(name)) {
        return Err(format!("gives its cell as `{cell}`, which something reads; read its states"));
    }
    let &[steps, hidden] = y.shape.as_slice() else { return Ok(vec![Value::Computed(y.clone())]) };
    // The axis of directions has one entry.
    let all = Laid::shaped(y, if first { vec![1, steps, 1, hidden] } else { vec![steps, 1, 1, hidden] });
    let last = Laid::shaped(y, vec![steps, 1, 1, hidden]).entry(steps - 1, &graph.listed)?;
    Ok(vec![Value::Laid(all), Value::Laid(last.clone()), Value::Laid(last)])
}

/// The sequence that it reads.
fn sequence<'a>(graph: &mut Translation<'a>, node: &Node<'a>, batch_first: bool) -> Result<Known, String> {
    let laid = match graph.input(node, 0)? {
        Some(Value::Laid(laid)) => laid.clone(),
        Some(Value::Computed(known)) => Laid::of(known),
        _ => return Err("reads no sequence".into()),
    };
    let settled = settle(graph, node, &laid)?;
    let steps = if batch_first { laid.shape.get(1) } else { laid.shape.first() };
    match settled.known.shape[..] {
        [known, _] if laid.shape.len() == 3 && steps == Some(&known) => Ok(settled.known),
        _ => Err(format!("reads an array {:?}, where steps, one example and features belong", laid.shape)),
    }
}

/// Refuses what the operations of this program do not have.
fn check<'a>(graph: &Translation<'a>, node: &Node<'a>, settings: &Settings<'_, 'a>) -> Result<(), String> {
    let direction = settings.text("direction", "forward");
    if direction != "forward" {
        return Err(format!("has direction = {direction}, where only forward is supported"));
    }
    settings.require("input_forget", 0, 0)?;
    if settings.number("clip").is_some() {
        return Err("clips its sums, which is not supported".into());
    }
    if graph.input(node, 4)?.is_some() {
        return Err("has lengths of its sequences, which is not supported; export it without packing".into());
    }
    if graph.input(node, 7)?.is_some() {
        return Err("has peepholes, which are not supported".into());
    }
    for index in [5, 6] {
        let start = graph.constant(node, index)?.map(|start| start.values().map_err(text)).transpose()?;
        if start.is_some_and(|values| values.iter().any(|&value| value != 0.0)) {
            return Err(format!("starts from a state (input {index}) other than zeros, which is not supported"));
        }
    }
    Ok(())
}

fn nonlinearity(settings: &Settings<'_, '_>, is_lstm: bool) -> Result<Nonlinearity, String> {
    let names: Vec<String> = settings.texts("activations").iter().map(|name| name.to_lowercase()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match (is_lstm, &names[..]) {
        (true, [] | ["sigmoid", "tanh", "tanh"]) | (false, [] | ["tanh"]) => Ok(Nonlinearity::Tanh),
        (false, ["relu"]) => Ok(Nonlinearity::Relu),
        _ => Err(format!("has the activations {names:?}, which are not supported")),
    }
}

/// Constant `index`, of `shape`.
fn array<'a>(graph: &Translation<'a>, node: &Node<'a>, index: usize, shape: &[usize]) -> Result<Vec<f32>, String> {
    let (found, values) = graph.weights(node, index)?;
    if found == shape {
        return Ok(values);
    }
    Err(format!("has a constant of shape {found:?} as input {index}, where {shape:?} belongs"))
}

fn matrix<'a>(
    graph: &Translation<'a>,
    node: &Node<'a>,
    index: usize,
    shape: &[usize],
    gates: &[usize],
) -> Result<Vec<f32>, String> {
    Ok(reordered(&array(graph, node, index, shape)?, gates))
}

/// The rows of `gates`, in that order.
fn reordered(values: &[f32], gates: &[usize]) -> Vec<f32> {
    let gate = values.len() / gates.len();
    gates.iter().flat_map(|&at| &values[at * gate..(at + 1) * gate]).copied().collect()
}
