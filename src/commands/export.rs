//! `duress export`: weights as a file for other programs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use duress_cache::Store;
use duress_network::files::{self, export};

use super::error::CommandError;
use super::session::Session;
use super::{resolved, study, why};
use crate::exit::{self, Exit};
use crate::nn::weights_table::weights_from_table;

/// Write the weights of a stage as safetensors, NPZ or ONNX
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
    /// Which weights of the stage: `weights`, or `initial` of a training
    #[arg(long, value_name = "OUTPUT", default_value = "weights")]
    from: String,
    /// The format [default: what FILE ends in]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// A format that other programs read.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Safetensors,
    Npz,
    Onnx,
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
        let states = resolved::states(&plan, &store, &session.roots(&self.spec))?;
        let Some(entry) = states[index].entry() else {
            let stage = plan.instances[index].label.clone();
            let help =
                format!("run it first: duress run {} --only {}", self.spec.display(), plan.instances[index].section);
            return Err(CommandError::NotComputed { stage, missing: 1, all: 1, help });
        };
        let failed = |cause: String| CommandError::Failed { doing: format!("export `{}`", self.instance), cause };
        let table = store.table(entry, &self.from)?;
        let weights = weights_from_table(&table).map_err(|error| failed(error.to_string()))?;
        export(&weights, format, &self.output).map_err(|error| failed(error.to_string()))?;
        Ok(exit::OK)
    }

    fn format(&self) -> Result<files::Format, CommandError> {
        let ending = self.output.extension().and_then(|ending| ending.to_str());
        let format = self.format.or(match ending {
            Some("safetensors") => Some(Format::Safetensors),
            Some("npz") => Some(Format::Npz),
            Some("onnx") => Some(Format::Onnx),
            _ => None,
        });
        match format {
            Some(Format::Safetensors) => Ok(files::Format::Safetensors),
            Some(Format::Npz) => Ok(files::Format::Npz),
            Some(Format::Onnx) => Ok(files::Format::Onnx),
            None => Err(CommandError::Usage {
                message: format!("{} does not say its format", self.output.display()),
                help: "let it end in .safetensors, .npz or .onnx, or add `--format`".into(),
            }),
        }
    }
}
