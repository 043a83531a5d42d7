//! A network as attacks and training see it: outputs of a batch, and gradients with respect to its input.
//!
//! Each row's numbers are a fixed chain of operations, so their bits do not depend on the batch or the threads.

use std::ops::Range;
use std::sync::OnceLock;

use duress_network::chosen::Processor;
#[cfg(feature = "cuda")]
use duress_network::device::Cuda;
use duress_network::device::{Cpu, Device};
use duress_network::executor::{Executor, ExecutorError, Options};
use duress_network::op::Role;
use duress_network::training::{Frozen, Trainer, TrainingError, Wanted};
use duress_network::{Network, Tensor, Weights};

/// Rows that a thread takes at a time: at most as many as its cache holds, and not so few that weights are read for nothing.
const MOST: usize = 72;
const LEAST: usize = 16;
/// Rows that a GPU takes at a time: enough to fill it, few enough for its memory.
#[cfg(feature = "cuda")]
const AT_ONCE: usize = 1024;

/// A network and its weights, ready to run forward and backward; it is only read, from any number of threads.
#[derive(Debug)]
pub struct Classifier {
    engine: Chosen<Engine<Cpu>, OnGpu>,
    weights: Weights,
}

/// A [`Classifier`] as one of the threads sees it that share the rows.
#[derive(Debug)]
pub struct Local<'a> {
    engine: Chosen<LocalEngine<'a, Cpu>, LocalOnGpu<'a>>,
    network: &'a Network,
}

#[cfg(feature = "cuda")]
type OnGpu = Engine<Cuda>;
#[cfg(feature = "cuda")]
type LocalOnGpu<'a> = LocalEngine<'a, Cuda>;
#[cfg(not(feature = "cuda"))]
type OnGpu = std::convert::Infallible;
#[cfg(not(feature = "cuda"))]
type LocalOnGpu<'a> = std::convert::Infallible;

/// What runs on the processor or on a GPU.
#[derive(Debug)]
enum Chosen<C, G> {
    Cpu(C),
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "there is none in this build"))]
    Cuda(G),
}

/// Calls a method of whichever it is.
macro_rules! on {
    ($chosen:expr, $it:ident => $call:expr) => {
        match $chosen {
            Chosen::Cpu($it) => $call,
            #[cfg(feature = "cuda")]
            Chosen::Cuda($it) => $call,
            #[cfg(not(feature = "cuda"))]
            Chosen::Cuda(none) => match *none {},
        }
    };
}

/// What a device has of a network.
#[derive(Debug)]
struct Engine<D: Device> {
    device: D,
    /// Made for the first rows that need them.
    executor: OnceLock<Executor<D>>,
    frozen: OnceLock<Result<Frozen<D>, TrainingError>>,
    trainer: Trainer<D>,
}

/// An [`Engine`] as one of the threads sees it.
#[derive(Debug)]
struct LocalEngine<'a, D: Device> {
    device: &'a D,
    executor: &'a Executor<D>,
    frozen: &'a Result<Frozen<D>, TrainingError>,
    trainer: Trainer<D>,
}

impl<D: Device + Clone + Send> Engine<D> {
    fn new(device: D, weights: &Weights) -> Self {
        let trainer = trainer(device.clone(), weights);
        Self { device, executor: OnceLock::new(), frozen: OnceLock::new(), trainer }
    }

    /// Sees that `weights` are others than before.
    fn set(&mut self, weights: &Weights) {
        self.executor.take();
        self.frozen.take();
        let others = |(index, tensor): (usize, &Tensor)| {
            let count = |values: &[f32]| values.iter().filter(|value| **value != 0.0).count();
            self.trainer.pattern(index).is_some_and(|p| count(&p.gather(&tensor.values)) != count(&tensor.values))
        };
        if weights.tensors().iter().enumerate().any(others) {
            self.trainer = trainer(self.device.clone(), weights);
        }
    }

    fn executor(&self, weights: &Weights) -> &Executor<D> {
        self.executor.get_or_init(|| Executor::on(self.device.clone(), weights, &Options::default()))
    }

    fn frozen(&self, weights: &Weights) -> &Result<Frozen<D>, TrainingError> {
        self.frozen.get_or_init(|| {
            let given = self.trainer.taking_part(weights);
            let parameters: Vec<&[f32]> = given.iter().map(|values| &**values).collect();
            self.trainer.freeze(&parameters)
        })
    }

    /// Cuts `rows` rows into blocks of `block`, and calls `f` for each with what runs it.
    fn spread<R: Send, E: Send>(
        &self,
        weights: &Weights,
        (rows, block): (usize, usize),
        f: impl Fn(LocalEngine<'_, D>, Vec<Range<usize>>) -> Result<Vec<R>, E> + Sync,
    ) -> Result<Vec<R>, E> {
        // Made before threads could wait for each other.
        let (executor, frozen) = (self.executor(weights), self.frozen(weights));
        let work = |device: &D, blocks: Range<usize>| {
            let local = LocalEngine { device, executor, frozen, trainer: self.trainer.on(device.clone()) };
            f(local, blocks.map(|b| b * block..rows.min((b + 1) * block)).collect())
        };
        let parts: Result<Vec<Vec<R>>, E> = self.device.spread(rows.div_ceil(block), 1, work).into_iter().collect();
        Ok(parts?.into_iter().flatten().collect())
    }
}

impl<D: Device> LocalEngine<'_, D> {
    fn forward_backward(
        &self,
        x: &[f32],
        rows: usize,
        dlogits: impl Fn(usize, &[f32], &mut [f32]),
    ) -> Result<(Vec<f32>, Vec<f32>), TrainingError> {
        let frozen = self.frozen.as_ref().map_err(TrainingError::clone)?;
        let saved = self.trainer.forward_frozen(frozen, x, rows)?;
        let outputs = self.trainer.network().output_len();
        let mut slope = vec![0.0; saved.logits().len()];
        let pairs = saved.logits().chunks_exact(outputs).zip(slope.chunks_exact_mut(outputs));
        pairs.enumerate().for_each(|(row, (logits, out))| dlogits(row, logits, out));
        let wanted = Wanted { parameters: false, input: true };
        let gradient = self.trainer.backward(&saved, &slope, wanted)?.input;
        Ok((saved.logits().to_vec(), gradient))
    }
}

impl Classifier {
    /// Prepares `weights` for the processor that the program runs on.
    #[must_use]
    pub fn new(weights: Weights) -> Self {
        Self::on(&Processor::default(), weights)
    }

    /// Prepares `weights` for `processor`.
    #[must_use]
    pub fn on(processor: &Processor, weights: Weights) -> Self {
        let engine = match processor {
            Processor::Cpu(device) => Chosen::Cpu(Engine::new(device.clone(), &weights)),
            #[cfg(feature = "cuda")]
            Processor::Cuda(device) => Chosen::Cuda(Engine::new(device.clone(), &weights)),
        };
        Self { engine, weights }
    }

    /// Puts the values of `weights` in place of those that it has.
    ///
    /// # Panics
    /// If they belong to another network.
    pub fn set(&mut self, weights: &Weights) {
        assert_eq!(weights.tensors().len(), self.weights.tensors().len(), "weights of one network");
        self.weights.values_mut().zip(weights.tensors()).for_each(|(own, new)| own.copy_from_slice(&new.values));
        on!(&mut self.engine, engine => engine.set(&self.weights));
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        self.weights.network()
    }

    /// Features of an example.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.network().input_len()
    }

    /// Outputs of an example.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.network().output_len()
    }

    /// The outputs of `rows` examples, `rows x outputs`.
    ///
    /// # Errors
    /// Where `x` is not `rows x inputs`, or the device gives up.
    pub fn logits(&self, x: &[f32], rows: usize) -> Result<Vec<f32>, ExecutorError> {
        on!(&self.engine, engine => engine.executor(&self.weights).run(x, rows))
    }

    /// The gradient of a scalar per row with respect to that row of `x`, `rows x inputs`.
    ///
    /// `dlogits(row, logits, out)` writes into `out` the derivative of row `row`'s scalar with respect to its `logits`.
    ///
    /// # Errors
    /// Where `x` is not `rows x inputs`, or the device gives up.
    pub fn input_gradient(
        &self,
        x: &[f32],
        rows: usize,
        dlogits: impl Fn(usize, &[f32], &mut [f32]) + Sync,
    ) -> Result<Vec<f32>, TrainingError> {
        let n = self.inputs();
        let blocks: Result<Vec<Vec<f32>>, TrainingError> = self.spread(rows, |local, range| {
            let x = x.get(range.start * n..x.len().min(range.end * n)).unwrap_or_default();
            let slope = |row: usize, logits: &[f32], out: &mut [f32]| dlogits(range.start + row, logits, out);
            Ok(local.forward_backward(x, range.len(), slope)?.1)
        });
        Ok(blocks?.concat())
    }

    /// Cuts `rows` rows into blocks, and calls `f` for each with what runs it on the thread that it comes to: the results in the
    /// order of the rows, or the first error.
    ///
    /// # Errors
    /// What `f` gives.
    pub fn spread<R: Send, E: Send>(
        &self,
        rows: usize,
        f: impl Fn(&Local<'_>, Range<usize>) -> Result<R, E> + Sync,
    ) -> Result<Vec<R>, E> {
        let network = self.network();
        let each = |local: Local<'_>, blocks: Vec<Range<usize>>| blocks.into_iter().map(|b| f(&local, b)).collect();
        match &self.engine {
            Chosen::Cpu(engine) => {
                let block = rows.div_ceil(rayon::current_num_threads()).clamp(LEAST, MOST);
                let local = |engine: LocalEngine<'_, Cpu>, blocks: Vec<Range<usize>>| {
                    each(Local { engine: Chosen::Cpu(engine), network }, blocks)
                };
                engine.spread(&self.weights, (rows, block), local)
            }
            #[cfg(feature = "cuda")]
            Chosen::Cuda(engine) => {
                let local = |engine: LocalEngine<'_, Cuda>, blocks: Vec<Range<usize>>| {
                    each(Local { engine: Chosen::Cuda(engine), network }, blocks)
                };
                engine.spread(&self.weights, (rows, AT_ONCE), local)
            }
            #[cfg(not(feature = "cuda"))]
            Chosen::Cuda(none) => match *none {},
        }
    }
}

impl Local<'_> {
    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        self.network
    }

    /// Features of an example.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.network().input_len()
    }

    /// Outputs of an example.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.network().output_len()
    }

    /// As [`Classifier::logits`].
    ///
    /// # Errors
    /// Where `x` is not `rows x inputs`, or the device gives up.
    pub fn logits(&self, x: &[f32], rows: usize) -> Result<Vec<f32>, ExecutorError> {
        on!(&self.engine, engine => engine.executor.run_on(engine.device, x, rows))
    }

    /// The outputs of `rows` examples, and the gradient as of [`Classifier::input_gradient`].
    ///
    /// # Errors
    /// Where `x` is not `rows x inputs`, or the device gives up.
    pub fn forward_backward(
        &self,
        x: &[f32],
        rows: usize,
        dlogits: impl Fn(usize, &[f32], &mut [f32]),
    ) -> Result<(Vec<f32>, Vec<f32>), TrainingError> {
        on!(&self.engine, engine => engine.forward_backward(x, rows, dlogits))
    }
}

/// Runs a network with weights of which those that are 0 now stay 0.
fn trainer<D: Device>(device: D, weights: &Weights) -> Trainer<D> {
    let parameters = weights.network().parameters().iter().zip(weights.tensors());
    let kept = parameters.map(|(p, tensor)| {
        (p.role == Role::Weight).then(|| tensor.values.iter().map(|value| *value != 0.0).collect::<Vec<bool>>())
    });
    let kept: Vec<Option<Vec<bool>>> = kept.collect();
    let flags: Vec<Option<&[bool]>> = kept.iter().map(Option::as_deref).collect();
    Trainer::masked(weights.network(), device, &flags)
}

#[cfg(test)]
mod tests {
    use crate::nn::attack::testing::small;
    use crate::nn::gradient::{cross_entropy, cross_entropy_gradient};

    #[test]
    fn new_values_are_seen_by_outputs_and_gradients() {
        let (mut classifier, x) = small(4);
        let before = classifier.logits(&x, 4).unwrap();
        let mut moved = classifier.weights.clone();
        moved.value_mut(0).iter_mut().for_each(|w| *w *= 1.5);
        classifier.set(&moved);
        let fresh = crate::nn::Classifier::new(moved);
        assert_ne!(classifier.logits(&x, 4).unwrap(), before);
        assert_eq!(classifier.logits(&x, 4).unwrap(), fresh.logits(&x, 4).unwrap());
        let gradient = |classifier: &crate::nn::Classifier| {
            classifier.input_gradient(&x, 4, |row, logits, out| cross_entropy_gradient(logits, row % 3, out)).unwrap()
        };
        assert_eq!(gradient(&classifier), gradient(&fresh));
    }

    #[test]
    fn gradients_through_few_weights_have_the_bits_of_those_through_zeros_whichever_weights_come_next() {
        use duress_network::device::Cpu;
        use duress_network::training::{Mode, Trainer, Wanted};

        use super::Chosen;
        use crate::nn::{Activation, Classifier, Mlp, Stream, Weights};

        let network = Mlp::new(40, &[30], 3, Activation::relu(), true).graph().unwrap();
        let drawn = |seed: u64, one_in: u64| {
            let mut weights = Weights::zeros(&network);
            for (index, values) in weights.values_mut().enumerate() {
                let mut stream = Stream::new(seed, "few", &[index as u64]);
                for value in values {
                    *value = if stream.below(one_in) == 0 { stream.normal() as f32 } else { 0.0 };
                }
            }
            weights
        };
        let x: Vec<f32> = (0..5 * 40).map(|i| (i as f32 * 0.37).sin()).collect();
        let dense = |weights: &Weights| {
            let trainer = Trainer::new(&network, Cpu::new());
            let parameters: Vec<&[f32]> = weights.tensors().iter().map(|tensor| tensor.values.as_slice()).collect();
            let saved = trainer.forward(&parameters, &x, 5, Mode::Infer).unwrap();
            let mut slope = vec![0.0; 15];
            for row in 0..5 {
                cross_entropy_gradient(&saved.logits()[row * 3..][..3], row % 3, &mut slope[row * 3..][..3]);
            }
            trainer.backward(&saved, &slope, Wanted { parameters: false, input: true }).unwrap().input
        };
        let few = |classifier: &Classifier| {
            classifier.input_gradient(&x, 5, |row, logits, out| cross_entropy_gradient(logits, row % 3, out)).unwrap()
        };
        let mut classifier = Classifier::new(drawn(1, 10));
        let few_at_first = |classifier: &Classifier| on!(&classifier.engine, e => e.trainer.pattern(0).is_some());
        assert!(few_at_first(&classifier));
        assert_eq!(few(&classifier), dense(&drawn(1, 10)));
        for next in [drawn(2, 10), drawn(3, 1)] {
            classifier.set(&next);
            assert_eq!(few(&classifier), dense(&next));
        }
        assert!(!few_at_first(&classifier));
    }

    #[test]
    fn gradients_follow_finite_differences_and_do_not_depend_on_the_batch() {
        let (classifier, x) = small(5);
        let gradient = |x: &[f32], first: usize| {
            let rows = x.len() / classifier.inputs();
            let pull =
                |row: usize, logits: &[f32], out: &mut [f32]| cross_entropy_gradient(logits, (first + row) % 3, out);
            classifier.input_gradient(x, rows, pull).unwrap()
        };
        let whole = gradient(&x, 0);
        let inputs = classifier.inputs();
        for row in 0..5 {
            assert_eq!(gradient(&x[row * inputs..(row + 1) * inputs], row), whole[row * inputs..(row + 1) * inputs]);
        }
        for index in [0, 7, 2 * inputs + 1] {
            let row = index / inputs;
            let at = |shift: f32| {
                let mut moved = x[row * inputs..(row + 1) * inputs].to_vec();
                moved[index % inputs] += shift;
                cross_entropy(&classifier.logits(&moved, 1).unwrap(), row % 3)
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((slope - whole[index]).abs() < 2e-3, "{slope} {}", whole[index]);
        }
    }
}
