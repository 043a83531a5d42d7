//! Where a training is between two updates.

use duress_network::Weights;

use super::CurvePoint;

/// What was seen of the batches since the last evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Running {
    /// Rows, counted once for each update that saw them.
    pub rows: f64,
    /// The sum of their losses.
    pub loss: f64,
    /// Those whose label was the largest output.
    pub correct: f64,
    /// The last learning rate.
    pub lr: f64,
}

/// The weights of the smallest validation loss so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// The loss.
    pub loss: f64,
    /// Updates made before it was measured.
    pub update: u64,
    /// Evaluations since.
    pub waited: u64,
    /// The weights.
    pub weights: Weights,
}

/// How far a training is, but for what it learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// Updates made.
    pub updates: u64,
    /// Whether it ended before its length.
    pub stopped: bool,
    /// What was seen since the last evaluation.
    pub running: Running,
    /// The learning curve so far.
    pub curve: Vec<CurvePoint>,
    /// With early stopping, the best weights so far.
    pub best: Option<Best>,
    /// The weights after the configured number of updates, once so many are made.
    pub snapshot: Option<Weights>,
}

/// All that a training needs to go on, beside its configuration, data, and what it started from.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// How far it is.
    pub course: Course,
    /// The weights now, running statistics among them.
    pub weights: Weights,
    /// The optimiser's moments, each by parameter; empty for buffers.
    pub moments: Vec<Vec<Vec<f32>>>,
}
