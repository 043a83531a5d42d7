//! The ranges of activations on data.

use rayon::prelude::*;

use super::Guard;
use crate::executor::{Executor, ExecutorError, Options};
use crate::op::Beyond;
use crate::op::arithmetic::places;
use crate::weights::Weights;

/// Images whose activations are held at once.
const TOGETHER: usize = 64;

/// The least and the largest value of each channel of some activations, for each image.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    images: usize,
    nodes: Vec<Extremes>,
}

/// The extremes of one node.
#[derive(Clone, Debug, PartialEq)]
struct Extremes {
    node: usize,
    channels: usize,
    /// For each channel, image after image.
    low: Vec<f32>,
    high: Vec<f32>,
}

/// Measures what `nodes` (from 1) give for `images` images of `x`. Values that are NaN have no part in it.
///
/// # Errors
/// Where `x` does not hold that many images, or a node is not there.
pub fn measure(weights: &Weights, x: &[f32], images: usize, nodes: &[usize]) -> Result<Ranges, ExecutorError> {
    let executor = Executor::new(weights, &Options::exposing(nodes.iter().copied()));
    let network = weights.network();
    let len = network.input_len();
    if x.len() != images * len {
        return Err(ExecutorError::Length { name: "input".into(), images, wanted: images * len, found: x.len() });
    }
    if let Some(node) = nodes.iter().find(|&&node| node == 0 || node >= network.shapes().len()) {
        return Err(ExecutorError::Unknown(*node));
    }
    let channels = |node: usize| places(&network.shapes()[node])[1];
    let start = |&node: &usize| Extremes { node, channels: channels(node), low: Vec::new(), high: Vec::new() };
    let mut ranges = Ranges { images, nodes: nodes.iter().map(start).collect() };
    for x in x.chunks(TOGETHER * len) {
        let traces = executor.trace(x, x.len() / len, nodes)?;
        for (extremes, values) in ranges.nodes.iter_mut().zip(&traces) {
            let shape = &network.shapes()[extremes.node];
            extremes.add(values, shape);
        }
    }
    Ok(ranges)
}

impl Extremes {
    /// Adds the extremes of row-major images of `shape`.
    fn add(&mut self, values: &[f32], shape: &[usize]) {
        let ([places, channels], image) = (places(shape), shape.len() == 3);
        let of_image = |values: &[f32]| -> Vec<[f32; 2]> {
            let mut extremes = vec![[f32::INFINITY, f32::NEG_INFINITY]; channels];
            for (i, value) in values.iter().enumerate() {
                let [low, high] = &mut extremes[if image { i / places } else { i % channels }];
                (*low, *high) = (low.min(*value), high.max(*value));
            }
            extremes
        };
        let all: Vec<Vec<[f32; 2]>> = values.par_chunks((places * channels).max(1)).map(of_image).collect();
        for [low, high] in all.into_iter().flatten() {
            self.low.push(low);
            self.high.push(high);
        }
    }

    /// The least and the largest value of channel `channel` but for a share of images on either side.
    fn bounds(&self, channel: usize, share: f64) -> (f32, f32) {
        let sorted = |values: &[f32]| {
            let mut values: Vec<f32> = values.iter().skip(channel).step_by(self.channels).copied().collect();
            values.sort_by(f32::total_cmp);
            values
        };
        let (low, high) = (sorted(&self.low), sorted(&self.high));
        let last = high.len().saturating_sub(1);
        let kept = ((share * high.len() as f64).ceil() as usize).saturating_sub(1).min(last);
        let at = |values: &[f32], index: usize| values.get(index).copied().unwrap_or(0.0);
        (finite(at(&low, last - kept)), finite(at(&high, kept)))
    }
}

impl Ranges {
    /// How many images were measured.
    #[must_use]
    pub fn images(&self) -> usize {
        self.images
    }

    /// The guards that `share` of the images pass untouched, in each channel and on each side: all of them where it is 1.
    ///
    /// With `per_channel` each channel has its own bounds, else all have the widest of them.
    #[must_use]
    pub fn guards(&self, share: f64, per_channel: bool, beyond: Beyond) -> Vec<Guard> {
        let guard = |extremes: &Extremes| {
            let (mut low, mut high): (Vec<f32>, Vec<f32>) =
                (0..extremes.channels).map(|channel| extremes.bounds(channel, share)).unzip();
            if !per_channel {
                low = vec![low.into_iter().fold(f32::MAX, f32::min)];
                high = vec![high.into_iter().fold(f32::MIN, f32::max)];
            }
            Guard { node: extremes.node, low, high, beyond }
        };
        self.nodes.iter().map(guard).collect()
    }
}

/// A bound that bounds: infinities, and channels that were NaN throughout, are no bounds.
fn finite(value: f32) -> f32 {
    value.clamp(f32::MIN, f32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Value};
    use crate::op::{Activation, Linear};

    /// Two features of `x`, doubled, through an identity-like layer.
    fn doubled() -> Weights {
        let mut b = Builder::new(&[2]);
        let y = b.then("double", Linear::new(2).bias(false), Value::INPUT);
        let y = b.then("leaky", Activation::LeakyRelu { slope: 0.5 }, y);
        b.then("head", Linear::new(1).bias(false), y);
        let mut weights = Weights::zeros(&b.finish().unwrap());
        weights.get_mut("double.weight").unwrap().copy_from_slice(&[2.0, 0.0, 0.0, 2.0]);
        weights
    }

    #[test]
    fn bounds_are_the_extremes_of_the_data_or_leave_a_share_of_images_out() {
        // Feature 0 runs from 0 to 99, feature 1 down to -99; more images than are held at once.
        let x: Vec<f32> = (0..100).flat_map(|i| [i as f32, -(i as f32)]).collect();
        let ranges = measure(&doubled(), &x, 100, &[2]).unwrap();
        let bounds = |share, per_channel| {
            let guard = ranges.guards(share, per_channel, Beyond::Bound).remove(0);
            (guard.low, guard.high)
        };
        assert_eq!(bounds(1.0, true), (vec![0.0, -99.0], vec![198.0, 0.0]));
        assert_eq!(bounds(1.0, false), (vec![-99.0], vec![198.0]));
        // 90 of 100 images lie within each bound.
        assert_eq!(bounds(0.9, true), (vec![20.0, -89.0], vec![178.0, -10.0]));
        assert_eq!(ranges.images(), 100);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let weights = doubled();
        assert!(measure(&weights, &[0.0; 3], 2, &[2]).is_err());
        assert_eq!(measure(&weights, &[0.0; 4], 2, &[9]), Err(ExecutorError::Unknown(9)));
        let nothing = measure(&weights, &[], 0, &[2]).unwrap().guards(1.0, true, Beyond::Zero);
        assert_eq!(nothing[0].high, [0.0, 0.0]);
    }
}
