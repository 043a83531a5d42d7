//! Why an instance must run, or need not: in a sentence that names the old and the new value of what changed.
//!
//! The store remembers which key each instance had when the study last ran, and every entry remembers what its key was
//! made of; the difference between then and now is the reason.

use std::fmt::{self, Write};

use duress_cache::{Difference, Entry, Key, KeyParts, Store, StoreError, StudyRecord};

use super::resolve::KeyState;
use crate::plan::{Instance, Plan};

/// How many differences a sentence names.
const NAMED: usize = 3;
/// How many recorded instances are looked at for the one that is nearest to a new one.
const CANDIDATES: usize = 512;

/// Why an instance must run, or need not.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The instance's label.
    pub instance: String,
    /// Its key, where its inputs are in the cache.
    pub key: Option<Key>,
    /// Whether its result is in the cache.
    pub cached: bool,
    /// What its key does not share with the key it is compared with; empty where there is nothing to compare with.
    pub differences: Vec<Difference>,
    /// The rest of a sentence that begins with the instance, such as ``must run: `lr` changed from 0.1 to 0.2``.
    pub predicate: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.instance, self.predicate)
    }
}

/// Explains one instance of a plan whose keys were [resolved](super::resolve()).
///
/// # Errors
/// Where the store cannot be read.
pub fn why(plan: &Plan, store: &dyn Store, states: &[KeyState], index: usize) -> Result<Explanation, StoreError> {
    let instance = &plan.instances[index];
    let explain = |key, cached, differences, predicate| Explanation {
        instance: instance.label.clone(),
        key,
        cached,
        differences,
        predicate,
    };
    Ok(match &states[index] {
        KeyState::Known { key, entry: Some(entry), .. } => explain(Some(*key), true, Vec::new(), origin(entry)),
        KeyState::Known { key, parts, entry: None } => {
            let cause = Past::of(plan, store)?.cause(index, *key, parts)?;
            explain(Some(*key), false, cause.differences, format!("must run: {}", cause.text))
        }
        KeyState::Pending { on } => {
            let labels: Vec<_> =
                on.iter().take(NAMED).map(|&from| format!("`{}`", plan.instances[from].label)).collect();
            let more = if on.len() > NAMED { format!(" and {} more", on.len() - NAMED) } else { String::new() };
            let mut predicate =
                format!("depends on {}{more}: it runs unless the result there comes out as before", labels.join(", "));
            if let Some(root) = root_cause(states, index) {
                let cause = why(plan, store, states, root)?;
                let _ = write!(predicate, "; {cause}");
            }
            explain(None, false, Vec::new(), predicate)
        }
        KeyState::NoSource { message } => explain(None, false, Vec::new(), format!("cannot run: {message}")),
    })
}

/// The first instance on the way up whose state is not itself owed to another's.
fn root_cause(states: &[KeyState], mut index: usize) -> Option<usize> {
    while let KeyState::Pending { on } = &states[index] {
        index = *on.first()?;
    }
    Some(index)
}

fn origin(entry: &Entry) -> String {
    let from = &entry.provenance;
    let host = if from.host.is_empty() { String::new() } else { format!(" on {}", from.host) };
    let when = date(from.started_unix_ms);
    format!("is cached: key {}, computed{host} on {when} in {:.1} s", entry.key.short(), from.seconds)
}

/// The last run of a study, as far as the cache remembers it.
pub(super) struct Past<'a> {
    plan: &'a Plan,
    store: &'a dyn Store,
    record: Option<StudyRecord>,
}

/// Why a result is not in the cache.
pub(super) struct Cause {
    pub(super) text: String,
    pub(super) differences: Vec<Difference>,
}

impl<'a> Past<'a> {
    pub(super) fn of(plan: &'a Plan, store: &'a dyn Store) -> Result<Self, StoreError> {
        Ok(Self { plan, store, record: store.record(&plan.study.name)? })
    }

    /// The key that an instance had.
    pub(super) fn key_of(&self, label: &str) -> Option<Key> {
        self.record.as_ref().and_then(|record| record.instances.get(label).copied())
    }

    /// Why the result of instance `index`, which now has this key, is not in the cache.
    pub(super) fn cause(&self, index: usize, key: Key, parts: &KeyParts) -> Result<Cause, StoreError> {
        let instance = &self.plan.instances[index];
        let plain = |text: &str| Cause { text: text.to_owned(), differences: Vec::new() };
        let Some(record) = &self.record else {
            return Ok(plain("this study has not been run with this cache before"));
        };
        if let Some(&old) = record.instances.get(&instance.label) {
            if old == key {
                return Ok(plain("its cached result was removed, lost or damaged"));
            }
            return Ok(match self.store.entry(&old)? {
                Some(entry) => {
                    let differences = entry.parts.differences(parts);
                    Cause { text: self.sentence(instance, &differences), differences }
                }
                None => plain("it changed since the last run, whose result is no longer in the cache to compare with"),
            });
        }
        for label in nearest(record, &instance.section, &instance.label) {
            let Some(entry) = record.instances.get(&label).map(|old| self.store.entry(old)).transpose()?.flatten()
            else {
                continue;
            };
            let differences = entry.parts.differences(parts);
            let changes: Vec<_> = differences.iter().take(NAMED).map(arrow).collect();
            let more = and_more(differences.len());
            let text = format!("it is new; nearest is `{label}`, which differs in {}{more}", changes.join(", "));
            return Ok(Cause { text, differences });
        }
        Ok(plain("it is new in this study"))
    }

    fn sentence(&self, instance: &Instance, differences: &[Difference]) -> String {
        let told: Vec<_> = differences.iter().take(NAMED).map(|one| self.clause(instance, one)).collect();
        format!("{}{}", told.join(", "), and_more(differences.len()))
    }

    /// One difference as a clause.
    fn clause(&self, instance: &Instance, difference: &Difference) -> String {
        let Difference { part, old, new } = difference;
        if let Some(input) = part.strip_prefix("input ") {
            let field = input.split(['[', ' ']).next().unwrap_or(input);
            let from =
                instance.slots.iter().find(|slot| slot.field == field).map(|slot| &self.plan.instances[slot.from]);
            let from = from.map_or_else(String::new, |from| format!(" ({})", from.label));
            return match (old, new) {
                (None, _) => format!("its input `{input}`{from} was added"),
                (_, None) => format!("its input `{input}` was taken away"),
                _ => format!("its input `{input}`{from} has changed"),
            };
        }
        if let Some(source) = part.strip_prefix("source ") {
            return format!("its source file `{source}` has changed");
        }
        match (old, new) {
            (Some(old), Some(new)) => format!("`{part}` changed from {old} to {new}"),
            (None, Some(new)) => format!("`{part} = {new}` was added"),
            (Some(old), None) => format!("`{part} = {old}` was taken away"),
            (None, None) => format!("`{part}` changed"),
        }
    }
}

fn arrow(difference: &Difference) -> String {
    let part = &difference.part;
    if let Some(input) = part.strip_prefix("input ") {
        return format!("its input `{input}`");
    }
    let or_nothing = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    format!("`{part}`: {} -> {}", or_nothing(&difference.old), or_nothing(&difference.new))
}

fn and_more(differences: usize) -> String {
    if differences > NAMED { format!(" and {} more", differences - NAMED) } else { String::new() }
}

/// Recorded instances of the same section, those first that stand at the most similar place.
fn nearest(record: &StudyRecord, section: &str, label: &str) -> Vec<String> {
    let place = |label: &str| -> Vec<String> {
        let inside = label.strip_prefix(section).unwrap_or_default();
        inside.trim_matches(['[', ']']).split(',').map(str::to_owned).collect()
    };
    let own = place(label);
    let belongs =
        |other: &str| other.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('['));
    let mut found: Vec<(usize, String)> = record
        .instances
        .range(section.to_owned()..)
        .take_while(|(other, _)| other.starts_with(section))
        .filter(|(other, _)| belongs(other))
        .take(CANDIDATES)
        .map(|(other, _)| (own.iter().filter(|coordinate| !place(other).contains(coordinate)).count(), other.clone()))
        .collect();
    found.sort();
    found.into_iter().map(|(_, other)| other).take(4).collect()
}

/// `2026-11-23 20:54 UTC` from milliseconds since the Unix epoch (civil-from-days, H. Hinnant, "chrono-compatible
/// low-level date algorithms").
fn date(unix_ms: u64) -> String {
    let minutes = unix_ms / 60_000;
    let (days, hour, minute) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use duress_cache::Digest;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // Unix times as printed by `date -u -d @...`.
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_709_164_799_000), "2024-02-28 23:59 UTC");
        assert_eq!(date(1_795_467_240_000), "2026-11-23 20:54 UTC");
    }

    #[test]
    fn the_nearest_instance_shares_most_of_the_place_and_belongs_to_the_same_section() {
        let key = Key::new(Digest::of_bytes(b""));
        let labels = ["train", "train-all[seed=1,lr=2]", "train[seed=1,lr=1]", "train[seed=3,lr=3]"];
        let instances: BTreeMap<_, _> = labels.iter().map(|label| ((*label).to_owned(), key)).collect();
        let record = StudyRecord { study: "s".to_owned(), recorded_unix_ms: 0, instances };
        let found = nearest(&record, "train", "train[seed=1,lr=2]");
        assert_eq!(found.first().map(String::as_str), Some("train[seed=1,lr=1]"));
        assert!(!found.iter().any(|label| label.starts_with("train-all")));
    }
}
