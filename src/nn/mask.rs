//! Which weights are kept.

use duress_network::op::Role;
use duress_network::{Network, Weights};
use thiserror::Error;

/// For every weight of a network (biases are never masked) whether it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// The masks of the weight tensors, first layer first.
    pub tensors: Vec<MaskTensor>,
}

/// A mask that is not one of these weights.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MaskError {
    /// A weight has no mask.
    #[error("weight `{0}` has no mask; use a mask of this network")]
    Missing(String),
    /// A mask has no weight.
    #[error("mask `{0}` belongs to no weight of the network; use a mask of this network")]
    Unexpected(String),
    /// A mask has another shape than its weight, or another number of values than its shape.
    #[error(
        "mask `{name}` has shape {found:?} and {values} values but its weight is {wanted:?}; use a mask of this network"
    )]
    Shape {
        /// The mask.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// How many values it holds.
        values: usize,
        /// The weight's shape.
        wanted: Vec<usize>,
    },
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

    /// Sets the values that are not kept to positive zero.
    fn zero(&self, values: &mut [f32]) {
        values.iter_mut().zip(&self.keep).filter(|(_, keep)| !**keep).for_each(|(value, _)| *value = 0.0);
    }
}

impl Mask {
    /// The mask that keeps every weight of `network`.
    #[must_use]
    pub fn full(network: &Network) -> Self {
        let weights = network.parameters().iter().filter(|p| p.role == Role::Weight);
        let tensors = weights
            .map(|p| MaskTensor { name: p.name.clone(), shape: p.shape.clone(), keep: vec![true; p.len()] })
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

    /// The share of `weights` that are not zero, in `[0, 1]`.
    #[must_use]
    pub fn density_of(weights: &Weights) -> f64 {
        Self::of_nonzero(weights).density()
    }

    /// Whether this mask has one entry for each weight of `network`, in order.
    ///
    /// # Errors
    /// Where a weight has no mask, a mask no weight, or a shape is wrong.
    pub fn validate(&self, network: &Network) -> Result<(), MaskError> {
        let weights = network.parameters().iter().filter(|p| p.role == Role::Weight);
        self.fit(weights.map(|p| (p.name.as_str(), p.shape.as_slice())))
    }

    /// Whether the masks are those of weights with these names and shapes.
    fn fit<'a>(&self, wanted: impl Iterator<Item = (&'a str, &'a [usize])>) -> Result<(), MaskError> {
        let mut tensors = self.tensors.iter();
        for (name, shape) in wanted {
            let tensor = tensors.next().ok_or_else(|| MaskError::Missing(name.to_owned()))?;
            if tensor.name != name {
                return Err(MaskError::Unexpected(tensor.name.clone()));
            }
            if tensor.shape != shape || tensor.keep.len() != shape.iter().product::<usize>() {
                return Err(MaskError::Shape {
                    name: name.to_owned(),
                    found: tensor.shape.clone(),
                    values: tensor.keep.len(),
                    wanted: shape.to_vec(),
                });
            }
        }
        tensors.next().map_or(Ok(()), |extra| Err(MaskError::Unexpected(extra.name.clone())))
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
    pub fn apply(&self, weights: &mut Weights) -> Result<(), MaskError> {
        self.validate(weights.network())?;
        let roles: Vec<bool> = weights.network().parameters().iter().map(|p| p.role == Role::Weight).collect();
        let values = weights.values_mut().zip(roles).filter(|(_, is_weight)| *is_weight);
        values.zip(&self.tensors).for_each(|((values, _), mask)| mask.zero(values));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::activation::Activation;
    use crate::nn::mlp::Mlp;

    fn mlp(inputs: usize, hidden: &[usize], outputs: usize, activation: Activation, bias: bool) -> Network {
        Mlp::new(inputs, hidden, outputs, activation, bias).graph().unwrap()
    }

    #[test]
    fn a_mask_zeroes_exactly_what_it_drops_and_leaves_biases_alone() {
        let net = mlp(2, &[2], 1, Activation::relu(), true);
        let mut weights = Weights::zeros(&net);
        weights.values_mut().for_each(|values| values.fill(-2.0));
        let mut mask = Mask::full(&net);
        mask.tensors[0].keep[1] = false;
        mask.apply(&mut weights).unwrap();
        assert_eq!(weights.tensors()[0].values, [-2.0, 0.0, -2.0, -2.0]);
        assert!(weights.tensors()[0].values[1].is_sign_positive());
        assert_eq!(weights.tensors()[1].values, [-2.0, -2.0]);
        assert_eq!(Mask::of_nonzero(&weights), mask);
        assert_eq!((mask.kept(), mask.total()), (5, 6));
    }

    #[test]
    fn intersecting_never_brings_a_weight_back() {
        let net = mlp(2, &[], 2, Activation::relu(), false);
        let (mut a, mut b) = (Mask::full(&net), Mask::full(&net));
        a.tensors[0].keep[0] = false;
        b.tensors[0].keep[3] = false;
        a.intersect(&b);
        assert_eq!(a.tensors[0].keep, [false, true, true, false]);
    }

    #[test]
    fn a_mask_of_another_network_is_refused() {
        let (small, large) = (mlp(2, &[], 2, Activation::relu(), false), mlp(3, &[], 2, Activation::relu(), false));
        assert!(matches!(Mask::full(&small).validate(&large), Err(MaskError::Shape { .. })));
    }
}
