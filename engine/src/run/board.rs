//! The state that all workers share: what is settled, what is claimed, what is next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duress_cache::{Entry, Key, KeyParts};

use super::InstanceState;
use super::once::Claims;
use super::queue::Queue;
use crate::plan::Plan;

/// How often one instance is started anew because its inputs were lost.
const RETRIES: u8 = 3;

/// An instance whose key is complete.
pub(super) struct Prepared {
    pub(super) key: Key,
    pub(super) parts: KeyParts,
    /// The entries that hold its inputs, by slot.
    pub(super) inputs: Vec<Arc<Entry>>,
    /// What it needs to run, in bytes.
    pub(super) memory: u64,
}

/// How far the instances of a plan have come.
pub(super) struct Settled {
    /// How each ended; none for what is still to be done.
    pub(super) states: Vec<Option<InstanceState>>,
    /// Its result.
    pub(super) entries: Vec<Option<Arc<Entry>>>,
}

/// Everything that changes while a run goes on. Events are returned, not emitted, where they follow from others'.
pub(super) struct Board {
    pub(super) queue: Queue,
    pub(super) states: Vec<Option<InstanceState>>,
    pub(super) entries: Vec<Option<Arc<Entry>>>,
    pub(super) prepared: BTreeMap<usize, Arc<Prepared>>,
    /// Instances that a worker has in hand.
    pub(super) active: BTreeSet<usize>,
    /// Instances of which the user knows that they wait for another process.
    pub(super) announced: BTreeSet<usize>,
    /// The failure that ended the run.
    pub(super) stopped_by: Option<usize>,
    claims: Claims,
    retries: BTreeMap<usize, u8>,
}

/// An instance that settled because another did.
pub(super) enum Consequence {
    /// Its key is the same, and the result is there.
    Hit(usize),
    /// It needed what failed.
    Skipped { instance: usize, because: usize },
}

impl Board {
    /// A board on which the instances with a state are settled; `budget` in bytes.
    pub(super) fn new(plan: &Plan, settled: Settled, budget: u64) -> Self {
        let Settled { states, entries } = settled;
        let inputs: Vec<BTreeSet<usize>> =
            plan.instances.iter().map(|instance| instance.slots.iter().map(|slot| slot.from).collect()).collect();
        let queue = Queue::new(&inputs, |index| states[index].is_some(), budget);
        Self {
            queue,
            states,
            entries,
            prepared: BTreeMap::new(),
            active: BTreeSet::new(),
            announced: BTreeSet::new(),
            stopped_by: None,
            claims: Claims::default(),
            retries: BTreeMap::new(),
        }
    }

    /// Makes `index` the one that computes its key in this process; false where another is, whose result it will share.
    pub(super) fn claim(&mut self, index: usize, prepared: Prepared) -> Option<Arc<Prepared>> {
        if !self.claims.claim(prepared.key, index) {
            return None;
        }
        let prepared = Arc::new(prepared);
        self.prepared.insert(index, Arc::clone(&prepared));
        Some(prepared)
    }

    /// The result of `index` is in the cache.
    pub(super) fn done(&mut self, index: usize, state: InstanceState, entry: &Arc<Entry>) -> Vec<Consequence> {
        if self.states[index].is_some() {
            return Vec::new();
        }
        self.states[index] = Some(state);
        self.entries[index] = Some(Arc::clone(entry));
        self.queue.done(index);
        let mut consequences = Vec::new();
        for follower in self.release(index) {
            if self.states[follower].is_none() {
                consequences.push(Consequence::Hit(follower));
                self.states[follower] = Some(InstanceState::Hit { key: entry.key });
                self.entries[follower] = Some(Arc::clone(entry));
                self.queue.done(follower);
            }
        }
        consequences
    }

    /// `index` ended without a result, and so does whatever needs it or shares its key.
    pub(super) fn failed(&mut self, index: usize, state: InstanceState, label: &str) -> Vec<Consequence> {
        if self.states[index].is_some() {
            return Vec::new();
        }
        self.states[index] = Some(state);
        let mut lost = self.queue.descendants(index);
        for follower in self.release(index) {
            lost.insert(follower);
            lost.extend(self.queue.descendants(follower));
        }
        let mut consequences = Vec::new();
        for instance in lost {
            if self.states[instance].is_none() && !self.active.contains(&instance) {
                self.states[instance] = Some(InstanceState::Skipped { because: label.to_owned() });
                consequences.push(Consequence::Skipped { instance, because: index });
            }
        }
        consequences
    }

    /// `index` could not read the results of `lost`: they are computed again, and then it is. False where that has been
    /// tried often enough.
    pub(super) fn heal(&mut self, index: usize, lost: BTreeSet<usize>) -> bool {
        let retries = self.retries.entry(index).or_default();
        *retries += 1;
        if *retries > RETRIES {
            return false;
        }
        for &input in &lost {
            if self.states[input].take().is_some() {
                self.entries[input] = None;
                self.queue.reopen(input);
            }
        }
        for follower in self.release(index) {
            self.queue.reopen(follower);
        }
        self.queue.wait_for(index, lost);
        true
    }

    fn release(&mut self, index: usize) -> Vec<usize> {
        match self.prepared.remove(&index) {
            Some(prepared) => self.claims.release(prepared.key, index),
            None => Vec::new(),
        }
    }
}
