//! The encoder of a transformer (Vaswani et al. 2017), on sequences or on the patches of images.

use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{Activation, Attention, Conv2d, Dropout, LayerNorm, Linear, Op};

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
        }
    }
}

impl Transformer {
    /// An embedding, learned positions, encoder layers, the mean over steps, and a classifier.
    ///
    /// Layers are named as in `torch.nn.TransformerEncoder`: `layers.0.self_attn`, `layers.0.linear1`, `layers.0.norm1`.
    ///
    /// # Errors
    /// Where `input` is a vector, its sides are smaller than a patch, the heads do not divide the width, or a setting is
    /// zero.
    pub fn network(&self, input: &[usize], outputs: usize) -> Result<Network, GraphError> {
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
            x = self.layer(b, &format!("layers.{layer}"), x);
        }
        if self.norm_first {
            x = b.then("norm", LayerNorm::default(), x);
        }
        x = b.then("mean", Op::GlobalAvgPool, x);
        b.then("linear", Linear::new(outputs), x);
        builder.finish()
    }

    /// Attention and a hidden layer, each added to what it reads.
    fn layer(&self, b: &mut Builder, name: &str, input: Value) -> Value {
        let x = self.residual(b, [name, "norm1", "add1", "dropout1"], input, |b, x| {
            b.then(format!("{name}.self_attn"), Attention { heads: self.heads }, x)
        });
        self.residual(b, [name, "norm2", "add2", "dropout2"], x, |b, x| {
            let x = b.then(format!("{name}.linear1"), Linear::new(self.feedforward), x);
            let x = b.then(format!("{name}.activation"), self.activation, x);
            let x = self.drop(b, format!("{name}.dropout"), x);
            b.then(format!("{name}.linear2"), Linear::new(self.width), x)
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
