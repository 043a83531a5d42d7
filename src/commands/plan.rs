//! `duress plan`: what a run would do, against the cache, without running anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use duress_engine::plan::{Instance, Plan};
use duress_engine::run::KeyState;
use serde_json::json;

use super::error::CommandError;
use super::session::{Paint, Session};
use super::{columns, resolved, study};
use crate::exit::{self, Exit};
use crate::units;

/// Show what a run would do: instances, and which of them the cache holds
///
/// A `hit` is in the cache; a `miss` is to be computed; `pending` depends on a miss, so that its key cannot be known yet
/// (it may still turn out to be a hit); `no data` reads a file that is not there.
#[derive(Args, Debug)]
pub(super) struct PlanCommand {
    /// The spec
    spec: PathBuf,
    /// List every instance
    #[arg(long)]
    instances: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PlanCommand {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let plan = study::load(&self.spec)?;
        let store = session.store()?;
        let states = resolved::states(&plan, &store, session, &self.spec)?;
        let costs = Costs::of(&plan, &states);
        let paint = Paint::of(session.settings.stdout);
        let text = match (self.json, self.instances) {
            (true, _) => format!("{:#}\n", as_json(&plan, &states, &costs)),
            (false, true) => instances(&plan, &states, paint),
            (false, false) => sections(&plan, &states, &costs, paint),
        };
        session.print(&text)?;
        Ok(exit::OK)
    }
}

/// A state in a word.
pub(super) fn word(state: &KeyState) -> &'static str {
    match state {
        KeyState::Known { entry: Some(_), .. } => "hit",
        KeyState::Known { .. } => "miss",
        KeyState::Pending { .. } => "pending",
        KeyState::NoSource { .. } => "no data",
    }
}

fn painted(paint: Paint, word: &str) -> String {
    match word {
        "hit" => paint.good(word),
        "miss" => paint.warm(word),
        "no data" => paint.bad(word),
        _ => paint.dim(word),
    }
}

/// What computing an instance of a kind took on average where the cache holds one: by section, else by kind.
struct Costs {
    by_section: BTreeMap<String, f64>,
    by_kind: BTreeMap<&'static str, f64>,
}

impl Costs {
    fn of(plan: &Plan, states: &[KeyState]) -> Self {
        let mut sections: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut kinds: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
        for (instance, state) in plan.instances.iter().zip(states) {
            if let Some(entry) = state.entry() {
                sections.entry(instance.section.clone()).or_default().push(entry.provenance.seconds);
                kinds.entry(instance.kind.name).or_default().push(entry.provenance.seconds);
            }
        }
        let mean = |seconds: Vec<f64>| seconds.iter().sum::<f64>() / seconds.len() as f64;
        Self {
            by_section: sections.into_iter().map(|(name, seconds)| (name, mean(seconds))).collect(),
            by_kind: kinds.into_iter().map(|(name, seconds)| (name, mean(seconds))).collect(),
        }
    }

    fn of_instance(&self, instance: &Instance) -> Option<f64> {
        self.by_section.get(&instance.section).or_else(|| self.by_kind.get(instance.kind.name)).copied()
    }

    /// Seconds to compute what is no hit, as far as known; `None` where nothing is known or nothing is to be done.
    fn left<'a>(&self, rows: impl Iterator<Item = (&'a Instance, &'a KeyState)>) -> Option<f64> {
        let open = rows.filter(|(_, state)| state.entry().is_none());
        open.filter_map(|(instance, _)| self.of_instance(instance)).reduce(|a, b| a + b)
    }
}

/// Instances with their states, section by section, in the order in which sections first appear.
fn by_section<'a>(plan: &'a Plan, states: &'a [KeyState]) -> Vec<(&'a str, Vec<(&'a Instance, &'a KeyState)>)> {
    let mut sections: Vec<(&str, Vec<_>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for row in plan.instances.iter().zip(states) {
        let name = row.0.section.as_str();
        let place = *places.entry(name).or_insert_with(|| {
            sections.push((name, Vec::new()));
            sections.len() - 1
        });
        sections[place].1.push(row);
    }
    sections
}

fn tally<'a>(states: impl Iterator<Item = &'a KeyState>) -> [usize; 4] {
    let mut counts = [0; 4];
    for state in states {
        counts[["hit", "miss", "pending", "no data"].iter().position(|name| *name == word(state)).unwrap_or(0)] += 1;
    }
    counts
}

fn axes_of(plan: &Plan, section: &str, rows: &[(&Instance, &KeyState)]) -> String {
    let axes = plan.axes.get(section).map_or(&[][..], Vec::as_slice);
    let size = |axis: &String| {
        let at = rows.iter().flat_map(|(instance, _)| instance.at.iter().filter(|at| at.axis == *axis));
        at.map(|at| at.index).collect::<BTreeSet<_>>().len()
    };
    axes.iter().map(|axis| format!("{axis} ×{}", size(axis))).collect::<Vec<_>>().join(" ")
}

fn sections(plan: &Plan, states: &[KeyState], costs: &Costs, paint: Paint) -> String {
    let mut table =
        columns::Columns::new(&["", "kind", ">instances", ">hit", ">miss", ">pending", ">no data", ">about", "axes"]);
    let number = |count: usize| if count == 0 { String::new() } else { count.to_string() };
    let mut line = |name: &str, kind: &str, counts: [usize; 4], left: Option<f64>, axes: String| {
        let [hit, miss, pending, missing] = counts.map(number);
        let all = counts.iter().sum::<usize>().to_string();
        let about = left.map_or_else(String::new, units::duration);
        table.row([name.to_owned(), kind.to_owned(), all, hit, miss, pending, missing, about, axes]);
    };
    for (name, rows) in by_section(plan, states) {
        let kind = rows[0].0.source.unwrap_or(rows[0].0.kind.name);
        let counts = tally(rows.iter().map(|(_, state)| *state));
        line(name, kind, counts, costs.left(rows.iter().copied()), axes_of(plan, name, &rows));
    }
    line("total", "", tally(states.iter()), costs.left(plan.instances.iter().zip(states)), String::new());
    let mut out = format!("{}\n{}", paint.strong(&plan.study.name), table.print(paint));
    for (name, note) in notes(plan) {
        let _ = writeln!(out, "{name}: {note}");
    }
    for message in missing_sources(states) {
        let _ = writeln!(out, "{} {message}", paint.warm("no data:"));
    }
    out
}

/// What stages say of themselves before they run: the same words of a section once.
fn notes(plan: &Plan) -> Vec<(&str, String)> {
    let mut notes: Vec<(&str, String)> = Vec::new();
    for instance in &plan.instances {
        for note in plan.notes(instance) {
            let row = (instance.section.as_str(), note);
            if !notes.contains(&row) {
                notes.push(row);
            }
        }
    }
    notes
}

fn missing_sources(states: &[KeyState]) -> BTreeSet<&str> {
    let mut messages = BTreeSet::new();
    for state in states {
        if let KeyState::NoSource { message } = state {
            messages.insert(message.as_str());
        }
    }
    messages
}

fn instances(plan: &Plan, states: &[KeyState], paint: Paint) -> String {
    let mut out = String::new();
    let wide = plan.instances.iter().map(|instance| instance.label.chars().count()).max().unwrap_or(0);
    for (instance, state) in plan.instances.iter().zip(states) {
        let detail = match state {
            KeyState::Known { key, .. } => key.short(),
            KeyState::Pending { on } => {
                let first = on.first().map_or("", |&index| plan.instances[index].label.as_str());
                let more = if on.len() > 1 { format!(" and {} more", on.len() - 1) } else { String::new() };
                format!("on {first}{more}")
            }
            KeyState::NoSource { message } => message.clone(),
        };
        let pad = " ".repeat(7 - word(state).len());
        let _ = writeln!(out, "{}{pad} {:<wide$} {}", painted(paint, word(state)), instance.label, paint.dim(&detail));
    }
    out
}

fn as_json(plan: &Plan, states: &[KeyState], costs: &Costs) -> serde_json::Value {
    let instance = |(instance, state): (&Instance, &KeyState)| {
        let key = match state {
            KeyState::Known { key, .. } => Some(key.to_string()),
            _ => None,
        };
        let on: Vec<&str> = match state {
            KeyState::Pending { on } => on.iter().map(|&index| plan.instances[index].label.as_str()).collect(),
            _ => Vec::new(),
        };
        let at: BTreeMap<&str, &str> = instance.at.iter().map(|at| (at.axis.as_str(), at.label.as_str())).collect();
        json!({
            "instance": instance.label, "section": instance.section, "kind": instance.kind.name, "at": at,
            "state": word(state), "key": key, "on": on, "seconds": costs.of_instance(instance),
            "notes": plan.notes(instance),
        })
    };
    let [hit, miss, pending, no_data] = tally(states.iter());
    json!({
        "study": plan.study.name,
        "hit": hit, "miss": miss, "pending": pending, "no_data": no_data,
        "seconds": costs.left(plan.instances.iter().zip(states)),
        "instances": plan.instances.iter().zip(states).map(instance).collect::<Vec<_>>(),
    })
}
