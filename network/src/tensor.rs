//! A named array of numbers, the form in which weights are stored, exchanged and looked at.

/// A dense array in row-major order (the last index varies fastest).
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The parameter's name, such as `hidden.1.weight`.
    pub name: String,
    /// The extent along each index; a weight is `[outputs, inputs]`, a bias `[outputs]`.
    pub shape: Vec<usize>,
    /// The values, as many as the product of `shape`.
    pub values: Vec<f32>,
}

impl Tensor {
    /// A tensor of zeros.
    #[must_use]
    pub fn zeros(name: impl Into<String>, shape: Vec<usize>) -> Self {
        let len = shape.iter().product();
        Self { name: name.into(), shape, values: vec![0.0; len] }
    }

    /// How many values the shape asks for.
    #[must_use]
    pub fn expected_len(&self) -> usize {
        self.shape.iter().product()
    }
}
