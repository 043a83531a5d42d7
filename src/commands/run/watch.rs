//! What becomes of a run's events: JSON lines, progress for people, and a tally for the summary.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use duress_engine::run::{Event, EventSink};

use super::progress::Progress;
use super::tally::Tally;
use crate::settings::Stream;

/// Takes a run's events.
pub(super) struct Watch {
    json: bool,
    progress: Arc<Progress>,
    tally: Mutex<Tally>,
}

impl Watch {
    pub(super) fn new(json: bool, quiet: bool, stderr: Stream) -> Self {
        // With JSON on standard output, lines for people would say everything twice; bars may still show.
        let progress = Progress::new(stderr, quiet || (json && !stderr.terminal));
        Self { json, progress: Arc::new(progress), tally: Mutex::default() }
    }

    /// Where a signal handler may say something without tearing the bars.
    pub(super) fn notes(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Ends the display; what happened in all.
    pub(super) fn finish(self) -> Tally {
        self.progress.finish();
        self.tally.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Watch {
    fn emit(&self, event: Event) {
        if self.json {
            print_line(&event);
        }
        self.progress.show(&event);
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(event);
    }
}

/// Prints an event on a line of its own. A reader that has gone does not stop the run: its results are in the cache.
fn print_line(event: &Event) {
    if let Ok(mut line) = serde_json::to_vec(event) {
        line.push(b'\n');
        let mut out = io::stdout().lock();
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}
