//! What runs again, and what is said of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use duress_cache::{MemoryStore, Store};

use super::toys::{Sketch, embedded, jobs, log, numbers, one_job};
use crate::plan::Plan;
use crate::run::{InstanceState, KeyState, RunOptions, Sources, resolve, why};
use crate::stage::{SourceRoots, StageError};

/// read -> train -> attack, and read -> count.
fn study(seed: i64) -> Plan {
    let mut sketch = Sketch::default();
    let read = sketch.toy("read", 100, &[]);
    let train = sketch.toy("train", seed, &[read]);
    sketch.toy("attack", 7, &[train]);
    sketch.toy("count", 50, &[read]);
    sketch.plan()
}

const FIRST: &str = "this study has not been run with this cache before";

#[test]
fn a_first_run_computes_everything_and_a_second_run_nothing() {
    let store = MemoryStore::new();
    let (outcome, events) = log(&study(1), &store, &one_job());
    let lines =
        ["read", "train", "attack", "count"].map(|name| [format!("miss {name}: {FIRST}"), format!("run {name}")]);
    assert_eq!(events, lines.concat());
    assert_eq!((outcome.hits, outcome.computed, outcome.failed), (0, 4, 0));
    assert_eq!(numbers(&store, &outcome), [Some(100), Some(101), Some(108), Some(150)]);

    let (outcome, events) = log(&study(1), &store, &one_job());
    assert_eq!(events, ["hit read", "hit train", "hit attack", "hit count"]);
    assert_eq!((outcome.hits, outcome.computed, outcome.failed), (4, 0, 0));
    assert!(outcome.is_success());
}

#[test]
fn a_change_runs_its_descendants_only_and_is_named() {
    let store = MemoryStore::new();
    log(&study(1), &store, &one_job());
    let (_, events) = log(&study(2), &store, &one_job());
    assert_eq!(
        events,
        [
            "hit read",
            "hit count",
            "miss train: `add` changed from 1 to 2",
            "run train",
            "miss attack: its input `from0` (train) has changed",
            "run attack",
        ]
    );
}

#[test]
fn a_stage_that_comes_out_as_before_stops_the_invalidation() {
    let plan = |config: i64| {
        let mut sketch = Sketch::default();
        let read = sketch.doing("read", config, &[], |_, _| Ok(5));
        let train = sketch.toy("train", 1, &[read]);
        sketch.toy("attack", 7, &[train]);
        sketch.plan()
    };
    let store = MemoryStore::new();
    log(&plan(1), &store, &one_job());
    let (_, events) = log(&plan(2), &store, &one_job());
    assert_eq!(events, ["miss read: `add` changed from 1 to 2", "run read", "hit train", "hit attack"]);
}

#[test]
fn a_renamed_stage_is_a_hit() {
    let plan = |name: &str| {
        let mut sketch = Sketch::default();
        sketch.toy(name, 3, &[]);
        sketch.plan()
    };
    let store = MemoryStore::new();
    log(&plan("before"), &store, &one_job());
    assert_eq!(log(&plan("after"), &store, &one_job()).1, ["hit after"]);
}

#[test]
fn a_new_value_of_an_axis_runs_only_the_new_instance_and_names_the_nearest() {
    let plan = |seeds: &[i64]| {
        let mut sketch = Sketch::default();
        for &seed in seeds {
            sketch.toy(&format!("train[lr=1,seed={seed}]"), seed, &[]);
        }
        sketch.plan()
    };
    let store = MemoryStore::new();
    log(&plan(&[1, 2]), &store, &one_job());
    let new = "miss train[lr=1,seed=3]: it is new; nearest is `train[lr=1,seed=1]`, which differs in `add`: 1 -> 3";
    assert_eq!(
        log(&plan(&[1, 2, 3]), &store, &one_job()).1,
        ["hit train[lr=1,seed=1]", "hit train[lr=1,seed=2]", new, "run train[lr=1,seed=3]"]
    );
}

#[test]
fn a_source_file_that_changes_runs_whoever_reads_it() {
    let plan = |bytes: &'static [u8]| {
        let mut sketch = Sketch::default();
        let read = sketch.doing("read", 0, &[], |cx, _| {
            let own = &cx.sources()[0];
            assert!(cx.source(&own.digest).is_some(), "a plan knows where its sources are");
            Ok(i64::from(own.digest.as_bytes()[0]))
        });
        sketch.at(read).sources = Ok(vec![embedded("images", bytes)]);
        sketch.plan()
    };
    let store = MemoryStore::new();
    log(&plan(b"one"), &store, &one_job());
    assert_eq!(
        log(&plan(b"two"), &store, &one_job()).1,
        ["miss read: its source file `images` has changed", "run read"]
    );
}

#[test]
fn a_missing_source_fails_whoever_reads_it_with_the_fix() {
    let mut sketch = Sketch::default();
    let read = sketch.toy("read", 0, &[]);
    sketch.at(read).sources = Err("no `mnist` in data/; fetch it with `data fetch mnist`".to_owned());
    sketch.toy("train", 0, &[read]);
    let (_, events) = log(&sketch.plan(), &MemoryStore::new(), &one_job());
    assert_eq!(events, ["fail read: no `mnist` in data/; fetch it with `data fetch mnist`", "skip train: read"]);
}

#[test]
fn instances_with_equal_keys_run_once() {
    let runs = Arc::new(AtomicUsize::new(0));
    let mut sketch = Sketch::default();
    let twins: Vec<usize> = (0..10)
        .map(|index| {
            let runs = Arc::clone(&runs);
            sketch.doing(&format!("train[policy={index}]"), 3, &[], move |_, _| {
                runs.fetch_add(1, Ordering::SeqCst);
                Ok(3)
            })
        })
        .collect();
    sketch.toy("sum", 0, &twins);
    let store = MemoryStore::new();
    let (outcome, _) = log(&sketch.plan(), &store, &jobs(4));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!((outcome.hits, outcome.computed), (9, 2));
    assert_eq!(numbers(&store, &outcome)[10], Some(30));
}

#[test]
fn only_runs_the_sections_that_are_asked_for_and_what_they_need() {
    let options = RunOptions { only: Some(vec!["train".to_owned()]), ..one_job() };
    let (outcome, events) = log(&study(1), &MemoryStore::new(), &options);
    assert_eq!(events.iter().filter(|line| line.starts_with("run")).collect::<Vec<_>>(), ["run read", "run train"]);
    assert_eq!(outcome.states[3], InstanceState::NotSelected);
    assert!(outcome.is_success());
}

#[test]
fn verify_finds_a_stage_that_is_no_function_of_its_key() {
    let calls = Arc::new(AtomicUsize::new(0));
    let mut sketch = Sketch::default();
    sketch.toy("sound", 3, &[]);
    sketch.doing("moody", 4, &[], move |_, _| Ok(calls.fetch_add(1, Ordering::SeqCst) as i64));
    let plan = sketch.plan();
    let store = MemoryStore::new();
    log(&plan, &store, &one_job());
    let options = RunOptions { verify: Some(2), ..one_job() };
    let (outcome, events) = log(&plan, &store, &options);
    assert_eq!(events[0], "hit sound");
    assert!(events[1].starts_with("fail moody: its table `value` came out as"), "{events:?}");
    assert!(events[1].contains("untracked state"));
    assert_eq!((outcome.hits, outcome.failed), (1, 1));
    assert_eq!(log(&plan, &store, &one_job()).1, ["hit sound", "hit moody"]);
}

#[test]
fn keys_below_the_first_miss_are_pending_and_explained_by_it() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new();
    log(&study(1), &store, &one_job());
    let plan = study(2);
    let sources = Sources::hash(&plan, &SourceRoots::default(), |_| true);
    let states = resolve(&plan, &store, &sources, "cpu")?;
    assert!(matches!(&states[1], KeyState::Known { entry: None, .. }));
    assert!(matches!(&states[2], KeyState::Pending { on } if on == &[1]));
    let told = |index| why(&plan, &store, &states, index).map(|explanation| explanation.to_string());
    let key = states[0].entry().expect("it is cached").key.short();
    assert_eq!(told(0)?, format!("`read` is cached: key {key}, computed on here on 2026-11-23 20:54 UTC in 0.0 s"));
    assert_eq!(told(1)?, "`train` must run: `add` changed from 1 to 2");
    assert_eq!(
        told(2)?,
        "`attack` depends on `train`: it runs unless the result there comes out as before; \
         `train` must run: `add` changed from 1 to 2"
    );
    Ok(())
}

#[test]
fn a_run_that_failed_half_way_is_still_compared_with_the_one_before() {
    let store = MemoryStore::new();
    log(&study(1), &store, &one_job());
    let mut sketch = Sketch::default();
    let read = sketch.doing("read", 200, &[], |_, _| Err(StageError::failed("no such file")));
    sketch.toy("train", 1, &[read]);
    log(&sketch.plan(), &store, &one_job());
    let record = store.record("toys").expect("it can be read").expect("it was written");
    assert_eq!(record.instances.len(), 2, "both keep the keys of the first run");
}
