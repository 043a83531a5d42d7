//! What is known of every key of a plan before anything runs.

use std::path::Path;
use std::sync::Arc;

use duress_cache::{Entry, Store};
use duress_engine::plan::Plan;
use duress_engine::run::{KeyState, Sources, resolve};

use super::error::CommandError;
use super::session::Session;

/// The state of every instance's key, in plan order, for the session's device.
pub(super) fn states(
    plan: &Plan,
    store: &dyn Store,
    session: &Session,
    spec: &Path,
) -> Result<Vec<KeyState>, CommandError> {
    let sources = Sources::hash(plan, &session.roots(spec), |_| true);
    Ok(resolve(plan, store, &sources, &session.settings.device.named().name)?)
}

/// That the results of a section are there: all of them, or with `partial` some.
pub(super) fn check_computed(
    plan: &Plan,
    entries: &[Option<Arc<Entry>>],
    section: &str,
    partial: bool,
    spec: &Path,
) -> Result<(), CommandError> {
    let of_section = plan.instances.iter().zip(entries).filter(|(instance, _)| instance.section == section);
    let (all, missing) =
        of_section.fold((0, 0), |(all, missing), (_, entry)| (all + 1, missing + usize::from(entry.is_none())));
    if missing == 0 || (partial && missing < all) {
        return Ok(());
    }
    let mut help = format!("run it first: duress run {} --only {section}", spec.display());
    if missing < all {
        help.push_str("; `--partial` takes what there is");
    }
    Err(CommandError::NotComputed { stage: section.to_owned(), missing, all, help })
}
