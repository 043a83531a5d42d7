//! Progress for people: on a terminal one bar a running stage and one for the study; otherwise a line a result.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use duress_engine::run::Event;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::super::session::Paint;
use crate::settings::Stream;
use crate::units;

/// How many bars fit under each other without flooding the screen.
const MOST_BARS: usize = 12;

/// Shows a run as it goes.
pub(super) struct Progress {
    paint: Paint,
    quiet: bool,
    bars: Option<Mutex<Bars>>,
}

struct Bars {
    all: MultiProgress,
    study: ProgressBar,
    running: BTreeMap<String, ProgressBar>,
}

impl Progress {
    pub(super) fn new(stderr: Stream, quiet: bool) -> Self {
        let bars = (stderr.terminal && !quiet).then(|| Mutex::new(Bars::new()));
        Self { paint: Paint::of(stderr), quiet, bars }
    }

    /// Shows an event, if it is one to show.
    pub(super) fn show(&self, event: &Event) {
        if self.quiet {
            return;
        }
        if let Some(bars) = &self.bars {
            bars.lock().unwrap_or_else(PoisonError::into_inner).update(event);
        }
        if let Some(line) = self.line(event) {
            self.say(&line);
        }
    }

    /// Says something between the bars.
    pub(super) fn say(&self, line: &str) {
        let print = || {
            // Nowhere is left to say that standard error is closed.
            let _ = writeln!(io::stderr().lock(), "{line}");
        };
        match &self.bars {
            Some(bars) => bars.lock().unwrap_or_else(PoisonError::into_inner).all.suspend(print),
            None => print(),
        }
    }

    /// Takes the bars away.
    pub(super) fn finish(&self) {
        if let Some(bars) = &self.bars {
            let bars = bars.lock().unwrap_or_else(PoisonError::into_inner);
            bars.study.finish_and_clear();
            let _ = bars.all.clear();
        }
    }

    fn line(&self, event: &Event) -> Option<String> {
        let paint = self.paint;
        Some(match event {
            Event::Computed { instance, seconds, .. } => {
                format!("{} {instance} {}", paint.good("computed"), paint.dim(&units::duration(*seconds)))
            }
            Event::Failed { instance, .. } => format!("{} {instance}", paint.bad("failed")),
            Event::Waiting { instance, holder } => {
                format!("{} {instance} is being computed by {holder}", paint.warm("waiting"))
            }
            Event::Cancelled { instance } => format!("{} {instance}", paint.warm("stopped")),
            _ => return None,
        })
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let study = all.add(ProgressBar::new(0).with_style(style("{prefix} {wide_bar} {pos}/{len}  eta {eta}")));
        study.enable_steady_tick(Duration::from_millis(500));
        Self { all, study, running: BTreeMap::new() }
    }

    fn update(&mut self, event: &Event) {
        match event {
            Event::RunStarted { study, instances } => {
                self.study.set_prefix(study.clone());
                self.study.set_length(*instances as u64);
            }
            Event::Started { instance } if self.running.len() < MOST_BARS => {
                let bar = self.all.insert_before(&self.study, ProgressBar::new_spinner());
                bar.set_style(ProgressStyle::default_spinner());
                bar.set_message(instance.clone());
                bar.enable_steady_tick(Duration::from_millis(200));
                self.running.insert(instance.clone(), bar);
            }
            Event::Progress { instance, done, total } => self.advance(instance, *done, *total),
            Event::Part { instance, index, parts, .. } => self.advance(instance, *index as u64 + 1, *parts as u64),
            Event::Hit { .. } | Event::Skipped { .. } => self.study.inc(1),
            Event::Computed { instance, .. } | Event::Failed { instance, .. } | Event::Cancelled { instance } => {
                self.study.inc(1);
                if let Some(bar) = self.running.remove(instance) {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
            }
            _ => {}
        }
    }

    /// A stage that says how far it is gets a bar with an estimate in place of its spinner.
    fn advance(&self, instance: &str, done: u64, total: u64) {
        let Some(bar) = self.running.get(instance) else { return };
        if bar.length() != Some(total) {
            bar.disable_steady_tick();
            bar.set_style(style("  {msg:30!} {bar:24} {percent:>3} %  eta {eta}"));
            bar.set_length(total);
        }
        bar.set_position(done.max(bar.position()));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─")
}
