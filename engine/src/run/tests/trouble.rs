//! Failures, panics, and caches that lose things.

use duress_cache::MemoryStore;

use super::toys::{Sketch, log, log_until, numbers, one_job};
use crate::plan::Plan;
use crate::run::{CancelToken, RunOptions};
use crate::stage::StageError;

/// a fails, b needs it, c stands alone.
fn failing() -> Plan {
    let mut sketch = Sketch::default();
    let a = sketch.doing("a", 1, &[], |_, _| Err(StageError::failed("the loss is not finite; lower `lr`")));
    sketch.toy("b", 2, &[a]);
    sketch.toy("c", 3, &[]);
    sketch.plan()
}

#[test]
fn a_failure_skips_its_descendants_and_ends_the_run() {
    let (outcome, events) = log(&failing(), &MemoryStore::new(), &one_job());
    assert_eq!(events[1..], ["fail a: the loss is not finite; lower `lr`", "skip b: a", "skip c: a"]);
    assert_eq!((outcome.computed, outcome.failed), (0, 3));
}

#[test]
fn keep_going_runs_whatever_does_not_need_the_failure() {
    let options = RunOptions { keep_going: true, ..one_job() };
    let (outcome, events) = log(&failing(), &MemoryStore::new(), &options);
    assert_eq!(events.last().map(String::as_str), Some("run c"));
    assert_eq!((outcome.computed, outcome.failed), (1, 2));
}

#[test]
fn a_failure_is_not_cached() {
    let store = MemoryStore::new();
    log(&failing(), &store, &one_job());
    let (_, events) = log(&failing(), &store, &one_job());
    assert!(events.iter().any(|line| line.starts_with("fail a")), "{events:?}");
}

#[test]
fn a_panic_is_a_failure_that_asks_to_be_reported() {
    let mut sketch = Sketch::default();
    sketch.doing("a", 1, &[], |_, _| panic!("index out of bounds"));
    sketch.toy("b", 2, &[0]);
    let (outcome, events) = log(&sketch.plan(), &MemoryStore::new(), &one_job());
    assert!(events[1].starts_with("fail a: internal error: index out of bounds; please report this"), "{events:?}");
    assert_eq!(outcome.failed, 2);
}

#[test]
fn a_run_that_is_stopped_leaves_what_it_has_done() {
    let cancel = CancelToken::new();
    let token = cancel.clone();
    let mut sketch = Sketch::default();
    sketch.doing("a", 1, &[], move |_, _| {
        token.request();
        Ok(1)
    });
    sketch.toy("b", 2, &[0]);
    let plan = sketch.plan();
    let store = MemoryStore::new();
    let (outcome, events) = log_until(&plan, &store, &one_job(), &cancel);
    assert_eq!(events[1..], ["run a", "skip b: "]);
    assert!(outcome.cancelled);
    assert_eq!(log(&plan, &store, &one_job()).1[0], "hit a");
}

/// a -> b -> c, c's configuration to be changed.
fn chain(c: i64) -> Plan {
    let mut sketch = Sketch::default();
    let a = sketch.toy("a", 1, &[]);
    let b = sketch.toy("b", 2, &[a]);
    sketch.toy("c", c, &[b]);
    sketch.plan()
}

#[test]
fn a_damaged_input_is_named_computed_again_and_then_what_needed_it() {
    let store = MemoryStore::new();
    let (outcome, _) = log(&chain(3), &store, &one_job());
    for index in [0, 1] {
        let object = outcome.entries[index].as_ref().expect("it was computed").tables["value"].object;
        store.damage(&object, |bytes| bytes[20] ^= 1);
    }
    let (outcome, events) = log(&chain(4), &store, &one_job());
    let order: Vec<&str> = events.iter().filter(|line| !line.starts_with("warn")).map(|line| &line[..]).collect();
    assert_eq!(order[..2], ["hit a", "hit b"]);
    assert_eq!(order.last(), Some(&"run c"));
    assert!(order.contains(&"run a") && order.contains(&"run b"), "{events:?}");
    assert!(events.iter().any(|line| line.starts_with("warn b: its cached result is damaged")), "{events:?}");
    assert_eq!(numbers(&store, &outcome), [Some(1), Some(3), Some(7)]);
    assert_eq!(outcome.failed, 0);
}

#[test]
fn a_result_that_is_gone_says_so() {
    let store = MemoryStore::new();
    let (outcome, _) = log(&chain(3), &store, &one_job());
    let object = outcome.entries[2].as_ref().expect("it was computed").tables["value"].object;
    store.damage(&object, Vec::clear);
    let (_, events) = log(&chain(3), &store, &one_job());
    assert!(events.contains(&"miss c: its cached result was removed, lost or damaged".to_owned()), "{events:?}");
}
