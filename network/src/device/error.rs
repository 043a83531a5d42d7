//! Why a device could not do what it was asked for.

use thiserror::Error;

/// Why a device could not do what it was asked for. The processor that a program runs on never says so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// There is no room for a buffer, however small the parts that work was cut into.
    #[error(
        "the GPU has no room for another {wanted} bytes ({free} of {total} are free); use a smaller batch, stop what else uses it, or \
         compute on the CPU"
    )]
    OutOfMemory {
        /// Bytes that were asked for.
        wanted: usize,
        /// Bytes that are free.
        free: usize,
        /// Bytes that there are.
        total: usize,
    },
    /// Anything else; nothing more can be computed on the device by this process.
    #[error("the GPU failed to {doing}: {cause}; compute on the CPU, or look into the driver's log")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// What the driver says.
        cause: String,
    },
}
