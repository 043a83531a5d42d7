//! What happened in a run, added up; and the summary that says so.

use std::fmt::Write;

use duress_engine::run::Event;

use super::super::session::Paint;
use crate::units;

/// What happened in a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    failures: Vec<(String, String)>,
    skipped: usize,
    stopped: usize,
    warnings: Vec<String>,
    expectations: Vec<(String, bool, String)>,
    finished: Option<Finished>,
}

#[derive(Clone, Copy, Debug)]
struct Finished {
    hits: usize,
    computed: usize,
    failed: usize,
    saved: f64,
    seconds: f64,
}

impl Tally {
    /// Adds an event.
    pub(super) fn add(&mut self, event: Event) {
        match event {
            Event::Failed { instance, error } => self.failures.push((instance, error)),
            Event::Skipped { .. } => self.skipped += 1,
            Event::Cancelled { .. } => self.stopped += 1,
            Event::Warning { instance, message } if instance.is_empty() => self.warnings.push(message),
            Event::Warning { instance, message } => self.warnings.push(format!("{instance}: {message}")),
            Event::Expectation { name, passed, detail } => self.expectations.push((name, passed, detail)),
            Event::RunFinished { hits, computed, failed, saved, seconds, .. } => {
                self.finished = Some(Finished { hits, computed, failed, saved, seconds });
            }
            _ => {}
        }
    }

    /// How many stages failed of themselves.
    pub(super) fn failures(&self) -> usize {
        self.failures.len()
    }

    /// How many expectations do not hold.
    pub(super) fn unmet(&self) -> usize {
        self.expectations.iter().filter(|(_, passed, _)| !passed).count()
    }

    /// Whether anything was left undone.
    pub(super) fn unfinished(&self) -> bool {
        self.finished.is_none_or(|finished| finished.failed > 0)
    }

    /// What a person wants to know at the end; `quiet` leaves out all that went well.
    pub(super) fn summary(&self, study: &str, paint: Paint, quiet: bool) -> String {
        let mut out = String::new();
        if !quiet {
            for message in &self.warnings {
                let _ = writeln!(out, "{} {message}", paint.warm("warning:"));
            }
        }
        for (instance, error) in &self.failures {
            let error = error.trim_end().replace('\n', "\n    ");
            let _ = writeln!(out, "{} {instance}: {error}", paint.bad("failed"));
        }
        for (name, passed, detail) in &self.expectations {
            let verdict = if *passed { paint.good("met") } else { paint.bad("not met") };
            if !(quiet && *passed) {
                let _ = writeln!(out, "expect {name}: {verdict} ({detail})");
            }
        }
        if let (false, Some(finished)) = (quiet, self.finished) {
            let _ = writeln!(out, "{}", self.last_line(study, paint, finished));
        }
        out
    }

    fn last_line(&self, study: &str, paint: Paint, finished: Finished) -> String {
        let mut parts = vec![units::count(finished.hits, "hit"), format!("{} computed", finished.computed)];
        let counts = [(self.failures.len(), "failed"), (self.skipped, "skipped"), (self.stopped, "stopped")];
        parts.extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
        let mut line = format!(
            "{} {} in {}",
            paint.strong(&format!("{study}:")),
            parts.join(", "),
            units::duration(finished.seconds)
        );
        if finished.hits > 0 && finished.saved >= 0.05 {
            let _ = write!(line, " ({} saved)", units::duration(finished.saved));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Stream;

    #[test]
    fn the_summary_names_failures_first_and_ends_in_one_line() {
        let mut tally = Tally::default();
        tally.add(Event::Failed { instance: "train[seed=1]".into(), error: "loss is NaN\ncaused by: lr".into() });
        tally.add(Event::Skipped { instance: "thin[seed=1]".into(), because: "train[seed=1]".into() });
        tally.add(Event::Expectation { name: "acc".into(), passed: true, detail: "0.97 >= 0.94".into() });
        let end = Event::RunFinished { hits: 2, computed: 1, failed: 2, unmet: 0, saved: 61.0, seconds: 0.5 };
        tally.add(end);
        let paint = Paint::of(Stream { terminal: false, color: false });
        insta::assert_snapshot!(tally.summary("demo", paint, false), @"
        failed train[seed=1]: loss is NaN
            caused by: lr
        expect acc: met (0.97 >= 0.94)
        demo: 2 hits, 1 computed, 1 failed, 1 skipped in 0.50 s (1 min 1 s saved)
        ");
        assert!(!tally.summary("demo", paint, true).contains("met"));
        assert!(tally.unfinished());
    }
}
