//! What a benchmark computes on.

use duress_network::chosen::Processor;

/// The processor that `--device` names, such as `cuda:0` (`cuda:host` for the GPU's kernels on the CPU), and the other arguments.
pub(crate) fn of_arguments() -> (Processor, Vec<String>) {
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let Some(at) = words.iter().position(|word| word == "--device") else { return (Processor::default(), words) };
    let name: Vec<String> = words.drain(at..words.len().min(at + 2)).skip(1).collect();
    let name = name.first().map_or("", String::as_str);
    (if name == "cpu" { Processor::default() } else { gpu(name) }, words)
}

#[cfg(feature = "cuda")]
fn gpu(name: &str) -> Processor {
    use duress_network::device::Cuda;

    let number = name.strip_prefix("cuda:").unwrap_or_else(|| panic!("no device {name}"));
    #[cfg(feature = "cuda-on-host")]
    if number == "host" {
        return Processor::Cuda(Cuda::on_host(&std::env::temp_dir(), 4 << 30).expect("a C++ compiler"));
    }
    let number = number.parse().expect("the number of a GPU");
    Processor::Cuda(Cuda::open(number, None).unwrap_or_else(|missing| panic!("{missing}")))
}

#[cfg(not(feature = "cuda"))]
fn gpu(name: &str) -> Processor {
    panic!("{name}: this build computes on the CPU alone; build it with `--features cuda`")
}
