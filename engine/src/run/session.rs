//! What everything in one run shares.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

use duress_cache::{Provenance, Store};

use super::cancel::CancelToken;
use super::event::{Event, EventSink};
use super::host::Host;
use super::sources::Sources;
use super::tables::TableCache;
use super::why::Past;
use crate::plan::Plan;

/// One run: the plan, the cache, the machine, and where events go.
pub(super) struct Session<'a> {
    pub(super) plan: &'a Plan,
    pub(super) store: &'a dyn Store,
    pub(super) host: &'a dyn Host,
    pub(super) events: &'a dyn EventSink,
    pub(super) cancel: &'a CancelToken,
    pub(super) sources: &'a Sources,
    pub(super) device: &'a str,
    pub(super) threads: usize,
    /// Made when it is first asked for; none where the system would not give the threads.
    pub(super) pool: OnceLock<Option<ThreadPool>>,
    pub(super) tables: TableCache,
    pub(super) past: Past<'a>,
}

impl Session<'_> {
    /// The label of an instance.
    pub(super) fn label(&self, index: usize) -> String {
        self.plan.instances[index].label.clone()
    }

    /// Says something of an instance that is no failure.
    pub(super) fn warn(&self, index: usize, message: impl Into<String>) {
        self.events.emit(Event::Warning { instance: self.label(index), message: message.into() });
    }

    /// The threads that all stages share; none where the system would not give them.
    pub(super) fn pool(&self) -> Option<&ThreadPool> {
        let make = || match ThreadPoolBuilder::new().num_threads(self.threads).build() {
            Ok(pool) => Some(pool),
            Err(error) => {
                let message =
                    format!("could not start {} threads ({error}); going on with one per stage", self.threads);
                self.events.emit(Event::Warning { instance: String::new(), message });
                None
            }
        };
        self.pool.get_or_init(make).as_ref()
    }

    /// Passes on what the store found amiss since it was last asked.
    pub(super) fn report_findings(&self) {
        for finding in self.store.take_findings() {
            self.events.emit(Event::Warning { instance: String::new(), message: finding.to_string() });
        }
    }

    /// What time it is: in milliseconds since 1970, and in seconds on a steady clock.
    pub(super) fn now(&self) -> (u64, f64) {
        (self.host.now_unix_ms(), self.host.elapsed_seconds())
    }

    /// How a result came to be that was begun at that time and took so long.
    pub(super) fn provenance(&self, started_unix_ms: u64, seconds: f64) -> Provenance {
        Provenance {
            started_unix_ms,
            seconds,
            host: self.host.name(),
            program: self.host.program(),
            cpu: self.host.cpu(),
            device: self.device.to_owned(),
            threads: self.threads as u32,
            part_of: None,
        }
    }
}
