//! What a network is: named operations in the order of their computation, and the parameters they own; no numbers yet.

mod builder;
mod describe;
mod error;

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::op::operation::value_count;
use crate::op::{Arity, Op, OpError, Role, Shape};

pub use builder::{Builder, Value};
pub use describe::Row;
pub use error::GraphError;

/// An operation and what it reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Node {
    /// Its name, the path of the module in `PyTorch` where there is one: `layer1.0.conv1`.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// The values it reads: 0 is the network's input, `i` the output of node `i`, counted from 1.
    pub inputs: Vec<usize>,
}

/// A parameter that a network expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, `NODE.weight` and the like.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// What it is for.
    pub role: Role,
    /// The number of its node, from 1.
    pub node: usize,
    /// How many products are added up for one output (0 where that has no meaning).
    pub fan_in: usize,
    /// How many outputs one input reaches (0 where that has no meaning).
    pub fan_out: usize,
}

impl Parameter {
    /// How many numbers it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A network of which all shapes are known and fit: a list of nodes, each reading the input or earlier nodes.
///
/// Values are numbered from 0, the input; value `i` is what node `i` (`nodes()[i - 1]`) gives. The output is the last node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Plain", into = "Plain")]
pub struct Network {
    plain: Plain,
    /// The shape of every value of one example.
    shapes: Vec<Shape>,
    parameters: Vec<Parameter>,
    /// Where in `parameters` those of each node are.
    owned: Vec<Range<usize>>,
}

/// A network as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Plain {
    input: Shape,
    nodes: Vec<Node>,
}

impl PartialEq for Network {
    fn eq(&self, other: &Self) -> bool {
        self.plain == other.plain
    }
}

impl TryFrom<Plain> for Network {
    type Error = GraphError;

    fn try_from(plain: Plain) -> Result<Self, GraphError> {
        Self::new(plain.input, plain.nodes)
    }
}

impl From<Network> for Plain {
    fn from(network: Network) -> Self {
        network.plain
    }
}

impl Network {
    /// The network that reads arrays of shape `input` (of one example) and computes `nodes` in turn.
    ///
    /// # Errors
    /// Where nodes do not fit together; the message names the first such node.
    pub fn new(input: Shape, nodes: Vec<Node>) -> Result<Self, GraphError> {
        let usable = (1..=3).contains(&input.len()) && value_count(&input).is_some_and(|count| count > 0);
        if !usable {
            return Err(GraphError::Input(input));
        }
        if nodes.is_empty() {
            return Err(GraphError::Empty);
        }
        check_names(&nodes)?;
        let mut network = Self {
            shapes: vec![input.clone()],
            parameters: Vec::new(),
            owned: Vec::with_capacity(nodes.len()),
            plain: Plain { input, nodes: Vec::new() },
        };
        let mut names = BTreeSet::new();
        for node in &nodes {
            network.add(node, &mut names)?;
        }
        check_use(&nodes)?;
        network.plain.nodes = nodes;
        Ok(network)
    }

    /// Notes the shape and the parameters of the next node.
    fn add(&mut self, node: &Node, names: &mut BTreeSet<String>) -> Result<(), GraphError> {
        let inputs = self.inputs_of(node)?;
        let reason = |reason| GraphError::Operation { node: node.name.clone(), op: node.op.name(), reason };
        let facts = node.op.facts();
        let output = facts.output(&inputs).map_err(reason)?;
        if value_count(&output).is_none() {
            return Err(reason(OpError::TooLarge(output)));
        }
        let specs = facts.parameters(&inputs);
        let start = self.parameters.len();
        for spec in specs {
            if value_count(&spec.shape).is_none() {
                return Err(reason(OpError::TooLarge(spec.shape)));
            }
            let name = format!("{}.{}", node.name, spec.suffix);
            if !names.insert(name.clone()) {
                return Err(GraphError::DuplicateParameter { node: node.name.clone(), parameter: name });
            }
            self.parameters.push(Parameter {
                name,
                shape: spec.shape,
                role: spec.role,
                node: self.shapes.len(),
                fan_in: spec.fan_in,
                fan_out: spec.fan_out,
            });
        }
        self.owned.push(start..self.parameters.len());
        self.shapes.push(output);
        Ok(())
    }

    /// The shapes that `node`, the next one, reads.
    fn inputs_of(&self, node: &Node) -> Result<Vec<&[usize]>, GraphError> {
        let found = node.inputs.len();
        let wanted = match node.op.facts().arity() {
            Arity::One if found != 1 => Some("one"),
            Arity::Many if found < 2 => Some("two or more"),
            _ => None,
        };
        if let Some(wanted) = wanted {
            return Err(GraphError::Arity { node: node.name.clone(), op: node.op.name(), found, wanted });
        }
        let last = self.shapes.len() - 1;
        let shape = |&input: &usize| {
            let unknown = || GraphError::UnknownInput { node: node.name.clone(), input, last };
            self.shapes.get(input).map(Vec::as_slice).ok_or_else(unknown)
        };
        node.inputs.iter().map(shape).collect()
    }

    /// The shape of one example: `[channels, height, width]`, `[features]` or `[time, features]`.
    #[must_use]
    pub fn input(&self) -> &[usize] {
        &self.plain.input
    }

    /// The operations, in the order of their computation.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.plain.nodes
    }

    /// The shape of one example's output.
    #[must_use]
    pub fn output(&self) -> &[usize] {
        &self.shapes[self.shapes.len() - 1]
    }

    /// The shape of every value for one example; 0 is the input, `i` what node `i` gives.
    #[must_use]
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// How many numbers one example's input holds.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.input().iter().product()
    }

    /// How many numbers one example's output holds: classes, or regression targets.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output().iter().product()
    }

    /// The number of the node named `name`, from 1; `input` is 0 where no node has that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        let node = self.nodes().iter().position(|node| node.name == name).map(|index| index + 1);
        node.or_else(|| (name == "input").then_some(0))
    }

    /// Every parameter, node by node, buffers too.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Where in [`Network::parameters`] those of node `node` (from 1) are.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn parameters_of(&self, node: usize) -> Range<usize> {
        self.owned[node - 1].clone()
    }

    /// Numbers that training adjusts: everything but buffers.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().filter(|p| p.role.is_trained()).map(Parameter::len).sum()
    }

    /// Weights alone, without biases and normalisations: what pruning counts and fault campaigns inject into.
    #[must_use]
    pub fn weight_count(&self) -> usize {
        self.parameters.iter().filter(|p| p.role == Role::Weight).map(Parameter::len).sum()
    }

    /// Multiply-accumulates of node `node` (from 1) for one example.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn macs_of(&self, node: usize) -> u64 {
        let inputs: Vec<&[usize]> = self.nodes()[node - 1].inputs.iter().map(|&i| self.shapes[i].as_slice()).collect();
        self.nodes()[node - 1].op.facts().macs(&inputs, &self.shapes[node])
    }

    /// Multiply-accumulates of convolutions, linear, recurrent and attention layers for one example.
    #[must_use]
    pub fn macs(&self) -> u64 {
        (1..=self.nodes().len()).map(|node| self.macs_of(node)).fold(0, u64::saturating_add)
    }
}

/// Whether every node has a name of its own.
fn check_names(nodes: &[Node]) -> Result<(), GraphError> {
    let mut names = BTreeSet::new();
    for (index, node) in nodes.iter().enumerate() {
        if node.name.is_empty() {
            return Err(GraphError::Unnamed(index + 1));
        }
        if !names.insert(node.name.as_str()) {
            return Err(GraphError::DuplicateName(node.name.clone()));
        }
    }
    Ok(())
}

/// Whether every node but the last is read by some node.
fn check_use(nodes: &[Node]) -> Result<(), GraphError> {
    let read: BTreeSet<usize> = nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
    let unused = nodes[..nodes.len() - 1].iter().enumerate().find(|(index, _)| !read.contains(&(index + 1)));
    unused.map_or(Ok(()), |(_, node)| Err(GraphError::Unused(node.name.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{BatchNorm, Conv2d, Linear, MaxPool, ShortcutA};

    /// A residual block between a convolution and a classifier.
    fn small() -> Builder {
        let mut builder = Builder::new(&[3, 9, 9]);
        let x = builder.then("conv1", Conv2d::new(4, 3).padding(1), Value::INPUT);
        let x = builder.then("bn1", BatchNorm::default(), x);
        let x = builder.relu("relu1", x);
        let y = builder.then("conv2", Conv2d::new(8, 3).padding(1).stride(2).bias(true), x);
        let z = builder.then("shortcut", ShortcutA { channels: 8, stride: 2 }, x);
        let y = builder.join("add", Op::Add, &[y, z]);
        let y = builder.then("pool", MaxPool::new(2), y);
        let y = builder.then("flatten", Op::Flatten, y);
        builder.then("linear", Linear::new(10), y);
        builder
    }

    #[test]
    fn shapes_parameters_and_work_follow_from_the_nodes() {
        let network = small().finish().unwrap();
        let shapes: Vec<&[usize]> = network.shapes().iter().map(Vec::as_slice).collect();
        assert_eq!(shapes[..3], [&[3, 9, 9][..], &[4, 9, 9], &[4, 9, 9]]);
        assert_eq!(shapes[4..], [&[8, 5, 5][..], &[8, 5, 5], &[8, 5, 5], &[8, 2, 2], &[32], &[10]]);
        let names: Vec<_> = network.parameters().iter().map(|p| p.name.as_str()).collect();
        let wanted = "conv1.weight bn1.weight bn1.bias bn1.running_mean bn1.running_var conv2.weight conv2.bias \
                      linear.weight linear.bias";
        assert_eq!(names.join(" "), wanted);
        assert_eq!(network.parameter_count(), 4 * 27 + 8 + 8 * 36 + 8 + 330);
        assert_eq!(network.weight_count(), 4 * 27 + 8 * 36 + 320);
        assert_eq!(network.macs(), 4 * 27 * 81 + 8 * 36 * 25 + 320);
        assert_eq!((network.find("conv2"), network.find("input"), network.find("none")), (Some(4), Some(0), None));
    }

    #[test]
    fn a_network_survives_json_and_reads_well() {
        let network = small().finish().unwrap();
        let text = serde_json::to_string(&network).unwrap();
        assert_eq!(serde_json::from_str::<Network>(&text).unwrap(), network);
        assert!(text.contains(r#"{"name":"add","op":"add","inputs":[4,5]}"#), "{text}");
        assert!(
            text.contains(r#"{"name":"linear","op":{"linear":{"outputs":10,"bias":true}},"inputs":[8]}"#),
            "{text}"
        );
        let broken = text.replace("[4,5]", "[4,9]");
        let error = serde_json::from_str::<Network>(&broken).unwrap_err().to_string();
        assert!(error.contains("node `add` reads value 9, but only values 0 to 5 exist before it"), "{error}");
    }

    #[test]
    fn a_node_that_does_not_fit_is_named() {
        let error = |change: fn(&mut Builder)| {
            let mut builder = small();
            change(&mut builder);
            builder.finish().unwrap_err().to_string()
        };
        let message = error(|b| _ = b.then("linear", Linear::new(1), b.last()));
        assert!(message.contains("two nodes are named `linear`"), "{message}");
        let message = error(|b| _ = b.then("conv", Conv2d::new(1, 3), b.last()));
        assert!(message.contains("node `conv` (conv2d) reads an image [channels, height, width] but is given [10]"));
        let message = error(|b| _ = b.join("sum", Op::Add, &[b.last(), Value::INPUT]));
        assert!(message.contains("node `sum` (add) reads arrays of shapes [10] and [3, 9, 9]"), "{message}");
        let message = error(|b| _ = b.then("late", Op::Softmax, Value::INPUT));
        assert!(message.contains("node `late` (softmax) reads"), "{message}");
        let message = error(|b| _ = b.then("late", Op::Flatten, Value::INPUT));
        assert!(message.contains("nothing reads node `linear`"), "{message}");
    }

    #[test]
    fn hostile_extents_are_errors() {
        for outputs in [0, usize::MAX, 1 << 40] {
            let mut builder = Builder::new(&[3, 9, 9]);
            builder.then("conv", Conv2d::new(outputs, 3), Value::INPUT);
            assert!(builder.finish().is_err(), "{outputs}");
        }
        for input in [vec![], vec![0], vec![1; 4], vec![usize::MAX, 2]] {
            let mut builder = Builder::new(&input);
            builder.then("flatten", Op::Flatten, Value::INPUT);
            assert!(builder.finish().is_err(), "{input:?}");
        }
    }
}
