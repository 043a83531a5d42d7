//! Many workers, bounded memory, and two runs on one cache.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use duress_cache::{DiskStore, MemoryStore, Store};
use proptest::prelude::*;

use super::toys::{Sketch, jobs, log, number_in, numbers, one_job};
use crate::plan::Plan;
use crate::run::{Outcome, RunOptions};

/// A DAG as each node's own number and which nodes before it it reads.
type Dag = Vec<(i64, BTreeSet<usize>)>;

fn dags() -> impl Strategy<Value = Dag> {
    prop::collection::vec((0_i64..4, prop::collection::vec(any::<prop::sample::Index>(), 0..4)), 1..25).prop_map(
        |nodes| {
            let reads = |(at, (add, picks)): (usize, (i64, Vec<prop::sample::Index>))| {
                let before = |pick: prop::sample::Index| (at > 0).then(|| pick.index(at));
                (add, picks.into_iter().filter_map(before).collect())
            };
            nodes.into_iter().enumerate().map(reads).collect()
        },
    )
}

fn plan_of(dag: &Dag) -> Plan {
    let mut sketch = Sketch::default();
    for (at, (add, reads)) in dag.iter().enumerate() {
        let reads: Vec<usize> = reads.iter().copied().collect();
        sketch.toy(&format!("node[at={at}]"), *add, &reads);
    }
    sketch.plan()
}

/// The oracle: evaluates a node by evaluating everything it reads, again and again.
fn naive(dag: &Dag, at: usize) -> i64 {
    let (add, reads) = &dag[at];
    add + reads.iter().map(|&from| naive(dag, from)).sum::<i64>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_number_of_workers_agrees_with_naive_recursion(dag in dags(), changed in any::<prop::sample::Index>()) {
        let store = MemoryStore::new();
        let mut dag = dag;
        for workers in [1, 8] {
            let expected: Vec<_> = (0..dag.len()).map(|at| Some(naive(&dag, at))).collect();
            let (outcome, _) = log(&plan_of(&dag), &store, &jobs(workers));
            prop_assert_eq!(numbers(&store, &outcome), expected);
            prop_assert_eq!(outcome.hits + outcome.computed, dag.len());
            // The second round starts from a cache that holds a part of it.
            let at = changed.index(dag.len());
            dag[at].0 += 10;
        }
    }
}

#[test]
fn a_diamond_is_computed_once_at_each_corner() {
    let mut sketch = Sketch::default();
    let top = sketch.toy("top", 1, &[]);
    let left = sketch.toy("left", 2, &[top]);
    let right = sketch.toy("right", 3, &[top]);
    sketch.toy("bottom", 0, &[left, right]);
    let store = MemoryStore::new();
    let (outcome, events) = log(&sketch.plan(), &store, &jobs(4));
    assert_eq!(numbers(&store, &outcome), [1, 3, 4, 7].map(Some));
    assert_eq!(events.iter().filter(|line| line.starts_with("run")).count(), 4);
}

#[test]
fn one_worker_and_eight_give_the_same_digests() {
    let dag: Dag = (0..60)
        .map(|at: usize| (at as i64, (0..at).filter(|from| (at * 7 + from).is_multiple_of(11)).collect()))
        .collect();
    let digests = |outcome: &Outcome| -> Vec<_> {
        outcome.entries.iter().flatten().map(|entry| (entry.key, entry.tables["value"].digest)).collect()
    };
    let (alone, together) = (MemoryStore::new(), MemoryStore::new());
    let alone = log(&plan_of(&dag), &alone, &one_job()).0;
    let together = log(&plan_of(&dag), &together, &jobs(8)).0;
    assert_eq!(digests(&alone).len(), 60);
    assert_eq!(digests(&alone), digests(&together));
}

#[expect(
    clippy::disallowed_methods,
    reason = "stands for work, so that others have the time to get in each other's way"
)]
fn work_for(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

/// The greatest number of toys of 3 bytes each that ran at the same time under a budget.
fn most_at_once(budget: u64) -> usize {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut sketch = Sketch::default();
    for index in 0..12 {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        let toy = sketch.doing(&format!("toy[at={index}]"), index, &[], move |_, _| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            work_for(5);
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(index)
        });
        sketch.at(toy).memory = 3;
    }
    let options = RunOptions { memory_bytes: budget, ..jobs(6) };
    assert_eq!(log(&sketch.plan(), &MemoryStore::new(), &options).0.computed, 12);
    most.load(Ordering::SeqCst)
}

#[test]
fn stages_run_together_only_while_their_memory_fits() {
    assert!(most_at_once(7) <= 2);
    assert_eq!(most_at_once(1), 1, "a stage larger than the budget runs alone");
}

#[test]
fn workers_run_stages_at_the_same_time() {
    // Each waits for the other: a run on one worker would never end.
    let both = Arc::new(Barrier::new(2));
    let mut sketch = Sketch::default();
    for index in 0..2 {
        let both = Arc::clone(&both);
        sketch.doing(&format!("toy[at={index}]"), index, &[], move |_, _| {
            both.wait();
            Ok(0)
        });
    }
    assert_eq!(log(&sketch.plan(), &MemoryStore::new(), &jobs(2)).0.computed, 2);
}

#[test]
fn a_lone_stage_gets_all_threads() {
    let mut sketch = Sketch::default();
    sketch.doing("toy", 0, &[], |cx, _| Ok(cx.install(rayon::current_num_threads) as i64));
    let store = MemoryStore::new();
    let options = RunOptions { threads: 3, ..jobs(1) };
    let (outcome, _) = log(&sketch.plan(), &store, &options);
    assert_eq!(numbers(&store, &outcome), [Some(3)]);
}

/// Two runs of one plan at the same time, each with a store of its own on the same folder or on shared memory.
fn race(plan: impl Fn() -> Plan + Sync, stores: [&dyn Store; 2]) -> Vec<Outcome> {
    let plan = &plan;
    thread::scope(|scope| {
        let runs = stores.map(|store| scope.spawn(move || log(&plan(), store, &jobs(2)).0));
        runs.map(|run| run.join().expect("a run does not panic")).into()
    })
}

#[test]
fn two_runs_on_one_cache_compute_each_key_once() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let open = || DiskStore::open(folder.path().join("cache")).expect("a cache can be made there");
    let ran = Arc::new(Mutex::new(Vec::new()));
    let plan = || {
        let mut sketch = Sketch::default();
        let mut before: Vec<usize> = Vec::new();
        for index in 0..8_i64 {
            let ran = Arc::clone(&ran);
            let reads: Vec<usize> = before.iter().copied().filter(|from| from % 3 == 0).collect();
            before.push(sketch.doing(&format!("toy[at={index}]"), index, &reads, move |_, inputs| {
                ran.lock().expect("no test panics here").push(index);
                work_for(10);
                Ok(index + inputs.iter().sum::<i64>())
            }));
        }
        sketch.plan()
    };
    let (one, other) = (open(), open());
    let outcomes = race(plan, [&one, &other]);
    let mut ran = ran.lock().expect("no test panics here").clone();
    ran.sort_unstable();
    assert_eq!(ran, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(outcomes.iter().map(|outcome| outcome.computed).sum::<usize>(), 8);
    assert_eq!(numbers(&one, &outcomes[0]), numbers(&other, &outcomes[1]));
}

#[test]
fn two_runs_share_the_parts_of_one_stage() {
    let store = MemoryStore::new();
    let computed = Arc::new(Mutex::new(Vec::new()));
    let plan = || {
        let mut sketch = Sketch::default();
        let computed = Arc::clone(&computed);
        sketch.doing("campaign", 0, &[], move |cx, _| {
            let parts: Vec<i64> = (0..12).collect();
            let compute = |part: &i64| {
                computed.lock().expect("no test panics here").push(*part);
                work_for(10);
                Ok(super::toys::number(*part))
            };
            Ok(cx.parts(&parts, |part| (*part).into(), compute)?.iter().map(number_in).sum())
        });
        sketch.plan()
    };
    let outcomes = race(plan, [&store, &store]);
    let mut computed = computed.lock().expect("no test panics here").clone();
    computed.sort_unstable();
    assert_eq!(computed, (0..12).collect::<Vec<_>>());
    assert_eq!(outcomes.iter().map(|outcome| outcome.computed).sum::<usize>(), 1, "one of them finishes it");
    assert_eq!(outcomes.iter().map(|outcome| outcome.hits).sum::<usize>(), 1, "the other takes the result");
    assert_eq!(numbers(&store, &outcomes[0]), [Some(66)]);
}

#[test]
fn ten_thousand_instances_are_all_hits_the_second_time() {
    let plan = || {
        let mut sketch = Sketch::default();
        let root = sketch.toy("root", 0, &[]);
        for index in 1..10_000 {
            sketch.toy(&format!("leaf[at={index}]"), index, &[root]);
        }
        sketch.plan()
    };
    let store = MemoryStore::new();
    assert_eq!(log(&plan(), &store, &jobs(2)).0.computed, 10_000);
    assert_eq!(log(&plan(), &store, &jobs(2)).0.hits, 10_000);
}
