//! Networks that cannot be.

use thiserror::Error;

use crate::op::OpError;

/// Why nodes make no network; every message names the node.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GraphError {
    /// There is nothing between input and output.
    #[error("network has no operations; give it at least one")]
    Empty,
    /// The input has no extent, a zero one, more than three, or too many values.
    #[error("network reads arrays of shape {0:?}; use [features], [time, features] or [channels, height, width]")]
    Input(Vec<usize>),
    /// A node without a name.
    #[error("node {0} has no name; name it after its place, such as `layer1.0.conv1`")]
    Unnamed(usize),
    /// Two nodes of one name.
    #[error("two nodes are named `{0}`; name each node differently")]
    DuplicateName(String),
    /// Two parameters of one name.
    #[error("node `{node}` has a parameter `{parameter}`, as another node has; rename one of the nodes")]
    DuplicateParameter {
        /// The later node.
        node: String,
        /// The parameter of both.
        parameter: String,
    },
    /// A node reads what is computed later, or nowhere.
    #[error(
        "node `{node}` reads value {input}, but only values 0 to {last} exist before it; put nodes in the order they are computed"
    )]
    UnknownInput {
        /// The node.
        node: String,
        /// What it reads.
        input: usize,
        /// The number of the last value before it.
        last: usize,
    },
    /// A node with too many inputs or too few.
    #[error("node `{node}` ({op}) reads {found} values but needs {wanted}; connect it accordingly")]
    Arity {
        /// The node.
        node: String,
        /// Its operation.
        op: &'static str,
        /// How many it reads.
        found: usize,
        /// How many it needs, in words.
        wanted: &'static str,
    },
    /// An operation cannot work on what it is given.
    #[error("node `{node}` ({op}) {reason}")]
    Operation {
        /// The node.
        node: String,
        /// Its operation.
        op: &'static str,
        /// What is wrong.
        reason: OpError,
    },
    /// A value that nothing reads and that is not the output.
    #[error("nothing reads node `{0}`; connect it or leave it out (the output is the last node)")]
    Unused(String),
}
