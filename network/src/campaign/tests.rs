//! Campaigns against a plain rerun of changed weights.

use std::sync::Arc;

use super::*;
use crate::graph::{Builder, Value};
use crate::op::{Activation, AvgPool, BatchNorm, Beyond, Clamp, Conv2d, Linear, MaxPool, Role, ScaleShift, ShortcutA};
use crate::{Stream, arch};

/// Random weights by He's rule, with normalisations that are not the identity.
fn weights(network: &Network) -> Weights {
    let mut weights = Weights::zeros(network);
    for (p, values) in network.parameters().iter().zip(weights.values_mut()) {
        let mut stream = Stream::new(5, &p.name, &[]);
        let std = (2.0 / p.fan_in.max(1) as f64).sqrt();
        match p.role {
            Role::Weight => stream.fill_normal(values, 0.0, std),
            Role::Scale => stream.fill_normal(values, 1.0, 0.1),
            _ if p.name.ends_with("running_var") => stream.fill_uniform(values, 0.5, 2.0),
            _ if p.name.rsplit('.').next() == Some("low") => stream.fill_uniform(values, -1.0, 0.0),
            _ if p.name.rsplit('.').next() == Some("high") => stream.fill_uniform(values, 2.0, 4.0),
            _ => stream.fill_normal(values, 0.0, 0.1),
        }
    }
    weights
}

fn images(network: &Network, count: usize) -> Vec<f32> {
    let mut x = vec![0.0; count * network.input_len()];
    Stream::new(1, "images", &[]).fill_normal(&mut x, 0.0, 1.0);
    x
}

fn architecture(name: &str, input: &[usize]) -> Network {
    let entry = crate::arch::catalogue().iter().find(|entry| entry.name == name).expect("it is in the catalogue");
    entry.network(input, 10).expect("it reads such images")
}

/// A flipped bit.
fn flip(weights: &Weights, parameter: usize, element: usize, bit: u32) -> Fault {
    let value = f32::from_bits(weights.tensors()[parameter].values[element].to_bits() ^ (1 << bit));
    Fault::Stored(vec![Stored { parameter, element, value }])
}

/// A number of its own for each element.
#[derive(Debug)]
struct Set(f32);

impl Corrupt for Set {
    fn corrupt(&self, _: f32, range: Range) -> f32 {
        self.0 * (range.max - range.min)
    }
}

#[test]
fn a_full_run_is_a_run_of_changed_weights() {
    let network = architecture("lenet-5", &[1, 28, 28]);
    let (weights, x) = (weights(&network), images(&network, 12));
    let labels: Vec<u32> = (0..12).map(|i| i % 10).collect();
    let options = Options { method: Method::Full, ..Options::default() };
    let campaign = Campaign::new(&weights, Examples { x: &x, labels: Some(&labels) }, options).unwrap();
    let golden = Executor::new(&weights, &executor::Options::default()).run(&x, 12).unwrap();
    for (parameter, bit) in [(0, 30), (2, 29), (2, 3), (4, 31), (1, 27)] {
        let fault = flip(&weights, parameter, 3, bit);
        let mut changed = weights.clone();
        let Fault::Stored(numbers) = &fault else { unreachable!("a stored number") };
        changed.value_mut(parameter)[3] = numbers[0].value;
        let logits = Executor::new(&changed, &executor::Options::default()).run(&x, 12).unwrap();
        let rows = || logits.chunks(10).zip(golden.chunks(10));
        let first_largest = |z: &[f32]| {
            let place = |z: &[f32], v: f32| z.iter().position(|x| x.to_bits() == v.to_bits()).unwrap();
            z.iter().position(|v| v.is_nan()).unwrap_or_else(|| place(z, z.iter().copied().fold(f32::MIN, f32::max)))
        };
        let outcome = campaign.evaluate(&[Run::all(&fault)]).unwrap()[0];
        assert_eq!(outcome.masked as usize, rows().filter(|(f, g)| f == g).count());
        assert_eq!(outcome.critical as usize, rows().filter(|(f, g)| first_largest(f) != first_largest(g)).count());
        assert_eq!(outcome.images, outcome.masked + outcome.non_critical + outcome.critical);
        let right = logits.chunks(10).zip(&labels).filter(|(f, l)| first_largest(f) == **l as usize).count();
        assert_eq!(outcome.correct, Some(right as u32));
    }
}

#[test]
fn a_wrong_value_of_the_last_node_changes_the_prediction_as_it_says() {
    let network = architecture("lenet-5", &[1, 28, 28]);
    let (weights, x) = (weights(&network), images(&network, 9));
    let campaign = Campaign::new(&weights, Examples { x: &x, labels: None }, Options::default()).unwrap();
    let node = network.nodes().len();
    let fault = |v| Fault::Activation(ActivationFault { node, elements: vec![4], corrupt: Arc::new(Set(v)) });
    let (up, down) = (fault(1e3), fault(-1e3));
    let images = [0, 3, 3, 8];
    let some = |fault| Run { fault, images: Some(&images) };
    let outcomes = campaign.evaluate(&[some(&up), some(&down)]).unwrap();
    let fours = images.iter().filter(|&&image| campaign.predicted()[image as usize] == 4).count() as u32;
    assert_eq!((outcomes[0].images, outcomes[0].critical, outcomes[1].critical), (4, 4 - fours, fours));
    assert_eq!((outcomes[0].masked, outcomes[0].correct), (0, None));
}

#[test]
fn what_does_not_exist_is_refused() {
    let network = architecture("lenet-5", &[1, 28, 28]);
    let (mut weights, x) = (weights(&network), images(&network, 2));
    let refused = |weights: &Weights, fault: Fault, images: Option<&[u32]>| {
        let campaign = Campaign::new(weights, Examples { x: &x, labels: None }, Options::default()).unwrap();
        campaign.evaluate(&[Run { fault: &fault, images }]).unwrap_err()
    };
    let stored = |parameter, element| Fault::Stored(vec![Stored { parameter, element, value: 0.0 }]);
    let wrong = |node, element| {
        Fault::Activation(ActivationFault { node, elements: vec![element], corrupt: Arc::new(Set(1.0)) })
    };
    assert_eq!(
        refused(&weights, stored(0, 1 << 20), None),
        CampaignError::NoSuchNumber { parameter: 0, element: 1 << 20 }
    );
    assert_eq!(refused(&weights, stored(99, 0), None), CampaignError::NoSuchNumber { parameter: 99, element: 0 });
    let merged = refused(&weights, wrong(1, 0), None).to_string();
    assert!(merged.contains("name it in the executor's options"), "{merged}");
    let last = network.nodes().len();
    assert_eq!(refused(&weights, wrong(last, 10), None), CampaignError::NoSuchValue { node: last, element: 10 });
    let image = refused(&weights, stored(0, 0), Some(&[2]));
    assert_eq!(image, CampaignError::NoSuchExample { image: 2, examples: 2 });
    let examples = Examples { x: &x[1..], labels: None };
    assert!(matches!(Campaign::new(&weights, examples, Options::default()), Err(CampaignError::Examples { .. })));
    let examples = Examples { x: &x, labels: Some(&[1]) };
    assert!(matches!(Campaign::new(&weights, examples, Options::default()), Err(CampaignError::Labels { .. })));
    weights.value_mut(0)[0] = f32::NAN;
    let broken = Campaign::new(&weights, Examples { x: &x, labels: None }, Options::default());
    assert_eq!(broken.err(), Some(CampaignError::Golden(0)));
}

/// Bits from all parts of a number.
const BITS: [u32; 8] = [0, 9, 16, 21, 24, 28, 30, 31];

/// A fault of every class in every parameter, in pairs of parameters, and in the exposed values.
fn faults(weights: &Weights, exposed: &[usize]) -> Vec<Fault> {
    let network = weights.network();
    let mut stream = Stream::new(8, "faults", &[]);
    let mut faults = Vec::new();
    for (parameter, tensor) in weights.tensors().iter().enumerate() {
        for _ in 0..3 {
            let element = stream.below(tensor.values.len() as u64) as usize;
            faults.push(flip(weights, parameter, element, BITS[stream.below(8) as usize]));
        }
        let zero = |element| Stored { parameter, element, value: 0.0 };
        faults.push(Fault::Stored(vec![zero(0), zero(tensor.values.len() - 1)]));
        faults.push(Fault::Stored(vec![zero(0), Stored { parameter: 0, element: 0, value: 1.5 }]));
        faults.push(Fault::Stored(vec![Stored { parameter, element: 0, value: f32::NAN }]));
    }
    for &node in exposed {
        let len: usize = network.shapes()[node].iter().product();
        for (value, elements) in [(0.5, vec![len - 1]), (1e30, vec![0]), (-1.0, vec![0, len - 1]), (f32::NAN, vec![1])]
        {
            faults.push(Fault::Activation(ActivationFault { node, elements, corrupt: Arc::new(Set(value)) }));
        }
    }
    faults
}

/// Asserts that all methods come to the same verdicts, and gives what they agree on.
fn agree(name: &str, network: &Network, count: usize, exposed: &[usize], tf32: &[usize]) -> Vec<Outcome> {
    let (weights, x) = (weights(network), images(network, count));
    let labels: Vec<u32> = (0..count as u32).map(|i| i % 10).collect();
    let faults = faults(&weights, exposed);
    let runs: Vec<Run<'_>> = faults.iter().map(Run::all).collect();
    let campaign = |method| {
        let (exposed, tf32) = (exposed.iter().copied().collect(), tf32.iter().copied().collect());
        let options = Options { method, exposed, tf32, ..Options::default() };
        let examples = Examples { x: &x, labels: Some(&labels) };
        Campaign::new(&weights, examples, options).unwrap()
    };
    let [full, exact] = [Method::Full, Method::Exact].map(|method| campaign(method).evaluate(&runs).unwrap());
    let by_suffix = campaign(Method::Exact).evaluate_by_suffix(&runs).unwrap();
    for ((fault, full), by_suffix) in faults.iter().zip(&full).zip(&by_suffix) {
        assert_eq!(full, by_suffix, "{name} {fault:?}");
    }
    for ((fault, full), exact) in faults.iter().zip(&full).zip(&exact) {
        let what = |o: &Outcome| (o.images, o.critical, o.non_finite, o.correct);
        assert_eq!(what(full), what(exact), "{name} {fault:?} {full:?} {exact:?}");
        let change = (full.confidence_change - exact.confidence_change).abs();
        assert!(change <= 1e-4 * f64::from(full.images), "{name} {fault:?} {full:?} {exact:?}");
    }
    let masked = |all: &[Outcome]| all.iter().map(|o| f64::from(o.masked)).sum::<f64>();
    let (a, b) = (masked(&full), masked(&exact));
    assert!((a - b).abs() <= 0.02 * (faults.len() * count) as f64, "{name}: {a} and {b} masked");
    exact
}

#[test]
fn what_is_done_in_part_comes_to_the_verdicts_of_whole_runs_in_perceptrons_and_small_convolutional_networks() {
    for (name, input, exposed) in [("mlp", vec![20], vec![0, 1, 2, 5]), ("lenet-5", vec![1, 28, 28], vec![0, 1, 3, 12])]
    {
        let outcomes = agree(name, &architecture(name, &input), 37, &exposed, &[]);
        let seen = |f: fn(&Outcome) -> u32| outcomes.iter().any(|o| f(o) > 0);
        assert!(seen(|o| o.masked) && seen(|o| o.non_critical) && seen(|o| o.critical) && seen(|o| o.non_finite));
    }
}

#[test]
fn residual_networks_come_to_the_verdicts_of_whole_runs() {
    let network = architecture("resnet-20", &[3, 16, 16]);
    let middle = network.find("layer2.1.add").unwrap();
    agree("resnet-20", &network, 9, &[0, middle], &[]);
    let tf32: Vec<usize> = layers(&network, &["layer3.*.conv*"]).unwrap().into_iter().collect();
    assert_eq!(tf32.len(), 6);
    agree("resnet-20 in TF32", &network, 9, &[], &tf32);
}

/// Depthwise and grouped convolutions, with a projected shortcut.
fn separable() -> Network {
    let mut b = Builder::new(&[3, 12, 12]);
    let mut x = b.then("stem", Conv2d::new(8, 3).padding(1), Value::INPUT);
    for (block, stride) in [(0, 1), (1, 2)] {
        let name = |part: &str| format!("{block}.{part}");
        let y = b.then(name("expand"), Conv2d::new(24, 1), x);
        let y = b.then(name("bn1"), BatchNorm::default(), y);
        let y = b.relu(name("relu1"), y);
        let y = b.then(name("depthwise"), Conv2d::new(24, 3).padding(1).stride(stride).groups(24), y);
        let y = b.then(name("bn2"), BatchNorm::default(), y);
        let y = b.then(name("relu2"), Activation::relu6(), y);
        let y = b.then(name("project"), Conv2d::new(16, 1).groups(2), y);
        let short = b.then(name("short"), Conv2d::new(16, 1).stride(stride).bias(true), x);
        let y = b.join(name("add"), Op::Add, &[y, short]);
        x = b.then(name("tanh"), Activation::Tanh, y);
    }
    let x = b.then("pool", AvgPool::new(2), x);
    let x = b.then("flatten", Op::Flatten, x);
    b.then("linear", Linear::new(10), x);
    b.finish().unwrap()
}

/// Layers that read all layers before them.
fn concatenated() -> Network {
    let mut b = Builder::new(&[2, 10, 10]);
    let mut x = b.then("stem", Conv2d::new(6, 3).padding(1), Value::INPUT);
    for layer in 0..3 {
        let y = b.then(format!("{layer}.bn"), BatchNorm::default(), x);
        let y = b.relu(format!("{layer}.relu"), y);
        let y = b.then(format!("{layer}.conv"), Conv2d::new(40, 3).padding(1).bias(true), y);
        x = b.join(format!("{layer}.concat"), Op::Concat, &[x, y]);
    }
    let x = b.then("scale", ScaleShift { scale: true, shift: true }, x);
    let x = b.then("pool", MaxPool::new(2), x);
    let y = b.then("wider", ShortcutA { channels: 130, stride: 2 }, x);
    let z = b.then("also", ShortcutA { channels: 130, stride: 2 }, x);
    let x = b.join("three", Op::Add, &[y, z, y]);
    let x = b.then("global", Op::GlobalAvgPool, x);
    b.then("linear", Linear::new(300), x);
    let x = b.last();
    b.then("elu", Activation::Elu { alpha: 1.0 }, x);
    let x = b.last();
    b.then("classifier", Linear::new(10), x);
    b.finish().unwrap()
}

#[test]
fn depthwise_grouped_and_concatenated_layers_come_to_the_verdicts_of_whole_runs() {
    let network = separable();
    let node = |name: &str| network.find(name).unwrap();
    let tf32 = [node("0.depthwise"), node("1.project"), node("1.expand")];
    agree("separable", &network, 35, &[node("0.relu1"), node("1.depthwise")], &[]);
    agree("separable in TF32", &network, 35, &[], &tf32);
    let network = concatenated();
    let node = |name: &str| network.find(name).unwrap();
    agree("concatenated", &network, 20, &[node("0.conv"), node("1.concat"), node("global")], &[]);
}

/// Bounds for all channels and for each behind convolutions, sums and a linear layer.
fn bounded() -> Network {
    let mut b = Builder::new(&[3, 10, 10]);
    let clamp = |per_channel, beyond| Clamp { per_channel, beyond };
    let x = b.then("stem", Conv2d::new(8, 3).padding(1), Value::INPUT);
    let x = b.then("bn", BatchNorm::default(), x);
    let x = b.relu("relu1", x);
    let x = b.then("clamp1", clamp(true, Beyond::Bound), x);
    let y = b.then("conv", Conv2d::new(8, 3).padding(1), x);
    let x = b.join("add", Op::Add, &[y, x]);
    let x = b.then("clamp2", clamp(false, Beyond::Zero), x);
    let x = b.then("narrow", Conv2d::new(12, 3).padding(1), x);
    let x = b.then("clamp3", clamp(true, Beyond::Zero), x);
    let x = b.then("flatten", Op::Flatten, x);
    let x = b.then("hidden", Linear::new(40), x);
    let x = b.relu("relu2", x);
    let x = b.then("clamp4", clamp(false, Beyond::Bound), x);
    b.then("classifier", Linear::new(10), x);
    b.finish().unwrap()
}

#[test]
fn bounded_activations_come_to_the_verdicts_of_whole_runs() {
    let network = bounded();
    let node = |name: &str| network.find(name).unwrap();
    agree("bounded", &network, 35, &[node("relu1"), node("clamp2"), node("clamp4")], &[]);
}

#[test]
fn recurrent_and_attending_networks_come_to_the_verdicts_of_whole_runs() {
    for name in ["rnn", "lstm", "transformer-encoder"] {
        let network = architecture(name, &[1, 28, 28]);
        agree(name, &network, 5, &[0, 1], &[]);
    }
}

#[test]
fn neither_threads_nor_memory_nor_the_cut_of_a_list_change_an_outcome() {
    let network = separable();
    let (weights, x) = (weights(&network), images(&network, 90));
    let faults = faults(&weights, &[]);
    let images: Vec<u32> = vec![80, 3, 3, 41];
    let runs: Vec<Run<'_>> = faults
        .iter()
        .enumerate()
        .map(|(i, fault)| Run { fault, images: i.is_multiple_of(3).then_some(images.as_slice()) })
        .collect();
    let with_method = |method, threads: usize, memory: usize, cut: usize| -> Vec<Outcome> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let options = Options { method, memory, ..Options::default() };
            let campaign = Campaign::new(&weights, Examples { x: &x, labels: None }, options).unwrap();
            runs.chunks(cut).flat_map(|part| campaign.evaluate(part).unwrap()).collect()
        })
    };
    let with = |threads, memory, cut| with_method(Method::Exact, threads, memory, cut);
    let whole = with(2, 1 << 30, runs.len());
    assert_eq!(whole[0].images, 4);
    assert_eq!(whole, with(1, 1, runs.len()));
    assert_eq!(whole, with(3, 1 << 30, 7));
    let screened = |memory, cut| with_method(Method::Screened(Screening::default()), 2, memory, cut);
    assert_eq!(screened(1 << 30, runs.len()), screened(1, 5));
}

#[test]
fn faults_on_some_examples_add_up_to_those_on_all() {
    let network = architecture("lenet-5", &[1, 28, 28]);
    let (weights, x) = (weights(&network), images(&network, 40));
    let campaign = Campaign::new(&weights, Examples { x: &x, labels: None }, Options::default()).unwrap();
    let fault = flip(&weights, 2, 17, 29);
    let all = campaign.evaluate(&[Run::all(&fault)]).unwrap()[0];
    let one = |image: u32| campaign.evaluate(&[Run { fault: &fault, images: Some(&[image]) }]).unwrap()[0];
    let ones: Vec<Outcome> = (0..40).map(one).collect();
    assert_eq!(all.critical, ones.iter().map(|o| o.critical).sum::<u32>());
    assert_eq!(all.masked, ones.iter().map(|o| o.masked).sum::<u32>());
    assert!(all.critical > 0 && all.critical < 40);
}

#[test]
fn bits_that_tf32_rounds_away_are_masked_without_a_run() {
    let network = arch::mlp::Mlp { hidden: vec![8], ..arch::mlp::Mlp::default() }.network(&[5], 10).unwrap();
    let (weights, x) = (weights(&network), images(&network, 50));
    let first = (1..=network.nodes().len()).find(|&n| matches!(network.nodes()[n - 1].op, Op::Linear(_))).unwrap();
    let options = Options { tf32: BTreeSet::from([first]), ..Options::default() };
    let campaign = Campaign::new(&weights, Examples { x: &x, labels: None }, options).unwrap();
    let plain = Campaign::new(&weights, Examples { x: &x, labels: None }, Options::default()).unwrap();
    assert_ne!(campaign.logits(), plain.logits());
    let of = |campaign: &Campaign<'_>, bit| campaign.evaluate(&[Run::all(&flip(&weights, 0, 7, bit))]).unwrap()[0];
    for bit in 0..12 {
        assert_eq!(of(&campaign, bit).masked, 50, "{bit}");
    }
    assert!(of(&campaign, 22).masked < 50 && of(&plain, 11).masked < 50);
}

#[test]
fn gradients_of_margins_are_those_of_training() {
    use crate::training::{Mode, Trainer, Wanted};
    for (network, count) in [
        (separable(), 3),
        (concatenated(), 2),
        (architecture("resnet-20", &[3, 16, 16]), 2),
        (architecture("rnn", &[1, 28, 28]), 2),
    ] {
        let (weights, x) = (weights(&network), images(&network, count));
        let campaign = Campaign::new(&weights, Examples { x: &x, labels: None }, Options::default()).unwrap();
        let device = Cpu::new();
        let numbers: Vec<u32> = (0..count as u32).collect();
        let (chunk, reversed) = (campaign.chunk(&device, &numbers), campaign.reversed());
        let mut margins = gradient::Margins::new(&campaign, &device, (&chunk.images, &chunk.values), &reversed);
        (0..campaign.executor.plan().stages.len()).rev().for_each(|index| margins.back(index));
        let found = margins.of(0).unwrap();
        let trainer = Trainer::new(&network, device.clone());
        let parameters: Vec<&[f32]> = weights.tensors().iter().map(|t| t.values.as_slice()).collect();
        let saved = trainer.forward(&parameters, &x, count, Mode::Infer).unwrap();
        let [places, channels] = crate::op::arithmetic::places(network.input());
        for other in 0..9 {
            let mut dlogits = vec![0.0; count * 10];
            for (row, &predicted) in dlogits.chunks_exact_mut(10).zip(campaign.predicted()) {
                row[predicted] = 1.0;
                row[other + usize::from(other >= predicted)] = -1.0;
            }
            let wanted = trainer.backward(&saved, &dlogits, Wanted { parameters: false, input: true }).unwrap().input;
            let scale = wanted.iter().fold(0.0, |largest: f32, v| largest.max(v.abs()));
            for (at, wanted) in wanted.iter().enumerate() {
                let (example, rest) = (at / (places * channels), at % (places * channels));
                // Row-major images have all places of a channel together, other arrays all channels of a place.
                let (channel, place) = if network.input().len() == 3 {
                    (rest / places, rest % places)
                } else {
                    (rest % channels, rest / channels)
                };
                let found = found[((example * channels + channel) * 9 + other) * places + place];
                assert!((found - wanted).abs() <= 1e-4 * scale, "{at}: {found} instead of {wanted}");
            }
        }
    }
}

#[test]
fn a_screening_that_audits_everything_is_an_exact_campaign() {
    let network = separable();
    let node = network.find("1.depthwise").unwrap();
    let (weights, x) = (weights(&network), images(&network, 40));
    let faults = faults(&weights, &[node]);
    let runs: Vec<Run<'_>> = faults.iter().map(Run::all).collect();
    let with = |method| {
        let options = Options { method, exposed: BTreeSet::from([node]), ..Options::default() };
        Campaign::new(&weights, Examples { x: &x, labels: None }, options).unwrap().evaluate(&runs).unwrap()
    };
    let exact = with(Method::Exact);
    let whole = with(Method::Screened(Screening { audit: 1.0, ..Screening::default() }));
    for (exact, whole) in exact.iter().zip(&whole) {
        assert_eq!(*exact, Outcome { audited: 0, audit_wrong: 0, ..*whole });
    }
    let none = with(Method::Screened(Screening { audit: 0.0, ..Screening::default() }));
    let some = with(Method::Screened(Screening { audit: 0.25, ..Screening::default() }));
    let sum = |all: &[Outcome], f: fn(&Outcome) -> u32| f64::from(all.iter().map(f).sum::<u32>());
    let skipped = sum(&none, |o| o.screened_out);
    assert!(skipped > 0.1 * sum(&none, |o| o.images - o.masked), "{skipped} are skipped");
    assert!(sum(&whole, |o| o.audited) >= skipped && sum(&none, |o| o.audited) + sum(&whole, |o| o.screened_out) < 0.5);
    let share = sum(&some, |o| o.audited) / skipped;
    assert!((share - 0.25).abs() < 0.05, "{share} are audited");
    // What is wrong is what the audit of everything found wrong.
    let wrong = sum(&whole, |o| o.audit_wrong);
    assert_eq!((sum(&exact, |o| o.critical) - sum(&none, |o| o.critical)).to_bits(), wrong.to_bits());
    assert!(wrong <= 5e-3 * skipped, "{wrong} of {skipped} are wrong");
    // Where whole batches run on, the same pairs are left out, but for those in which nothing differs.
    let by_suffix = |audit| {
        let method = Method::Screened(Screening { audit, ..Screening::default() });
        let options = Options { method, exposed: BTreeSet::from([node]), ..Options::default() };
        let campaign = Campaign::new(&weights, Examples { x: &x, labels: None }, options).unwrap();
        campaign.evaluate_by_suffix(&runs).unwrap()
    };
    let full = with(Method::Full);
    for (full, whole) in full.iter().zip(&by_suffix(1.0)) {
        assert_eq!(*full, Outcome { audited: 0, audit_wrong: 0, ..*whole });
    }
    for (of_some, also) in none.iter().zip(&by_suffix(0.0)) {
        assert_eq!(
            (of_some.critical, of_some.screened_out + of_some.masked),
            (also.critical, also.screened_out + also.masked)
        );
        assert!(also.masked >= of_some.masked, "{of_some:?} {also:?}");
    }
    assert!(sum(&by_suffix(0.0), |o| o.screened_out) > 0.5 * skipped);
    assert_eq!(sum(&by_suffix(1.0), |o| o.audit_wrong).to_bits(), wrong.to_bits());
    let refused =
        Options { method: Method::Screened(Screening { safety: 0.5, ..Screening::default() }), ..Options::default() };
    let refused = Campaign::new(&weights, Examples { x: &x, labels: None }, refused).err().unwrap().to_string();
    assert_eq!(refused, "screening with safety = 0.5 makes no sense; use a factor of at least 1");
}

#[test]
fn layers_are_named_by_patterns() {
    let network = architecture("resnet-20", &[3, 16, 16]);
    let names = |pattern: &str| layers(&network, &[pattern]).map(|found| found.len());
    assert_eq!(names("layer3.*"), Ok(6));
    assert_eq!(names("*"), Ok(20));
    assert_eq!(names("layer*.1.*2"), Ok(3));
    assert_eq!(names("linear"), Ok(1));
    for wrong in ["bn1", "layer3", "*conv", "linear*linear", ""] {
        assert_eq!(names(wrong), Err(CampaignError::NoSuchLayer(wrong.to_owned())), "{wrong}");
    }
}

#[test]
fn a_campaign_states_the_memory_that_it_keeps_to() {
    let network = architecture("lenet-5", &[1, 28, 28]);
    let (weights, x) = (weights(&network), images(&network, 300));
    let bytes = |memory| {
        let options = Options { memory, ..Options::default() };
        Campaign::new(&weights, Examples { x: &x, labels: None }, options).unwrap().bytes()
    };
    // Values and sums of all 300 examples, in whole chunks.
    let values: usize = 784 + 6 * 784 + 6 * 196 + 16 * 100 + 16 * 25 + 400 + 120 + 84 + 10;
    assert!(bytes(1 << 30) - bytes(0) <= 320 * 8 * values && bytes(1 << 30) > bytes(0));
    assert!(bytes(1 << 30) >= 320 * 8 * values);
}
