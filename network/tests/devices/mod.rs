//! The devices besides the processor that tests run on: the GPU's kernels on this machine's processor, and a GPU where there is one.

#![expect(clippy::print_stdout, reason = "a skip is told")]

use duress_network::device::Device;
use duress_network::{Activation, Network, Op};

/// How far a device's results may be from the processor's, relative to the largest number of their array, where they take
/// functions that no standard fixes to the last bit; all others are equal.
pub(crate) const TOLERANCE: f64 = 1e-5;

/// What is to be done on every device.
pub(crate) trait OnDevice {
    /// Does it on one.
    fn on<D: Device + Clone + 'static>(&mut self, name: &str, device: &D);
}

/// Does it on every device besides the processor; prints which ones are missing.
#[cfg(feature = "cuda-on-host")]
pub(crate) fn others(work: &mut impl OnDevice) {
    use std::path::Path;
    use std::sync::OnceLock;

    use duress_network::device::Cuda;
    use duress_network::device::cuda::{Missing, NoHost};

    static HOST: OnceLock<Result<Cuda, NoHost>> = OnceLock::new();
    static GPU: OnceLock<Result<Cuda, Missing>> = OnceLock::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    match HOST.get_or_init(|| Cuda::on_host(folder, 4 << 30)) {
        Ok(device) => work.on("CUDA on the processor", device),
        Err(error @ NoHost::Failed(_)) => panic!("{error}"),
        Err(error) => println!("skipped: {error}"),
    }
    match GPU.get_or_init(|| Cuda::open(0, Some(folder))) {
        Ok(device) => work.on("CUDA", device),
        Err(error) => println!("skipped: {error}"),
    }
}

/// Does it on the processor once more, as this build has nothing else.
#[cfg(not(feature = "cuda-on-host"))]
pub(crate) fn others(work: &mut impl OnDevice) {
    println!("skipped: this build has no CUDA; use `--features cuda-on-host`");
    work.on("the processor", &duress_network::device::Cpu::new());
}

/// Whether a network takes only functions that every device computes to the last bit.
pub(crate) fn is_exact(network: &Network) -> bool {
    let exact = |op: &Op| match op {
        Op::Activation(f) => matches!(
            f,
            Activation::Identity | Activation::Relu { .. } | Activation::LeakyRelu { .. } | Activation::Clip { .. }
        ),
        Op::Softmax | Op::Attention(_) | Op::Rnn(_) | Op::Lstm(_) => false,
        _ => true,
    };
    network.nodes().iter().all(|node| exact(&node.op))
}

/// Holds what a device found to what the processor did.
#[expect(clippy::float_cmp, reason = "equal means equal, but for the sign of a zero")]
pub(crate) fn assert_agree(found: &[f32], wanted: &[f32], exact: bool, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let finite = wanted.iter().filter(|v| v.is_finite());
    let scale = finite.fold(1.0f64, |largest, v| largest.max(f64::from(v.abs())));
    let close = |a: f32, b: f32| (f64::from(a) - f64::from(b)).abs() <= TOLERANCE * scale || a.to_bits() == b.to_bits();
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        // Zeros of either sign are equal, and so is every NaN.
        let same = a == b || (a.is_nan() && b.is_nan());
        assert!(same || (!exact && close(*a, *b)), "{what} [{i}]: {a} instead of {b}");
    }
}
