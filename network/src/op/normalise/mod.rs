//! Normalisation of the data as a part of the network, so that perturbations are measured in data units.

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use serde::{Deserialize, Serialize};

use crate::op::operation::{OpError, Operation, Shape};

/// `y = (x - mean) / std` with fixed numbers, one for each channel or feature, or one for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Normalise {
    /// Means, rounded to `f32` before use.
    pub mean: Vec<f64>,
    /// Standard deviations, rounded to `f32` before use.
    pub std: Vec<f64>,
}

impl Normalise {
    /// Mean and standard deviation of channel or feature `index`.
    ///
    /// # Panics
    /// If `index` is no channel of an input that the operation accepted.
    #[must_use]
    pub fn at(&self, index: usize) -> (f32, f32) {
        let pick = |values: &[f64]| values[if values.len() == 1 { 0 } else { index }] as f32;
        (pick(&self.mean), pick(&self.std))
    }

    /// How many numbers a shape needs: its channels, or its features.
    fn count(shape: &[usize]) -> usize {
        if shape.len() == 3 { shape[0] } else { shape.last().copied().unwrap_or(0) }
    }
}

impl Operation for Normalise {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        for (key, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != 1 && values.len() != Self::count(inputs[0]) {
                let fix = "give one number for all, or one for each channel or feature";
                return Err(OpError::Fit { key, value: values.len(), input: inputs[0].to_vec(), fix });
            }
            let usable = |value: f64| (value as f32).is_finite() && (key == "mean" || value as f32 > 0.0);
            if let Some(value) = values.iter().find(|&&value| !usable(value)) {
                let fix = "use finite means and positive standard deviations";
                return Err(OpError::Setting { key, value: value.to_string(), fix });
            }
        }
        Ok(inputs[0].to_vec())
    }
}
