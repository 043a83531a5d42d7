//! The workers that take a plan through.
//!
//! Stage bodies run on their own threads, `jobs` of them. Work on data inside a stage goes to one pool of `threads`
//! threads that all stages share ([`RunContext::install`]): a wide plan keeps every core busy with stage bodies, and a
//! lone stage gets all threads. A stage body never runs inside that pool: a pool thread that waits steals other work,
//! and a body stolen by a thread that holds the lock of one key might wait for a key whose lock is held further down on
//! the same stack.
//!
//! No worker waits while other work is ready. An instance whose key another instance computes is parked; one whose key
//! another process computes comes back later.
//!
//! Everything a stage reads is checked as it is read. Where an input turns out to be damaged, the stage that made it is
//! run again, and then the stage that wanted it.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duress_cache::{Entry, LockGuard};

use super::board::{Board, Consequence, Prepared, Settled};
use super::context::RunContext;
use super::event::Event;
use super::execute::{self, End};
use super::queue::{Next, Task};
use super::resolve::{Unknown, key_parts};
use super::session::Session;
use super::{InstanceState, RunOptions};
use crate::stage::InputFacts;

/// The longest sleep of a worker that waits for another process, so that it notices a request to stop.
const LONGEST_SLEEP_SECONDS: f64 = 0.2;

/// A run in progress.
pub(super) struct Scheduler<'s, 'a> {
    session: &'s Session<'a>,
    keep_going: bool,
    /// Cached instances that are computed again to be compared.
    verify: BTreeSet<usize>,
    board: Mutex<Board>,
    changed: Condvar,
}

impl<'s, 'a> Scheduler<'s, 'a> {
    /// Workers for whatever is not `settled`; the cached instances in `verify` are computed again and compared.
    pub(super) fn new(
        session: &'s Session<'a>,
        options: &RunOptions,
        verify: BTreeSet<usize>,
        settled: Settled,
    ) -> Self {
        let board = Board::new(session.plan, settled, options.memory_bytes);
        Self { session, keep_going: options.keep_going, verify, board: Mutex::new(board), changed: Condvar::new() }
    }

    /// Works with so many workers until every instance is settled.
    pub(super) fn run(self, jobs: usize) -> Settled {
        std::thread::scope(|scope| {
            for _ in 1..jobs {
                scope.spawn(|| self.work());
            }
            self.work();
        });
        let mut board = self.board.into_inner().unwrap_or_else(PoisonError::into_inner);
        sweep(self.session, &mut board);
        Settled { states: board.states, entries: board.entries }
    }

    fn work(&self) {
        while let Some(task) = self.take() {
            let index = match task {
                Task::Probe(index) => {
                    self.probe(index);
                    index
                }
                Task::Run(index) => {
                    self.compute(index);
                    index
                }
            };
            let mut board = self.lock();
            board.active.remove(&index);
            board.queue.release(index);
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next task; none when the run is over.
    fn take(&self) -> Option<Task> {
        let mut board = self.lock();
        loop {
            if self.session.cancel.requested() {
                board.queue.close();
            }
            match board.queue.next(self.session.host.elapsed_seconds()) {
                Next::Task(task @ (Task::Probe(index) | Task::Run(index))) => {
                    if board.states[index].is_none() {
                        board.active.insert(index);
                        return Some(task);
                    }
                    board.queue.release(index);
                }
                Next::Finished => {
                    self.changed.notify_all();
                    return None;
                }
                Next::Sleep(None) => board = self.changed.wait(board).unwrap_or_else(PoisonError::into_inner),
                Next::Sleep(Some(seconds)) => {
                    let pause = Duration::from_secs_f64(seconds.clamp(0.001, LONGEST_SLEEP_SECONDS));
                    board = self.changed.wait_timeout(board, pause).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Completes the key of an instance and looks into the cache.
    fn probe(&self, index: usize) {
        let prepared = match self.prepare(index) {
            Ok(prepared) => prepared,
            Err(message) => return self.fail(index, message),
        };
        let Some(prepared) = self.lock().claim(index, prepared) else { return };
        match self.session.store.entry(&prepared.key) {
            Ok(Some(entry)) if !self.verify.contains(&index) => self.hit(index, &Arc::new(entry)),
            Ok(_) => self.lock().queue.enqueue(index, prepared.memory),
            Err(error) => self.fail(index, error.to_string()),
        }
        self.session.report_findings();
    }

    fn prepare(&self, index: usize) -> Result<Prepared, String> {
        let plan = self.session.plan;
        let instance = &plan.instances[index];
        let entries: Vec<Option<Arc<Entry>>> = {
            let board = self.lock();
            instance.slots.iter().map(|slot| board.entries[slot.from].clone()).collect()
        };
        let entry_of = |from: usize| {
            let slot = instance.slots.iter().position(|slot| slot.from == from)?;
            entries[slot].as_deref()
        };
        let parts = key_parts(plan, index, self.session.sources, self.session.device, entry_of);
        let parts = parts.map_err(|unknown| match unknown {
            Unknown::Source(message) => message,
            Unknown::Inputs(_) => execute::internal("an input is not there"),
            Unknown::Output { from, output } => {
                execute::internal(&format!("`{}` made no table `{output}`", plan.instances[from].label))
            }
        })?;
        let fact = |slot: &crate::plan::Slot| plan.instances[slot.from].facts.get(slot.output).cloned();
        let memory = instance.stage.memory(&InputFacts { slots: instance.slots.iter().map(fact).collect() });
        Ok(Prepared { key: parts.key(), parts, inputs: entries.into_iter().flatten().collect(), memory })
    }

    /// Computes an instance, unless another process does or did.
    fn compute(&self, index: usize) {
        let Some(prepared) = self.lock().prepared.get(&index).cloned() else { return };
        let cached = match self.session.store.entry(&prepared.key) {
            Ok(cached) => cached,
            Err(error) => return self.fail(index, error.to_string()),
        };
        match cached {
            Some(entry) if self.verify.contains(&index) => return self.verify(index, &prepared, entry),
            Some(entry) => return self.hit(index, &Arc::new(entry)),
            None => {}
        }
        match self.session.store.try_lock(&prepared.key) {
            Ok(Some(lock)) => match self.session.store.entry(&prepared.key) {
                // Whoever held the lock a moment ago may have finished.
                Ok(Some(entry)) => self.hit(index, &Arc::new(entry)),
                Ok(None) => self.execute(index, &prepared, lock),
                Err(error) => self.fail(index, error.to_string()),
            },
            Ok(None) => self.wait_for_another(index, &prepared),
            Err(error) => self.fail(index, error.to_string()),
        }
    }

    fn wait_for_another(&self, index: usize, prepared: &Prepared) {
        let holder = self.session.store.lock_holder(&prepared.key).unwrap_or_else(|| "another process".to_owned());
        let mut board = self.lock();
        if board.announced.insert(index) {
            self.session.events.emit(Event::Waiting { instance: self.session.label(index), holder });
        }
        board.queue.delay(index, prepared.memory, self.session.host.elapsed_seconds());
    }

    fn execute(&self, index: usize, prepared: &Prepared, lock: LockGuard) {
        let session = self.session;
        let why = match session.past.cause(index, prepared.key, &prepared.parts) {
            Ok(cause) => cause.text,
            Err(error) => format!("the reason is not known: {error}"),
        };
        session.events.emit(Event::Miss { instance: session.label(index), key: prepared.key, why });
        session.events.emit(Event::Started { instance: session.label(index) });
        let cx = RunContext::new(session, index, prepared.key, prepared.inputs.clone(), Some(lock));
        let end = execute::run(&cx, &prepared.parts);
        session.report_findings();
        match end {
            End::Stored { entry, seconds } => {
                let outputs = entry.tables.iter().map(|(name, table)| (name.clone(), table.digest)).collect();
                let (instance, key) = (session.label(index), prepared.key);
                session.events.emit(Event::Computed { instance, key, seconds, outputs });
                self.done(index, InstanceState::Computed { key }, &entry);
            }
            End::Superseded(entry) => self.hit(index, &entry),
            End::Lost { inputs, error } => self.heal(index, inputs, &error),
            End::Cancelled => self.cancelled(index),
            End::Failed(error) => self.fail(index, error),
        }
    }

    /// Computes a cached instance again and compares.
    fn verify(&self, index: usize, prepared: &Prepared, cached: Entry) {
        let session = self.session;
        session.events.emit(Event::Started { instance: session.label(index) });
        let cx = RunContext::new(session, index, prepared.key, prepared.inputs.clone(), None);
        match execute::compare(&cx, &cached) {
            Ok(()) => self.hit(index, &Arc::new(cached)),
            Err(End::Lost { inputs, error }) => self.heal(index, inputs, &error),
            Err(End::Failed(error)) => self.fail(index, error),
            Err(_) => self.cancelled(index),
        }
    }

    fn hit(&self, index: usize, entry: &Arc<Entry>) {
        emit_hit(self.session, index, entry);
        self.done(index, InstanceState::Hit { key: entry.key }, entry);
    }

    fn done(&self, index: usize, state: InstanceState, entry: &Arc<Entry>) {
        let mut board = self.lock();
        for consequence in board.done(index, state, entry) {
            if let Consequence::Hit(follower) = consequence {
                emit_hit(self.session, follower, entry);
            }
        }
    }

    fn fail(&self, index: usize, error: String) {
        let label = self.session.label(index);
        self.session.events.emit(Event::Failed { instance: label.clone(), error: error.clone() });
        let mut board = self.lock();
        for consequence in board.failed(index, InstanceState::Failed { error }, &label) {
            if let Consequence::Skipped { instance, because } = consequence {
                let because = self.session.label(because);
                self.session.events.emit(Event::Skipped { instance: self.session.label(instance), because });
            }
        }
        if !self.keep_going {
            board.stopped_by.get_or_insert(index);
            board.queue.close();
        }
    }

    fn cancelled(&self, index: usize) {
        self.session.events.emit(Event::Cancelled { instance: self.session.label(index) });
        self.lock().states[index] = Some(InstanceState::Cancelled);
    }

    fn heal(&self, index: usize, inputs: BTreeSet<usize>, error: &str) {
        for &input in &inputs {
            self.session.warn(input, format!("its cached result is damaged or lost and is computed again ({error})"));
        }
        let healing = self.lock().heal(index, inputs);
        if !healing {
            self.fail(index, format!("{error}; it was lost again each time it was computed, so look at the disk"));
        }
    }
}

pub(super) fn emit_hit(session: &Session<'_>, index: usize, entry: &Entry) {
    let saved = entry.provenance.seconds;
    session.events.emit(Event::Hit { instance: session.label(index), key: entry.key, saved });
}

/// Settles what was not come to.
fn sweep(session: &Session<'_>, board: &mut Board) {
    for index in 0..board.states.len() {
        if board.states[index].is_some() {
            continue;
        }
        let slots = &session.plan.instances[index].slots;
        let missing = slots.iter().map(|slot| slot.from).find(|&from| board.entries[from].is_none());
        let because = missing.or(board.stopped_by).map_or_else(String::new, |cause| session.label(cause));
        session.events.emit(Event::Skipped { instance: session.label(index), because: because.clone() });
        board.states[index] = Some(InstanceState::Skipped { because });
    }
}
