//! Networks written as code: each call adds a node and gives a handle to what it computes.

use super::{GraphError, Network, Node};
use crate::op::{Activation, Op, Shape};

/// What a node gives, or the network's input; the number that other nodes read it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(usize);

impl Value {
    /// The network's input.
    pub const INPUT: Self = Self(0);

    /// Its number: 0 for the input, `i` for node `i`.
    #[must_use]
    pub const fn number(self) -> usize {
        self.0
    }
}

/// A network under construction.
#[derive(Clone, Debug)]
pub struct Builder {
    input: Shape,
    nodes: Vec<Node>,
}

impl Builder {
    /// Begins a network that reads arrays of shape `input`.
    #[must_use]
    pub fn new(input: &[usize]) -> Self {
        Self { input: input.to_vec(), nodes: Vec::new() }
    }

    /// Adds `op` on `input`.
    pub fn then(&mut self, name: impl Into<String>, op: impl Into<Op>, input: Value) -> Value {
        self.join(name, op, &[input])
    }

    /// Adds `op` on several values.
    pub fn join(&mut self, name: impl Into<String>, op: impl Into<Op>, inputs: &[Value]) -> Value {
        let inputs = inputs.iter().map(|value| value.0).collect();
        self.nodes.push(Node { name: name.into(), op: op.into(), inputs });
        Value(self.nodes.len())
    }

    /// Adds a rectifier.
    pub fn relu(&mut self, name: impl Into<String>, input: Value) -> Value {
        self.then(name, Activation::relu(), input)
    }

    /// What the last added node gives, or the input.
    #[must_use]
    pub fn last(&self) -> Value {
        Value(self.nodes.len())
    }

    /// The network; its output is the last added node.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn finish(self) -> Result<Network, GraphError> {
        Network::new(self.input, self.nodes)
    }
}
