//! Whole networks, steps of training and campaigns on every device, beside the processor.

#![expect(clippy::print_stdout, reason = "what ran, and what was skipped, is told")]

mod devices;
#[expect(dead_code, reason = "another test program looks at more of a published fault")]
mod resnet20;

use std::sync::Arc;

use devices::{OnDevice, assert_agree, is_exact, others};
use duress_network::arch::catalogue;
use duress_network::campaign::{
    ActivationFault, Campaign, Corrupt, Examples, Fault, Method, Options as Plan, Range, Run, Screening, Stored,
};
use duress_network::device::{Adam, Cpu, Device, Planes, Slopes};
use duress_network::executor::{Executor, Options};
use duress_network::op::Randomness;
use duress_network::training::Trainer;
use duress_network::{Network, Stream, Weights};

/// Multiply-adds for an image up to which a network is run here: the GPU's kernels are slow on the processor.
const MOST: u64 = 12_000_000;

/// Random weights by He's rule, with usable running variances.
fn weights(network: &Network) -> Weights {
    let mut weights = Weights::zeros(network);
    for (p, values) in network.parameters().iter().zip(weights.values_mut()) {
        let std = (2.0 / p.fan_in.max(1) as f64).sqrt().min(0.5);
        Stream::new(5, &p.name, &[]).fill_normal(values, 0.0, std);
        if p.name.ends_with("running_var") {
            for v in values {
                *v = 0.5 + v.abs();
            }
        }
    }
    weights
}

fn images(network: &Network, count: usize) -> Vec<f32> {
    let mut x = vec![0.0; count * network.input_len()];
    Stream::new(6, "images", &[]).fill_normal(&mut x, 0.0, 1.0);
    x
}

fn architecture(name: &str, input: &[usize]) -> Network {
    let entry = catalogue().iter().find(|entry| entry.name == name).expect("it is in the catalogue");
    entry.network(input, 10).expect("it reads such images")
}

/// Prints what is skipped; CI shows it.
#[test]
fn devices_that_are_skipped_are_told() {
    struct Named;
    impl OnDevice for Named {
        fn on<D: Device + Clone + 'static>(&mut self, name: &str, device: &D) {
            let y = device.upload(&[1.0, 2.0]);
            assert_eq!(device.download(&y, 2), [1.0, 2.0]);
            println!("tests run on {name}");
        }
    }
    others(&mut Named);
}

struct Outputs {
    weights: Weights,
    x: Vec<f32>,
    count: usize,
    options: Options,
    wanted: Vec<f32>,
    name: String,
}

impl OnDevice for Outputs {
    fn on<D: Device + Clone + 'static>(&mut self, name: &str, device: &D) {
        let executor = Executor::on(device.clone(), &self.weights, &self.options);
        let what = format!("{} on {name}", self.name);
        let exact = is_exact(self.weights.network());
        let found = executor.run(&self.x, self.count).expect("it fits");
        assert_agree(&found, &self.wanted, exact, &what);
        // A batch has no bits of its own.
        let len = self.weights.network().input_len();
        let last = executor.run(&self.x[(self.count - 1) * len..], 1).expect("it fits");
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
        assert_eq!(bits(&last), bits(&found[found.len() - last.len()..]), "{what}: the last image alone");
    }
}

#[test]
fn architectures_give_what_they_give_on_the_processor() {
    let mut run = 0;
    for entry in catalogue() {
        let smaller = [&[3, 16, 16][..], entry.input];
        let fits = |input: &&[usize]| entry.network(input, 10).is_ok_and(|network| network.macs() <= MOST);
        let Some(input) = smaller.into_iter().find(fits) else { continue };
        let network = entry.network(input, 10).expect("it was built before");
        run += 1;
        let (weights, count) = (weights(&network), 3);
        let x = images(&network, count);
        for options in [Options::default(), Options::faithful()] {
            let wanted = Executor::new(&weights, &options).run(&x, count).expect("it fits");
            assert!(wanted.iter().all(|v| v.is_finite()), "{}", entry.name);
            let (weights, x, name) = (weights.clone(), x.clone(), entry.name.to_owned());
            others(&mut Outputs { weights, x, count, options, wanted, name });
        }
    }
    assert!(run >= 6, "{run} architectures are small enough");
}

#[test]
fn numbers_that_are_not_finite_spread_as_on_the_processor() {
    let network = architecture("resnet-20", &[3, 8, 8]);
    let mut weights = weights(&network);
    weights.value_mut(0)[5] = f32::INFINITY;
    weights.value_mut(0)[40] = f32::NAN;
    let (count, options) = (2, Options::default());
    let x = images(&network, count);
    let wanted = Executor::new(&weights, &options).run(&x, count).expect("it fits");
    others(&mut Outputs { weights, x, count, options, wanted, name: "broken".to_owned() });
}

/// Three steps of Adam.
struct Steps {
    network: Network,
    start: Vec<Vec<f32>>,
    x: Vec<f32>,
    count: usize,
    wanted: Vec<Vec<f32>>,
}

impl Steps {
    fn run<D: Device>(&self, device: D) -> Vec<Vec<f32>> {
        let trainer = Trainer::new(&self.network, device);
        let slices: Vec<&[f32]> = self.start.iter().map(Vec::as_slice).collect();
        let mut resident = trainer.bring(&slices).expect("they fit");
        for step in 1..=3 {
            let by = Adam { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01, step };
            let random = Randomness { seed: 3, step: step as u64, first: 0 };
            let loss = |logits: &[f32]| logits.iter().map(|z| z - 0.5).collect();
            trainer.step(&mut resident, &by, (&self.x, self.count, random), loss).expect("it fits");
        }
        trainer.take_back(&resident).expect("they are there")
    }
}

impl OnDevice for Steps {
    fn on<D: Device + Clone + 'static>(&mut self, name: &str, device: &D) {
        let found = self.run(device.clone());
        for (p, (found, wanted)) in self.network.parameters().iter().zip(found.iter().zip(&self.wanted)) {
            assert_agree(found, wanted, is_exact(&self.network), &format!("{} on {name}", p.name));
        }
    }
}

#[test]
fn steps_of_training_move_parameters_as_on_the_processor() {
    for (name, input) in [("lenet-5", [1, 28, 28]), ("resnet-20", [3, 16, 16])] {
        let network = architecture(name, &input);
        let start = weights(&network).tensors().iter().map(|tensor| tensor.values.clone()).collect();
        let (count, x) = (5, images(&network, 5));
        let mut steps = Steps { network, start, x, count, wanted: Vec::new() };
        steps.wanted = steps.run(Cpu::new());
        assert_ne!(steps.wanted, steps.start);
        others(&mut steps);
    }
}

/// A number of its own for each element.
#[derive(Debug)]
struct Set(f32);

impl Corrupt for Set {
    fn corrupt(&self, _: f32, range: Range) -> f32 {
        self.0 * (range.max - range.min)
    }
}

struct Verdicts<'a> {
    weights: &'a Weights,
    x: &'a [f32],
    labels: &'a [u32],
    plan: Plan,
    runs: Vec<Run<'a>>,
}

impl OnDevice for Verdicts<'_> {
    fn on<D: Device + Clone + 'static>(&mut self, name: &str, device: &D) {
        let examples = Examples { x: self.x, labels: Some(self.labels) };
        let on_processor =
            |method| Campaign::new(self.weights, examples, Plan { method, ..self.plan.clone() }).expect("they fit");
        let on_device = |method| {
            let plan = Plan { method, ..self.plan.clone() };
            let campaign = Campaign::on(device.clone(), self.weights, examples, plan).expect("they fit");
            campaign.evaluate_by_suffix(&self.runs).expect("they exist")
        };
        let wanted = on_processor(Method::Full).evaluate(&self.runs).expect("they exist");
        assert_eq!(on_device(Method::Exact), wanted, "{name}");
        assert!(wanted.iter().any(|outcome| outcome.critical > 0) && wanted.iter().any(|outcome| outcome.masked > 0));
        let screened = Method::Screened(Screening { audit: 0.1, ..Screening::default() });
        let wanted = on_processor(screened).evaluate_by_suffix(&self.runs).expect("they exist");
        assert_eq!(on_device(screened), wanted, "{name}");
        assert!(wanted.iter().any(|o| o.screened_out > 0) && wanted.iter().any(|o| o.audited > 0), "{wanted:?}");
    }
}

/// Rows, columns, places and planes that are picked and compared.
struct Picked {
    values: Vec<f32>,
}

impl Picked {
    /// Everything that is computed, as numbers.
    fn run<D: Device>(&self, device: &D) -> Vec<Vec<f32>> {
        // 5 rows of 4 places and 3 channels; 2 members with 20 places each; 2 outputs.
        let (rows, count, channels, outputs, len) = (5, 4, 3, 2, 12);
        let array = device.upload(&self.values[..rows * len]);
        let mut found = vec![device.largest([rows, len], &array), device.take([rows, len], &[[4, 11], [0, 3]], &array)];
        let (mut some, mut columns) = (device.buffer(3 * len), device.buffer(rows * count * 2));
        device.pick_rows(len, &[4, 0, 0], &array, &mut some);
        device.put([3, len], &[[1, 2], [2, 0]], &[8.0, -9.0], &mut some);
        device.pick_columns([rows * count, channels], &[2, 0], &array, &mut columns);
        found.push(device.download(&some, 3 * len));
        let mut numbers = device.download(&columns, rows * count * 2);
        found.push(numbers.clone());
        // The second member is as it was in the first row, hardly differs in the second, is no number in the third.
        numbers.iter_mut().step_by(2).for_each(|v| *v += 0.5);
        numbers[8 + 1] += 1e-3;
        numbers[16 + 3] = f32::NAN;
        let (numbers, gradient) = (device.upload(&numbers), device.upload(&self.values[60..60 + rows * outputs * len]));
        let (limits, margins) = (device.upload(&[1.0; 5]), device.upload(&[1.0; 10]));
        let planes = Planes { numbers: &numbers, size: [count, channels], channels: &[2, 0] };
        let slopes = |gradient| Slopes { gradient, limits: &limits, margins: &margins, outputs, safety: 2.0 };
        for slopes in [None, Some(slopes(None)), Some(slopes(Some(&gradient)))] {
            let differences = device.differences(rows, &planes, &array, slopes);
            found.push(differences.iter().map(|difference| f32::from(*difference as u8)).collect());
        }
        device.put_planes(rows, &planes, &[[4, 1], [0, 0], [2, 1]], &mut some);
        found.push(device.download(&some, 3 * len));
        let mut g = device.upload(&self.values[60..60 + rows * outputs * len]);
        device.multiply_each([rows, outputs, len], &array, &mut g);
        found.push(device.download(&g, rows * outputs * len));
        found
    }
}

impl OnDevice for Picked {
    fn on<D: Device + Clone + 'static>(&mut self, name: &str, device: &D) {
        let (found, wanted) = (self.run(device), self.run(&Cpu::new()));
        for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            assert_agree(found, wanted, true, &format!("array {i} on {name}"));
        }
        let (all, predicted) = (&wanted[4], &wanted[6]);
        assert_eq!(all, &[1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
        assert_eq!(predicted[3..6], [2.0, 1.0, 1.0], "a small change is out of reach, and what is no number is not");
    }
}

#[test]
fn rows_columns_and_planes_are_picked_and_compared_as_on_the_processor() {
    let mut values = vec![0.0; 200];
    Stream::new(9, "values", &[]).fill_normal(&mut values, 0.0, 1.0);
    others(&mut Picked { values });
}

#[test]
fn campaigns_come_to_the_outcomes_of_whole_runs() {
    let network = architecture("resnet-20", &[3, 8, 8]);
    let (weights, count) = (weights(&network), 10);
    let x = images(&network, count);
    let labels: Vec<u32> = (0..count as u32).collect();
    let mut faults = Vec::new();
    for (p, parameter) in network.parameters().iter().enumerate().step_by(5) {
        for (element, bit) in [(0, 30), (parameter.len() - 1, 24), (parameter.len() / 2, 1)] {
            let value = f32::from_bits(weights.tensors()[p].values[element].to_bits() ^ (1 << bit));
            faults.push(Fault::Stored(vec![Stored { parameter: p, element, value }]));
        }
    }
    // What is stored already, numbers of two layers, the input, and a value that is read on two ways.
    let same = Stored { parameter: 0, element: 3, value: weights.tensors()[0].values[3] };
    faults.push(Fault::Stored(vec![same]));
    faults.push(Fault::Stored([0, 10].map(|parameter| Stored { parameter, element: 1, value: 3.0 }).to_vec()));
    let first_rectifier = network.nodes().iter().position(|node| node.name.contains("relu"));
    let node = first_rectifier.expect("a rectifier") + 1;
    for (node, elements, by) in [(0, vec![0, 5], 20.0), (node, vec![2], 50.0), (node, Vec::new(), 1.0)] {
        faults.push(Fault::Activation(ActivationFault { node, elements, corrupt: Arc::new(Set(by)) }));
    }
    let (few, twice) = ([7], [9, 0, 0, 3, 4, 5]);
    let mut runs: Vec<Run<'_>> = faults.iter().map(Run::all).collect();
    runs.extend(faults.iter().flat_map(|fault| {
        [Run { fault, images: Some(&few) }, Run { fault, images: Some(&twice) }, Run { fault, images: Some(&[]) }]
    }));
    let plan = Plan { exposed: [node].into(), ..Plan::default() };
    let mut verdicts = Verdicts { weights: &weights, x: &x, labels: &labels, plan, runs };
    verdicts.on("the processor", &Cpu::new());
    others(&mut verdicts);
}

/// The published faults on some of the published images.
struct PublishedFaults {
    setting: resnet20::Setting,
    /// Every so manieth fault, and the first so many images.
    faults: usize,
    images: usize,
}

impl OnDevice for PublishedFaults {
    fn on<D: Device + Clone + 'static>(&mut self, name: &str, device: &D) {
        let published = resnet20::published(&self.setting.weights).expect("they lie beside the weights");
        let published: Vec<_> = published.into_iter().step_by(self.faults).collect();
        let len = self.setting.weights.network().input_len();
        let (x, labels) = (&self.setting.pixels[..self.images * len], &self.setting.labels[..self.images]);
        let (examples, plan) = (Examples { x, labels: Some(labels) }, Plan::default());
        let campaign = Campaign::on(device.clone(), &self.setting.weights, examples, plan.clone()).expect("they fit");
        let processor = Campaign::new(&self.setting.weights, examples, plan).expect("they fit");
        assert_eq!((campaign.correct(), campaign.logits()), (processor.correct(), processor.logits()), "{name}");
        let runs: Vec<Run<'_>> = published.iter().map(|fault| Run::all(&fault.fault)).collect();
        let found = campaign.evaluate_by_suffix(&runs).expect("they exist");
        if self.images == self.setting.labels.len() {
            for (found, listed) in found.iter().zip(&published) {
                assert!(found.critical.abs_diff(listed.critical) <= 1, "{name}: {listed:?} {found:?}");
            }
        } else {
            let wanted = processor.evaluate(&runs).expect("they exist");
            let verdicts = |outcomes: &[duress_network::campaign::Outcome]| {
                outcomes.iter().map(|outcome| outcome.critical).collect::<Vec<u32>>()
            };
            assert_eq!(verdicts(&found), verdicts(&wanted), "{name}");
        }
        println!("{name}: {} images, {} faults", self.images, runs.len());
    }
}

#[test]
fn a_published_network_has_the_processors_outputs_and_verdicts() {
    let Some(setting) = resnet20::setting() else { return };
    let every = resnet20::published(&setting.weights).map_or(1, |all| all.len() / 6);
    others(&mut PublishedFaults { setting, faults: every, images: 3 });
}

/// Only on a real GPU: on the processor its kernels would take days.
struct OnGpu(PublishedFaults);

impl OnDevice for OnGpu {
    fn on<D: Device + Clone + 'static>(&mut self, name: &str, device: &D) {
        if name == "CUDA" {
            self.0.on(name, device);
        }
    }
}

#[test]
#[ignore = "300 published faults on all 10 000 images; only where there is a GPU, and minutes on the CPU beside it"]
fn published_faults_do_on_a_gpu_what_is_published() {
    let Some(setting) = resnet20::setting() else { return };
    let faults = resnet20::published(&setting.weights).map_or(1, |all| (all.len() / 300).max(1));
    let images = setting.labels.len();
    others(&mut OnGpu(PublishedFaults { setting, faults, images }));
}

#[cfg(feature = "cuda-on-host")]
mod with_little_memory {
    use std::path::Path;

    use duress_network::device::cuda::NoHost;
    use duress_network::device::{Cuda, DeviceError};
    use duress_network::executor::ExecutorError;
    use duress_network::training::{Mode, TrainingError};

    use super::*;

    fn device(limit: usize) -> Option<Cuda> {
        match Cuda::on_host(Path::new(env!("CARGO_TARGET_TMPDIR")), limit) {
            Ok(device) => Some(device),
            Err(error @ NoHost::Failed(_)) => panic!("{error}"),
            Err(error) => {
                println!("skipped: {error}");
                None
            }
        }
    }

    #[test]
    fn work_is_cut_into_smaller_parts_with_the_same_outcomes() {
        let network = architecture("resnet-20", &[3, 8, 8]);
        let (weights, count) = (weights(&network), 24);
        let x = images(&network, count);
        let wanted = Executor::new(&weights, &Options::default()).run(&x, count).expect("it fits");
        let parameters = 4 * network.parameters().iter().map(duress_network::graph::Parameter::len).sum::<usize>();
        let Some(small) = device(2 * parameters + (2 << 20)) else { return };
        let executor = Executor::on(small.clone(), &weights, &Options::default());
        small.release();
        // Whoever else uses the GPU takes what was free when the executor chose its batch.
        let free = small.memory().expect("a limit").free;
        let taken = small.buffer((free - (160 << 10)) / 4);
        assert_eq!(executor.run(&x, count), Ok(wanted.clone()));
        drop(taken);
        small.release();
        assert_eq!(executor.run(&x, count), Ok(wanted));

        let fault = Fault::Stored(vec![Stored { parameter: 0, element: 0, value: 9.0 }]);
        let examples = Examples { x: &x, labels: None };
        let runs = [Run::all(&fault)];
        let expected = Campaign::new(&weights, examples, Plan::default()).expect("they fit").evaluate(&runs);
        drop(executor);
        let campaign = Campaign::on(small.clone(), &weights, examples, Plan::default()).expect("they fit");
        small.release();
        let free = small.memory().expect("a limit").free;
        let taken = small.buffer((free - (300 << 10)) / 4);
        assert_eq!(
            campaign.evaluate_by_suffix(&runs).expect("smaller parts")[0].critical,
            expected.expect("it exists")[0].critical
        );
        drop(taken);
    }

    #[test]
    fn what_does_not_fit_at_all_is_an_error_and_no_wrong_number() {
        let network = architecture("lenet-5", &[1, 28, 28]);
        let (weights, x) = (weights(&network), images(&network, 2));
        let Some(tiny) = device(64 << 10) else { return };
        let executor = Executor::on(tiny.clone(), &weights, &Options::default());
        let refused = executor.run(&x, 2).expect_err("weights of 240 kB do not fit");
        assert!(matches!(&refused, ExecutorError::Device(DeviceError::OutOfMemory { total: 65_536, .. })), "{refused}");
        assert!(refused.to_string().contains("or compute on the CPU"), "{refused}");

        let trainer = Trainer::new(&network, tiny.clone());
        let parameters: Vec<&[f32]> = weights.tensors().iter().map(|tensor| tensor.values.as_slice()).collect();
        let refused = trainer.forward(&parameters, &x, 2, Mode::Infer).err().expect("nor here");
        assert!(matches!(refused, TrainingError::Device(DeviceError::OutOfMemory { .. })));
        assert!(trainer.bring(&parameters).is_err());
        // What went wrong has been told, and what fits is computed.
        let y = tiny.upload(&[1.0, 2.0]);
        assert_eq!(tiny.download(&y, 2), [1.0, 2.0]);
        assert_eq!(tiny.failure(), None);
    }

    #[test]
    fn memory_is_given_back_and_used_again() {
        let Some(small) = device(1 << 20) else { return };
        for _ in 0..100 {
            let buffer = small.zeros(100_000);
            assert_eq!(small.download(&buffer, 3), [0.0; 3]);
        }
        assert_eq!(small.memory().expect("a limit").free, (1 << 20) - 4 * 100_096);
        // Larger than what is kept, but not than what there is.
        let buffer = small.zeros(250_000);
        assert_eq!((small.download(&buffer, 1), small.failure()), (vec![0.0], None));
    }

    #[test]
    fn threads_share_a_device() {
        let network = architecture("lenet-5", &[1, 28, 28]);
        let (weights, x) = (weights(&network), images(&network, 3));
        let wanted = Executor::new(&weights, &Options::default()).run(&x, 3).expect("it fits");
        let Some(device) = device(64 << 20) else { return };
        let executor = Executor::on(device, &weights, &Options::default());
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..3 {
                        assert_eq!(executor.run(&x, 3).as_ref(), Ok(&wanted));
                    }
                });
            }
        });
    }

    #[test]
    #[should_panic(expected = "numbers of a buffer of 2 are used")]
    fn kernels_do_not_leave_their_buffers() {
        let Some(device) = device(1 << 20) else { panic!("3 numbers of a buffer of 2 are used, by nobody") };
        let x = device.upload(&[1.0, 2.0]);
        let mut y = device.buffer(3);
        device.add(3, &x, &x, &mut y);
    }
}
