//! Buffers in the device's memory, which go back to where they came from.
//!
//! All work goes through one stream in the order in which it is asked for. So memory may be used again as soon as its last
//! user has been asked for, whichever thread asked.
#![expect(unsafe_code, reason = "memory is given back by address")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::super::DeviceError;
use super::driver::{Driver, LOST};

/// Capacities are multiples of this many numbers, so that few sizes differ.
const UNIT: usize = 256;

thread_local! {
    /// What went wrong on this thread, and has not been told yet.
    static FAILURE: RefCell<Option<DeviceError>> = const { RefCell::new(None) };
}

/// A driver, the memory that waits to be used again, and whether the driver still works.
#[derive(Debug)]
pub(super) struct Home {
    pub driver: Box<dyn Driver>,
    waiting: Mutex<BTreeMap<usize, Vec<u64>>>,
    broken: OnceLock<DeviceError>,
}

/// Numbers in the device's memory.
#[derive(Debug)]
pub struct Buffer {
    address: u64,
    len: usize,
    capacity: usize,
    home: Arc<Home>,
}

impl Home {
    pub(super) fn new(driver: Box<dyn Driver>) -> Self {
        Self { driver, waiting: Mutex::default(), broken: OnceLock::new() }
    }

    /// Whether nothing can be computed any more.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.get().is_some()
    }

    /// Remembers what went wrong until somebody asks.
    pub(super) fn fail(&self, error: DeviceError) {
        if matches!(error, DeviceError::Failed { .. }) {
            self.broken.get_or_init(|| error.clone());
        }
        FAILURE.with_borrow_mut(|failure| failure.get_or_insert(error).clone());
    }

    /// What went wrong on this thread since it was last asked for.
    pub(super) fn take_failure(&self) -> Option<DeviceError> {
        let own = FAILURE.with_borrow_mut(Option::take);
        self.broken.get().cloned().or(own)
    }

    /// The value, or a default one while the failure is remembered.
    pub(super) fn checked<T: Default>(&self, result: Result<T, DeviceError>) -> T {
        result.unwrap_or_else(|error| {
            self.fail(error);
            T::default()
        })
    }

    /// A buffer of `len` unspecified numbers; one of at most twice the length may serve.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        let capacity = len.next_multiple_of(UNIT);
        let (address, capacity) = if len == 0 { (0, 0) } else { self.find(capacity) };
        Buffer { address, len, capacity, home: Arc::clone(self) }
    }

    fn find(&self, capacity: usize) -> (u64, usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let found = waiting.range_mut(capacity..=2 * capacity).find_map(|(c, all)| all.pop().map(|a| (a, *c)));
        drop(waiting);
        if let Some(found) = found {
            return found;
        }
        let bytes = capacity * size_of::<f32>();
        let full = |error: &DeviceError| matches!(error, DeviceError::OutOfMemory { .. });
        let allocated = self.driver.allocate(bytes).or_else(|error| {
            // What waits here may be what is missing.
            if full(&error) && self.release() > 0 { self.driver.allocate(bytes) } else { Err(error) }
        });
        match allocated {
            Ok(address) => (address, capacity),
            Err(error) => {
                self.fail(error);
                (LOST, 0)
            }
        }
    }

    /// Gives all memory that waits back to the driver; how many buffers that were.
    pub(super) fn release(&self) -> usize {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let all: Vec<u64> = waiting.into_values().flatten().collect();
        for &address in &all {
            // SAFETY: it came from this driver, no buffer has it, and it is no longer waiting.
            unsafe { self.driver.free(address) };
        }
        all.len()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.release();
    }
}

impl Buffer {
    /// Where it is.
    pub(super) const fn address(&self) -> u64 {
        self.address
    }

    /// How many numbers it holds.
    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.capacity > 0 {
            let mut waiting = self.home.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.entry(self.capacity).or_default().push(self.address);
        }
    }
}
