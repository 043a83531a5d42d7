//! The description of a Keras model, `Sequential` or functional, as a network.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::layers::{self, Piece};
use crate::files::draft::{Draft, Known};
use crate::files::error::Fault;
use crate::graph::Network;
use crate::op::Op;

/// A layer as the description has it.
struct Layer<'a> {
    name: &'a str,
    class: &'a str,
    config: &'a Json,
    /// The layers that it reads; `None` in a sequential model, where that is the one before.
    inputs: Option<Vec<&'a str>>,
}

/// The network that `config` describes, the JSON text of `model_config`.
pub(super) fn network(config: &str) -> Result<Network, Fault> {
    let model: Json = serde_json::from_str(config).map_err(Fault::malformed)?;
    let class = text(&model, "class_name");
    if !matches!(class, "Sequential" | "Functional" | "Model") {
        return Err(Fault::Graph(vec![format!(
            "models of class `{class}` are not supported; save a functional model"
        )]));
    }
    // Early versions of Keras write a sequential model as the list of its layers alone.
    let config = &model["config"];
    let layers = if config.is_array() { config } else { &config["layers"] };
    let layers: Vec<Layer<'_>> = layers.as_array().into_iter().flatten().map(Layer::read).collect();
    let input = layers
        .iter()
        .find_map(Layer::input_shape)
        .ok_or_else(|| Fault::Graph(vec!["no layer tells the shape of the input; save the model with one".into()]))?;
    let mut draft = Draft::new(input);
    let mut values: BTreeMap<&str, Known> = BTreeMap::new();
    let mut last = draft.input();
    for layer in &layers {
        let inputs = match layer.inputs(&values, &last) {
            _ if layer.class == "InputLayer" => vec![draft.input()],
            Ok(inputs) => inputs,
            Err(problem) => {
                draft.problem(problem);
                vec![Known { guessed: true, ..last.clone() }]
            }
        };
        last = add(&mut draft, layer, &inputs);
        values.insert(layer.name, last.clone());
    }
    if layers.iter().filter(|layer| layer.class == "InputLayer").count() > 1 {
        draft.problem("the model has several inputs; save one with a single input");
    }
    let output = output(config, &values, last, &mut draft);
    draft.finish(&output).map(|(network, _)| network)
}

/// The value that the model gives: a functional one names it.
fn output(config: &Json, values: &BTreeMap<&str, Known>, last: Known, draft: &mut Draft) -> Known {
    let Some(outputs) = config["output_layers"].as_array() else { return last };
    // Version 3 writes a single output without a list around it.
    let names: Vec<&str> = match outputs.first() {
        Some(Json::String(name)) => vec![name.as_str()],
        _ => outputs.iter().filter_map(|output| output[0].as_str()).collect(),
    };
    if let [name] = names[..] {
        return values.get(name).cloned().unwrap_or(last);
    }
    draft.problem(format!("the model has the outputs {names:?}; save one with a single output"));
    last
}

impl<'a> Layer<'a> {
    fn read(layer: &'a Json) -> Self {
        let config = &layer["config"];
        let name = if layer["name"].is_string() { text(layer, "name") } else { text(config, "name") };
        Self { name, class: text(layer, "class_name"), config, inputs: inbound(&layer["inbound_nodes"]) }
    }

    /// The shape of one example, channels first, where the layer tells it.
    fn input_shape(&self) -> Option<Vec<usize>> {
        let shape = ["batch_input_shape", "batch_shape"].iter().find_map(|&key| self.config[key].as_array())?;
        let extents =
            shape.get(1..)?.iter().map(|extent| extent.as_u64().and_then(|extent| usize::try_from(extent).ok()));
        let mut extents = extents.collect::<Option<Vec<_>>>()?;
        if extents.len() == 3 {
            extents.rotate_right(1);
        }
        Some(extents)
    }

    fn inputs(&self, values: &BTreeMap<&str, Known>, last: &Known) -> Result<Vec<Known>, String> {
        match &self.inputs {
            Some(names) if !names.is_empty() => names
                .iter()
                .map(|name| {
                    values
                        .get(name)
                        .cloned()
                        .ok_or_else(|| format!("layer `{}` reads `{name}`, which comes later", self.name))
                })
                .collect(),
            _ => Ok(vec![last.clone()]),
        }
    }
}

/// Names of the layers in `[[["conv2d", 0, 0, {}], ...]]`, or in the `keras_history` of version 3.
fn inbound(nodes: &Json) -> Option<Vec<&str>> {
    let first = nodes.as_array()?.first()?;
    if let Some(inputs) = first.as_array() {
        return Some(inputs.iter().filter_map(|input| input[0].as_str()).collect());
    }
    let mut names = Vec::new();
    histories(&first["args"], &mut names);
    Some(names)
}

fn histories<'a>(args: &'a Json, names: &mut Vec<&'a str>) {
    if let Some(name) = args["config"]["keras_history"][0].as_str() {
        names.push(name);
    }
    for arg in args.as_array().into_iter().flatten() {
        histories(arg, names);
    }
}

/// Adds the operations of `layer`: its own under its name, the activation within it as `NAME.relu` and the like.
fn add(draft: &mut Draft, layer: &Layer<'_>, inputs: &[Known]) -> Known {
    let shape = inputs[0].shape.clone();
    let pieces = match layers::pieces(layer.class, layer.config, &shape) {
        Ok(pieces) => pieces,
        Err(problem) => {
            draft.problem(format!("layer `{}` ({}) {problem}", layer.name, layer.class));
            return Known { guessed: true, ..inputs[0].clone() };
        }
    };
    let mut inputs = inputs.to_vec();
    for Piece { suffix, op } in pieces {
        let name = if suffix.is_empty() { layer.name.to_owned() } else { format!("{}.{suffix}", layer.name) };
        let name = draft.free_name(&name);
        let given = if op == Op::Flatten && inputs[0].shape.len() == 1 {
            inputs.swap_remove(0)
        } else {
            draft.push(&name, op, &inputs.iter().collect::<Vec<_>>())
        };
        inputs = vec![given];
    }
    inputs.swap_remove(0)
}

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}
