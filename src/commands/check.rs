//! `duress check`: every fault of every spec given, without reading data.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::error::CommandError;
use super::session::{Paint, Session};
use super::study;
use crate::exit::{self, Exit};
use crate::units;

#[derive(Args, Debug)]
pub(super) struct Check {
    /// Specs to check
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
}

impl Check {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let paint = Paint::of(session.settings.stdout);
        let mut worst = exit::OK;
        for path in &self.specs {
            match study::load(path) {
                Ok(plan) => {
                    let stages = plan.axes.len();
                    let mut line = format!("{}: {}", path.display(), paint.good("ok"));
                    let instances = units::count(plan.instances.len(), "instance");
                    let _ = writeln!(line, " ({}, {instances})", units::count(stages, "stage"));
                    session.print(&line)?;
                }
                // One spec that cannot be read must not hide the faults of the next.
                Err(error) => {
                    let exit = session.report(&error);
                    worst = if worst == exit::OK { exit } else { worst };
                }
            }
        }
        Ok(worst)
    }
}
