//! What is known of every key of a plan before anything runs.

use duress_cache::Store;
use duress_engine::plan::Plan;
use duress_engine::run::{KeyState, Sources, resolve};
use duress_engine::stage::SourceRoots;

use super::error::CommandError;

/// The device that keys are made for.
pub(super) const DEVICE: &str = "cpu";

/// The state of every instance's key, in plan order.
pub(super) fn states(plan: &Plan, store: &dyn Store, roots: &SourceRoots) -> Result<Vec<KeyState>, CommandError> {
    let sources = Sources::hash(plan, roots, |_| true);
    Ok(resolve(plan, store, &sources, DEVICE)?)
}
