//! `layers = [...]`: a network written out layer by layer.

use duress_cache::Tree;
use duress_engine::spec::{Count, Fraction, FromSpec, Node, Positive, Schema, Scope};
use duress_engine::{choice, config};
use duress_network::arch::layers::LayerKind;
use duress_network::arch::transformer::EncoderLayer;
use duress_network::arch::{self, LayersError};
use duress_network::op::{self, Op};

use super::padding::Padding;
use super::{Activation, Nonlinearity};
use crate::nn;

/// The name of an entry's shape, where lists of layers hold lists of layers.
const LAYER: &str = "layer";

/// The layers of a model, first to last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers(pub Vec<Layer>);

impl FromSpec for Layers {
    fn schema() -> Schema {
        Schema::List(Box::new(Schema::Named { name: LAYER, content: Box::new(Layer::schema()) }))
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        Vec::from_spec(node, scope).map(Self)
    }

    fn to_tree(&self) -> Option<Tree> {
        self.0.to_tree()
    }
}

/// A list of layers inside a layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inner(Vec<Layer>);

impl FromSpec for Inner {
    fn schema() -> Schema {
        Schema::List(Box::new(Schema::Again(LAYER)))
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        Vec::from_spec(node, scope).map(Self)
    }

    fn to_tree(&self) -> Option<Tree> {
        self.0.to_tree()
    }
}

choice! {
    /// A layer of a `cnn`.
    #[derive(Clone, PartialEq)]
    pub enum Layer {
        /// A convolution.
        "conv" => Conv(ConvKeys),
        /// A fully connected layer; it reads vectors and steps of sequences, so `flatten` images first.
        "linear" => Linear(LinearKeys),
        /// A fully connected layer with one output per class.
        "output" => Output,
        /// An image or a sequence as a vector.
        "flatten" => Flatten,
        /// The same values in another shape, such as `{ reshape = [28, 28] }`, the last index varying fastest.
        "reshape" => Reshape(Vec<Count>),
        /// Batch normalisation (Ioffe and Szegedy 2015).
        "batch-norm" => BatchNorm,
        /// Layer normalisation over features (Ba, Kiros and Hinton 2016).
        "layer-norm" => LayerNorm,
        /// A learned factor and a learned offset for each channel.
        "scale-shift" => ScaleShift,
        /// An elementwise function; `{ activation = "relu" }`.
        "activation" => Function(Activation),
        /// `max(0, z)`.
        "relu" => Relu,
        /// The softmax over features; losses want the outputs before it.
        "softmax" => Softmax,
        /// The largest value of each window.
        "max-pool" => MaxPool(PoolKeys),
        /// The mean of each window.
        "average-pool" => AveragePool(PoolKeys),
        /// The mean of each channel of an image, or of each feature over the steps of a sequence.
        "global-average-pool" => GlobalAveragePool,
        /// So large a share of values dropped in training, and the rest scaled up.
        "dropout" => Dropout(Fraction),
        /// So large a share of values dropped in training, and the rest left alone.
        "crash" => Crash(Fraction),
        /// The sum of what two lists of layers make of the same input (He et al. 2015).
        "residual" => Residual(ResidualKeys),
        /// What several lists of layers make of the same input, side by side along channels (Szegedy et al. 2015);
        /// `[]` is the input itself.
        "concat" => Concat(Vec<Inner>),
        /// The shortcut without parameters: every `stride`-th row and column, channels of zeros added (He et al. 2015, option A).
        "option-a" => OptionA(OptionAKeys),
        /// An image as a sequence of its places, for what reads sequences.
        "tokens" => Tokens,
        /// A learned offset of every element, such as positions in a sequence.
        "position" => Position,
        /// Multi-head self-attention over the steps of a sequence (Vaswani et al. 2017).
        "attention" => Attention(AttentionKeys),
        /// A layer of a transformer's encoder: attention and a hidden layer, each added to what it reads and normalised.
        "encoder" => Encoder(EncoderKeys),
        /// Plain recurrent layers (Elman 1990) over the steps of a sequence; they give every state.
        "rnn" => Rnn(RnnKeys),
        /// Long short-term memory (Hochreiter and Schmidhuber 1997) over the steps of a sequence; it gives every state.
        "lstm" => Lstm(LstmKeys),
        /// The first step of a sequence.
        "first-step" => FirstStep,
        /// The last step of a sequence.
        "last-step" => LastStep,
    }
}

config! {
    /// A square convolution.
    #[derive(Clone, Copy, PartialEq)]
    pub struct ConvKeys {
        /// Output channels.
        channels: Count,
        /// Rows and columns of the kernel.
        kernel: Count = Count(3),
        /// Step between windows.
        stride: Count = Count(1),
        /// Rows and columns of zeros on every side; `"same"` adds as many as give `ceil(extent / stride)` rows and columns.
        padding: Padding = Padding::Cells(0),
        /// Groups of channels that do not mix.
        groups: Count = Count(1),
        /// Whether a bias is added.
        bias: bool = true,
    }
}

config! {
    /// A fully connected layer.
    #[derive(Clone, Copy, PartialEq)]
    pub struct LinearKeys {
        /// Its width.
        units: Count,
        /// Whether a bias is added.
        bias: bool = true,
    }
}

config! {
    /// A pooling over squares.
    #[derive(Clone, Copy, PartialEq)]
    pub struct PoolKeys {
        /// Rows and columns of a window.
        kernel: Count = Count(2),
        /// Step between windows; by default they do not overlap.
        stride: Option<Count>,
        /// Rows and columns that are added on every side, or `"same"`.
        padding: Padding = Padding::Cells(0),
    }
}

config! {
    /// Two ways that are added up.
    #[derive(Clone, PartialEq)]
    pub struct ResidualKeys {
        /// The way through layers.
        body: Inner,
        /// The shorter way; `[]` is the input itself.
        shortcut: Inner = Inner::default(),
    }
}

config! {
    /// A shortcut without parameters.
    #[derive(Clone, Copy, PartialEq)]
    pub struct OptionAKeys {
        /// Channels that it gives.
        channels: Count,
        /// Distance of the rows and columns that it keeps.
        stride: Count = Count(2),
    }
}

config! {
    /// Self-attention.
    #[derive(Clone, Copy, PartialEq)]
    pub struct AttentionKeys {
        /// Heads; they divide the features.
        heads: Count = Count(4),
    }
}

config! {
    /// A layer of an encoder.
    #[derive(Clone, Copy, PartialEq)]
    pub struct EncoderKeys {
        /// Heads of attention; they divide the features.
        heads: Count = Count(4),
        /// Features of the hidden layer.
        feedforward: Count = Count(128),
        /// Share of values dropped in training after attention and in the hidden layer.
        dropout: Fraction = Fraction(0.1),
        /// The function of the hidden layer.
        activation: Activation = Activation::Relu(super::Slope { slope: Positive(1.0) }),
        /// Whether steps are normalised before attention and hidden layer, not after their sums.
        norm_first: bool = false,
    }
}

config! {
    /// Plain recurrent layers.
    #[derive(Clone, Copy, PartialEq)]
    pub struct RnnKeys {
        /// Units of the state.
        units: Count,
        /// Layers on top of one another.
        layers: Count = Count(1),
        /// The function of the state.
        nonlinearity: Nonlinearity = Nonlinearity::Tanh,
        /// Whether biases are added.
        bias: bool = true,
    }
}

config! {
    /// Long short-term memory.
    #[derive(Clone, Copy, PartialEq)]
    pub struct LstmKeys {
        /// Units of the state.
        units: Count,
        /// Layers on top of one another.
        layers: Count = Count(1),
        /// Whether biases are added.
        bias: bool = true,
    }
}

/// The network of `layers` on examples of shape `input`.
///
/// # Errors
/// Where the layers do not fit together; the message names the layer.
pub(super) fn network(layers: &Layers, input: &[usize], outputs: usize) -> Result<nn::Network, LayersError> {
    arch::layers::network(input, &entries(&layers.0, outputs))
}

fn entries(layers: &[Layer], outputs: usize) -> Vec<arch::Layer> {
    layers.iter().map(|layer| layer.entry(outputs)).collect()
}

impl Layer {
    /// The entry of a list in the network's terms; one line a layer.
    fn entry(&self, outputs: usize) -> arch::Layer {
        let op: Op = match self {
            Self::Conv(keys) => return keys.padding.layer(|padding| keys.op().padding(padding).into()),
            Self::MaxPool(keys) => return keys.padding.layer(|padding| keys.max().padding(padding).into()),
            Self::AveragePool(keys) => return keys.padding.layer(|padding| keys.average().padding(padding).into()),
            Self::Output => return arch::Layer::linear(outputs).named("output"),
            Self::Residual(keys) => return keys.entry(outputs),
            Self::Concat(branches) => {
                let branches = branches.iter().map(|branch| entries(&branch.0, outputs)).collect();
                return arch::Layer::from_kind(LayerKind::Concat(branches));
            }
            Self::Encoder(keys) => return arch::Layer::from_kind(LayerKind::Encoder(keys.layer())),
            Self::Linear(keys) => op::Linear::new(keys.units.size()).bias(keys.bias).into(),
            Self::Flatten => Op::Flatten,
            Self::Reshape(shape) => op::Reshape { shape: shape.iter().map(|extent| extent.size()).collect() }.into(),
            Self::BatchNorm => op::BatchNorm::default().into(),
            Self::LayerNorm => op::LayerNorm::default().into(),
            Self::ScaleShift => op::ScaleShift { scale: true, shift: true }.into(),
            Self::Function(activation) => activation.function().into(),
            Self::Relu => nn::Activation::relu().into(),
            Self::Softmax => Op::Softmax,
            Self::GlobalAveragePool => Op::GlobalAvgPool,
            Self::Dropout(rate) => op::Dropout { rate: rate.0 }.into(),
            Self::Crash(rate) => op::Crash { rate: rate.0 }.into(),
            Self::OptionA(keys) => op::ShortcutA { channels: keys.channels.size(), stride: keys.stride.size() }.into(),
            Self::Tokens => Op::Tokens,
            Self::Position => Op::Position,
            Self::Attention(keys) => op::Attention { heads: keys.heads.size() }.into(),
            Self::Rnn(keys) => keys.op().into(),
            Self::Lstm(keys) => keys.op().into(),
            Self::FirstStep => op::Select { step: op::Step::First }.into(),
            Self::LastStep => op::Select { step: op::Step::Last }.into(),
        };
        op.into()
    }
}

impl ConvKeys {
    fn op(self) -> op::Conv2d {
        let conv = op::Conv2d::new(self.channels.size(), self.kernel.size()).stride(self.stride.size());
        conv.groups(self.groups.size()).bias(self.bias)
    }
}

impl ResidualKeys {
    fn entry(&self, outputs: usize) -> arch::Layer {
        arch::Layer::residual(entries(&self.body.0, outputs), entries(&self.shortcut.0, outputs))
    }
}

impl RnnKeys {
    fn op(self) -> op::Rnn {
        let (hidden, layers) = (self.units.size(), self.layers.size());
        op::Rnn { hidden, layers, nonlinearity: self.nonlinearity.function(), bias: self.bias }
    }
}

impl LstmKeys {
    fn op(self) -> op::Lstm {
        op::Lstm { hidden: self.units.size(), layers: self.layers.size(), bias: self.bias }
    }
}

impl PoolKeys {
    fn max(self) -> op::MaxPool {
        op::MaxPool::new(self.kernel.size()).stride(self.step())
    }

    fn average(self) -> op::AvgPool {
        op::AvgPool::new(self.kernel.size()).stride(self.step())
    }

    fn step(self) -> usize {
        self.stride.unwrap_or(self.kernel).size()
    }
}

impl EncoderKeys {
    fn layer(self) -> EncoderLayer {
        EncoderLayer {
            heads: self.heads.size(),
            feedforward: self.feedforward.size(),
            dropout: self.dropout.0,
            activation: self.activation.function(),
            norm_first: self.norm_first,
        }
    }
}
