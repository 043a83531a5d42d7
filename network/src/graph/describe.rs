//! A network as a table, for people.

use super::{Network, Parameter};
use crate::op::Shape;

/// A node of a network in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The node's name.
    pub name: String,
    /// Its operation, such as `conv2d`.
    pub op: &'static str,
    /// The nodes it reads; `input` is the network's input.
    pub inputs: Vec<String>,
    /// The shape of one example's output.
    pub output: Shape,
    /// Numbers that training adjusts.
    pub parameters: usize,
    /// Multiply-accumulates for one example.
    pub macs: u64,
}

impl Network {
    /// One row for each node, in order.
    #[must_use]
    pub fn describe(&self) -> Vec<Row> {
        let name = |&value: &usize| match value {
            0 => "input".to_owned(),
            _ => self.nodes()[value - 1].name.clone(),
        };
        let row = |(index, node): (usize, &super::Node)| Row {
            name: node.name.clone(),
            op: node.op.name(),
            inputs: node.inputs.iter().map(name).collect(),
            output: self.shapes()[index + 1].clone(),
            parameters: self.trained(index + 1).map(Parameter::len).sum(),
            macs: self.macs_of(index + 1),
        };
        self.nodes().iter().enumerate().map(row).collect()
    }

    /// The parameters of node `node` that training adjusts.
    fn trained(&self, node: usize) -> impl Iterator<Item = &Parameter> {
        self.parameters()[self.parameters_of(node)].iter().filter(|p| p.role.is_trained())
    }
}
