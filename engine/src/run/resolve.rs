//! What is known before anything runs: the key of every instance whose inputs are in the cache, and whether its own result is.
//!
//! A key needs the digests of its inputs' tables, so below the first miss keys are *pending*; the scheduler completes
//! them as results come in. That is what buys the early cut-off: a stage that was recomputed to an equal table leaves
//! the keys of everything below it as they were.

use std::sync::Arc;

use duress_cache::{Digest, Entry, InputPart, Key, KeyParts, SourcePart, Store, StoreError};

use super::sources::Sources;
use crate::plan::{Instance, Plan};
use crate::stage::Tolerance;

/// What is known of an instance's key.
#[derive(Clone, Debug)]
pub enum KeyState {
    /// Every input is in the cache.
    Known {
        /// The key.
        key: Key,
        /// What it is made of.
        parts: Arc<KeyParts>,
        /// The result, where the cache holds it.
        entry: Option<Arc<Entry>>,
    },
    /// Some input has to be computed first.
    Pending {
        /// Those inputs, as indices into the plan's instances, ascending.
        on: Vec<usize>,
    },
    /// A file that the instance reads cannot be found or read.
    NoSource {
        /// Which, and what to do about it.
        message: String,
    },
}

impl KeyState {
    /// The result, where the cache holds it.
    #[must_use]
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Known { entry, .. } => entry.as_ref(),
            _ => None,
        }
    }
}

/// The class of the reference device, which no key names.
const CPU: &str = "cpu";

/// The state of every instance's key, in plan order. `device` is the device that runs would use, such as `cpu` or `cuda:0`.
///
/// # Errors
/// Where the store cannot be read.
pub fn resolve(plan: &Plan, store: &dyn Store, sources: &Sources, device: &str) -> Result<Vec<KeyState>, StoreError> {
    resolve_some(plan, store, sources, device, |_| true)
}

/// As [`resolve`], for the instances that are `wanted`; the others are pending on nothing.
pub(super) fn resolve_some(
    plan: &Plan,
    store: &dyn Store,
    sources: &Sources,
    device: &str,
    wanted: impl Fn(usize) -> bool,
) -> Result<Vec<KeyState>, StoreError> {
    let mut states: Vec<KeyState> = Vec::with_capacity(plan.instances.len());
    for (index, instance) in plan.instances.iter().enumerate() {
        if !wanted(index) {
            states.push(KeyState::Pending { on: Vec::new() });
            continue;
        }
        let entry_of = |from: usize| states.get(from).and_then(KeyState::entry).map(Arc::as_ref);
        let state = match key_parts(plan, index, sources, device, entry_of) {
            Err(Unknown::Source(message)) => KeyState::NoSource { message },
            Err(Unknown::Inputs(on)) => KeyState::Pending { on },
            Err(Unknown::Output { .. }) => {
                KeyState::Pending { on: instance.slots.iter().map(|slot| slot.from).collect() }
            }
            Ok(parts) => {
                let key = parts.key();
                KeyState::Known { key, parts: Arc::new(parts), entry: store.entry(&key)?.map(Arc::new) }
            }
        };
        states.push(state);
    }
    Ok(states)
}

/// Why a key cannot be completed.
#[derive(Debug)]
pub(super) enum Unknown {
    /// A source cannot be read.
    Source(String),
    /// These inputs are not there.
    Inputs(Vec<usize>),
    /// The input is there but lacks the output that the slot asks for.
    Output { from: usize, output: &'static str },
}

/// What the key of instance `index` is made of, given the entries of its inputs.
pub(super) fn key_parts<'e>(
    plan: &Plan,
    index: usize,
    sources: &Sources,
    device: &str,
    entry_of: impl Fn(usize) -> Option<&'e Entry>,
) -> Result<KeyParts, Unknown> {
    let instance = &plan.instances[index];
    let sources = sources.of(index).map_err(|message| Unknown::Source(message.to_owned()))?;
    let mut missing: Vec<usize> =
        instance.slots.iter().map(|slot| slot.from).filter(|&from| entry_of(from).is_none()).collect();
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        return Err(Unknown::Inputs(missing));
    }
    let mut inputs = Vec::with_capacity(instance.slots.len());
    for slot in &instance.slots {
        let digest = entry_of(slot.from)
            .and_then(|entry| table_digest(entry, slot.output))
            .ok_or(Unknown::Output { from: slot.from, output: slot.output })?;
        inputs.push(InputPart { field: slot.field.clone(), labels: slot_labels(&slot.labels), digest });
    }
    Ok(KeyParts {
        kind: instance.kind.name.to_owned(),
        revision: instance.kind.revision,
        config: instance.config.clone(),
        inputs,
        sources: sources.iter().map(|source| SourcePart { name: source.name.clone(), digest: source.digest }).collect(),
        device: device_part(instance, device),
    })
}

/// The digest of an entry's table.
pub(super) fn table_digest(entry: &Entry, output: &str) -> Option<Digest> {
    entry.tables.get(output).map(|table| table.digest)
}

fn slot_labels(labels: &[(String, String)]) -> String {
    labels.iter().map(|(axis, label)| format!("{axis}={label}")).collect::<Vec<_>>().join(",")
}

/// The class of device is part of a key only where results depend on it: where they may differ from the CPU's, and it is not the CPU.
fn device_part(instance: &Instance, device: &str) -> Option<String> {
    let class = device.split_once(':').map_or(device, |(class, _)| class);
    (instance.kind.tolerance != Tolerance::Exact && class != CPU).then(|| class.to_owned())
}
