//! `duress export`: weights and fault lists as files for other programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use duress_cache::{Store, Table};
use duress_network::files::{self, export};

use super::error::CommandError;
use super::session::Session;
use super::{resolved, study, why};
use crate::exit::{self, Exit};
use crate::nn::fault::list::{Order, read_names, write_list};
use crate::nn::weights_table::weights_from_table;
use crate::stages::inject::listed;

/// Write the weights of a stage as safetensors, NPZ or ONNX, or the faults of a campaign as a list
///
/// Nothing is computed: run the study first.
#[derive(Args, Debug)]
pub(super) struct Export {
    /// The spec
    spec: PathBuf,
    /// The stage, or one instance of it where it is repeated: `train[seed=1]`
    instance: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Which output of the stage: `weights`, `initial` of a training [default: weights, or faults as CSV]
    #[arg(long, value_name = "OUTPUT")]
    from: Option<String>,
    /// The format [default: what FILE ends in]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Of faults: the order in which the list indexes weights
    #[arg(long, value_enum, default_value_t = ListOrder::Pytorch)]
    order: ListOrder,
    /// Of faults: a map of layer names, CSV with the columns `PT` (the network's names) and `TF` (those to write)
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
}

/// In which order a list indexes weights.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ListOrder {
    /// (output, input, row, column)
    Pytorch,
    /// (row, column, input, output)
    Keras,
}

/// A format that other programs read.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Safetensors,
    Npz,
    Onnx,
    /// Faults with their outcomes: Injection,Layer,TensorIndex,Bit,...
    Csv,
}

impl Export {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let format = self.format()?;
        let plan = study::load(&self.spec)?;
        let chosen = why::named(&plan, &self.instance)?;
        let [index] = chosen[..] else {
            let labels: Vec<&str> = chosen.iter().take(8).map(|&index| plan.instances[index].label.as_str()).collect();
            let message = format!(
                "`{}` stands for {} instances, and a file holds the weights of one",
                self.instance,
                chosen.len()
            );
            return Err(CommandError::Usage { message, help: format!("name one of them: {}", labels.join(", ")) });
        };
        let store = session.store_to_use()?;
        let states = resolved::states(&plan, &store, session, &self.spec)?;
        let Some(entry) = states[index].entry() else {
            let stage = plan.instances[index].label.clone();
            let help =
                format!("run it first: duress run {} --only {}", self.spec.display(), plan.instances[index].section);
            return Err(CommandError::NotComputed { stage, missing: 1, all: 1, help });
        };
        let failed = |cause: String| CommandError::Failed { doing: format!("export `{}`", self.instance), cause };
        let from = self.from.as_deref().unwrap_or(if format.is_none() { "faults" } else { "weights" });
        let table = store.table(entry, from)?;
        let Some(format) = format else { return self.write_faults(&table).map(|()| exit::OK) };
        let weights = weights_from_table(&table).map_err(|error| failed(error.to_string()))?;
        export(&weights, format, &self.output).map_err(|error| failed(error.to_string()))?;
        Ok(exit::OK)
    }

    /// Writes a table of faults as a list.
    fn write_faults(&self, table: &Table) -> Result<(), CommandError> {
        let failed = |cause: String| CommandError::Failed { doing: format!("export `{}`", self.instance), cause };
        let names = match &self.names {
            Some(path) => {
                let bytes = fs::read(path).map_err(|cause| failed(format!("read {}: {cause}", path.display())))?;
                let theirs = read_names(&bytes).map_err(|error| failed(format!("{}: {error}", path.display())))?;
                theirs.into_iter().map(|(theirs, ours)| (ours, theirs)).collect()
            }
            None => BTreeMap::new(),
        };
        let faults = listed(table).map_err(|error| failed(error.to_string()))?;
        let order = match self.order {
            ListOrder::Pytorch => Order::Pytorch,
            ListOrder::Keras => Order::Keras,
        };
        let text = write_list(&faults, order, &names);
        fs::write(&self.output, text).map_err(|cause| CommandError::Write { path: self.output.clone(), cause })
    }

    /// The format of weights; `None` of a list of faults.
    fn format(&self) -> Result<Option<files::Format>, CommandError> {
        let ending = self.output.extension().and_then(|ending| ending.to_str());
        let format = self.format.or(match ending {
            Some("safetensors") => Some(Format::Safetensors),
            Some("npz") => Some(Format::Npz),
            Some("onnx") => Some(Format::Onnx),
            Some("csv") => Some(Format::Csv),
            _ => None,
        });
        match format {
            Some(Format::Safetensors) => Ok(Some(files::Format::Safetensors)),
            Some(Format::Npz) => Ok(Some(files::Format::Npz)),
            Some(Format::Onnx) => Ok(Some(files::Format::Onnx)),
            Some(Format::Csv) => Ok(None),
            None => Err(CommandError::Usage {
                message: format!("{} does not say its format", self.output.display()),
                help: "let it end in .safetensors, .npz, .onnx or .csv, or add `--format`".into(),
            }),
        }
    }
}
