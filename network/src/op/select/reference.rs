//! The definition of one step of a sequence.

use super::{Select, Step};
use crate::op::arithmetic::{Given, Reference};

impl Reference for Select {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let [steps, features] = [given.shapes[0][0], given.shapes[0][1]];
        let step = match self.step {
            Step::First => 0,
            Step::Last => steps - 1,
        };
        let sequences = given.x[0].chunks_exact(steps * features);
        sequences.flat_map(|x| x[step * features..(step + 1) * features].to_vec()).collect()
    }
}
