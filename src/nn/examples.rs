//! Labelled examples in memory, the form that training and evaluation read.

use thiserror::Error;

/// Examples that a network cannot be run on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExamplesError {
    /// They are not of the network's width.
    #[error("run examples of {got} features through a network of {want} inputs: use the data it was trained on")]
    Features {
        /// Features of an example.
        got: usize,
        /// Inputs of the network.
        want: usize,
    },
    /// There are labels, but not one per example.
    #[error("compare {examples} examples with {labels} labels: give one label per example, or none")]
    Labels {
        /// Number of examples.
        examples: usize,
        /// Number of labels.
        labels: usize,
    },
}

/// Rows of features with a class label each, or with regression targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examples {
    /// Features per row.
    pub features: usize,
    /// The shape of a row, such as `[3, 32, 32]` or `[28, 28]`, whose product is the number of features; empty for a plain
    /// vector.
    pub shape: Vec<usize>,
    /// How many classes the labels come from; 0 for regression.
    pub classes: usize,
    /// The features, `rows x features`, row after row.
    pub x: Vec<f32>,
    /// A class per row, below `classes`; empty for regression.
    pub labels: Vec<u32>,
    /// `rows x outputs` numbers to fit, for regression.
    pub targets: Option<Vec<f32>>,
}

/// A shape as that of a picture, `[channels, height, width]`, where it is one; one of two extents is grey.
#[must_use]
pub fn picture(shape: &[usize]) -> Option<[usize; 3]> {
    match *shape {
        [height, width] => Some([1, height, width]),
        [channels, height, width] => Some([channels, height, width]),
        _ => None,
    }
}

impl Examples {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.x.len().checked_div(self.features).unwrap_or(0)
    }

    /// Whether a network of `inputs` inputs can be run on them, and judged where they have labels.
    ///
    /// # Errors
    /// Where the width is another, or there are labels for some examples only.
    pub fn fit(&self, inputs: usize) -> Result<(), ExamplesError> {
        if self.features != inputs {
            return Err(ExamplesError::Features { got: self.features, want: inputs });
        }
        if !self.labels.is_empty() && self.labels.len() != self.rows() {
            return Err(ExamplesError::Labels { examples: self.rows(), labels: self.labels.len() });
        }
        Ok(())
    }

    /// The shape of a row as a picture of `[channels, height, width]`, where it is one.
    #[must_use]
    pub fn picture(&self) -> Option<[usize; 3]> {
        picture(&self.shape)
    }

    /// The features of row `index`.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        &self.x[index * self.features..(index + 1) * self.features]
    }

    /// Outputs per row of a regression target; 0 for classification.
    #[must_use]
    pub fn target_width(&self) -> usize {
        self.targets.as_ref().map_or(0, |t| t.len().checked_div(self.rows()).unwrap_or(0))
    }

    /// The rows named by `indices`, in that order.
    ///
    /// # Panics
    /// If an index is not below `rows()`.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let width = self.target_width();
        Self {
            features: self.features,
            shape: self.shape.clone(),
            classes: self.classes,
            x: rows_of(&self.x, self.features, indices),
            labels: if self.labels.is_empty() { Vec::new() } else { indices.iter().map(|&i| self.labels[i]).collect() },
            targets: self.targets.as_ref().map(|targets| rows_of(targets, width, indices)),
        }
    }

    /// The first `count` rows, or all where there are fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        self.select(&(0..count.min(self.rows())).collect::<Vec<_>>())
    }
}

/// The rows of `from`, each of `width` numbers, that `indices` name.
fn rows_of(from: &[f32], width: usize, indices: &[usize]) -> Vec<f32> {
    let mut rows = Vec::with_capacity(indices.len() * width);
    for &i in indices {
        rows.extend_from_slice(&from[i * width..(i + 1) * width]);
    }
    rows
}
