//! Runs a network forward: logits, all activations, or from a layer on.
//!
//! An [`Executor`] is prepared once from weights and then only read, from any number of threads. Rows go through all layers
//! in blocks that fit the cache, spread over the current rayon pool; bits do not depend on the blocks (see [`super::dense`]).

use rayon::prelude::*;

use super::activation::Activation;
use super::dense::{accumulate, transpose};
use super::mlp_weights::MlpWeights;
use super::real::Real;

/// Rows that travel through the layers together.
pub(crate) const BLOCK: usize = 64;

/// A network ready to run in the arithmetic of `T`.
#[derive(Clone, Debug)]
pub struct Executor<T> {
    inputs: usize,
    layers: Vec<Prepared<T>>,
}

/// One layer of an [`Executor`].
#[derive(Clone, Debug)]
pub struct Prepared<T> {
    /// The layer's name.
    pub name: String,
    /// Width of what it reads.
    pub inputs: usize,
    /// Width of what it gives.
    pub outputs: usize,
    /// The function applied to the sums.
    pub activation: Activation,
    /// `outputs x inputs`.
    weight: Vec<T>,
    /// `inputs x outputs`.
    weight_t: Vec<T>,
    bias: Option<Vec<T>>,
}

/// Everything that happened on the way to the outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace<T> {
    /// How many rows.
    pub rows: usize,
    /// `pre[l - 1]` is the sums `z` of layer `l`, `rows x width(l)`.
    pub pre: Vec<Vec<T>>,
    /// `post[l]` is the activations `h` of layer `l`, `rows x width(l)`; `post[0]` is the input.
    pub post: Vec<Vec<T>>,
}

impl<T: Real> Trace<T> {
    /// The outputs, `rows x outputs`.
    ///
    /// # Panics
    /// Never: a trace holds at least the input.
    #[must_use]
    pub fn logits(&self) -> &[T] {
        self.post.last().expect("a trace holds the input at least")
    }
}

impl<T: Real> Prepared<T> {
    /// The weights, `outputs x inputs`, row-major.
    #[must_use]
    pub fn weight(&self) -> &[T] {
        &self.weight
    }

    /// The weights transposed, `inputs x outputs`: row `i` is what input `i` adds to the sums.
    #[must_use]
    pub fn weight_t(&self) -> &[T] {
        &self.weight_t
    }

    /// The biases, if there are any.
    #[must_use]
    pub fn bias(&self) -> Option<&[T]> {
        self.bias.as_deref()
    }

    /// The sums `z = W h + b` of `rows` rows `h`, on this thread.
    pub(crate) fn sums(&self, h: &[T], rows: usize) -> Vec<T> {
        let mut z = match &self.bias {
            Some(bias) => bias.repeat(rows),
            None => vec![T::ZERO; rows * self.outputs],
        };
        accumulate(h, rows, self.inputs, &self.weight_t, self.outputs, &mut z);
        z
    }
}

impl<T: Real> Executor<T> {
    /// Prepares `weights`.
    #[must_use]
    pub fn new(weights: &MlpWeights) -> Self {
        let convert = |values: &[f32]| values.iter().map(|&v| T::from_f32(v)).collect::<Vec<_>>();
        let layers = weights
            .network
            .layers
            .iter()
            .enumerate()
            .map(|(index, layer)| {
                let weight = convert(weights.weight(index + 1));
                Prepared {
                    name: layer.name.clone(),
                    inputs: layer.inputs,
                    outputs: layer.outputs,
                    activation: layer.activation,
                    weight_t: transpose(&weight, layer.outputs, layer.inputs),
                    weight,
                    bias: weights.bias(index + 1).map(convert),
                }
            })
            .collect();
        Self { inputs: weights.network.inputs, layers }
    }

    /// Features of an example.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs of an example.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.width(self.depth())
    }

    /// The number of the output layer.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Activations of layer `layer`, 0 being the input.
    ///
    /// # Panics
    /// If `layer` exceeds `depth()`.
    #[must_use]
    pub fn width(&self, layer: usize) -> usize {
        if layer == 0 { self.inputs } else { self.layers[layer - 1].outputs }
    }

    /// Layer `layer`, from 1.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn layer(&self, layer: usize) -> &Prepared<T> {
        &self.layers[layer - 1]
    }

    /// Replaces one weight of layer `layer` (from 1) and gives the value it had.
    ///
    /// # Panics
    /// If there is no such weight.
    pub fn set_weight(&mut self, layer: usize, output: usize, input: usize, value: T) -> T {
        let layer = &mut self.layers[layer - 1];
        layer.weight_t[input * layer.outputs + output] = value;
        std::mem::replace(&mut layer.weight[output * layer.inputs + input], value)
    }

    /// Replaces one bias of layer `layer` (from 1) and gives the value it had; `None` where the layer has no biases.
    ///
    /// # Panics
    /// If there is no such layer or output.
    pub fn set_bias(&mut self, layer: usize, output: usize, value: T) -> Option<T> {
        self.layers[layer - 1].bias.as_mut().map(|bias| std::mem::replace(&mut bias[output], value))
    }

    /// The outputs of `rows` examples, `rows x outputs`.
    ///
    /// # Panics
    /// If `x` is not `rows x inputs`.
    #[must_use]
    pub fn logits(&self, x: &[T], rows: usize) -> Vec<T> {
        self.logits_from(0, x, rows)
    }

    /// The outputs that follow from the activations `h` of layer `layer` (0: the input), `rows x width(layer)`.
    ///
    /// # Panics
    /// If `h` is not `rows x width(layer)`.
    #[must_use]
    pub fn logits_from(&self, layer: usize, h: &[T], rows: usize) -> Vec<T> {
        let (width, outputs) = (self.width(layer), self.outputs());
        assert_eq!(h.len(), rows * width, "h is rows x width");
        if layer == self.depth() || rows == 0 {
            return h.to_vec();
        }
        let mut out = vec![T::ZERO; rows * outputs];
        let run = |(h, out): (&[T], &mut [T])| {
            let rows = h.len() / width;
            let mut current = self.layer_forward(layer + 1, h, rows);
            for next in layer + 2..=self.depth() {
                current = self.layer_forward(next, &current, rows);
            }
            out.copy_from_slice(&current);
        };
        if rows <= BLOCK {
            run((h, &mut out));
        } else {
            h.par_chunks(BLOCK * width).zip(out.par_chunks_mut(BLOCK * outputs)).for_each(run);
        }
        out
    }

    /// The activations of layer `layer` (from 1) given those of the layer before, on this thread.
    ///
    /// # Panics
    /// If `h` is not `rows x width(layer - 1)`.
    #[must_use]
    pub fn layer_forward(&self, layer: usize, h: &[T], rows: usize) -> Vec<T> {
        let layer = self.layer(layer);
        let mut z = layer.sums(h, rows);
        layer.activation.apply(&mut z);
        z
    }

    /// The outputs with everything on the way, on this thread.
    ///
    /// # Panics
    /// If `x` is not `rows x inputs`.
    #[must_use]
    pub fn trace(&self, x: &[T], rows: usize) -> Trace<T> {
        let mut trace = Trace { rows, pre: Vec::with_capacity(self.depth()), post: vec![x.to_vec()] };
        for layer in &self.layers {
            let z = layer.sums(trace.logits(), rows);
            let mut h = z.clone();
            layer.activation.apply(&mut h);
            trace.pre.push(z);
            trace.post.push(h);
        }
        trace
    }

    /// The activations of layer `layer` (0: the input itself) for `rows` examples, `rows x width(layer)`.
    ///
    /// # Panics
    /// If `x` is not `rows x inputs` or there is no such layer.
    #[must_use]
    pub fn activations(&self, layer: usize, x: &[T], rows: usize) -> Vec<T> {
        assert_eq!(x.len(), rows * self.inputs, "x is rows x inputs");
        if layer == 0 || rows == 0 {
            return x.to_vec();
        }
        let width = self.width(layer);
        let mut out = vec![T::ZERO; rows * width];
        x.par_chunks(BLOCK * self.inputs).zip(out.par_chunks_mut(BLOCK * width)).for_each(|(x, out)| {
            let rows = x.len() / self.inputs;
            let mut current = self.layer_forward(1, x, rows);
            for next in 2..=layer {
                current = self.layer_forward(next, &current, rows);
            }
            out.copy_from_slice(&current);
        });
        out
    }
}

/// The index of the largest of `row`: the first of equals, and NaN counts as larger than any number (as in `NumPy`).
#[must_use]
pub fn argmax<T: Real>(row: &[T]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if value.is_nan() {
            return index;
        }
        if *value > row[best] {
            best = index;
        }
    }
    best
}

/// The predicted class of each row of `logits`, `rows x outputs`; see [`argmax`].
///
/// # Panics
/// If `outputs` is 0.
#[must_use]
pub fn predict<T: Real>(logits: &[T], outputs: usize) -> Vec<u32> {
    logits.chunks_exact(outputs).map(|row| argmax(row) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Init;
    use crate::nn::mlp::Mlp;
    use crate::nn::random::Stream;

    fn example(activation: Activation) -> (MlpWeights, Vec<f32>, usize) {
        let net = Mlp::new(37, &[40, 21], 10, activation, true);
        let weights = net.initialize(Init::GlorotNormal, Init::Normal { std: 0.3 }, 5);
        let rows = 150;
        let mut x = vec![0.0; rows * 37];
        Stream::new(1, "x", &[]).fill_uniform(&mut x, 0.0, 1.0);
        (weights, x, rows)
    }

    /// Row by row and sum by sum in f64, from the tensors as stored.
    fn naive(weights: &MlpWeights, row: &[f32]) -> Vec<f64> {
        let mut h: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
        for (index, layer) in weights.network.layers.iter().enumerate() {
            let (w, b) = (weights.weight(index + 1), weights.bias(index + 1));
            h = (0..layer.outputs)
                .map(|o| {
                    let sum: f64 = (0..layer.inputs).map(|i| f64::from(w[o * layer.inputs + i]) * h[i]).sum();
                    layer.activation.value(sum + b.map_or(0.0, |b| f64::from(b[o])))
                })
                .collect();
        }
        h
    }

    #[test]
    fn logits_equal_a_naive_reference() {
        for activation in [Activation::relu(), Activation::Sigmoid { gain: 4.0 }, Activation::Tanh] {
            let (weights, x, rows) = example(activation);
            let single = Executor::<f32>::new(&weights).logits(&x, rows);
            let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
            let double = Executor::<f64>::new(&weights).logits(&wide, rows);
            for r in 0..rows {
                for (o, wanted) in naive(&weights, &x[r * 37..(r + 1) * 37]).into_iter().enumerate() {
                    assert!((f64::from(single[r * 10 + o]) - wanted).abs() < 1e-5);
                    assert!((double[r * 10 + o] - wanted).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn batch_size_and_thread_count_do_not_change_a_bit() {
        let (weights, x, rows) = example(Activation::Softplus);
        let executor = Executor::<f32>::new(&weights);
        let whole = executor.logits(&x, rows);
        for batch in [1, 7, 64, 149] {
            let parts: Vec<f32> =
                x.chunks(batch * 37).flat_map(|part| executor.logits(part, part.len() / 37)).collect();
            assert_eq!(parts, whole, "batch {batch}");
        }
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| executor.logits(&x, rows)), whole);
        }
        let trace = executor.trace(&x, rows);
        assert_eq!(trace.logits(), whole);
        for layer in 0..=3 {
            assert_eq!(executor.logits_from(layer, &trace.post[layer], rows), whole);
            assert_eq!(executor.activations(layer, &x, rows), trace.post[layer]);
        }
    }

    #[test]
    fn a_changed_weight_changes_both_layouts() {
        let (mut weights, x, rows) = example(Activation::Tanh);
        let mut executor = Executor::<f32>::new(&weights);
        let before = executor.set_weight(2, 3, 5, 9.0);
        assert_eq!(before.to_bits(), weights.weight(2)[3 * 40 + 5].to_bits());
        weights.get_mut("hidden.2.weight").unwrap().values[3 * 40 + 5] = 9.0;
        let fresh = Executor::<f32>::new(&weights);
        assert_eq!(executor.logits(&x, rows), fresh.logits(&x, rows));
        assert_eq!(executor.layer(2).weight(), fresh.layer(2).weight());
    }

    #[test]
    fn the_first_maximum_wins_and_nan_beats_every_number() {
        assert_eq!(argmax(&[1.0_f32, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[1.0_f32, f32::INFINITY, f32::NAN, f32::NAN]), 2);
        assert_eq!(argmax(&[f32::NAN, f32::NAN]), 0);
        assert_eq!(argmax(&[f32::NEG_INFINITY, f32::NEG_INFINITY]), 0);
        assert_eq!(predict(&[0.0_f64, 1.0, 5.0, 2.0], 2), [1, 0]);
    }
}
