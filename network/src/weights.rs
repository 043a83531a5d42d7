//! A network together with the values of its parameters.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use thiserror::Error;

use crate::graph::Network;
use crate::op::{Role, Shape};
use crate::tensor::Tensor;

/// A network and one tensor for each of its parameters, in the order of [`Network::parameters`], buffers too.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    network: Network,
    tensors: Vec<Tensor>,
}

/// A tensor that does not have the shape of its parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The tensor.
    pub name: String,
    /// Its shape.
    pub found: Shape,
    /// How many values it holds.
    pub values: usize,
    /// The parameter's shape.
    pub wanted: Shape,
}

/// Tensors that are not the parameters of a network, all of them at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Error)]
#[error("weights do not fit the network{}; use weights of this network, or map the names", self.lists())]
pub struct WeightsError {
    /// Parameters without a tensor.
    pub missing: Vec<String>,
    /// Tensors that are no parameters.
    pub unexpected: Vec<String>,
    /// Names of which there are several tensors.
    pub repeated: Vec<String>,
    /// Tensors of another shape than their parameters, or of another number of values than their shapes.
    pub misshapen: Vec<Misfit>,
}

impl WeightsError {
    /// Whether nothing is wrong.
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.repeated.is_empty() && self.misshapen.is_empty()
    }

    /// Everything that is wrong, in words.
    fn lists(&self) -> String {
        let mut text = String::new();
        for (what, names) in
            [("missing", &self.missing), ("unexpected", &self.unexpected), ("given twice", &self.repeated)]
        {
            if !names.is_empty() {
                let _ = write!(text, "; {what}: `{}`", names.join("`, `"));
            }
        }
        for Misfit { name, found, values, wanted } in &self.misshapen {
            let _ = write!(text, "; `{name}` has shape {found:?} and {values} values instead of {wanted:?}");
        }
        text
    }
}

impl Weights {
    /// Weights of `network` made of `tensors`, which may come in any order.
    ///
    /// # Errors
    /// Where a parameter is missing, a tensor is no parameter or comes twice, or a shape is wrong; the error lists all.
    pub fn new(network: Network, tensors: Vec<Tensor>) -> Result<Self, WeightsError> {
        let mut error = WeightsError::default();
        let mut given = BTreeMap::new();
        for tensor in tensors {
            if let Some(earlier) = given.insert(tensor.name.clone(), tensor) {
                error.repeated.push(earlier.name);
            }
        }
        let mut ordered = Vec::with_capacity(network.parameters().len());
        for parameter in network.parameters() {
            match given.remove(&parameter.name) {
                None => error.missing.push(parameter.name.clone()),
                Some(tensor) if tensor.shape != parameter.shape || tensor.values.len() != parameter.len() => {
                    let (found, wanted) = (tensor.shape, parameter.shape.clone());
                    error.misshapen.push(Misfit { name: tensor.name, found, values: tensor.values.len(), wanted });
                }
                Some(tensor) => ordered.push(tensor),
            }
        }
        error.unexpected.extend(given.into_keys());
        if error.is_empty() { Ok(Self { network, tensors: ordered }) } else { Err(error) }
    }

    /// All parameters zero, running variances too.
    #[must_use]
    pub fn zeros(network: &Network) -> Self {
        let tensors = network.parameters().iter().map(|p| Tensor::zeros(p.name.clone(), p.shape.clone())).collect();
        Self { network: network.clone(), tensors }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The tensors, in the order of [`Network::parameters`].
    #[must_use]
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The values of each tensor, to change; names and shapes stay.
    pub fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [f32]> {
        self.tensors.iter_mut().map(|tensor| tensor.values.as_mut_slice())
    }

    /// The values of tensor `index`, to change.
    ///
    /// # Panics
    /// If there is no such tensor.
    pub fn value_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.tensors[index].values
    }

    /// The tensors alone.
    #[must_use]
    pub fn into_tensors(self) -> Vec<Tensor> {
        self.tensors
    }

    /// The tensor named `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The values of the tensor named `name`, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).map(|tensor| tensor.values.as_mut_slice())
    }

    /// The tensors of node `node` (from 1), in the order in which its operation names them.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn of(&self, node: usize) -> &[Tensor] {
        &self.tensors[self.network.parameters_of(node)]
    }

    /// The tensors of role [`Role::Weight`]: what is pruned and injected with faults.
    pub fn weight_tensors(&self) -> impl Iterator<Item = &Tensor> {
        let parameters = self.network.parameters();
        self.tensors.iter().zip(parameters).filter(|(_, p)| p.role == Role::Weight).map(|(tensor, _)| tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Value};
    use crate::op::Linear;

    fn net() -> Network {
        let mut builder = Builder::new(&[3]);
        let hidden = builder.then("hidden", Linear::new(2), Value::INPUT);
        let hidden = builder.relu("relu", hidden);
        builder.then("output", Linear::new(2), hidden);
        builder.finish().unwrap()
    }

    #[test]
    fn tensors_are_put_in_the_order_of_the_network() {
        let mut tensors = Weights::zeros(&net()).into_tensors();
        tensors.reverse();
        let weights = Weights::new(net(), tensors).unwrap();
        let names: Vec<_> = weights.tensors().iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]);
        assert_eq!(weights.of(3)[0].shape, [2, 2]);
        assert!(weights.of(2).is_empty());
        assert_eq!(weights.weight_tensors().map(|t| t.values.len()).sum::<usize>(), 10);
    }

    #[test]
    fn everything_that_is_wrong_is_listed_at_once() {
        let mut tensors = Weights::zeros(&net()).into_tensors();
        tensors.pop();
        tensors[0].values.pop();
        tensors.push(Tensor::zeros("stray", vec![1]));
        tensors.push(tensors[1].clone());
        let error = Weights::new(net(), tensors).unwrap_err();
        assert_eq!(error.missing, ["output.bias"]);
        assert_eq!(error.unexpected, ["stray"]);
        assert_eq!(error.repeated, ["hidden.bias"]);
        assert_eq!(error.misshapen[0].wanted, [2, 3]);
        let text = error.to_string();
        assert!(text.contains("missing: `output.bias`") && text.contains("5 values instead of [2, 3]"), "{text}");
    }
}
