//! Buffers that go back to where they came from, so that a steady state allocates nothing.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::Aligned;

/// Buffers that wait to be used again, by capacity, and the pools of those who share the work.
#[derive(Debug, Default)]
pub(super) struct Pool {
    free: Mutex<BTreeMap<usize, Vec<Aligned>>>,
    children: Mutex<Vec<Arc<Pool>>>,
}

/// Numbers in memory that is used again once this is dropped.
#[derive(Debug)]
pub struct Buffer {
    data: Aligned,
    home: Arc<Pool>,
}

impl Pool {
    /// A buffer of `len` unspecified numbers; one of at most twice the length may serve.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let found = free.range_mut(len..=2 * len).find_map(|(_, buffers)| buffers.pop());
        drop(free);
        let data = found.map_or_else(
            || Aligned::zeros(len),
            |mut data| {
                data.reshape(len);
                data
            },
        );
        Buffer { data, home: Arc::clone(self) }
    }

    fn put(&self, data: Aligned) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.entry(data.capacity()).or_default().push(data);
    }

    /// Lends a pool that nobody else uses meanwhile.
    pub(super) fn with_child<R>(&self, f: impl FnOnce(&Arc<Self>) -> R) -> R {
        let child = self.children.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let result = f(&child);
        self.children.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        result
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.put(std::mem::take(&mut self.data));
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_serves_again() {
        let pool = Arc::new(Pool::default());
        let first = pool.take(1000);
        let place = first.as_ptr();
        drop(first);
        let again = pool.take(900);
        assert_eq!((again.as_ptr(), again.len()), (place, 900));
        assert_ne!(pool.take(900).as_ptr(), place);
        assert_eq!(pool.take(0).len(), 0);
    }
}
