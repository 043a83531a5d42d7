//! What every operation says of itself before it runs: the shape it gives, the parameters it owns, the work it does.

use thiserror::Error;

/// The extents of one example's array: `[features]`, `[time, features]` or `[channels, height, width]`.
pub type Shape = Vec<usize>;

/// The largest number of values that an array may hold, for one example or one parameter.
///
/// Far beyond any network that fits a machine; the limit keeps products of hostile extents from overflowing.
pub const MAX_VALUES: usize = 1 << 31;

/// How many values an operation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly one.
    One,
    /// Two or more.
    Many,
}

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Weights that multiply activations and are summed: what is pruned, decayed and injected with faults.
    Weight,
    /// Added to such a sum.
    Bias,
    /// The factor of a normalisation (`gamma`).
    Scale,
    /// The offset of a normalisation (`beta`).
    Shift,
    /// A learned offset of every position of an array.
    Position,
    /// A statistic that training estimates but no gradient changes, such as a running mean.
    Buffer,
}

impl Role {
    /// Whether gradients change it.
    #[must_use]
    pub fn is_trained(self) -> bool {
        self != Self::Buffer
    }
}

/// A parameter of an operation, named within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Its name within the operation, as `PyTorch` calls it: `weight`, `bias`, `running_mean`, `weight_ih_l0`.
    pub suffix: String,
    /// Its shape.
    pub shape: Shape,
    /// What it is for.
    pub role: Role,
    /// How many products are added up for one output (0 where that has no meaning).
    pub fan_in: usize,
    /// How many outputs one input reaches, the places of a kernel counted as `PyTorch` does (0 where that has no meaning).
    pub fan_out: usize,
}

impl ParameterSpec {
    /// A parameter of a sum over `fan_in` products.
    pub(crate) fn new(suffix: impl Into<String>, shape: Shape, role: Role, fan_in: usize, fan_out: usize) -> Self {
        Self { suffix: suffix.into(), shape, role, fan_in, fan_out }
    }

    /// A parameter without fans: a scale, a shift, a buffer.
    pub(crate) fn plain(suffix: &str, shape: Shape, role: Role) -> Self {
        Self::new(suffix, shape, role, 0, 0)
    }
}

/// Why an operation cannot read what it is given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpError {
    /// The array has another number of dimensions than the operation works on.
    #[error("reads {wanted} but is given {found:?}; put a layer before it that gives such a shape")]
    Rank {
        /// The shapes it can read, in words.
        wanted: &'static str,
        /// What it is given.
        found: Shape,
    },
    /// The arrays do not fit together.
    #[error("reads arrays of shapes {first:?} and {other:?}, which do not fit; make them {rule}")]
    Disagree {
        /// The first array.
        first: Shape,
        /// The one that does not fit it.
        other: Shape,
        /// What would fit.
        rule: &'static str,
    },
    /// A window is larger than the padded image.
    #[error("has a window of {window:?} on a padded image of {image:?}; use a smaller kernel, or pad more")]
    Window {
        /// Extent of the dilated window, `[height, width]`.
        window: [usize; 2],
        /// Extent of the padded image.
        image: [usize; 2],
    },
    /// A setting that makes no sense, whatever the input.
    #[error("has {key} = {value}; {fix}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What to do.
        fix: &'static str,
    },
    /// A setting that does not divide or fit the input.
    #[error("has {key} = {value} on an input of shape {input:?}; {fix}")]
    Fit {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: usize,
        /// What the operation is given.
        input: Shape,
        /// What to do.
        fix: &'static str,
    },
    /// An array with more values than [`MAX_VALUES`].
    #[error("makes an array of shape {0:?}, larger than this program handles; use smaller extents")]
    TooLarge(Shape),
}

/// The static facts of an operation; its arithmetic lies beside each implementation.
pub trait Operation {
    /// How many values it reads.
    fn arity(&self) -> Arity {
        Arity::One
    }

    /// The shape it gives for one example.
    ///
    /// # Errors
    /// Where the inputs' shapes do not suit it, or its settings make no sense.
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError>;

    /// Its parameters, in the order of `PyTorch`'s state dict; `inputs` were accepted by [`Operation::output`].
    fn parameters(&self, _inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        Vec::new()
    }

    /// Multiply-accumulates of sums over weights for one example, as published counts have it: biases, normalisations,
    /// pooling and elementwise work count nothing.
    fn macs(&self, _inputs: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

/// How many values an array of `shape` holds, or `None` above [`MAX_VALUES`].
#[must_use]
pub fn value_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent).filter(|&count| count <= MAX_VALUES))
}

/// The channels, height and width of an image.
pub(crate) fn image(inputs: &[&[usize]]) -> Result<[usize; 3], OpError> {
    match *inputs[0] {
        [channels, height, width] => Ok([channels, height, width]),
        _ => Err(OpError::Rank { wanted: "an image [channels, height, width]", found: inputs[0].to_vec() }),
    }
}

/// The steps and features of a sequence.
pub(crate) fn sequence(inputs: &[&[usize]]) -> Result<[usize; 2], OpError> {
    match *inputs[0] {
        [steps, features] => Ok([steps, features]),
        _ => Err(OpError::Rank { wanted: "a sequence [time, features]", found: inputs[0].to_vec() }),
    }
}

/// `value` if it is positive.
pub(crate) fn positive(key: &'static str, value: usize) -> Result<usize, OpError> {
    if value == 0 {
        return Err(OpError::Setting { key, value: "0".into(), fix: "use at least 1" });
    }
    Ok(value)
}

/// `value` if it is a probability below 1.
pub(crate) fn rate(value: f64) -> Result<(), OpError> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(OpError::Setting { key: "rate", value: value.to_string(), fix: "use a probability in [0, 1)" })
}

/// `eps` if it can keep a variance from being zero.
pub(crate) fn epsilon(value: f64) -> Result<(), OpError> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(OpError::Setting { key: "eps", value: value.to_string(), fix: "use a small number that is not negative" })
}
