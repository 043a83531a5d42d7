//! Stages whose parts go on from each other.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use duress_cache::{Artifact, Entry, Key, MemoryStore, Store, Tree, part_key};

use super::toys::{Sketch, log, log_until, number, number_in, numbers, one_job};
use crate::plan::Plan;
use crate::run::{CancelToken, Chain, RunOptions};
use crate::stage::StageError;

/// Parts of the sum below.
const PARTS: usize = 4;
/// The key of the stage, which is the same in every test.
static KEY: OnceLock<Key> = OnceLock::new();

/// The sum of `1^2 .. 4^2`, a term a part; something may happen at one of them.
struct Sum {
    total: i64,
    enough: i64,
    at: Arc<dyn Fn(usize) + Send + Sync>,
}

impl Chain for Sum {
    fn parts(&self) -> usize {
        PARTS
    }

    fn identity(&self, index: usize) -> Tree {
        identity(index)
    }

    fn advance(&mut self, index: usize) -> Result<(), StageError> {
        (self.at)(index);
        self.total += (index as i64 + 1).pow(2);
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.total >= self.enough
    }

    fn state(&self) -> Result<Artifact, StageError> {
        Ok(Artifact::new([("sum", number(self.total))]))
    }

    fn resume(&mut self, _: usize, state: &Artifact) -> Result<(), StageError> {
        let sum = number_in(state.table("sum").ok_or_else(|| StageError::failed("no sum"))?);
        if sum < 0 {
            return Err(StageError::failed("no sum is negative"));
        }
        self.total = sum;
        Ok(())
    }
}

fn identity(index: usize) -> Tree {
    Tree::map([("end", index as i64 + 1)])
}

fn plan(enough: i64, at: impl Fn(usize) + Send + Sync + 'static) -> Plan {
    let at: Arc<dyn Fn(usize) + Send + Sync> = Arc::new(at);
    let mut sketch = Sketch::default();
    sketch.doing("training", 0, &[], move |cx, _| {
        KEY.get_or_init(|| cx.key());
        let mut sum = Sum { total: 0, enough, at: Arc::clone(&at) };
        cx.chain(&mut sum)?;
        Ok(sum.total)
    });
    sketch.plan()
}

/// The state after part `index`, if a store holds it.
fn state(store: &MemoryStore, index: usize) -> Option<Entry> {
    store.entry(&part_key(KEY.get().expect("the stage has run"), &identity(index))).expect("a sound store")
}

/// The parts whose states a store holds.
fn kept(store: &MemoryStore) -> Vec<usize> {
    (0..PARTS).filter(|&index| state(store, index).is_some()).collect()
}

#[test]
fn each_part_goes_on_from_the_one_before_and_only_the_newest_state_is_kept() {
    let store = MemoryStore::new();
    let (outcome, events) = log(&plan(i64::MAX, |_| {}), &store, &one_job());
    let parts: Vec<String> = (0..PARTS).map(|index| format!("part {index} of training")).collect();
    assert_eq!(events[1..=PARTS], parts);
    assert_eq!(numbers(&store, &outcome), [Some(30)]);
    assert_eq!(kept(&store), [2]);
}

#[test]
fn a_chain_stopped_after_any_part_goes_on_there() {
    for stop in 0..PARTS - 1 {
        let store = MemoryStore::new();
        let cancel = CancelToken::new();
        let token = cancel.clone();
        let stopping = plan(i64::MAX, move |index| {
            if index == stop {
                token.request();
            }
        });
        let (outcome, _) = log_until(&stopping, &store, &one_job(), &cancel);
        assert!(outcome.cancelled);
        assert_eq!(kept(&store), [stop]);
        let (outcome, events) = log(&plan(i64::MAX, |_| {}), &store, &one_job());
        let mut wanted = vec![format!("part {stop} of training cached")];
        wanted.extend((stop + 1..PARTS).map(|index| format!("part {index} of training")));
        wanted.push("run training".to_owned());
        assert_eq!(events[1..], wanted);
        assert_eq!(numbers(&store, &outcome), [Some(30)]);
    }
}

#[test]
fn a_chain_that_dies_inside_a_part_loses_that_part_alone() {
    for end in 0..PARTS {
        let store = MemoryStore::new();
        let (_, events) =
            log(&plan(i64::MAX, move |index| assert!(index != end, "it met its end")), &store, &one_job());
        assert!(events.iter().any(|line| line.contains("it met its end")), "{events:?}");
        let computed = Arc::new(AtomicI64::new(0));
        let counter = Arc::clone(&computed);
        let going_on = plan(i64::MAX, move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let (outcome, _) = log(&going_on, &store, &one_job());
        assert_eq!(numbers(&store, &outcome), [Some(30)]);
        assert_eq!(computed.load(Ordering::SeqCst), (PARTS - end) as i64);
    }
}

#[test]
fn a_chain_that_has_enough_ends_early() {
    let store = MemoryStore::new();
    let (outcome, events) = log(&plan(5, |_| {}), &store, &one_job());
    assert_eq!(numbers(&store, &outcome), [Some(5)]);
    assert_eq!(events[1..], ["part 0 of training", "part 1 of training", "run training"]);
    assert_eq!(kept(&store), [0]);
}

#[test]
fn a_damaged_state_is_no_state() {
    let store = MemoryStore::new();
    let (outcome, _) = log(&plan(i64::MAX, |index| assert!(index != 3, "it met its end")), &store, &one_job());
    assert_eq!(numbers(&store, &outcome), [None]);
    let entry = state(&store, 2).expect("kept");
    store.damage(&entry.tables["sum"].object, |bytes| bytes[10] ^= 1);
    let (outcome, events) = log(&plan(i64::MAX, |_| {}), &store, &one_job());
    assert_eq!(numbers(&store, &outcome), [Some(30)]);
    assert_eq!(events.iter().filter(|line| line.starts_with("part")).count(), PARTS, "{events:?}");
    assert!(events.iter().all(|line| !line.ends_with("cached")), "{events:?}");
}

#[test]
fn checking_a_result_takes_nothing_from_the_cache_and_leaves_nothing_there() {
    let store = MemoryStore::new();
    log(&plan(i64::MAX, |_| {}), &store, &one_job());
    let before = kept(&store);
    let options = RunOptions { verify: Some(1), ..one_job() };
    let (outcome, events) = log(&plan(i64::MAX, |_| {}), &store, &options);
    assert!(outcome.is_success());
    assert!(events.iter().all(|line| !line.starts_with("part")), "{events:?}");
    assert_eq!(kept(&store), before);
}

#[test]
fn two_runs_on_one_cache_compute_each_part_once() {
    let store = MemoryStore::new();
    let computed = Arc::new(AtomicI64::new(0));
    let counter = Arc::clone(&computed);
    let plan = plan(i64::MAX, move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..2).map(|_| scope.spawn(|| log(&plan, &store, &one_job()))).collect();
        for run in runs {
            let (outcome, _) = run.join().expect("no run panics");
            assert_eq!(numbers(&store, &outcome), [Some(30)]);
        }
    });
    assert_eq!(computed.load(Ordering::SeqCst), PARTS as i64);
}
