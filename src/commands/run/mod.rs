//! `duress run`: computes what the cache does not hold yet.

mod interrupt;
mod progress;
mod tally;
mod watch;

use std::path::PathBuf;

use clap::Args;
use duress_engine::run::{CancelToken, RunOptions};
use duress_engine::stage::SourceRoots;

use super::error::CommandError;
use super::session::{Paint, Session};
use super::{study, suggest};
use crate::exit::{self, Exit};
use crate::host::Machine;
use crate::settings::Settings;
use crate::units;
use tally::Tally;
use watch::Watch;

/// Run a study: compute what the cache does not hold yet
///
/// Ctrl-C finishes the parts that are being computed and stops; run again to go on. A second Ctrl-C stops at once.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line, independent of the others")]
pub(super) struct RunCommand {
    /// The spec
    spec: PathBuf,
    /// Stages that run at once [default: as many as threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    jobs: Option<u32>,
    /// Threads in all [default: what the machine has]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
    /// Memory that running stages may need together, such as 8G [default: most of what is free]
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    memory: Option<u64>,
    /// After a failure go on with what does not depend on it
    #[arg(long)]
    keep_going: bool,
    /// Only these stages and what they need (may be repeated, or separated by commas)
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    only: Vec<String>,
    /// Compute N results again that the cache holds, and compare
    #[arg(long, value_name = "N")]
    verify: Option<usize>,
    /// Use no network; no run of this version does, since `duress data fetch` is what downloads
    #[arg(long)]
    offline: bool,
    /// Print one JSON event a line on standard output, the last of them `run-finished`
    #[arg(long)]
    json: bool,
    /// Print failures only
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

impl RunCommand {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let plan = study::load(&self.spec)?;
        self.only.iter().try_for_each(|name| suggest::section(&plan, name).map(drop))?;
        let device = device(session)?;
        let store = session.store_to_use()?;
        let machine = session.machine();
        let cancel = CancelToken::new();
        let watch = Watch::new(self.json, self.quiet, session.settings.stderr);
        interrupt::install(&cancel, &watch);
        let options = self.options(session.roots(&self.spec), device);
        let outcome = duress_engine::run::run(&plan, &store, &machine, &options, &watch, &cancel);
        let tally = watch.finish();
        outcome?;
        if !self.json {
            session.print(&tally.summary(&plan.study.name, Paint::of(session.settings.stdout), self.quiet))?;
        }
        Ok(verdict(&tally, cancel.requested()))
    }

    fn options(&self, roots: SourceRoots, device: String) -> RunOptions {
        let threads = self.threads.map_or_else(Machine::threads, |threads| threads as usize);
        RunOptions {
            jobs: self.jobs.map_or(threads, |jobs| jobs as usize),
            threads,
            memory_bytes: self.memory.unwrap_or_else(Machine::memory),
            keep_going: self.keep_going,
            only: (!self.only.is_empty()).then(|| self.only.clone()),
            verify: self.verify,
            device,
            roots,
        }
    }
}

/// The device of the run, ready to compute.
fn device(session: &Session) -> Result<String, CommandError> {
    let Settings { device, kernels, .. } = &session.settings;
    let settled = device.open(kernels.clone()).map_err(|error| CommandError::Usage {
        message: error.to_string(),
        help: "`duress devices` lists what can be used; `--device auto` takes the CPU where there is no GPU".to_owned(),
    })?;
    if let Some(note) = settled.note {
        session.note(&format!("computing on the CPU: {note}"));
    }
    Ok(settled.name)
}

fn verdict(tally: &Tally, interrupted: bool) -> Exit {
    if tally.failures() > 0 {
        exit::FAILED
    } else if interrupted && tally.unfinished() {
        exit::INTERRUPTED
    } else if tally.unmet() > 0 {
        exit::UNMET
    } else if tally.unfinished() {
        exit::FAILED
    } else {
        exit::OK
    }
}
