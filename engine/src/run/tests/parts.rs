//! Stages made of parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use duress_cache::MemoryStore;

use super::toys::{Sketch, log, log_until, number, number_in, numbers, one_job};
use crate::plan::Plan;
use crate::run::CancelToken;
use crate::stage::StageError;

/// A campaign of four parts that asks to be stopped, or panics, while it is at one of them.
fn campaign(cancel: &CancelToken, stop_at: i64, panic_at: i64) -> Plan {
    let cancel = cancel.clone();
    let mut sketch = Sketch::default();
    sketch.doing("campaign", 0, &[], move |cx, _| {
        let compute = |part: &i64| {
            assert!(*part != panic_at, "part {part} met its end");
            if *part == stop_at {
                cancel.request();
            }
            Ok(number(part * part))
        };
        Ok(cx.parts(&[0, 1, 2, 3], |part| (*part).into(), compute)?.iter().map(number_in).sum())
    });
    sketch.toy("report", 1, &[0]);
    sketch.plan()
}

#[test]
fn a_stopped_stage_finishes_its_part_and_the_next_run_goes_on_there() {
    let store = MemoryStore::new();
    let cancel = CancelToken::new();
    let (outcome, events) = log_until(&campaign(&cancel, 1, -1), &store, &one_job(), &cancel);
    assert!(outcome.cancelled && !outcome.is_success());
    assert_eq!(events[1..], ["part 0 of campaign", "part 1 of campaign", "stop campaign", "skip report: campaign"]);
    let (outcome, events) = log(&campaign(&CancelToken::new(), -1, -1), &store, &one_job());
    assert_eq!(
        events[1..6],
        [
            "part 0 of campaign cached",
            "part 1 of campaign cached",
            "part 2 of campaign",
            "part 3 of campaign",
            "run campaign",
        ]
    );
    assert_eq!(numbers(&store, &outcome), [Some(14), Some(15)]);
}

#[test]
fn a_stage_that_dies_loses_one_part() {
    let store = MemoryStore::new();
    let (_, events) = log(&campaign(&CancelToken::new(), -1, 2), &store, &one_job());
    assert!(events.contains(&"part 1 of campaign".to_owned()));
    assert!(
        events.iter().any(|line| line.starts_with("fail campaign: internal error: part 2 met its end")),
        "{events:?}"
    );
    let (_, events) = log(&campaign(&CancelToken::new(), -1, -1), &store, &one_job());
    assert_eq!(events.iter().filter(|line| line.ends_with("cached")).count(), 2);
}

#[test]
fn a_stage_may_ask_for_parts_until_it_has_enough() {
    let computed = Arc::new(AtomicI64::new(0));
    let counter = Arc::clone(&computed);
    let mut sketch = Sketch::default();
    sketch.doing("campaign", 0, &[], move |cx, _| {
        let mut sum = 0;
        for chunk in 0_i64.. {
            let compute = || {
                counter.fetch_add(1, Ordering::SeqCst);
                Ok(number(chunk))
            };
            sum += number_in(&cx.part(chunk.into(), compute)?);
            if sum > 9 {
                return Ok(sum);
            }
        }
        Err(StageError::failed("unreachable"))
    });
    let store = MemoryStore::new();
    let (outcome, events) = log(&sketch.plan(), &store, &one_job());
    assert_eq!(numbers(&store, &outcome), [Some(10)]);
    assert_eq!(events.iter().filter(|line| line.starts_with("part")).count(), 5);
    assert_eq!(computed.load(Ordering::SeqCst), 5);
}

#[test]
fn a_stage_of_one_part_keeps_its_result_alone() {
    let mut sketch = Sketch::default();
    sketch.doing("campaign", 0, &[], |cx, _| {
        Ok(cx.parts(&[7], |part| (*part).into(), |part| Ok(number(*part)))?.iter().map(number_in).sum())
    });
    let store = MemoryStore::new();
    let (outcome, events) = log(&sketch.plan(), &store, &one_job());
    assert_eq!(numbers(&store, &outcome), [Some(7)]);
    assert_eq!(events[1..], ["run campaign"]);
}
