//! What may run next: readiness, priority, memory and retries, as a plain state machine without threads or clocks.
//!
//! An instance passes through it as *probe* (its inputs are there: complete its key and look into the cache), then,
//! where the cache had nothing, as *run* (waits for its turn and for memory), and possibly as *delayed* (another process
//! computes the same key). Probes come before runs: they are cheap, and a hit may open a longer path.
//!
//! Runs are ordered by the length of the longest path that hangs on them, so that the critical path never waits behind
//! leaves; ties go by plan order, which makes the order of a single worker deterministic.

use std::collections::{BTreeMap, BTreeSet};

/// How often the first run in order may be passed over by a smaller one before nothing else is admitted until it fits.
const PATIENCE: u32 = 8;
/// The first and the longest pause before a key that another process holds is tried again, in seconds.
const RETRY_SECONDS: (f64, f64) = (0.02, 1.0);

/// Order of readiness: longest remaining path first, then plan order.
type Rank = (std::cmp::Reverse<u32>, usize);

/// One thing a worker can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Complete the instance's key and look into the cache.
    Probe(usize),
    /// Compute the instance; its memory is reserved until [`Queue::release`].
    Run(usize),
}

/// What a worker is to do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// This.
    Task(Task),
    /// Sleep until something changes, or for so many seconds.
    Sleep(Option<f64>),
    /// Nothing will ever come again.
    Finished,
}

/// The instances that are not settled, and what each waits for.
pub(super) struct Queue {
    height: Vec<u32>,
    dependents: Vec<Vec<usize>>,
    awaiting: Vec<BTreeSet<usize>>,
    probes: BTreeSet<Rank>,
    runs: BTreeMap<Rank, u64>,
    delayed: BTreeMap<usize, (f64, u64)>,
    attempts: Vec<i32>,
    busy: usize,
    reserved: BTreeMap<usize, u64>,
    budget: u64,
    passed_over: u32,
    closed: bool,
}

impl Queue {
    /// A queue over instances in topological order; `inputs[i]` are the instances that `i` reads. Instances for which
    /// `settled` holds are done already; `budget` is in bytes.
    pub(super) fn new(inputs: &[BTreeSet<usize>], settled: impl Fn(usize) -> bool, budget: u64) -> Self {
        let count = inputs.len();
        let mut dependents = vec![Vec::new(); count];
        for (reader, read) in inputs.iter().enumerate() {
            for &from in read {
                dependents[from].push(reader);
            }
        }
        let mut height = vec![0_u32; count];
        for index in (0..count).rev() {
            height[index] = dependents[index].iter().map(|&reader| height[reader] + 1).max().unwrap_or(0);
        }
        let mut queue = Self {
            height,
            dependents,
            awaiting: inputs.iter().map(|read| read.iter().copied().filter(|&from| !settled(from)).collect()).collect(),
            probes: BTreeSet::new(),
            runs: BTreeMap::new(),
            delayed: BTreeMap::new(),
            attempts: vec![0; count],
            busy: 0,
            reserved: BTreeMap::new(),
            budget,
            passed_over: 0,
            closed: false,
        };
        for index in (0..count).filter(|&index| !settled(index)) {
            queue.probe_when_ready(index);
        }
        queue
    }

    /// What to do now, `now` being in seconds on any steady clock.
    pub(super) fn next(&mut self, now: f64) -> Next {
        if self.closed {
            return if self.busy == 0 { Next::Finished } else { Next::Sleep(None) };
        }
        self.wake(now);
        if let Some((_, index)) = self.probes.pop_first() {
            self.busy += 1;
            return Next::Task(Task::Probe(index));
        }
        if let Some(index) = self.admit() {
            self.busy += 1;
            return Next::Task(Task::Run(index));
        }
        match self.delayed.values().map(|&(until, _)| until - now).min_by(f64::total_cmp) {
            Some(pause) => Next::Sleep(Some(pause.max(0.0))),
            None if self.busy == 0 && self.runs.is_empty() => Next::Finished,
            None => Next::Sleep(None),
        }
    }

    /// The worker that had a task for `index` is done with it, whatever came of it.
    pub(super) fn release(&mut self, index: usize) {
        self.busy -= 1;
        self.reserved.remove(&index);
    }

    /// The cache has nothing for `index`: it is to be computed, which takes `memory` bytes.
    pub(super) fn enqueue(&mut self, index: usize, memory: u64) {
        self.runs.insert(self.rank(index), memory);
    }

    /// Another process computes `index`: try again later, a little later each time.
    pub(super) fn delay(&mut self, index: usize, memory: u64, now: f64) {
        let pause = (RETRY_SECONDS.0 * 2_f64.powi(self.attempts[index])).min(RETRY_SECONDS.1);
        self.attempts[index] = (self.attempts[index] + 1).min(30);
        self.delayed.insert(index, (now + pause, memory));
    }

    /// The result of `index` is in the cache: whatever only waited for it is ready.
    pub(super) fn done(&mut self, index: usize) {
        for position in 0..self.dependents[index].len() {
            let reader = self.dependents[index][position];
            if self.awaiting[reader].remove(&index) {
                self.probe_when_ready(reader);
            }
        }
    }

    /// `index` has to wait for `inputs` (again), whose results were lost.
    pub(super) fn wait_for(&mut self, index: usize, inputs: BTreeSet<usize>) {
        self.awaiting[index] = inputs;
        self.probe_when_ready(index);
    }

    /// `index` was settled and is not any more.
    pub(super) fn reopen(&mut self, index: usize) {
        self.probes.insert(self.rank(index));
    }

    /// Everything that needs `index`, directly or not, in plan order.
    pub(super) fn descendants(&self, index: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = vec![index];
        while let Some(at) = open.pop() {
            open.extend(self.dependents[at].iter().copied().filter(|&reader| found.insert(reader)));
        }
        found
    }

    /// Hands out nothing more.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    fn rank(&self, index: usize) -> Rank {
        (std::cmp::Reverse(self.height[index]), index)
    }

    fn probe_when_ready(&mut self, index: usize) {
        if self.awaiting[index].is_empty() {
            self.probes.insert(self.rank(index));
        }
    }

    fn wake(&mut self, now: f64) {
        let due: Vec<usize> =
            self.delayed.iter().filter(|(_, (until, _))| *until <= now).map(|(&index, _)| index).collect();
        for index in due {
            if let Some((_, memory)) = self.delayed.remove(&index) {
                self.enqueue(index, memory);
            }
        }
    }

    /// The first run in order that fits into memory. A stage that alone exceeds the budget fits where nothing else runs.
    fn admit(&mut self) -> Option<usize> {
        let used: u64 = self.reserved.values().fold(0, |sum, &bytes| sum.saturating_add(bytes));
        let alone = self.reserved.is_empty();
        let fits = |memory: u64| alone || used.saturating_add(memory) <= self.budget;
        let window = if self.passed_over < PATIENCE { usize::MAX } else { 1 };
        let (position, (&rank, &memory)) =
            self.runs.iter().take(window).enumerate().find(|(_, (_, memory))| fits(**memory))?;
        self.passed_over = if position == 0 { 0 } else { self.passed_over + 1 };
        self.runs.remove(&rank);
        self.reserved.insert(rank.1, memory);
        Some(rank.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(inputs: &[&[usize]]) -> Vec<BTreeSet<usize>> {
        inputs.iter().map(|read| read.iter().copied().collect()).collect()
    }

    /// Runs everything on one worker, each instance taking `memory[i]`; the order of runs.
    fn order(inputs: &[&[usize]]) -> Vec<usize> {
        let mut queue = Queue::new(&graph(inputs), |_| false, u64::MAX);
        let mut order = Vec::new();
        loop {
            match queue.next(0.0) {
                Next::Task(Task::Probe(index)) => {
                    queue.enqueue(index, 1);
                    queue.release(index);
                }
                Next::Task(Task::Run(index)) => {
                    order.push(index);
                    queue.done(index);
                    queue.release(index);
                }
                Next::Finished => return order,
                Next::Sleep(_) => panic!("a single worker never sleeps here"),
            }
        }
    }

    fn run_after_probe(queue: &mut Queue, memory: &[u64]) -> Next {
        loop {
            match queue.next(0.0) {
                Next::Task(Task::Probe(index)) => {
                    queue.enqueue(index, memory[index]);
                    queue.release(index);
                }
                other => return other,
            }
        }
    }

    #[test]
    fn the_longest_path_goes_first_and_ties_go_by_plan_order() {
        // 0 and 1 are leaves, 2 -> 3 -> 4 is a chain.
        assert_eq!(order(&[&[], &[], &[], &[2], &[3]]), [2, 3, 0, 1, 4]);
    }

    #[test]
    fn an_instance_is_ready_once_its_last_input_is_done() {
        assert_eq!(order(&[&[], &[0], &[0], &[1, 2]]), [0, 1, 2, 3]);
    }

    #[test]
    fn runs_are_admitted_while_they_fit_and_a_small_one_may_go_ahead_of_a_large_one() {
        let mut queue = Queue::new(&graph(&[&[], &[], &[]]), |_| false, 10);
        let memory = [6, 6, 4];
        assert_eq!(run_after_probe(&mut queue, &memory), Next::Task(Task::Run(0)));
        assert_eq!(queue.next(0.0), Next::Task(Task::Run(2)));
        assert_eq!(queue.next(0.0), Next::Sleep(None));
        queue.release(0);
        assert_eq!(queue.next(0.0), Next::Task(Task::Run(1)));
    }

    #[test]
    fn a_stage_larger_than_the_budget_runs_alone() {
        let mut queue = Queue::new(&graph(&[&[], &[]]), |_| false, 10);
        let memory = [100, 1];
        assert_eq!(run_after_probe(&mut queue, &memory), Next::Task(Task::Run(0)));
        assert_eq!(queue.next(0.0), Next::Sleep(None));
        queue.release(0);
        assert_eq!(queue.next(0.0), Next::Task(Task::Run(1)));
    }

    #[test]
    fn a_large_stage_is_not_passed_over_for_ever() {
        let inputs = vec![BTreeSet::new(); 40];
        let mut queue = Queue::new(&inputs, |_| false, 10);
        // 0 is small, 1 is large, the rest are small again.
        let memory: Vec<u64> = (0..40).map(|index| if index == 1 { 10 } else { 5 }).collect();
        assert_eq!(run_after_probe(&mut queue, &memory), Next::Task(Task::Run(0)));
        let mut running = vec![0];
        let mut passed_over = 0;
        loop {
            match queue.next(0.0) {
                Next::Task(Task::Run(1)) => break,
                Next::Task(Task::Run(index)) => {
                    passed_over += 1;
                    running.push(index);
                }
                _ => queue.release(running.remove(0)),
            }
        }
        assert_eq!(passed_over, PATIENCE);
    }

    #[test]
    fn a_delayed_instance_comes_back_later_each_time() {
        let mut queue = Queue::new(&graph(&[&[]]), |_| false, 10);
        assert_eq!(run_after_probe(&mut queue, &[1]), Next::Task(Task::Run(0)));
        queue.delay(0, 1, 0.0);
        queue.release(0);
        assert_eq!(queue.next(0.0), Next::Sleep(Some(0.02)));
        assert_eq!(queue.next(0.02), Next::Task(Task::Run(0)));
        queue.delay(0, 1, 0.0);
        queue.release(0);
        assert_eq!(queue.next(0.0), Next::Sleep(Some(0.04)));
    }

    #[test]
    fn a_closed_queue_hands_out_nothing_and_ends_with_the_last_worker() {
        let mut queue = Queue::new(&graph(&[&[], &[]]), |_| false, 10);
        assert_eq!(run_after_probe(&mut queue, &[1, 1]), Next::Task(Task::Run(0)));
        queue.close();
        assert_eq!(queue.next(0.0), Next::Sleep(None));
        queue.release(0);
        assert_eq!(queue.next(0.0), Next::Finished);
    }
}
