//! The messages of an ONNX file under construction.

use super::wire::Message;
use crate::graph::Network;
use crate::tensor::Tensor;

/// The name of the graph's input.
const INPUT: &str = "input";

/// Nodes and constants so far.
pub(super) struct Writer {
    nodes: Vec<Message>,
    constants: Vec<Message>,
    input: String,
    opset: i64,
}

impl Writer {
    pub(super) fn new(network: &Network) -> Self {
        // A node may be called `input` too.
        let mut input = INPUT.to_owned();
        while network.nodes().iter().any(|node| node.name == input) {
            input.push('_');
        }
        Self { nodes: Vec::new(), constants: Vec::new(), input, opset: 17 }
    }

    /// The name of value `index` of the network.
    pub(super) fn value(&self, network: &Network, index: usize) -> String {
        index.checked_sub(1).map_or_else(|| self.input.clone(), |node| network.nodes()[node].name.clone())
    }

    /// Makes sure that operator set `version` is there.
    pub(super) fn need_opset(&mut self, version: i64) {
        self.opset = self.opset.max(version);
    }

    /// Adds a node with one output, and gives the output's name back.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str], output: &str, attributes: Vec<Message>) -> String {
        self.node_of_many(op, inputs, &[output.to_owned()], attributes);
        output.to_owned()
    }

    /// Adds a node with several outputs; one of recurrent layers gives the states of all steps first.
    pub(super) fn node_of_many(&mut self, op: &str, inputs: &[&str], outputs: &[String], attributes: Vec<Message>) {
        let mut node = Message::default();
        for input in inputs {
            node.bytes(1, input);
        }
        for output in outputs {
            node.bytes(2, output);
        }
        node.bytes(3, &outputs[0]).bytes(4, op);
        for attribute in attributes {
            node.bytes(5, attribute);
        }
        self.nodes.push(node);
    }

    /// Adds the values of a parameter as a constant of its name.
    pub(super) fn tensor(&mut self, tensor: &Tensor) -> String {
        self.floats(&tensor.name, &tensor.shape, &tensor.values)
    }

    /// Adds a constant of numbers.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, shape, 1, &raw)
    }

    /// Adds a constant list of whole numbers.
    pub(super) fn ints(&mut self, name: &str, values: &[i64]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, &[values.len()], 7, &raw)
    }

    /// Adds a constant whole number without dimensions.
    pub(super) fn scalar_int(&mut self, name: &str, value: i64) -> String {
        self.constant(name, &[], 7, &value.to_le_bytes())
    }

    fn constant(&mut self, name: &str, shape: &[usize], data_type: i64, raw: &[u8]) -> String {
        let mut constant = Message::default();
        for &extent in shape {
            constant.int(1, extent as i64);
        }
        constant.int(2, data_type).bytes(8, name).bytes(9, raw);
        self.constants.push(constant);
        name.to_owned()
    }

    /// The bytes of the whole file.
    pub(super) fn finish(self, network: &Network) -> Vec<u8> {
        let mut graph = Message::default();
        for node in self.nodes {
            graph.bytes(1, node);
        }
        graph.bytes(2, "network");
        for constant in self.constants {
            graph.bytes(5, constant);
        }
        let output = network.nodes().last().map_or_else(String::new, |node| node.name.clone());
        graph.bytes(11, value_info(&self.input, network.input())).bytes(12, value_info(&output, network.output()));
        let mut opset = Message::default();
        opset.bytes(1, "").int(2, self.opset);
        let mut model = Message::default();
        // Versions of the format that go with operator sets 17 and 20.
        model.int(1, if self.opset > 18 { 9 } else { 8 });
        model.bytes(2, "duress").bytes(3, env!("CARGO_PKG_VERSION")).bytes(7, graph).bytes(8, opset);
        model.into()
    }
}

/// A tensor of single precision: a batch of any size, of arrays of `shape`.
fn value_info(name: &str, shape: &[usize]) -> Message {
    let mut dimensions = Message::default();
    let mut batch = Message::default();
    batch.bytes(2, "batch");
    dimensions.bytes(1, batch);
    for &extent in shape {
        let mut dimension = Message::default();
        dimension.int(1, extent as i64);
        dimensions.bytes(1, dimension);
    }
    let mut tensor = Message::default();
    tensor.int(1, 1).bytes(2, dimensions);
    let mut of_type = Message::default();
    of_type.bytes(1, tensor);
    let mut info = Message::default();
    info.bytes(1, name).bytes(2, of_type);
    info
}

/// An attribute of a whole number.
pub(super) fn int(name: &str, value: i64) -> Message {
    let mut attribute = Message::default();
    attribute.bytes(1, name).int(3, value).int(20, 2);
    attribute
}

/// An attribute of a number.
pub(super) fn float(name: &str, value: f32) -> Message {
    let mut attribute = Message::default();
    attribute.bytes(1, name).float(2, value).int(20, 1);
    attribute
}

/// An attribute of whole numbers.
pub(super) fn ints(name: &str, values: &[usize]) -> Message {
    let mut attribute = Message::default();
    attribute.bytes(1, name);
    for &value in values {
        attribute.int(8, value as i64);
    }
    attribute.int(20, 7);
    attribute
}

/// An attribute of texts.
pub(super) fn strings(name: &str, values: &[&str]) -> Message {
    let mut attribute = Message::default();
    attribute.bytes(1, name);
    for value in values {
        attribute.bytes(9, value);
    }
    attribute.int(20, 8);
    attribute
}
