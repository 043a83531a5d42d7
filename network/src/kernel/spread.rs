//! Work over threads, and each thread's scratch memory.
//!
//! Only independent outputs are spread, so how they are cut cannot change a bit; sums over images are cut by shapes alone.

use std::cell::RefCell;

use rayon::prelude::*;

use super::aligned::Aligned;

/// Multiply-adds below which another thread costs more than it saves.
const WORTHWHILE: usize = 1 << 20;
/// What reading, changing and writing a number costs, in multiply-adds.
pub(super) const TOUCH: usize = 8;

/// How the current thread may use the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// Not at all: it is itself one of many that share the work.
    One,
    /// All of the current rayon pool.
    Pool,
}

impl Threads {
    /// How many threads there are.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Pool => rayon::current_num_threads(),
        }
    }

    /// Calls `f(i, chunk)` for every chunk of `len` numbers of `y`.
    pub(super) fn chunks(self, y: &mut [f32], len: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
        if y.is_empty() {
            return;
        }
        if self.count() == 1 || y.len() <= len {
            y.chunks_mut(len).enumerate().for_each(|(i, chunk)| f(i, chunk));
        } else {
            y.par_chunks_mut(len).enumerate().for_each(|(i, chunk)| f(i, chunk));
        }
    }

    /// Items per task, so that every thread has a few tasks but none is tiny: a multiple of `unit`, and at most `most` unless
    /// that were tiny. An item costs as much as `cost` multiply-adds.
    pub(crate) fn share(self, items: usize, most: usize, unit: usize, cost: usize) -> usize {
        let most = most.max(1);
        if self.count() == 1 {
            return items.clamp(1, most).next_multiple_of(unit);
        }
        let least = WORTHWHILE.div_ceil(cost.max(1));
        items.div_ceil(3 * self.count()).min(most).max(least).min(items.max(1)).next_multiple_of(unit)
    }

    /// The same threads, or one alone if the whole work costs less than two tasks should.
    pub(super) fn for_cost(self, cost: usize) -> Self {
        if cost < 2 * WORTHWHILE { Self::One } else { self }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<Aligned>> = const { RefCell::new(Vec::new()) };
}

/// Lends a buffer of `len` unspecified numbers, kept by the thread for the next time.
pub(super) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    buffer.reshape(len);
    let result = f(&mut buffer);
    SCRATCH.with_borrow_mut(|all| all.push(buffer));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_can_be_lent_twice_at_once() {
        with_scratch(10, |a| {
            a.fill(1.0);
            with_scratch(20, |b| b.fill(2.0));
            assert_eq!(a, [1.0; 10]);
        });
        with_scratch(20, |a| assert_eq!(a.len(), 20));
    }
}
