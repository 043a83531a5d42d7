//! A network as a [`Chain`]: which operations bounds can follow, and how each is a linear one.

use duress_network::op::window::Window;
use duress_network::op::{BatchNorm, Conv2d, Linear};
use duress_network::{Network, Op, Tensor, Weights};

use super::chain::{Chain, Layer};
use super::map::{Convolution, Map, Matrix};
use crate::nn::activation::Activation;
use crate::nn::sequence::{NoSequence, Sequence};

/// An operation that bounds cannot follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{node}` {problem}: {fix}")]
pub struct Unfollowed {
    /// The operation's name.
    pub node: String,
    /// Why, which completes "`NODE` ...".
    pub problem: &'static str,
    /// What to do.
    pub fix: &'static str,
}

impl From<NoSequence> for Unfollowed {
    fn from(NoSequence { node, problem }: NoSequence) -> Self {
        Self { node, problem, fix: "bound a network that is one operation after the other, without shortcuts" }
    }
}

/// Why bounds cannot follow `op` on a value of shape `input`, and what to do; none where they can.
fn unfollowed(op: &Op, input: &[usize]) -> Option<(&'static str, &'static str)> {
    Some(match op {
        Op::Linear(_) if input.len() != 1 => {
            ("is linear in each step of a sequence", "bound a network that reads vectors or images")
        }
        Op::GlobalAvgPool if input.len() != 3 => {
            ("takes the mean over a sequence", "bound a network that reads vectors or images")
        }
        Op::Linear(_)
        | Op::Conv2d(_)
        | Op::BatchNorm(_)
        | Op::Activation(_)
        | Op::AvgPool(_)
        | Op::GlobalAvgPool
        | Op::Flatten
        | Op::Reshape(_)
        | Op::Dropout(_)
        | Op::Crash(_)
        | Op::Normalise(_)
        | Op::ScaleShift(_) => return None,
        Op::MaxPool(_) => {
            ("takes a maximum, which is not linear", "use average pooling, or a stride of the convolution")
        }
        Op::Clamp(_) => {
            ("keeps values within bounds, which hides what crashes", "bound the network without protection")
        }
        Op::Softmax => ("divides by a sum over all outputs, which is not linear", "leave it out: a loss adds its own"),
        Op::LayerNorm(_) => ("divides by a deviation of the values themselves", "use batch normalisation"),
        Op::Add | Op::Concat | Op::ShortcutA(_) => {
            ("joins branches", "bound a network that is one operation after the other, without shortcuts")
        }
        Op::Tokens | Op::Attention(_) | Op::Rnn(_) | Op::Lstm(_) | Op::Select(_) | Op::Position => {
            ("works on sequences", "bound a network that reads vectors or images")
        }
    })
}

/// The layers of `network`, if bounds can follow all that it does.
///
/// # Errors
/// The first operation that they cannot.
pub fn check_chain(network: &Network) -> Result<Sequence, Unfollowed> {
    for (index, node) in network.nodes().iter().enumerate() {
        if let Some((problem, fix)) = unfollowed(&node.op, &network.shapes()[index]) {
            return Err(Unfollowed { node: node.name.clone(), problem, fix });
        }
    }
    Ok(Sequence::of(network)?)
}

/// The network with its trained values, exactly (every `f32` is an `f64`), in the layers of [`check_chain`].
///
/// # Errors
/// As [`check_chain`], and where weights do not fit their network, which [`Weights`] rules out.
pub fn read_chain(weights: &Weights) -> Result<Chain, Unfollowed> {
    let network = weights.network();
    let sequence = check_chain(network)?;
    let layer = |layer: &crate::nn::sequence::SequenceLayer| {
        let mut maps = Vec::new();
        let mut activation = Activation::Identity;
        for index in layer.nodes.clone() {
            let node =
                Reading { input: &network.shapes()[index], output: &network.shapes()[index + 1], weights, index };
            match &network.nodes()[index].op {
                Op::Activation(function) => activation = *function,
                op => maps.extend(node.maps(op)),
            }
        }
        Layer { maps, activation }
    };
    let layers = sequence.layers().iter().map(layer).collect();
    Chain::new(layers).map_err(|_| Unfollowed {
        node: sequence.layers()[0].name.clone(),
        problem: "has weights of another shape than it wants",
        fix: "train or import the network again",
    })
}

/// One node of a network.
struct Reading<'a> {
    input: &'a [usize],
    output: &'a [usize],
    weights: &'a Weights,
    /// Its number, from 0.
    index: usize,
}

impl Reading<'_> {
    /// The linear operations that it consists of; none where it leaves the numbers as they are.
    fn maps(&self, op: &Op) -> Vec<Map> {
        match op {
            Op::Linear(linear) => self.linear(linear).into_iter().collect(),
            Op::Conv2d(conv) => vec![self.convolution(conv)],
            Op::BatchNorm(norm) => vec![self.batch_norm(norm)],
            Op::Normalise(normalise) => vec![self.scale(|channel| {
                let (mean, std) = normalise.at(channel);
                (1.0 / f64::from(std), -f64::from(mean) / f64::from(std))
            })],
            Op::ScaleShift(scale) => {
                let [factor, shift] = [0, usize::from(scale.scale)].map(|index| self.parameter(index));
                vec![self.scale(|channel| {
                    let of = |values: &[f64], used: bool, or| if used { values[channel] } else { or };
                    (of(&factor, scale.scale, 1.0), of(&shift, scale.shift, 0.0))
                })]
            }
            Op::AvgPool(pool) => vec![self.average(pool.window(), pool.count_include_pad)],
            Op::GlobalAvgPool => {
                let whole = Window { kernel: [self.input[1], self.input[2]], ..Window::square(1) };
                vec![self.average(whole, true)]
            }
            _ => Vec::new(),
        }
    }

    /// The values of the parameter with that number among the node's own.
    fn parameter(&self, number: usize) -> Vec<f64> {
        let tensor = self.weights.of(self.index + 1).get(number);
        tensor.map(|tensor: &Tensor| tensor.values.iter().map(|v| f64::from(*v)).collect()).unwrap_or_default()
    }

    fn linear(&self, linear: &Linear) -> Option<Map> {
        let weight = Matrix::new(linear.outputs, self.input[0], self.parameter(0))?;
        Some(Map::Dense { weight, bias: self.parameter(1) })
    }

    fn convolution(&self, conv: &Conv2d) -> Map {
        Map::Convolution { kernel: self.kernel(conv.window(), conv.groups, self.parameter(0)), bias: self.parameter(1) }
    }

    fn kernel(&self, window: Window, groups: usize, weight: Vec<f64>) -> Convolution {
        // Away from images, one place: a vector that is read as one.
        let image = |shape: &[usize]| match *shape {
            [channels, height, width] => [channels, height, width],
            _ => [shape.iter().product(), 1, 1],
        };
        Convolution { input: image(self.input), output: image(self.output), window, groups, weight }
    }

    /// The mean over each window; padding may count as zeros.
    fn average(&self, window: Window, count_padding: bool) -> Map {
        let channels = self.input[0];
        let sum = self.kernel(window, channels, vec![1.0; channels * window.area()]);
        let counts = sum.apply(&vec![1.0; self.input.iter().product()], |w| w);
        let one_over = |count: f64| 1.0 / if count_padding { window.area() as f64 } else { count };
        let factor = counts.into_iter().map(one_over).collect();
        Map::Average { sum, factor }
    }

    fn batch_norm(&self, norm: &BatchNorm) -> Map {
        let [scale, shift, mean, variance] = [0, 1, 2, 3].map(|number| self.parameter(number));
        self.scale(|channel| {
            let factor = scale[channel] / (variance[channel] + norm.eps).sqrt();
            (factor, shift[channel] - mean[channel] * factor)
        })
    }

    /// A factor and an offset of each channel of an image, or of each feature.
    fn scale(&self, of: impl Fn(usize) -> (f64, f64)) -> Map {
        let values = self.input.iter().product::<usize>();
        let (places, features) = match *self.input {
            [channels, height, width] => (height * width, channels),
            _ => (1, self.input.last().copied().unwrap_or(1)),
        };
        let (factor, shift) = (0..values).map(|value| of(value / places % features)).unzip();
        Map::Scale { factor, shift }
    }
}

#[cfg(test)]
mod tests;
