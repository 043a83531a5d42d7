//! The operations that networks are made of, a folder each: its settings and static facts, and its arithmetic.

pub mod activation;
pub mod add;
pub(crate) mod arithmetic;
pub mod attention;
pub mod avg_pool;
pub mod batch_norm;
pub mod clamp;
pub mod concat;
pub mod conv2d;
pub mod crash;
pub mod dropout;
pub mod flatten;
pub mod global_avg_pool;
pub mod layer_norm;
pub(crate) mod layout;
pub mod linear;
pub mod lstm;
mod masked;
pub mod max_pool;
pub mod normalise;
pub mod operation;
mod pooling;
pub mod position;
mod recurrent;
pub mod reshape;
pub mod rnn;
pub mod scale_shift;
pub mod select;
pub mod shortcut_a;
pub mod softmax;
pub mod tokens;
pub mod window;

use serde::{Deserialize, Serialize};

use crate::device::Device;
use arithmetic::{Context, Kept, Pass, Targets};

pub use crate::activation::Activation;
pub use add::Add;
pub use arithmetic::{Given, Randomness, Reference};
pub use attention::Attention;
pub use avg_pool::AvgPool;
pub use batch_norm::BatchNorm;
pub use clamp::{Beyond, Clamp};
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use crash::Crash;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use global_avg_pool::GlobalAvgPool;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use lstm::Lstm;
pub use max_pool::MaxPool;
pub use normalise::Normalise;
pub use operation::{Arity, OpError, Operation, ParameterSpec, Role, Shape};
pub use position::Position;
pub use reshape::Reshape;
pub use rnn::{Nonlinearity, Rnn};
pub use scale_shift::ScaleShift;
pub use select::{Select, Step};
pub use shortcut_a::ShortcutA;
pub use softmax::Softmax;
pub use tokens::Tokens;
pub use window::Window;

/// An operation with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// `y = W x + b` over the last index.
    Linear(Linear),
    /// Two-dimensional convolution.
    #[serde(rename = "conv2d")]
    Conv2d(Conv2d),
    /// Batch normalisation.
    BatchNorm(BatchNorm),
    /// An elementwise function.
    Activation(Activation),
    /// Values within bounds.
    Clamp(Clamp),
    /// The largest value of each window.
    MaxPool(MaxPool),
    /// The mean of each window.
    AvgPool(AvgPool),
    /// The mean over all places or steps.
    GlobalAvgPool,
    /// Any array as a vector.
    Flatten,
    /// Another shape for the same values.
    Reshape(Reshape),
    /// An image as a sequence of its places.
    Tokens,
    /// The sum of two or more arrays.
    Add,
    /// Two or more arrays side by side along their channels.
    Concat,
    /// A residual shortcut without parameters.
    ShortcutA(ShortcutA),
    /// Random zeros in training, rescaled.
    Dropout(Dropout),
    /// Random zeros in training, not rescaled.
    Crash(Crash),
    /// Fixed mean and standard deviation of the data.
    Normalise(Normalise),
    /// A factor and an offset for each channel.
    ScaleShift(ScaleShift),
    /// Layer normalisation.
    LayerNorm(LayerNorm),
    /// Multi-head self-attention.
    Attention(Attention),
    /// A plain recurrent layer.
    Rnn(Rnn),
    /// Long short-term memory.
    Lstm(Lstm),
    /// Softmax over the last index.
    Softmax,
    /// One step of a sequence.
    Select(Select),
    /// A learned offset of every element.
    Position,
}

impl Op {
    /// What kind of operation this is, such as `conv2d`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Linear(_) => "linear",
            Self::Conv2d(_) => "conv2d",
            Self::BatchNorm(_) => "batch-norm",
            Self::Activation(_) => "activation",
            Self::Clamp(_) => "clamp",
            Self::MaxPool(_) => "max-pool",
            Self::AvgPool(_) => "avg-pool",
            Self::GlobalAvgPool => "global-avg-pool",
            Self::Flatten => "flatten",
            Self::Reshape(_) => "reshape",
            Self::Tokens => "tokens",
            Self::Add => "add",
            Self::Concat => "concat",
            Self::ShortcutA(_) => "shortcut-a",
            Self::Dropout(_) => "dropout",
            Self::Crash(_) => "crash",
            Self::Normalise(_) => "normalise",
            Self::ScaleShift(_) => "scale-shift",
            Self::LayerNorm(_) => "layer-norm",
            Self::Attention(_) => "attention",
            Self::Rnn(_) => "rnn",
            Self::Lstm(_) => "lstm",
            Self::Softmax => "softmax",
            Self::Select(_) => "select",
            Self::Position => "position",
        }
    }

    /// Its static facts.
    #[must_use]
    pub fn facts(&self) -> &dyn Operation {
        match self {
            Self::Linear(op) => op,
            Self::Conv2d(op) => op,
            Self::BatchNorm(op) => op,
            Self::Activation(op) => op,
            Self::Clamp(op) => op,
            Self::MaxPool(op) => op,
            Self::AvgPool(op) => op,
            Self::GlobalAvgPool => &GlobalAvgPool,
            Self::Flatten => &Flatten,
            Self::Reshape(op) => op,
            Self::Tokens => &Tokens,
            Self::Add => &Add,
            Self::Concat => &Concat,
            Self::ShortcutA(op) => op,
            Self::Dropout(op) => op,
            Self::Crash(op) => op,
            Self::Normalise(op) => op,
            Self::ScaleShift(op) => op,
            Self::LayerNorm(op) => op,
            Self::Attention(op) => op,
            Self::Rnn(op) => op,
            Self::Lstm(op) => op,
            Self::Softmax => &Softmax,
            Self::Select(op) => op,
            Self::Position => &Position,
        }
    }
}

/// Calls a generic method of whatever operation `$op` is.
macro_rules! on_operation {
    ($op:expr, $it:ident => $call:expr) => {
        match $op {
            Op::Linear($it) => $call,
            Op::Conv2d($it) => $call,
            Op::BatchNorm($it) => $call,
            Op::Activation($it) => $call,
            Op::Clamp($it) => $call,
            Op::MaxPool($it) => $call,
            Op::AvgPool($it) => $call,
            Op::Reshape($it) => $call,
            Op::ShortcutA($it) => $call,
            Op::Dropout($it) => $call,
            Op::Crash($it) => $call,
            Op::Normalise($it) => $call,
            Op::ScaleShift($it) => $call,
            Op::LayerNorm($it) => $call,
            Op::Attention($it) => $call,
            Op::Rnn($it) => $call,
            Op::Lstm($it) => $call,
            Op::Select($it) => $call,
            Op::GlobalAvgPool => on_operation!(@unit GlobalAvgPool, $it => $call),
            Op::Flatten => on_operation!(@unit Flatten, $it => $call),
            Op::Tokens => on_operation!(@unit Tokens, $it => $call),
            Op::Add => on_operation!(@unit Add, $it => $call),
            Op::Concat => on_operation!(@unit Concat, $it => $call),
            Op::Softmax => on_operation!(@unit Softmax, $it => $call),
            Op::Position => on_operation!(@unit Position, $it => $call),
        }
    };
    (@unit $unit:ident, $it:ident => $call:expr) => {{
        let $it = &$unit;
        $call
    }};
}

impl arithmetic::Forward for Op {
    fn forward<D: Device>(&self, cx: &Context<'_, D>, x: &[&D::Buffer], kept: &mut Kept<D>) -> D::Buffer {
        on_operation!(self, op => op.forward(cx, x, kept))
    }
}

impl arithmetic::Backward for Op {
    fn backward<D: Device>(&self, cx: &Context<'_, D>, pass: &Pass<'_, D>, to: &mut Targets<'_, D>) {
        on_operation!(self, op => op.backward(cx, pass, to));
    }
}

impl Reference for Op {
    fn reference(&self, given: &Given<'_>) -> Vec<f64> {
        on_operation!(self, op => op.reference(given))
    }
}

macro_rules! from_settings {
    ($($name:ident)*) => {$(
        impl From<$name> for Op {
            fn from(op: $name) -> Self {
                Self::$name(op)
            }
        }
    )*};
}

from_settings!(Linear Conv2d BatchNorm Activation Clamp MaxPool AvgPool Reshape ShortcutA Dropout Crash Normalise ScaleShift LayerNorm Attention Rnn Lstm Select);
