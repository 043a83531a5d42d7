//! One step of a sequence, such as the last state of a recurrent layer.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, Shape, sequence};

/// `[time, features]` to the `[features]` of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Select {
    /// Which step.
    pub step: Step,
}

/// A step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The first step.
    First,
    /// The last step.
    Last,
}

impl Select {
    /// The number of the step in a sequence of `steps`.
    #[must_use]
    pub const fn index(&self, steps: usize) -> usize {
        match self.step {
            Step::First => 0,
            Step::Last => steps.saturating_sub(1),
        }
    }
}

impl Operation for Select {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        let [_, features] = sequence(inputs)?;
        Ok(vec![features])
    }
}
