//! Kernels on plain slices: they know shapes and strides, but neither networks nor operations.
//!
//! Activations are `[image][row][column][channel]` (channels vary fastest), so that vectors run over channels. Every sum of
//! products is one chain of fused multiply-adds in an order that the shapes fix; vectors hold different outputs, never
//! parts of one sum. So a result has the same bits for every instruction set, thread count and batch size. Sums over
//! images are cut into chunks by the shapes alone, and the chunks are added in order.

mod aligned;
pub mod conv;
pub mod copy;
pub mod elementwise;
mod instruction_set;
pub mod lstm;
pub mod matmul;
pub mod norm;
pub mod optimise;
mod pack;
pub mod pick;
pub mod planes;
pub mod pool;
mod simd;
pub mod softmax;
pub mod sparse;
mod spread;
pub mod tf32;
mod tile;

pub use aligned::Aligned;
pub use instruction_set::InstructionSet;
pub use spread::Threads;
