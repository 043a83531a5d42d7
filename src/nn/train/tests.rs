use super::*;
use crate::nn::Init;
use crate::nn::activation::Activation;
use crate::nn::mlp::Mlp;
use crate::nn::random::Stream;
use duress_network::{Network, Scheme};

/// Two classes of points around (1, 1, ...) and (-1, -1, ...), not quite separable in one feature.
fn blobs(rows: usize, features: usize, seed: u64) -> Examples {
    let mut stream = Stream::new(seed, "blobs", &[]);
    let labels: Vec<u32> = (0..rows).map(|row| (row % 2) as u32).collect();
    let x = labels
        .iter()
        .flat_map(|&label| vec![if label == 0 { 1.0 } else { -1.0 }; features])
        .map(|centre| (centre + stream.normal()) as f32)
        .collect();
    Examples { features, classes: 2, x, labels, targets: None, ..Examples::default() }
}

fn start(features: usize, hidden: &[usize], activation: Activation) -> Weights {
    let network = Mlp::new(features, hidden, 2, activation, true).graph().unwrap();
    network.initialize(&Scheme::new(Init::GlorotUniform, Init::Normal { std: 0.1 }), 1)
}

fn config(steps: u64, optimizer: Optimizer) -> TrainConfig {
    TrainConfig { length: Length::Steps(steps), batch: 20, optimizer, seed: 5, ..TrainConfig::default() }
}

fn run(config: &TrainConfig, start: Weights, mask: Option<&Mask>, data: &Examples) -> Trained {
    train(config, start, mask, data, None, None, &mut NoHooks).unwrap()
}

/// Every second weight of each layer.
fn half(network: &Network) -> Mask {
    let mut mask = Mask::full(network);
    for tensor in &mut mask.tensors {
        tensor.keep.iter_mut().step_by(2).for_each(|keep| *keep = false);
    }
    mask
}

#[test]
fn one_step_of_descent_follows_finite_differences_for_every_activation_and_loss() {
    let data = blobs(20, 4, 1);
    for loss in [Loss::CrossEntropy, Loss::MeanSquare] {
        for activation in [
            Activation::Identity,
            Activation::Relu { slope: 1.5 },
            Activation::LeakyRelu { slope: 0.1 },
            Activation::Sigmoid { gain: 4.0 },
            Activation::Tanh,
            Activation::Softplus,
        ] {
            let begin = start(4, &[5, 3], activation);
            let config = TrainConfig { loss, ..config(1, Optimizer::sgd(1.0, 0.0)) };
            let trained = run(&config, begin.clone(), None, &data);
            for (t, tensor) in begin.tensors().iter().enumerate() {
                for index in 0..tensor.values.len() {
                    let at = |shift: f32| {
                        let mut moved = begin.clone();
                        moved.value_mut(t)[index] += shift;
                        score(&moved, &data, loss).unwrap().0
                    };
                    let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
                    let step = f64::from(tensor.values[index] - trained.weights.tensors()[t].values[index]);
                    assert!((step - slope).abs() < 2e-3, "{loss:?} {activation:?} {} {step} {slope}", tensor.name);
                }
            }
        }
    }
}

#[test]
fn thread_count_does_not_change_a_bit() {
    let data = blobs(300, 120, 2);
    let config = TrainConfig { batch: 128, crash: vec![0.0, 0.1, 0.0, 0.0], ..config(6, Optimizer::adam(1e-2)) };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&config, start(120, &[90, 60], Activation::relu()), None, &data))
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(3));
    assert_ne!(one.weights, run(&TrainConfig { seed: 6, ..config }, one.initial.clone(), None, &data).weights);
}

#[test]
fn masked_weights_stay_exactly_zero_under_every_optimizer() {
    let data = blobs(100, 6, 3);
    let begin = start(6, &[8], Activation::relu());
    let mask = half(begin.network());
    let decayed =
        Optimizer::Adam { lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-7, form: EpsilonForm::Hat, weight_decay: 0.1 };
    let nesterov = Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01 };
    let rmsprop = Optimizer::RmsProp { lr: 0.01, decay: 0.9, eps: 1e-8, momentum: 0.9, centered: true };
    for optimizer in [Optimizer::adam(0.01), decayed, Optimizer::sgd(0.1, 0.9), nesterov, rmsprop] {
        let config = TrainConfig { l1: 1e-3, l2: 1e-3, ..config(30, optimizer) };
        let trained = run(&config, begin.clone(), Some(&mask), &data);
        for (layer, masks) in mask.tensors.iter().enumerate() {
            for (index, keep) in masks.keep.iter().enumerate() {
                let (first, last) = (
                    trained.initial.tensors()[2 * layer].values[index],
                    trained.weights.tensors()[2 * layer].values[index],
                );
                if *keep {
                    assert_ne!(first.to_bits(), last.to_bits(), "{optimizer:?} leaves a kept weight");
                } else {
                    assert_eq!((first.to_bits(), last.to_bits()), (0, 0), "{optimizer:?} moves a dropped weight");
                }
            }
        }
    }
}

#[test]
fn training_classifies_what_can_be_classified_and_records_its_course() {
    let (data, validation) = (blobs(400, 8, 4), blobs(200, 8, 5));
    let config = TrainConfig { length: Length::Epochs(5), label_smoothing: 0.1, ..config(0, Optimizer::adam(0.01)) };
    let begin = start(8, &[16], Activation::relu());
    let trained = train(&config, begin, None, &data, Some(&validation), None, &mut NoHooks).unwrap();
    let (_, accuracy) = score(&trained.weights, &validation, Loss::CrossEntropy).unwrap();
    assert!(accuracy.unwrap() > 0.98, "{accuracy:?}");
    assert_eq!((trained.updates, trained.taken_at), (100, 100));
    let updates: Vec<u64> = trained
        .curve
        .iter()
        .filter(|point| (point.split, point.metric) == ("validation", "accuracy"))
        .map(|point| point.update)
        .collect();
    assert_eq!(updates, [0, 20, 40, 60, 80, 100]);
    let last = trained.curve.last().unwrap();
    assert_eq!((last.metric, last.value, last.epoch), ("accuracy", accuracy.unwrap(), 5.0));
}

#[test]
fn regression_finds_a_linear_law() {
    let mut stream = Stream::new(1, "line", &[]);
    let x: Vec<f32> = (0..300).map(|_| stream.normal() as f32).collect();
    let targets = x.chunks(3).flat_map(|r| [2.0 * r[0] - r[1] + 0.5, r[2]]).collect();
    let data =
        Examples { features: 3, classes: 0, x, labels: Vec::new(), targets: Some(targets), ..Examples::default() };
    let network = Mlp::new(3, &[], 2, Activation::Identity, true).graph().unwrap();
    let begin = network.initialize(&Scheme::new(Init::GlorotUniform, Init::Zeros), 1);
    let config = TrainConfig { loss: Loss::MeanSquare, ..config(300, Optimizer::sgd(0.1, 0.9)) };
    let trained = run(&config, begin, None, &data);
    for (found, wanted) in trained.weights.tensors()[0].values.iter().zip([2.0, -1.0, 0.0, 0.0, 0.0, 1.0]) {
        assert!((found - wanted).abs() < 1e-3);
    }
    assert!((trained.weights.tensors()[1].values[0] - 0.5).abs() < 1e-3);
}

#[test]
fn early_stopping_keeps_the_weights_of_the_smallest_validation_loss() {
    // Validation labels are the wrong way round: every update makes the validation loss worse.
    let (data, mut validation) = (blobs(100, 4, 6), blobs(100, 4, 7));
    validation.labels.iter_mut().for_each(|label| *label = 1 - *label);
    let stopping = EarlyStopping { patience: 3, min_delta: 0.0 };
    let config = TrainConfig { early_stopping: Some(stopping), ..config(1000, Optimizer::sgd(0.1, 0.0)) };
    let begin = start(4, &[6], Activation::Tanh);
    let trained = train(&config, begin, None, &data, Some(&validation), None, &mut NoHooks).unwrap();
    assert_eq!((trained.updates, trained.taken_at), (15, 0));
    assert_eq!(trained.weights, trained.initial);
}

#[test]
fn an_attack_that_changes_nothing_leaves_the_training_as_it_was() {
    let data = blobs(100, 4, 8);
    let begin = start(4, &[6], Activation::Tanh);
    let config = config(10, Optimizer::sgd(0.1, 0.0));
    let plain = run(&config, begin.clone(), None, &data);
    let hardened = TrainConfig { adversarial_share: 0.5, ..config };
    let identity = |_: &Classifier, clean: &CleanBatch<'_>| Ok(clean.x.to_vec());
    let same = train(&hardened, begin.clone(), None, &data, None, Some(&identity), &mut NoHooks).unwrap();
    for (a, b) in plain.weights.tensors().iter().zip(same.weights.tensors()) {
        assert!(a.values.iter().zip(&b.values).all(|(a, b)| (a - b).abs() < 1e-5));
    }
    let blank = |_: &Classifier, clean: &CleanBatch<'_>| Ok(vec![0.0; clean.x.len()]);
    let other = train(&hardened, begin, None, &data, None, Some(&blank), &mut NoHooks).unwrap();
    assert_ne!(other.weights, same.weights);
}

#[test]
fn the_loss_is_shared_between_rows_and_perturbed_rows_whose_labels_are_smoothed_alike() {
    let data = blobs(20, 4, 8);
    let begin = start(4, &[6], Activation::Tanh);
    let plain = TrainConfig { label_smoothing: 0.1, ..config(1, Optimizer::sgd(1.0, 0.0)) };
    let shifted = |x: &[f32]| x.iter().map(|x| 0.5 * x + 0.3).collect::<Vec<f32>>();
    let moved = |share: f64, data: &Examples| {
        let attack = |_: &Classifier, clean: &CleanBatch<'_>| Ok(shifted(clean.x));
        let config = TrainConfig { adversarial_share: share, ..plain.clone() };
        let trained = train(&config, begin.clone(), None, data, None, Some(&attack), &mut NoHooks).unwrap();
        let pairs = trained.weights.tensors().iter().zip(begin.tensors());
        pairs.flat_map(|(a, b)| a.values.iter().zip(&b.values).map(|(a, b)| a - b).collect::<Vec<_>>()).collect()
    };
    let clean: Vec<f32> = moved(0.0, &data);
    let adverse: Vec<f32> = moved(0.0, &Examples { x: shifted(&data.x), ..data.clone() });
    for share in [0.5, 0.25, 1.0] {
        let found: Vec<f32> = moved(share, &data);
        for ((found, clean), adverse) in found.iter().zip(&clean).zip(&adverse) {
            let wanted = (1.0 - share as f32) * clean + share as f32 * adverse;
            assert!((found - wanted).abs() < 1e-5, "{share}: {found} {wanted}");
        }
    }
}

#[test]
fn every_update_is_attacked_against_the_weights_that_it_starts_from() {
    let data = blobs(60, 4, 8);
    let begin = start(4, &[6], Activation::Tanh);
    let hardened = TrainConfig { adversarial_share: 0.5, ..config(4, Optimizer::adam(0.05)) };
    let asked = std::sync::Mutex::new(Vec::new());
    let attack = |classifier: &Classifier, clean: &CleanBatch<'_>| {
        asked.lock().unwrap().push((clean.update, classifier.logits(&data.x, 60).unwrap()));
        Ok(clean.x.iter().map(|x| x + 0.1).collect())
    };
    train(&hardened, begin.clone(), None, &data, None, Some(&attack), &mut NoHooks).unwrap();
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(asked.iter().map(|(update, _)| *update).collect::<Vec<_>>(), [0, 1, 2, 3]);
    for (update, logits) in asked {
        let shorter = TrainConfig { length: Length::Steps(update), ..hardened.clone() };
        let weights = train(&shorter, begin.clone(), None, &data, None, Some(&attack), &mut NoHooks).unwrap().weights;
        assert_eq!(Classifier::new(weights).logits(&data.x, 60).unwrap(), logits, "{update}");
    }
}

#[test]
fn where_a_whole_layer_crashes_only_what_follows_it_learns() {
    let data = blobs(100, 4, 9);
    let config = TrainConfig { crash: vec![0.0, 1.0, 0.0], ..config(5, Optimizer::sgd(0.1, 0.0)) };
    let trained = run(&config, start(4, &[6], Activation::Sigmoid { gain: 1.0 }), None, &data);
    assert_eq!(trained.weights.tensors()[0], trained.initial.tensors()[0]);
    assert_eq!(trained.weights.tensors()[2], trained.initial.tensors()[2]);
    assert_ne!(trained.weights.tensors()[3], trained.initial.tensors()[3]);
}

#[test]
fn the_snapshot_holds_the_weights_of_its_update() {
    let data = blobs(100, 4, 9);
    let begin = start(4, &[6], Activation::Tanh);
    let with = |steps, snapshot| {
        run(&TrainConfig { snapshot, ..config(steps, Optimizer::adam(0.01)) }, begin.clone(), None, &data)
    };
    let whole = with(12, 0);
    assert_eq!(whole.snapshot, whole.initial);
    for update in [1, 7, 12] {
        assert_eq!(with(12, update).snapshot, with(update, 0).weights);
        assert_eq!(with(12, update).weights, whole.weights);
    }
    assert_eq!(with(5, 7).snapshot, with(5, 0).weights, "a shorter training gives its last weights");
}

#[test]
fn dropped_weights_have_no_moments_and_no_gradients_whatever_disturbs_them() {
    let data = blobs(100, 6, 3);
    let begin = start(6, &[8], Activation::relu());
    let mask = half(begin.network());
    let errors = BitErrors { rate: 0.1, word: Word::Int8, bits: (0..8).collect(), share: 0.5 };
    for optimizer in [Optimizer::adam(0.01), Optimizer::sgd(0.1, 0.9)] {
        let config = TrainConfig { l1: 1e-3, l2: 1e-3, bit_errors: Some(errors.clone()), ..config(30, optimizer) };
        let mut training = Training::new(&config, (begin.clone(), Some(&mask)), (&data, None), None).unwrap();
        training.advance(20, &mut NoHooks).unwrap();
        let state = training.state();
        for moment in &state.moments {
            for (layer, masks) in mask.tensors.iter().enumerate() {
                let values = moment[2 * layer].iter().zip(&state.weights.tensors()[2 * layer].values);
                for ((moment, weight), keep) in values.zip(&masks.keep) {
                    assert_eq!((moment.to_bits() != 0, weight.to_bits() != 0), (*keep, *keep), "{optimizer:?}");
                }
            }
        }
    }
}

/// Hidden layers of 40 units on 30 features, of which a tenth of the weights is kept, and a training of them that is put down
/// halfway.
#[test]
fn a_training_of_few_weights_keeps_the_others_at_zero_and_goes_on_from_its_state() {
    let (data, begin) = (blobs(100, 30, 3), start(30, &[40, 40], Activation::relu()));
    let mut mask = Mask::full(begin.network());
    for (layer, tensor) in mask.tensors.iter_mut().enumerate() {
        let mut stream = Stream::new(layer as u64, "tenth", &[]);
        tensor.keep.iter_mut().for_each(|keep| *keep = stream.below(10) == 0);
    }
    for optimizer in [Optimizer::adam(0.01), Optimizer::sgd(0.1, 0.9)] {
        let config = TrainConfig { l1: 1e-3, l2: 1e-3, ..config(12, optimizer) };
        let begun = || Training::new(&config, (begin.clone(), Some(&mask)), (&data, None), None).unwrap();
        let mut whole = begun();
        whole.advance(5, &mut NoHooks).unwrap();
        let state = whole.state();
        whole.advance(12, &mut NoHooks).unwrap();
        let mut resumed = begun();
        resumed.resume(state.clone()).unwrap();
        resumed.advance(12, &mut NoHooks).unwrap();
        assert_eq!(resumed.state(), whole.state());
        for moment in &state.moments {
            for (layer, masks) in mask.tensors.iter().enumerate() {
                let values = moment[2 * layer].iter().zip(&state.weights.tensors()[2 * layer].values);
                assert_eq!(values.len(), masks.keep.len());
                for ((moment, weight), keep) in values.zip(&masks.keep).filter(|(_, keep)| !**keep) {
                    assert_eq!((moment.to_bits(), weight.to_bits()), (0, 0), "{keep}");
                }
            }
        }
        let mut short = state;
        short.moments[0][0].pop();
        assert!(begun().resume(short).is_err());
    }
}

#[test]
fn the_gradient_with_bit_errors_is_that_at_the_weights_read_back() {
    let data = blobs(20, 4, 1);
    let begin = start(4, &[5], Activation::Tanh);
    // The sign bit of every 8-bit weight is inverted in every update, so that what is read back is known.
    let errors = |share| BitErrors { rate: 1.0, word: Word::Int8, bits: vec![7], share };
    let mut read = begin.clone();
    for (values, parameter) in read.values_mut().zip(begin.network().parameters()) {
        if parameter.role == duress_network::op::Role::Weight {
            let step = values.iter().fold(0.0_f32, |most, value| most.max(value.abs())) / 127.0;
            for value in values {
                let word = (*value / step).round_ties_even();
                *value = step * if word < 0.0 { word + 128.0 } else { word - 128.0 };
            }
        }
    }
    let plain = config(1, Optimizer::sgd(1.0, 0.0));
    let moved = |bit_errors: Option<BitErrors>, start: &Weights| {
        let trained = run(&TrainConfig { bit_errors, ..plain.clone() }, start.clone(), None, &data);
        let pairs = trained.weights.tensors().iter().zip(start.tensors());
        pairs
            .flat_map(|(a, b)| a.values.iter().zip(&b.values).map(|(a, b)| a - b).collect::<Vec<_>>())
            .collect::<Vec<f32>>()
    };
    let (clean, faulty) = (moved(None, &begin), moved(None, &read));
    for share in [1.0, 0.25] {
        for ((found, clean), faulty) in moved(Some(errors(share)), &begin).iter().zip(&clean).zip(&faulty) {
            let wanted = (1.0 - share as f32) * clean + share as f32 * faulty;
            assert!((found - wanted).abs() < 1e-4, "{share}: {found} {wanted}");
        }
    }
}

/// Cancels after seven updates.
struct Stop(u64);
impl TrainHooks for Stop {
    fn progress(&mut self, done: u64, _total: u64) {
        self.0 = done;
    }
    fn cancelled(&self) -> bool {
        self.0 == 7
    }
}

#[test]
fn misfits_are_explained_and_divergence_and_cancellation_are_reported() {
    let data = blobs(20, 4, 1);
    let attempt = |config: &TrainConfig, data: &Examples, hooks: &mut dyn TrainHooks| {
        train(config, start(4, &[3], Activation::relu()), None, data, None, None, hooks).unwrap_err()
    };
    let plain = config(50, Optimizer::sgd(0.1, 0.0));
    let unfit = |config: &TrainConfig, data: &Examples| attempt(config, data, &mut NoHooks).to_string();
    assert!(unfit(&plain, &blobs(20, 5, 1)).contains("data have 5 features but the network reads 4"));
    assert!(unfit(&plain, &Examples::default()).contains("no rows"));
    assert!(unfit(&TrainConfig { batch: 0, ..plain.clone() }, &data).contains("batch is 0"));
    assert!(unfit(&TrainConfig { crash: vec![0.1], ..plain.clone() }, &data).contains("crash has 1"));
    assert!(unfit(&TrainConfig { adversarial_share: 0.5, ..plain.clone() }, &data).contains("needs an attack"));
    assert!(unfit(&plain, &Examples { labels: vec![7; 20], ..data.clone() }).contains("label 7"));
    let patient = EarlyStopping { patience: 1, min_delta: 0.0 };
    let stopping = TrainConfig { early_stopping: Some(patient), ..plain.clone() };
    assert!(unfit(&stopping, &data).contains("early stopping needs validation rows"));
    let wild = config(50, Optimizer::sgd(1e30, 0.0));
    assert!(matches!(attempt(&wild, &data, &mut NoHooks), TrainError::Diverged { .. }));
    assert_eq!(attempt(&plain, &data, &mut Stop(0)), TrainError::Cancelled);
}

/// An IDX file, gzip-compressed, without its header.
fn idx(path: &std::path::Path, header: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut bytes).unwrap();
    bytes.split_off(header)
}

#[test]
#[ignore = "trains for minutes without optimisation; run it with --release"]
fn the_lottery_network_reaches_its_published_accuracy_on_mnist() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/mnist");
    let read = |images: &str, labels: &str| Examples {
        features: 784,
        classes: 10,
        x: idx(&folder.join(images), 16).into_iter().map(|pixel| f32::from(pixel) / 255.0).collect(),
        labels: idx(&folder.join(labels), 8).into_iter().map(u32::from).collect(),
        targets: None,
        ..Examples::default()
    };
    let all = read("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz");
    let test = read("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz");
    let data = all.select(&(10_000..60_000).collect::<Vec<_>>());
    let begin = Mlp::new(784, &[300, 100], 10, Activation::relu(), false).graph().unwrap();
    let optimizer =
        Optimizer::Adam { lr: 1.2e-3, beta1: 0.9, beta2: 0.999, eps: 1e-7, form: EpsilonForm::Hat, weight_decay: 0.0 };
    let config = TrainConfig {
        length: Length::Epochs(8),
        batch: 60,
        optimizer,
        label_smoothing: 0.1,
        seed: 1,
        ..TrainConfig::default()
    };
    let trained = run(&config, begin.initialize(&Scheme::new(Init::GlorotUniform, Init::Zeros), 1), None, &data);
    let (_, accuracy) = score(&trained.weights, &test, Loss::CrossEntropy).unwrap();
    assert!(accuracy.unwrap() > 0.979, "{accuracy:?} {:?}", trained.curve);
}
