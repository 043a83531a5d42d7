//! The definition of values within bounds.

use super::{Beyond, Clamp};
use crate::op::arithmetic::{Given, Reference, places};

impl Reference for Clamp {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        let [places, channels] = places(given.shapes[0]);
        let image = given.shapes[0].len() == 3;
        let channel = |i: usize| if image { i / places % channels } else { i % channels };
        let bound = |which: usize, i: usize| given.parameters[which][if self.per_channel { channel(i) } else { 0 }];
        let value = |(i, &x): (usize, &f64)| {
            let (low, high) = (bound(0, i), bound(1, i));
            match self.beyond {
                Beyond::Bound => x.max(low).min(high),
                Beyond::Zero if (low..=high).contains(&x) => x,
                Beyond::Zero => 0.0,
            }
        };
        given.x[0].iter().enumerate().map(value).collect()
    }
}
