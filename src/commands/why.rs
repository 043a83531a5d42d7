//! `duress why`: the cause of every rerun, in a sentence.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use duress_engine::plan::Plan;
use duress_engine::run::{KeyState, why};

use super::error::CommandError;
use super::session::Session;
use super::{resolved, study, suggest};
use crate::exit::{self, Exit};

/// Say why a stage must run, or where its result comes from
#[derive(Args, Debug)]
pub(super) struct Why {
    /// The spec
    spec: PathBuf,
    /// A stage, or one instance of it such as `train[seed=1]` [default: what must run, without what follows from it]
    instance: Option<String>,
}

impl Why {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let plan = study::load(&self.spec)?;
        let store = session.store()?;
        let states = resolved::states(&plan, &store, session, &self.spec)?;
        let chosen = match &self.instance {
            Some(name) => named(&plan, name)?,
            None => causes(&states),
        };
        let mut text = String::new();
        for &index in &chosen {
            let _ = writeln!(text, "{}", why(&plan, &store, &states, index)?);
        }
        let pending = states.iter().filter(|state| matches!(state, KeyState::Pending { .. })).count();
        if self.instance.is_none() {
            if chosen.is_empty() {
                text.push_str("nothing must run: every result is in the cache\n");
            } else if pending > 0 {
                let _ = writeln!(text, "{pending} more depend on these");
            }
        }
        session.print(&text)?;
        Ok(exit::OK)
    }
}

/// The instances of a section, or the one of that label.
pub(super) fn named(plan: &Plan, name: &str) -> Result<Vec<usize>, CommandError> {
    let matches = |index: &usize| plan.instances[*index].label == name || plan.instances[*index].section == name;
    let found: Vec<usize> = (0..plan.instances.len()).filter(matches).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let sections: BTreeSet<&str> = plan.axes.keys().map(String::as_str).collect();
    let section = name.split('[').next().unwrap_or_default();
    let labels = plan.instances.iter().map(|instance| instance.label.as_str());
    Err(if sections.contains(section) {
        suggest::unknown("instance", name, labels.filter(|label| label.split('[').next() == Some(section)))
    } else {
        suggest::unknown("stage", name, sections.into_iter())
    })
}

/// What must run of its own accord: not what merely waits for that.
fn causes(states: &[KeyState]) -> Vec<usize> {
    let own = |state: &KeyState| match state {
        KeyState::Known { entry, .. } => entry.is_none(),
        KeyState::Pending { .. } => false,
        KeyState::NoSource { .. } => true,
    };
    states.iter().enumerate().filter(|(_, state)| own(state)).map(|(index, _)| index).collect()
}
