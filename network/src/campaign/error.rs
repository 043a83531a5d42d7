//! Campaigns that cannot be run.

use thiserror::Error;

use crate::executor::ExecutorError;

/// Why a campaign cannot be run.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CampaignError {
    /// The examples do not fit the network.
    #[error("examples hold {found} numbers, which are not examples of {wanted} each; give whole examples")]
    Examples {
        /// Numbers of one example.
        wanted: usize,
        /// Numbers given.
        found: usize,
    },
    /// Not one label for each example.
    #[error("{examples} examples come with {labels} labels; give one for each, or none at all")]
    Labels {
        /// How many examples.
        examples: usize,
        /// How many labels.
        labels: usize,
    },
    /// Without faults the outputs are already broken.
    #[error(
        "outputs for example {0} are not finite without any fault, so that none could be judged; repair the weights or \
         the data"
    )]
    Golden(usize),
    /// A fault in a number that is not stored.
    #[error("network stores no element {element} of parameter {parameter}; list the faults anew")]
    NoSuchNumber {
        /// The parameter asked for.
        parameter: usize,
        /// The element asked for.
        element: usize,
    },
    /// A fault in a value that no node gives.
    #[error("node {node} gives no element {element}; list the faults anew")]
    NoSuchValue {
        /// The node asked for.
        node: usize,
        /// The element asked for.
        element: usize,
    },
    /// A value that does not exist on its own.
    #[error("value `{0}` is what the node before it gives, unchanged; put the fault there")]
    PassedOn(String),
    /// An example that is not there.
    #[error("there is no example {image} among {examples}; draw from those that there are")]
    NoSuchExample {
        /// The example asked for.
        image: u32,
        /// How many there are.
        examples: usize,
    },
    /// A pattern that names no layer.
    #[error("no convolution or linear layer is named `{0}`; use a name of the network, with `*` for any part of it")]
    NoSuchLayer(String),
    /// A setting of the screening that makes no sense.
    #[error("screening with {key} = {value} makes no sense; {fix}")]
    Screening {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: f64,
        /// What to do.
        fix: &'static str,
    },
    /// The executor refuses.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
}
