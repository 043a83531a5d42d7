//! A network as a list of layers, each reading the one before it: what a study writes out when no named architecture fits.

use std::collections::BTreeMap;

use thiserror::Error;

use super::transformer::EncoderLayer;
use crate::graph::{Builder, GraphError, Network, Value};
use crate::op::{Activation, AvgPool, BatchNorm, Conv2d, Linear, MaxPool, Op, Shape};

/// An entry of a list of layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name; without one it is called after its kind and counted, `conv.1`, `conv.2`, `linear.1`.
    pub name: Option<String>,
    /// What it is.
    pub kind: LayerKind,
}

/// What an entry of a list is.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerKind {
    /// An operation on what the layer before gives.
    Op(Op),
    /// A convolution or pooling, padded so that it gives `ceil(extent / stride)` rows and columns, as Keras does.
    Same(Op),
    /// The sum of two lists on the same input.
    Residual {
        /// The way through layers.
        body: Vec<Layer>,
        /// The shorter way; nothing for the input itself.
        shortcut: Vec<Layer>,
    },
    /// What several lists make of the same input, side by side along channels; an empty list is the input itself.
    Concat(Vec<Vec<Layer>>),
    /// A layer of a transformer's encoder, as wide as what it reads.
    Encoder(EncoderLayer),
}

/// A list that makes no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayersError {
    /// The layers do not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// "Same" padding of something without a window.
    #[error("layer `{0}` ({1}) has no window to pad; use \"same\" with convolutions and poolings of images only")]
    Same(String, &'static str),
    /// Lists inside lists without end.
    #[error("layers are nested more than {MAX_NESTING} deep; write the inner lists one after the other")]
    Nesting,
    /// A layer of an encoder on something that is no sequence.
    #[error(
        "layer `{name}` (encoder) reads {shape:?}, which is no sequence; put \"tokens\" before it to read an image"
    )]
    Sequence {
        /// The layer.
        name: String,
        /// What it is given.
        shape: Shape,
    },
}

/// The deepest nesting of lists.
const MAX_NESTING: usize = 16;

impl From<Op> for Layer {
    fn from(op: Op) -> Self {
        Self { name: None, kind: LayerKind::Op(op) }
    }
}

impl Layer {
    /// A layer of one operation.
    pub fn op(op: impl Into<Op>) -> Self {
        op.into().into()
    }

    /// A convolution or pooling with "same" padding.
    pub fn same(op: impl Into<Op>) -> Self {
        Self { name: None, kind: LayerKind::Same(op.into()) }
    }

    /// The sum of `body` and `shortcut` (the input where that is empty).
    #[must_use]
    pub const fn residual(body: Vec<Self>, shortcut: Vec<Self>) -> Self {
        Self { name: None, kind: LayerKind::Residual { body, shortcut } }
    }

    /// A square convolution with a bias.
    #[must_use]
    pub fn conv(channels: usize, kernel: usize) -> Self {
        Self::op(Conv2d::new(channels, kernel).bias(true))
    }

    /// A fully connected layer with a bias.
    #[must_use]
    pub fn linear(outputs: usize) -> Self {
        Self::op(Linear::new(outputs))
    }

    /// A rectifier.
    #[must_use]
    pub fn relu() -> Self {
        Self::op(Activation::relu())
    }

    /// Batch normalisation with the usual settings.
    #[must_use]
    pub fn batch_norm() -> Self {
        Self::op(BatchNorm::default())
    }

    /// Max pooling of squares that do not overlap.
    #[must_use]
    pub fn max_pool(kernel: usize) -> Self {
        Self::op(MaxPool::new(kernel))
    }

    /// Average pooling of squares that do not overlap.
    #[must_use]
    pub fn avg_pool(kernel: usize) -> Self {
        Self::op(AvgPool::new(kernel))
    }

    /// A layer of any kind, without a name of its own.
    #[must_use]
    pub const fn from_kind(kind: LayerKind) -> Self {
        Self { name: None, kind }
    }

    /// The same layer under a name of its own.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// What derived names call it.
    fn kind_name(&self) -> &'static str {
        match &self.kind {
            LayerKind::Op(op) | LayerKind::Same(op) => match op {
                Op::Conv2d(_) => "conv",
                Op::Activation(activation) => activation.name(),
                _ => op.name(),
            },
            LayerKind::Residual { .. } => "residual",
            LayerKind::Concat(_) => "concat",
            LayerKind::Encoder(_) => "encoder",
        }
    }
}

/// The network of `layers` on examples of shape `input`.
///
/// # Errors
/// Where the layers do not fit together; the message names the layer.
pub fn network(input: &[usize], layers: &[Layer]) -> Result<Network, LayersError> {
    let mut list = List { builder: Builder::new(input), shapes: vec![input.to_vec()] };
    list.add(layers, "", Value::INPUT, 0)?;
    Ok(list.builder.finish()?)
}

/// A network under construction, with the shapes that padding needs to know.
struct List {
    builder: Builder,
    /// The shape of every value; empty where it does not follow, which finishing the network reports.
    shapes: Vec<Shape>,
}

impl List {
    /// Adds `layers` after `value`, their names behind `prefix`.
    fn add(&mut self, layers: &[Layer], prefix: &str, mut value: Value, depth: usize) -> Result<Value, LayersError> {
        if depth > MAX_NESTING {
            return Err(LayersError::Nesting);
        }
        let mut counts = BTreeMap::new();
        for layer in layers {
            let count = counts.entry(layer.kind_name()).or_insert(0);
            *count += 1;
            let derived = || format!("{}.{count}", layer.kind_name());
            let name = format!("{prefix}{}", layer.name.clone().unwrap_or_else(derived));
            value = match &layer.kind {
                LayerKind::Op(op) => self.push(name, op.clone(), &[value]),
                LayerKind::Same(op) => {
                    let op = self.padded(&name, op, value)?;
                    self.push(name, op, &[value])
                }
                LayerKind::Residual { body, shortcut } => {
                    let long = self.add(body, &format!("{name}."), value, depth + 1)?;
                    let short = self.add(shortcut, &format!("{name}.shortcut."), value, depth + 1)?;
                    self.push(format!("{name}.add"), Op::Add, &[long, short])
                }
                LayerKind::Concat(branches) => self.concat(branches, &name, value, depth + 1)?,
                LayerKind::Encoder(layer) => self.encoder(*layer, name, value)?,
            };
        }
        Ok(value)
    }

    /// Adds every branch on `value`, and what joins them.
    fn concat(
        &mut self,
        branches: &[Vec<Layer>],
        name: &str,
        value: Value,
        depth: usize,
    ) -> Result<Value, LayersError> {
        let mut ends = Vec::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            ends.push(self.add(branch, &format!("{name}.{}.", index + 1), value, depth)?);
        }
        Ok(self.push(format!("{name}.join"), Op::Concat, &ends))
    }

    /// Adds a layer of an encoder.
    fn encoder(&mut self, layer: EncoderLayer, name: String, value: Value) -> Result<Value, LayersError> {
        let shape = self.shapes[value.number()].clone();
        let [_, width] = shape[..] else { return Err(LayersError::Sequence { name, shape }) };
        let end = layer.add(&mut self.builder, &name, width, value);
        // Nothing but its end is read from outside.
        self.shapes.resize(end.number(), Vec::new());
        self.shapes.push(shape);
        Ok(end)
    }

    /// Adds one operation.
    fn push(&mut self, name: String, op: Op, inputs: &[Value]) -> Value {
        let shapes: Vec<&[usize]> = inputs.iter().map(|value| self.shapes[value.number()].as_slice()).collect();
        let shape = if shapes.is_empty() { Vec::new() } else { op.facts().output(&shapes).unwrap_or_default() };
        self.shapes.push(shape);
        self.builder.join(name, op, inputs)
    }

    /// `op` with the padding that keeps `ceil(extent / stride)` rows and columns.
    fn padded(&self, name: &str, op: &Op, input: Value) -> Result<Op, LayersError> {
        let [_, height, width] = self.shapes[input.number()][..] else {
            // Without an image there is no padding to find, and the operation itself will say what it wants.
            return Ok(op.clone());
        };
        let mut op = op.clone();
        let (padding, window) = match &mut op {
            Op::Conv2d(conv) => (conv.window(), &mut conv.padding),
            Op::MaxPool(pool) => (pool.window(), &mut pool.padding),
            Op::AvgPool(pool) => (pool.window(), &mut pool.padding),
            _ => return Err(LayersError::Same(name.to_owned(), op.name())),
        };
        *window = padding.same(height, width).padding;
        Ok(op)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::transformer::Transformer;

    #[test]
    fn layers_are_named_after_their_kind_and_counted() {
        let layers = [
            Layer::same(Conv2d::new(32, 3).bias(true)),
            Layer::relu(),
            Layer::max_pool(2),
            Layer::conv(64, 3),
            Layer::relu(),
            Layer::op(Op::Flatten),
            Layer::linear(10).named("classifier"),
        ];
        let network = network(&[3, 32, 32], &layers).unwrap();
        let names: Vec<_> = network.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["conv.1", "relu.1", "max-pool.1", "conv.2", "relu.2", "flatten.1", "classifier"]);
        assert_eq!(network.shapes()[1], [32, 32, 32]);
        assert_eq!(network.shapes()[4], [64, 14, 14]);
        assert_eq!(network.parameter_count(), 32 * 28 + 64 * 289 + (64 * 196 + 1) * 10);
    }

    #[test]
    fn a_layer_that_does_not_fit_is_named() {
        let error = network(&[3, 8, 8], &[Layer::conv(4, 3), Layer::linear(10)]).unwrap_err().to_string();
        assert!(error.contains("node `linear.1` (linear) reads [features] or [time, features]"), "{error}");
        let error = network(&[3, 8, 8], &[Layer::same(Op::Flatten)]).unwrap_err().to_string();
        assert!(error.contains("layer `flatten.1` (flatten) has no window to pad"), "{error}");
        assert_eq!(network(&[3], &[]), Err(LayersError::Graph(GraphError::Empty)));
        let mut nested = Layer::relu();
        for _ in 0..=MAX_NESTING {
            nested = Layer::residual(vec![nested], vec![]);
        }
        assert_eq!(network(&[3], &[nested]), Err(LayersError::Nesting));
    }

    #[test]
    fn branches_are_joined_and_named_by_number() {
        // The first module of GoogLeNet (Szegedy et al. 2015, table 1): 64 + 128 + 32 + 32 channels of 192.
        let conv = |channels, kernel: usize| Layer::same(Conv2d::new(channels, kernel).bias(true));
        let pool = Layer::op(MaxPool::new(3).stride(1).padding(1));
        let branches = vec![
            vec![conv(64, 1)],
            vec![conv(96, 1), conv(128, 3)],
            vec![conv(16, 1), conv(32, 5)],
            vec![pool, conv(32, 1)],
        ];
        let network = network(&[192, 28, 28], &[Layer::from_kind(LayerKind::Concat(branches))]).unwrap();
        assert_eq!(network.output(), [256, 28, 28]);
        assert_eq!(network.weight_count(), 64 * 192 + 96 * 192 + 128 * 864 + 16 * 192 + 32 * 400 + 32 * 192);
        assert!(network.find("concat.1.2.conv.2").is_some());
        let whole = [Layer::from_kind(LayerKind::Concat(vec![vec![], vec![Layer::relu()]]))];
        assert_eq!(super::network(&[3, 2, 2], &whole).unwrap().output(), [6, 2, 2]);
        let lone = super::network(&[3, 2, 2], &[Layer::from_kind(LayerKind::Concat(vec![vec![]]))]);
        assert!(lone.unwrap_err().to_string().contains("reads 1 values but needs two or more"));
    }

    #[test]
    fn a_list_builds_the_encoder_that_has_a_name() {
        let named = Transformer::default();
        let layer = Layer::from_kind(LayerKind::Encoder(EncoderLayer {
            heads: 4,
            feedforward: 128,
            dropout: 0.1,
            activation: Activation::relu(),
            norm_first: false,
        }));
        let list = [
            Layer::op(Conv2d::new(64, 4).stride(4).bias(true)).named("embed"),
            Layer::op(Op::Tokens).named("tokens"),
            Layer::op(Op::Position).named("position"),
            layer.clone().named("layers.0"),
            layer.clone().named("layers.1"),
            Layer::op(Op::GlobalAvgPool).named("mean"),
            Layer::linear(10).named("linear"),
        ];
        assert_eq!(network(&[1, 28, 28], &list).unwrap(), named.network(&[1, 28, 28], 10).unwrap());
        let error = network(&[1, 28, 28], &[layer]).unwrap_err().to_string();
        assert!(error.contains("layer `encoder.1` (encoder) reads [1, 28, 28], which is no sequence"), "{error}");
    }

    #[test]
    fn the_residual_network_of_mlperf_tiny_is_a_list() {
        // ResNet8 of MLPerf Tiny (Banbury et al. 2021): 78 666 parameters, 12.5 million multiply-accumulates.
        let conv = |channels, kernel, stride| Layer::same(Conv2d::new(channels, kernel).stride(stride).bias(true));
        let norm = || Layer::op(BatchNorm { eps: 1e-3, momentum: 0.01 });
        let mut layers = vec![conv(16, 3, 1), norm(), Layer::relu()];
        for (channels, stride) in [(16, 1), (32, 2), (64, 2)] {
            let body = vec![conv(channels, 3, stride), norm(), Layer::relu(), conv(channels, 3, 1), norm()];
            let shortcut = if stride == 1 { vec![] } else { vec![conv(channels, 1, stride)] };
            layers.extend([Layer::residual(body, shortcut), Layer::relu()]);
        }
        layers.extend([Layer::op(Op::GlobalAvgPool), Layer::linear(10)]);
        let network = network(&[3, 32, 32], &layers).unwrap();
        // Keras counts the running statistics too: 2 for each of 16 * 3 + 32 * 2 + 64 * 2 channels.
        let buffers = 2 * (16 * 3 + 32 * 2 + 64 * 2);
        assert_eq!(network.parameter_count() + buffers, 78_666);
        assert_eq!(network.macs(), 12_501_632);
        assert!(network.find("residual.2.shortcut.conv.1").is_some());
    }

    #[test]
    fn the_networks_of_published_mnist_weights_are_lists() {
        let mut mlp = Vec::new();
        for (index, width) in [512, 512, 256].into_iter().enumerate() {
            mlp.push(Layer::linear(width).named(format!("fc{}", index + 1)));
            mlp.push(Layer::batch_norm().named(format!("bn{}", index + 1)));
            mlp.push(Layer::relu());
        }
        mlp.push(Layer::linear(10).named("fc4"));
        assert_eq!(network(&[784], &mlp).unwrap().parameter_count(), 801_034);
        let mut cnn = Vec::new();
        for (index, channels) in [8, 16, 24].into_iter().enumerate() {
            cnn.extend([Layer::conv(channels, 3).named(format!("conv{}", index + 1)), Layer::relu()]);
        }
        cnn.extend([Layer::batch_norm().named("norm1"), Layer::op(Op::Flatten), Layer::linear(32).named("fc1")]);
        cnn.extend([Layer::relu(), Layer::linear(10).named("fc2"), Layer::batch_norm().named("norm2")]);
        let network = network(&[1, 28, 28], &cnn).unwrap();
        let fc1 = network.parameters().iter().find(|p| p.name == "fc1.weight").unwrap();
        assert_eq!(fc1.shape, [32, 11_616]);
    }
}
