//! Which weights are kept.

use super::network::Network;
use super::weights::{Weights, WeightsError, weight_shapes};

/// For every weight of a network (biases are never masked) whether it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// The masks of the weight tensors, first layer first.
    pub tensors: Vec<MaskTensor>,
}

/// The mask of one weight tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskTensor {
    /// The weight's name, such as `hidden.1.weight`.
    pub name: String,
    /// The weight's shape.
    pub shape: Vec<usize>,
    /// Row-major, `true` where the weight is kept.
    pub keep: Vec<bool>,
}

impl MaskTensor {
    /// How many weights are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.keep.iter().filter(|&&keep| keep).count()
    }

    /// The share of weights that are kept, in `[0, 1]`.
    #[must_use]
    pub fn density(&self) -> f64 {
        if self.keep.is_empty() { 1.0 } else { self.kept() as f64 / self.keep.len() as f64 }
    }
}

impl Mask {
    /// The mask that keeps every weight of `network`.
    #[must_use]
    pub fn full(network: &Network) -> Self {
        let tensors = weight_shapes(network)
            .into_iter()
            .map(|(name, shape)| {
                let keep = vec![true; shape.iter().product()];
                MaskTensor { name, shape, keep }
            })
            .collect();
        Self { tensors }
    }

    /// The mask that keeps exactly the weights that are not zero.
    #[must_use]
    pub fn of_nonzero(weights: &Weights) -> Self {
        let tensors = weights
            .weight_tensors()
            .map(|t| MaskTensor {
                name: t.name.clone(),
                shape: t.shape.clone(),
                keep: t.values.iter().map(|&v| v != 0.0).collect(),
            })
            .collect();
        Self { tensors }
    }

    /// Whether this mask has one entry for each weight of `network`, in order.
    ///
    /// # Errors
    /// Where a weight has no mask, a mask no weight, or a shape is wrong.
    pub fn validate(&self, network: &Network) -> Result<(), WeightsError> {
        let wanted = weight_shapes(network);
        for (index, (name, shape)) in wanted.iter().enumerate() {
            let tensor = self.tensors.get(index).ok_or_else(|| WeightsError::Missing(name.clone()))?;
            if tensor.name != *name {
                return Err(WeightsError::Unexpected(tensor.name.clone()));
            }
            if tensor.shape != *shape || tensor.keep.len() != shape.iter().product::<usize>() {
                return Err(WeightsError::Shape {
                    name: name.clone(),
                    found: tensor.shape.clone(),
                    values: tensor.keep.len(),
                    wanted: shape.clone(),
                });
            }
        }
        self.tensors.get(wanted.len()).map_or(Ok(()), |extra| Err(WeightsError::Unexpected(extra.name.clone())))
    }

    /// How many weights are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.tensors.iter().map(MaskTensor::kept).sum()
    }

    /// How many weights there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.tensors.iter().map(|t| t.keep.len()).sum()
    }

    /// The share of all weights that are kept, in `[0, 1]`.
    #[must_use]
    pub fn density(&self) -> f64 {
        if self.total() == 0 { 1.0 } else { self.kept() as f64 / self.total() as f64 }
    }

    /// Keeps only what `other` keeps too.
    ///
    /// # Panics
    /// If the masks belong to networks of other shapes.
    pub fn intersect(&mut self, other: &Self) {
        assert_eq!(self.tensors.len(), other.tensors.len(), "masks of one network have as many tensors");
        for (mine, theirs) in self.tensors.iter_mut().zip(&other.tensors) {
            assert_eq!(mine.shape, theirs.shape, "masks of one network have equal shapes");
            for (keep, &also) in mine.keep.iter_mut().zip(&theirs.keep) {
                *keep &= also;
            }
        }
    }

    /// Sets every weight that is not kept to positive zero.
    ///
    /// # Errors
    /// Where the mask does not fit the weights.
    pub fn apply(&self, weights: &mut Weights) -> Result<(), WeightsError> {
        self.validate(&weights.network)?;
        for layer in 1..=weights.network.depth() {
            let index = weights.weight_index(layer);
            for (value, &keep) in weights.tensors[index].values.iter_mut().zip(&self.tensors[layer - 1].keep) {
                if !keep {
                    *value = 0.0;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::activation::Activation;

    #[test]
    fn a_mask_zeroes_exactly_what_it_drops_and_leaves_biases_alone() {
        let net = Network::mlp(2, &[2], 1, Activation::relu(), true);
        let mut weights = Weights::zeros(&net);
        for tensor in &mut weights.tensors {
            tensor.values.fill(-2.0);
        }
        let mut mask = Mask::full(&net);
        mask.tensors[0].keep[1] = false;
        mask.apply(&mut weights).unwrap();
        assert_eq!(weights.weight(1), [-2.0, 0.0, -2.0, -2.0]);
        assert!(weights.weight(1)[1].is_sign_positive());
        assert_eq!(weights.bias(1).unwrap(), [-2.0, -2.0]);
        assert_eq!(Mask::of_nonzero(&weights), mask);
        assert_eq!((mask.kept(), mask.total()), (5, 6));
    }

    #[test]
    fn intersecting_never_brings_a_weight_back() {
        let net = Network::mlp(2, &[], 2, Activation::relu(), false);
        let (mut a, mut b) = (Mask::full(&net), Mask::full(&net));
        a.tensors[0].keep[0] = false;
        b.tensors[0].keep[3] = false;
        a.intersect(&b);
        assert_eq!(a.tensors[0].keep, [false, true, true, false]);
    }

    #[test]
    fn a_mask_of_another_network_is_refused() {
        let (small, large) =
            (Network::mlp(2, &[], 2, Activation::relu(), false), Network::mlp(3, &[], 2, Activation::relu(), false));
        assert!(matches!(Mask::full(&small).validate(&large), Err(WeightsError::Shape { .. })));
    }
}
