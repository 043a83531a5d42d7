//! `duress figure`: the figures of a study as files.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use duress_cache::{Entry, Store};
use duress_engine::plan::Plan;
use duress_engine::run::collect_output;
use duress_engine::spec::Figure;

use super::error::CommandError;
use super::session::Session;
use super::{resolved, study, suggest};
use crate::exit::{self, Exit};
use crate::report::figure::{Orders, render};

/// Draw the figures of a study
///
/// Every `[figure.NAME]` of the spec becomes a file of its name; their paths are printed. Nothing is computed: run the study
/// first. A figure that cannot be drawn does not keep the others from it.
#[derive(Args, Debug)]
pub(super) struct FigureCommand {
    /// The spec
    spec: PathBuf,
    /// The figures to draw [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The format
    #[arg(long, value_enum, default_value_t = FigureFormat::Svg)]
    format: FigureFormat,
    /// Folder to write to, made where there is none
    #[arg(short, long, value_name = "DIR", default_value = "figures")]
    output: PathBuf,
    /// Draw what there is, even if some instances have not been computed
    #[arg(long)]
    partial: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FigureFormat {
    /// A vector graphic that needs no other file
    Svg,
}

impl fmt::Display for FigureFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Svg => "svg",
        })
    }
}

impl FigureCommand {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let plan = study::load(&self.spec)?;
        let figures = self.chosen(&plan)?;
        let store = session.store_to_use()?;
        let states = resolved::states(&plan, &store, session, &self.spec)?;
        let entries: Vec<_> = states.iter().map(|state| state.entry().cloned()).collect();
        let mut exit = exit::OK;
        for figure in figures {
            match self.draw(&plan, &store, &entries, figure) {
                Ok(path) => session.print(&format!("{}\n", path.display()))?,
                Err(error) => exit = session.report(&error),
            }
        }
        Ok(exit)
    }

    /// The figures that were asked for, in the order of the command line; all of them where none was.
    fn chosen<'p>(&self, plan: &'p Plan) -> Result<Vec<&'p Figure>, CommandError> {
        if plan.figures.is_empty() {
            return Err(CommandError::Usage {
                message: "the spec has no figures".into(),
                help: "add one: [figure.NAME] with `table`, `x` and `y`".into(),
            });
        }
        let there = || plan.figures.iter().map(|figure| figure.name.as_str());
        let find = |name: &String| {
            let found = plan.figures.iter().find(|figure| figure.name == *name);
            found.ok_or_else(|| suggest::unknown("figure", name, there()))
        };
        if self.names.is_empty() { Ok(plan.figures.iter().collect()) } else { self.names.iter().map(find).collect() }
    }

    fn draw(
        &self,
        plan: &Plan,
        store: &dyn Store,
        entries: &[Option<Arc<Entry>>],
        figure: &Figure,
    ) -> Result<PathBuf, CommandError> {
        let section = &figure.table.section;
        resolved::check_computed(plan, entries, section, self.partial, &self.spec)?;
        let table = collect_output(plan, store, entries, section, figure.table.output)?.table;
        let failed = |cause| CommandError::Figure { name: figure.name.clone(), cause: Box::new(cause) };
        let text = render(figure, &table, &orders(plan, section)).map_err(failed)?;
        let path = self.output.join(format!("{}.{}", figure.name, self.format));
        let write = || fs::create_dir_all(&self.output).and_then(|()| fs::write(&path, text));
        write().map_err(|cause| CommandError::Write { path: path.clone(), cause })?;
        Ok(path)
    }
}

/// The values of each axis of a section, in the order of the spec.
fn orders(plan: &Plan, section: &str) -> Orders {
    let mut found: BTreeMap<&str, BTreeMap<usize, &str>> = BTreeMap::new();
    for instance in plan.instances.iter().filter(|instance| instance.section == section) {
        for at in &instance.at {
            found.entry(&at.axis).or_default().insert(at.index, &at.label);
        }
    }
    let labels = |values: BTreeMap<usize, &str>| values.into_values().map(str::to_owned).collect();
    found.into_iter().map(|(axis, values)| (axis.to_owned(), labels(values))).collect()
}
