//! From a fault as it is listed to one that the engine runs.

use std::sync::Arc;

use duress_network::Weights;
use duress_network::campaign::{ActivationFault, Corrupt, Fault, Range, Stored};

use super::model::Effect;
use super::space::{FaultSite, Hits};

impl Corrupt for Effect {
    fn corrupt(&self, value: f32, range: Range) -> f32 {
        self.apply(value, range.max - range.min)
    }
}

impl FaultSite {
    /// What the engine is to replace in `weights`; `None` where they have no such number.
    #[must_use]
    pub fn fault(&self, weights: &Weights) -> Option<Fault> {
        match &self.hits {
            Hits::Stored(hits) => {
                let stored = |&(parameter, element, effect): &(usize, usize, Effect)| {
                    let value = *weights.tensors().get(parameter)?.values.get(element)?;
                    Some(Stored { parameter, element, value: effect.apply(value, 0.0) })
                };
                hits.iter().map(stored).collect::<Option<Vec<_>>>().map(Fault::Stored)
            }
            Hits::Output { node, elements, effect } => Some(Fault::Activation(ActivationFault {
                node: *node,
                elements: elements.clone(),
                corrupt: Arc::new(*effect),
            })),
        }
    }
}
