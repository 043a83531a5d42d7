//! The definition of channels with a factor and an offset.

use super::ScaleShift;
use crate::op::arithmetic::{Given, Reference, places};

impl Reference for ScaleShift {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let [places, channels] = places(given.shapes[0]);
        let image = given.shapes[0].len() == 3;
        let channel = |i: usize| if image { i / places % channels } else { i % channels };
        let scale = |c: usize| if self.scale { given.parameters[0][c] } else { 1.0 };
        let shift = |c: usize| if self.shift { given.parameters[usize::from(self.scale)][c] } else { 0.0 };
        given.x[0].iter().enumerate().map(|(i, x)| x * scale(channel(i)) + shift(channel(i))).collect()
    }
}
