//! The event log of a run: what its tests assert on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What happened in a run, from the lines of `--json`.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Value>,
}

impl Log {
    /// Reads the lines; a last line cut short (by a kill) is left out.
    pub(crate) fn parse(stdout: &str) -> Self {
        Self { events: stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect() }
    }

    /// The instances of the events of one sort, such as `computed`.
    pub(crate) fn instances(&self, event: &str) -> BTreeSet<String> {
        let of = self.events.iter().filter(|value| value["event"] == event);
        of.filter_map(|value| value["instance"].as_str().map(str::to_owned)).collect()
    }

    /// What was computed.
    pub(crate) fn computed(&self) -> BTreeSet<String> {
        self.instances("computed")
    }

    /// The keys that were computed, with how often.
    pub(crate) fn computed_keys(&self) -> BTreeMap<String, usize> {
        let mut keys = BTreeMap::new();
        for event in self.events.iter().filter(|value| value["event"] == "computed") {
            *keys.entry(event["key"].as_str().expect("events have keys").to_owned()).or_default() += 1;
        }
        keys
    }

    /// The sections of what was computed.
    pub(crate) fn sections(&self) -> BTreeSet<String> {
        self.computed().iter().map(|label| label.split('[').next().unwrap_or_default().to_owned()).collect()
    }

    /// Why an instance was no hit.
    pub(crate) fn why(&self, instance: &str) -> String {
        let miss = self.events.iter().find(|value| value["event"] == "miss" && value["instance"] == instance);
        miss.and_then(|value| value["why"].as_str()).unwrap_or_else(|| panic!("{instance} was no miss")).to_owned()
    }

    /// A number of the last event.
    pub(crate) fn total(&self, field: &str) -> u64 {
        let last = self.events.last().expect("a run ends with an event");
        assert_eq!(last["event"], "run-finished");
        last[field].as_u64().expect("a whole number")
    }
}
