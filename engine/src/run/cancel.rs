//! Asking a run to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A flag shared between whoever wants the run to stop (a Ctrl-C handler, a test) and the run itself.
///
/// The second request is not handled here: the program answers it by leaving at once, which the cache survives.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    requests: Arc<AtomicU8>,
}

impl CancelToken {
    /// A token nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to finish the parts it is working on and to stop. Returns how often that has been asked, this time
    /// included.
    #[expect(clippy::must_use_candidate, reason = "called for what it does")]
    pub fn request(&self) -> u8 {
        self.requests.fetch_add(1, Ordering::SeqCst).saturating_add(1)
    }

    /// Whether the run has been asked to stop.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.requests.load(Ordering::SeqCst) > 0
    }
}
