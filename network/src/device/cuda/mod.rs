//! NVIDIA GPUs: our own kernels, compiled by NVRTC where they run; no toolkit is needed to build or to start the program.
//!
//! A [`Cuda`] is a [`Device`](super::Device) like any other. Kernels do the CPU's arithmetic in the CPU's order, so results have its
//! bits wherever no exponential or its like is taken; they use no atomics, so they are the same in every run. Work goes through one
//! stream in the order in which it is asked for. What cannot be done is remembered ([`super::Device::failure`]): until somebody
//! asks, nothing more is computed on that thread's buffers.

mod arguments;
mod driver;
#[cfg(feature = "cuda-on-host")]
mod host;
mod kernels;
mod memory;
mod nvidia;
mod operations;

use std::path::Path;
use std::sync::Arc;

pub use driver::Memory;
#[cfg(feature = "cuda-on-host")]
pub use host::NoHost;
pub use memory::Buffer;
pub use nvidia::{Found, Missing, Survey, survey};
pub use operations::{Kernel, Linear};

use super::DeviceError;
use driver::{Argument, Driver, LOST};
use kernels::THREADS;
use memory::Home;

/// A GPU. Clones share its memory.
#[derive(Clone, Debug)]
pub struct Cuda {
    home: Arc<Home>,
}

impl Cuda {
    /// GPU number `ordinal`, with compiled kernels kept in `kernels` from one process to the next.
    ///
    /// # Errors
    /// Where there is no such GPU, no driver, or nothing that compiles kernels.
    pub fn open(ordinal: usize, kernels: Option<&Path>) -> Result<Self, Missing> {
        Ok(Self::with(Box::new(nvidia::Nvidia::open(ordinal, kernels)?)))
    }

    /// For tests: the same kernels on this machine's processor, compiled by its C++ compiler into `folder`, with `limit` bytes of memory.
    ///
    /// # Errors
    /// Where there is no such compiler, or kernels do not compile.
    #[cfg(feature = "cuda-on-host")]
    pub fn on_host(folder: &Path, limit: usize) -> Result<Self, NoHost> {
        Ok(Self::with(Box::new(host::Host::new(folder, limit)?)))
    }

    fn with(driver: Box<dyn Driver>) -> Self {
        Self { home: Arc::new(Home::new(driver)) }
    }

    /// How much memory there is; what this program keeps for later counts as used.
    ///
    /// # Errors
    /// Where the driver cannot say.
    pub fn memory(&self) -> Result<Memory, DeviceError> {
        self.home.driver.memory()
    }

    /// Gives memory that is kept for later back, for other programs.
    pub fn release(&self) {
        self.home.release();
    }

    /// Runs a kernel in blocks.
    #[expect(unsafe_code, reason = "a kernel is given addresses")]
    fn launch(&self, kernel: kernels::Kernel, blocks: usize, arguments: &[Argument]) {
        if blocks == 0 {
            return;
        }
        if arguments.contains(&Argument::Address(LOST)) || self.home.is_broken() {
            return self.lost();
        }
        let blocks = u32::try_from(blocks).expect("arrays hold less than 2^39 numbers");
        // SAFETY: `operations` gives each kernel its own arguments (tests run each on a driver that checks their types), and every
        // address through `at`, which saw that the buffer is as long as the kernel reaches; buffers live until later work
        // in the same stream takes their memory.
        let done = unsafe { self.home.driver.launch(kernel, blocks, arguments) };
        self.home.checked(done);
    }

    /// Runs a kernel that has a thread for each of `n` numbers, and `n` as its first argument.
    fn each(&self, kernel: kernels::Kernel, n: usize, rest: &[Argument]) {
        let arguments: Vec<Argument> = std::iter::once(n.into()).chain(rest.iter().copied()).collect();
        self.launch(kernel, n.div_ceil(THREADS), &arguments);
    }

    /// What is asked for cannot be computed, since something before it could not.
    fn lost(&self) {
        let memory = self.memory().unwrap_or(Memory { free: 0, total: 0 });
        self.home.fail(DeviceError::OutOfMemory { wanted: 0, free: memory.free, total: memory.total });
    }
}

/// Where the first `need` numbers of a buffer are.
///
/// # Panics
/// If it holds fewer.
fn at(buffer: &Buffer, need: usize) -> Argument {
    assert!(need <= buffer.len(), "{need} numbers of a buffer of {} are used", buffer.len());
    Argument::Address(buffer.address())
}

/// [`at`], or nothing.
fn maybe(buffer: Option<&Buffer>, need: usize) -> Argument {
    buffer.map_or(Argument::Address(0), |buffer| at(buffer, need))
}
