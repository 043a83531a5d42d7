//! Studies of toy kinds, compiled and run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use duress_cache::Store;
use duress_engine::plan::{self, Plan};
use duress_engine::run::{CancelToken, Event, Host, Outcome, RunOptions, run};
use duress_engine::spec::SourceText;

/// A machine on which every question takes a hundredth of a second.
#[derive(Default)]
struct Clock(AtomicU64);

impl Host for Clock {
    fn now_unix_ms(&self) -> u64 {
        0
    }

    fn elapsed_seconds(&self) -> f64 {
        self.0.fetch_add(1, Ordering::SeqCst) as f64 * 0.01
    }

    fn name(&self) -> String {
        String::new()
    }

    fn program(&self) -> String {
        String::new()
    }

    fn cpu(&self) -> String {
        String::new()
    }

    fn process(&self) -> u32 {
        0
    }
}

/// Compiles a study of toy kinds.
pub(crate) fn planned(text: &str) -> Plan {
    let source = SourceText { name: "study.toml".to_owned(), text: text.to_owned() };
    plan::read(source, &crate::support::REGISTRY).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// Runs a study; the labels of what was computed, sorted.
pub(crate) fn computed(text: &str, store: &dyn Store, threads: usize) -> (Plan, Outcome, Vec<String>) {
    let plan = planned(text);
    let labels = Mutex::new(Vec::new());
    let sink = |event: Event| match event {
        Event::Computed { instance, .. } => labels.lock().expect("no test panics here").push(instance),
        Event::Failed { instance, error } => panic!("{instance}: {error}"),
        _ => {}
    };
    let options = RunOptions { threads, ..RunOptions::default() };
    let outcome = run(&plan, store, &Clock::default(), &options, &sink, &CancelToken::new()).expect("a sound store");
    let mut labels = labels.into_inner().expect("no test panics here");
    labels.sort();
    (plan, outcome, labels)
}
