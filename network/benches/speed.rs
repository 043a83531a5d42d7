//! How fast networks run and train, against the fused multiply-adds that this machine can do.
//!
//! `cargo bench -p duress-network --bench speed [-- [--device DEVICE] WORKLOAD...]`; `benches/compare.sh` sets `PyTorch` beside it.
//! `resnet20-train=1024` has that many images in a batch, `mlps-train=10` that many networks side by side; `mlp-train-masked` keeps
//! 3.6 % of the weights, `mlp-train-masked=0.2` as many as it says.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

#[path = "processor/mod.rs"]
mod processor;

use std::time::Instant;

use duress_network::arch::catalogue;
use duress_network::arch::mlp::Mlp;
use duress_network::chosen::Processor;
use duress_network::device::{Adam, Device};
use duress_network::executor::{Executor, Options};
use duress_network::graph::Parameter;
use duress_network::kernel::InstructionSet;
use duress_network::op::{Randomness, Role};
use duress_network::training::Trainer;
use duress_network::{Network, Stream, Weights};
use rayon::prelude::*;

/// A workload: its name, its repetitions, and what is timed.
struct Workload {
    name: String,
    repetitions: usize,
    images: usize,
    /// Floating-point operations of a repetition, a multiply-add counted as two.
    operations: f64,
    once: Box<dyn FnMut() + Send>,
}

fn architecture(name: &str, input: &[usize]) -> Network {
    let entry = catalogue().iter().find(|entry| entry.name == name).expect("an architecture of the catalogue");
    entry.network(input, 10).expect("it reads such images")
}

/// Weights by He's rule, biases zero, normalisations the identity.
fn weights(network: &Network) -> Weights {
    let mut weights = Weights::zeros(network);
    for (p, values) in network.parameters().iter().zip(weights.values_mut()) {
        match p.role {
            Role::Weight => {
                let std = (2.0 / p.fan_in as f64).sqrt();
                Stream::new(0, &p.name, &[]).fill_normal(values, 0.0, std);
            }
            Role::Scale => values.fill(1.0),
            _ if p.name.ends_with("running_var") => values.fill(1.0),
            _ => {}
        }
    }
    weights
}

fn images(network: &Network, count: usize) -> Vec<f32> {
    let mut x = vec![0.0; count * network.input_len()];
    Stream::new(1, "images", &[]).fill_uniform(&mut x, 0.0, 1.0);
    x
}

fn inference<D: Device + Send + 'static>(device: D, name: &str, network: &Network, count: usize) -> Workload {
    let executor = Executor::on(device, &weights(network), &Options::default());
    let x = images(network, count);
    Workload {
        name: name.to_owned(),
        repetitions: 60,
        images: count,
        operations: 2.0 * (count as u64 * network.macs()) as f64,
        once: Box::new(move || {
            executor.run(&x, count).expect("the images fit");
        }),
    }
}

/// Cross-entropy's gradient: probabilities less one at the label, over the batch.
fn loss_gradient(logits: &[f32], classes: usize) -> Vec<f32> {
    let count = logits.len() / classes;
    let mut gradient = vec![0.0; logits.len()];
    for (image, (z, g)) in logits.chunks_exact(classes).zip(gradient.chunks_exact_mut(classes)).enumerate() {
        duress_network::kernel::softmax::row(z, g);
        g[image % classes] -= 1.0;
        for g in g {
            *g /= count as f32;
        }
    }
    gradient
}

/// A training in which that share of the weights takes part.
fn training<D: Device + Send + 'static>(
    device: D,
    name: &str,
    network: &Network,
    (count, repetitions): (usize, usize),
    density: f64,
) -> Workload {
    let keep = |(index, p): (usize, &Parameter)| {
        let mut stream = Stream::new(2, "keep", &[index as u64]);
        (p.role == Role::Weight && density < 1.0)
            .then(|| (0..p.len()).map(|_| stream.uniform_f64() < density).collect())
    };
    let keep: Vec<Option<Vec<bool>>> = network.parameters().iter().enumerate().map(keep).collect();
    let flags: Vec<Option<&[bool]>> = keep.iter().map(Option::as_deref).collect();
    let trainer = Trainer::masked(network, device, &flags);
    let start = weights(network).into_tensors();
    let given = start.iter().enumerate().map(|(index, tensor)| match trainer.pattern(index) {
        Some(pattern) => pattern.gather(&tensor.values),
        None => tensor.values.clone(),
    });
    let given: Vec<Vec<f32>> = given.collect();
    let start: Vec<&[f32]> = given.iter().map(Vec::as_slice).collect();
    let mut parameters = trainer.bring(&start).expect("the weights fit");
    let x = images(network, count);
    let mut step = 0;
    let once = move || {
        step += 1;
        let random = Randomness { seed: 0, step: step as u64, first: 0 };
        let by = Adam { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, step };
        let loss = |logits: &[f32]| loss_gradient(logits, 10);
        trainer.step(&mut parameters, &by, (&x, count, random), loss).expect("the images fit");
    };
    let operations = 6.0 * density * (count as u64 * network.macs()) as f64;
    Workload { name: name.to_owned(), repetitions, images: count, operations, once: Box::new(once) }
}

/// A step of each of `count` trainings, which go on side by side.
fn side_by_side<D: Device + Clone + Send + 'static>(
    device: &D,
    name: &str,
    network: &Network,
    count: usize,
) -> Workload {
    let mut all: Vec<Workload> = (0..count).map(|_| training(device.clone(), name, network, (60, 600), 1.0)).collect();
    let operations = all.iter().map(|one| one.operations).sum();
    let once = move || all.par_iter_mut().for_each(|one| (one.once)());
    Workload { name: name.to_owned(), repetitions: 200, images: 60 * count, operations, once: Box::new(once) }
}

/// All workloads that are run unless some are named.
const NAMES: [&str; 5] = ["mlp-train", "mlp-train-masked", "lenet-train", "resnet20-infer", "resnet20-train"];

fn workloads<D: Device + Clone + Send + 'static>(device: &D, wanted: &[String]) -> Vec<Workload> {
    let resnet = || architecture("resnet-20", &[3, 32, 32]);
    let mlp = || Mlp::default().network(&[784], 10).expect("an mlp");
    let build = |name: &str| {
        let (kind, setting) = name.split_once('=').map_or((name, None), |(kind, setting)| (kind, Some(setting)));
        let count = |usual| setting.map_or(usual, |setting| setting.parse().expect("a number of images"));
        let device = device.clone();
        Some(match kind {
            "mlp-train" => training(device, name, &mlp(), (count(60), 600), 1.0),
            "mlp-train-masked" => {
                let share = setting.map_or(0.036, |share| share.parse().expect("a share"));
                training(device, name, &mlp(), (60, 2000), share)
            }
            "mlps-train" => side_by_side(&device, name, &mlp(), count(10)),
            "lenet-train" => training(device, name, &architecture("lenet-5", &[1, 28, 28]), (count(64), 300), 1.0),
            "resnet20-infer" => inference(device, name, &resnet(), count(128)),
            "resnet20-train" => training(device, name, &resnet(), (count(128), 14), 1.0),
            _ => return None,
        })
    };
    let usual = || NAMES.iter().map(|&name| name.to_owned()).collect();
    let wanted: Vec<String> = if wanted.is_empty() { usual() } else { wanted.to_vec() };
    wanted.iter().map(|name| build(name).unwrap_or_else(|| panic!("no workload {name}"))).collect()
}

/// Multiply-adds in registers on one thread: 16 sums of `LANES` numbers, a vector each.
fn multiply_adds<const LANES: usize>(rounds: usize) -> f32 {
    let (factor, offset) = (std::hint::black_box([0.999_f32; LANES]), std::hint::black_box([0.001_f32; LANES]));
    let step = |sum: [f32; LANES]| -> [f32; LANES] { std::array::from_fn(|i| sum[i].mul_add(factor[i], offset[i])) };
    let mut sums = [[1.0_f32; LANES]; 16];
    for _ in 0..rounds {
        sums = sums.map(step);
    }
    sums.iter().flatten().sum()
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
    use std::hint::black_box;

    macro_rules! multiply_adds {
        ($name:ident, $features:literal, $set:ident, $fmadd:ident, $sums:literal) => {
            #[target_feature(enable = $features)]
            pub(super) fn $name(rounds: usize) {
                let (factor, offset) = (black_box($set(0.999)), black_box($set(0.001)));
                let mut sums = [$set(1.0); $sums];
                for _ in 0..rounds {
                    for sum in &mut sums {
                        *sum = $fmadd(*sum, factor, offset);
                    }
                }
                black_box(sums);
            }
        };
    }

    multiply_adds!(avx512, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps, 16);
    multiply_adds!(avx2, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps, 12);
}

/// Multiply-adds with the best instructions, and how many numbers they are done on in a round.
fn best(rounds: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            #[expect(unsafe_code, reason = "a call across instruction sets")]
            // SAFETY: the processor was just found to have the feature.
            unsafe {
                wide::avx512(rounds);
            }
            return 16 * 16;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            #[expect(unsafe_code, reason = "a call across instruction sets")]
            // SAFETY: as above.
            unsafe {
                wide::avx2(rounds);
            }
            return 12 * 8;
        }
    }
    std::hint::black_box(multiply_adds::<4>(rounds));
    16 * 4
}

/// Billions of operations per second that all threads reach together at best.
fn peak() -> f64 {
    let rounds = 200_000;
    let once = || {
        let start = Instant::now();
        let numbers: usize = rayon::broadcast(|_| best(rounds)).into_iter().sum();
        2.0 * (rounds * numbers) as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..50).map(|_| once()).fold(0.0, f64::max)
}

/// Prints how fast each workload is; `peak` is what the processor could do.
fn run(workloads: Vec<Workload>, peak: Option<f64>) {
    for mut workload in workloads {
        (0..workload.repetitions.div_ceil(10)).for_each(|_| (workload.once)());
        let mut times: Vec<f64> = (0..workload.repetitions)
            .map(|_| {
                let start = Instant::now();
                (workload.once)();
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let (median, least) = (times[times.len() / 2], times[0]);
        let speed = workload.operations / median / 1e9;
        let share = peak.map_or_else(String::new, |peak| format!("\t{:.0} % of peak", 100.0 * speed / peak));
        println!(
            "ours\t{}\t{:.3} ms median\t{:.3} ms least\t{:.0} images/s\t{speed:.0} GFLOP/s{share}",
            workload.name,
            median * 1e3,
            least * 1e3,
            workload.images as f64 / median,
        );
    }
}

fn main() {
    let (processor, wanted) = processor::of_arguments();
    match processor {
        Processor::Cpu(device) => {
            let peak = peak();
            let (threads, set) = (rayon::current_num_threads(), InstructionSet::detect().name());
            println!("ours\tpeak\t{threads} threads, {set}\t{peak:.0} GFLOP/s");
            run(workloads(&device, &wanted), Some(peak));
        }
        // What a GPU could do is measured by the other side.
        #[cfg(feature = "cuda")]
        Processor::Cuda(device) => run(workloads(&device, &wanted), None),
    }
}
