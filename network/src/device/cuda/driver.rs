//! What the device asks of whoever owns its memory and runs its kernels: an NVIDIA driver, or for tests a host compiler.
#![expect(unsafe_code, reason = "addresses are given to kernels")]

use std::fmt::Debug;

use super::super::DeviceError;
use super::kernels::Kernel;

/// The address of a buffer that could not be allocated. Nothing that is given one is run.
pub(super) const LOST: u64 = u64::MAX;

/// An argument of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Argument {
    /// Where numbers are; 0 for none.
    Address(u64),
    /// A size, an index or a choice.
    Integer(i64),
    /// A number.
    Single(f32),
    /// A number in double precision.
    Double(f64),
}

impl From<usize> for Argument {
    fn from(value: usize) -> Self {
        Self::Integer(value as i64)
    }
}

impl From<bool> for Argument {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Self::Single(value)
    }
}

/// Bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Those that nobody uses.
    pub free: usize,
    /// All.
    pub total: usize,
}

/// Memory, and kernels run one after the other in the order in which they are asked for, whichever thread asks.
pub(super) trait Driver: Debug + Send + Sync {
    /// Room for `bytes` bytes, which are unspecified.
    fn allocate(&self, bytes: usize) -> Result<u64, DeviceError>;
    /// Gives memory back.
    ///
    /// # Safety
    /// The address comes from [`Driver::allocate`], and is not used again.
    unsafe fn free(&self, address: u64);
    /// Copies to the device; later kernels see it.
    ///
    /// # Safety
    /// There is room for as many numbers at `to`.
    unsafe fn write(&self, from: &[f32], to: u64) -> Result<(), DeviceError>;
    /// Copies from the device, once earlier kernels are done.
    ///
    /// # Safety
    /// There are as many numbers at `from`.
    unsafe fn read(&self, from: u64, to: &mut [f32]) -> Result<(), DeviceError>;
    /// How much memory there is.
    fn memory(&self) -> Result<Memory, DeviceError>;
    /// Runs a kernel in `blocks` blocks.
    ///
    /// # Safety
    /// The arguments are those that the kernel takes, and what they lead to lies in memory of this driver.
    unsafe fn launch(&self, kernel: Kernel, blocks: u32, arguments: &[Argument]) -> Result<(), DeviceError>;
}
