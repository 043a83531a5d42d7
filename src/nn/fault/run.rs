//! What becomes of computed numbers, for the engine.

use duress_network::campaign::{Corrupt, Range};

use super::model::Effect;

impl Corrupt for Effect {
    fn corrupt(&self, value: f32, range: Range) -> f32 {
        self.apply(value, range.max - range.min)
    }
}
