//! The encoder of a transformer (Vaswani et al. 2017), on sequences or on the patches of images.

use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{Activation, Attention, Conv2d, Dropout, LayerNorm, Linear, Op, OpError, Select, Step};

/// The most layers of an encoder.
const MAX_DEPTH: usize = 256;

/// The settings of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Transformer {
    /// Features of each step.
    pub width: usize,
    /// Heads of attention; they divide the width.
    pub heads: usize,
    /// Encoder layers.
    pub depth: usize,
    /// Features of the hidden layer after attention.
    pub feedforward: usize,
    /// Share of values dropped in training after attention and in the hidden layer.
    pub dropout: f64,
    /// Rows and columns of the squares that an image is cut into.
    pub patch: usize,
    /// The function of the hidden layer.
    pub activation: Activation,
    /// Whether steps are normalised before attention and hidden layer, not after their sums.
    pub norm_first: bool,
    /// What is classified.
    pub pooling: Pooling,
}

impl Default for Transformer {
    fn default() -> Self {
        Self {
            width: 64,
            heads: 4,
            depth: 2,
            feedforward: 128,
            dropout: 0.1,
            patch: 4,
            activation: Activation::relu(),
            norm_first: false,
            pooling: Pooling::Mean,
        }
    }
}

impl Transformer {
    /// An embedding, learned positions, encoder layers, what `pooling` makes of the steps, and a classifier.
    ///
    /// Layers are named as in `torch.nn.TransformerEncoder`: `layers.0.self_attn`, `layers.0.linear1`, `layers.0.norm1`.
    ///
    /// # Errors
    /// Where `input` is a vector, its sides are smaller than a patch, the heads do not divide the width, a setting is
    /// zero, or there are more than 256 layers.
    pub fn network(&self, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
        if self.depth > MAX_DEPTH {
            let reason =
                OpError::Setting { key: "depth", value: self.depth.to_string(), fix: "use at most 256 layers" };
            return Err(GraphError::Operation { node: "layers".into(), op: "attention", reason });
        }
        let mut builder = Builder::new(input);
        let b = &mut builder;
        let mut x = Value::INPUT;
        if input.len() == 3 {
            x = b.then("embed", Conv2d::new(self.width, self.patch).stride(self.patch).bias(true), x);
            x = b.then("tokens", Op::Tokens, x);
        } else {
            x = b.then("embed", Linear::new(self.width), x);
        }
        x = b.then("position", Op::Position, x);
        for layer in 0..self.depth {
            x = self.layer().add(b, &format!("layers.{layer}"), self.width, x);
        }
        if self.norm_first {
            x = b.then("norm", LayerNorm::default(), x);
        }
        x = self.pooling.add(b, x);
        b.then("linear", Linear::new(outputs), x);
        builder.finish()
    }

    /// The settings of each layer.
    const fn layer(&self) -> EncoderLayer {
        let Self { heads, feedforward, dropout, activation, norm_first, .. } = *self;
        EncoderLayer { heads, feedforward, dropout, activation, norm_first }
    }
}

/// What is classified of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over its steps.
    Mean,
    /// Its first step.
    First,
    /// Its last step.
    Last,
}

impl Pooling {
    /// Adds it, under its own name.
    pub(crate) fn add(self, builder: &mut Builder, input: Value) -> Value {
        match self {
            Self::Mean => builder.then("mean", Op::GlobalAvgPool, input),
            Self::First => builder.then("first", Select { step: Step::First }, input),
            Self::Last => builder.then("last", Select { step: Step::Last }, input),
        }
    }
}

/// One layer of an encoder: attention and a hidden layer, each added to what it reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderLayer {
    /// Heads of attention; they divide the features.
    pub heads: usize,
    /// Features of the hidden layer.
    pub feedforward: usize,
    /// Share of values dropped in training after attention and in the hidden layer.
    pub dropout: f64,
    /// The function of the hidden layer.
    pub activation: Activation,
    /// Whether steps are normalised before attention and hidden layer, not after their sums.
    pub norm_first: bool,
}

impl EncoderLayer {
    /// Adds the layer on steps of `width` features, its nodes named behind `NAME.`.
    pub(crate) fn add(&self, b: &mut Builder, name: &str, width: usize, input: Value) -> Value {
        let x = self.residual(b, [name, "norm1", "add1", "dropout1"], input, |b, x| {
            b.then(format!("{name}.self_attn"), Attention { heads: self.heads }, x)
        });
        self.residual(b, [name, "norm2", "add2", "dropout2"], x, |b, x| {
            let x = b.then(format!("{name}.linear1"), Linear::new(self.feedforward), x);
            let x = b.then(format!("{name}.activation"), self.activation, x);
            let x = self.drop(b, format!("{name}.dropout"), x);
            b.then(format!("{name}.linear2"), Linear::new(width), x)
        })
    }

    /// `norm(x + f(x))`, or `x + f(norm(x))` where the norm comes first.
    fn residual(
        &self,
        b: &mut Builder,
        [layer, norm, add, dropout]: [&str; 4],
        input: Value,
        inner: impl Fn(&mut Builder, Value) -> Value,
    ) -> Value {
        let [norm, add, dropout] = [norm, add, dropout].map(|part| format!("{layer}.{part}"));
        let x = if self.norm_first { b.then(norm.as_str(), LayerNorm::default(), input) } else { input };
        let x = inner(b, x);
        let x = self.drop(b, dropout, x);
        let x = b.join(add, Op::Add, &[input, x]);
        if self.norm_first { x } else { b.then(norm, LayerNorm::default(), x) }
    }

    /// Dropout, unless its rate is zero.
    fn drop(&self, b: &mut Builder, name: String, input: Value) -> Value {
        if self.dropout == 0.0 { input } else { b.then(name, Dropout { rate: self.dropout }, input) }
    }
}
