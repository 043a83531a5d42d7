//! Ctrl-C and SIGTERM: the first asks the run to finish what it has begun, the second leaves at once. Either way the cache
//! is whole, since results appear in it whole or not at all.

use std::sync::Arc;

use duress_engine::run::CancelToken;

use super::watch::Watch;
use crate::exit;

/// Listens for signals until the program ends.
pub(super) fn install(cancel: &CancelToken, watch: &Watch) {
    let cancel = cancel.clone();
    let notes = Arc::clone(watch.notes());
    // A second handler can only be refused within one process, which runs one command.
    let _ = ctrlc::set_handler(move || {
        if cancel.request() == 1 {
            notes.say("finishing the parts that are being computed; press Ctrl-C again to stop at once");
        } else {
            leave();
        }
    });
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "the user asked twice; the cache survives it")]
fn leave() -> ! {
    std::process::exit(i32::from(exit::INTERRUPTED.code))
}
