//! Range restriction: values outside of bounds are taken to have been corrupted by a fault.
//!
//! Taking the nearest bound is Ranger (Chen, Li and Pattabiraman, DSN 2021); taking zero is the clipping of FT-ClipAct (Hoang,
//! Hanif and Shafique, DATE 2020). NaN, which every other operation passes on, ends here.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, ParameterSpec, Role, Shape};

/// What is put in the place of a value outside of its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Beyond {
    /// The bound that it is beyond; the lower one for NaN.
    #[default]
    Bound,
    /// Zero; so for NaN.
    Zero,
}

/// Values kept within bounds `low` and `high`, which are parameters that no training changes: one pair for all values, or one
/// for each channel of an image or feature of a vector or sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Clamp {
    /// Whether each channel or feature has bounds of its own.
    pub per_channel: bool,
    /// What is put in the place of a value outside.
    pub beyond: Beyond,
}

impl Clamp {
    /// The bounds of some channels: `given` are those of all, or one for all.
    pub(crate) fn of_channels(self, given: &[f32], channels: Range<usize>) -> Vec<f32> {
        if self.per_channel { given[channels].to_vec() } else { vec![given[0]; channels.len()] }
    }
}

impl Operation for Clamp {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        Ok(inputs[0].to_vec())
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let axis = if inputs[0].len() == 3 { 0 } else { inputs[0].len() - 1 };
        let shape = || vec![if self.per_channel { inputs[0][axis] } else { 1 }];
        ["low", "high"].map(|suffix| ParameterSpec::plain(suffix, shape(), Role::Buffer)).into()
    }
}
