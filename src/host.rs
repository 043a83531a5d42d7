//! The machine, as the engine is told of it: the one place where clocks are read.

use std::fs;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use duress_engine::run::Host;

/// This machine, with real clocks.
#[derive(Debug)]
pub struct Machine {
    name: String,
    started: Instant,
}

impl Machine {
    /// The machine the program runs on; `name` is what the environment calls it, if it does.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is the door to the clocks")]
    pub fn new(name: Option<String>) -> Self {
        let from_system = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let name = name.or_else(from_system).map(|name| name.trim().to_owned());
        Self { name: name.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into()), started: Instant::now() }
    }

    /// How many threads the machine runs at once.
    #[must_use]
    pub fn threads() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// Memory that a run may fill, in bytes: three quarters of what is free, 4 GiB where that is not known.
    #[must_use]
    pub fn memory() -> u64 {
        let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        available_memory(&info).map_or(4 << 30, |free| free / 4 * 3)
    }
}

impl Host for Machine {
    #[expect(clippy::disallowed_methods, reason = "this module is the door to the clocks")]
    fn now_unix_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }

    fn elapsed_seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn program(&self) -> String {
        concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned()
    }

    fn cpu(&self) -> String {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let model = model.map_or(std::env::consts::ARCH, |(_, model)| model.trim());
        let features = features().join(" ");
        if features.is_empty() { model.to_owned() } else { format!("{model} ({features})") }
    }

    fn process(&self) -> u32 {
        std::process::id()
    }
}

/// The `MemAvailable` line of Linux's `/proc/meminfo`, in bytes.
fn available_memory(info: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let known = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    known.into_iter().filter(|(_, present)| *present).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::available_memory;

    #[test]
    fn free_memory_is_read_in_kibibytes() {
        let info = "MemTotal:       24000000 kB\nMemAvailable:   20000 kB\n";
        assert_eq!(available_memory(info), Some(20_000 * 1024));
        assert_eq!(available_memory("MemTotal: 1 kB\n"), None);
    }
}
