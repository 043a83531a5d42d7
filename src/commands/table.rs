//! `duress table`: a stage over its axes as one tidy table.

use std::fs;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use clap::Args;
use duress_cache::{StoreError, Table};
use duress_engine::run::collect;

use super::error::CommandError;
use super::session::Session;
use super::{resolved, study, suggest};
use crate::exit::{self, Exit};
use crate::report::table::{Condition, Format, csv, keep, latex, markdown};

/// Collect a stage over its axes into one table
///
/// The table has a column an axis, then the stage's own. Nothing is computed: run the study first.
#[derive(Args, Debug)]
pub(super) struct TableCommand {
    /// The spec
    spec: PathBuf,
    /// The stage, or one of its outputs: `attacked`, `train.curve`
    #[arg(value_name = "STAGE[.OUTPUT]")]
    table: String,
    /// The format [default: what FILE ends in, or markdown]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only rows with these values: `seed=1`, `eps=0.1,0.2` (may be repeated)
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    conditions: Vec<Condition>,
    /// Take what there is, even if some instances have not been computed
    #[arg(long)]
    partial: bool,
}

impl TableCommand {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let plan = study::load(&self.spec)?;
        let store = session.store_to_use()?;
        let states = resolved::states(&plan, &store, session, &self.spec)?;
        suggest::section(&plan, self.section())?;
        let entries: Vec<_> = states.iter().map(|state| state.entry().cloned()).collect();
        resolved::check_computed(&plan, &entries, self.section(), self.partial, &self.spec)?;
        let table = collect(&plan, &store, &entries, &self.table)?.table;
        let rows = keep(&table.one_batch().map_err(StoreError::from)?, &self.conditions)?;
        let bytes = self.written(rows, session.settings.stdout.terminal)?;
        match &self.output {
            Some(path) => fs::write(path, bytes).map_err(|cause| CommandError::Write { path: path.clone(), cause })?,
            None => session.write(&bytes)?,
        }
        Ok(exit::OK)
    }

    fn section(&self) -> &str {
        self.table.split('.').next().unwrap_or_default()
    }

    fn written(&self, rows: RecordBatch, terminal: bool) -> Result<Vec<u8>, CommandError> {
        let failed =
            |cause: ArrowError| CommandError::Failed { doing: "print the table".into(), cause: cause.to_string() };
        Ok(match self.format() {
            Format::Parquet if self.output.is_none() && terminal => {
                return Err(CommandError::Usage {
                    message: "Parquet is nothing for a terminal".into(),
                    help: "add `-o FILE.parquet`, or choose another `--format`".into(),
                });
            }
            Format::Parquet => {
                Table::from_batch(rows).map_err(StoreError::from)?.to_parquet().map_err(StoreError::from)?
            }
            Format::Csv => csv(&rows).map_err(failed)?.into_bytes(),
            Format::Markdown => markdown(&rows).map_err(failed)?.into_bytes(),
            Format::Latex => latex(&rows).map_err(failed)?.into_bytes(),
        })
    }

    fn format(&self) -> Format {
        let of_path = self.output.as_deref().and_then(Format::of_path);
        self.format.or(of_path).unwrap_or(Format::Markdown)
    }
}
