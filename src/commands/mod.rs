//! The command line: one verb a file. Only here and in [`crate::report`] is anything printed.

mod cache;
mod check;
mod columns;
mod completions;
mod data;
mod devices;
mod error;
mod export;
mod figure;
mod graph;
mod new;
mod plan;
mod resolved;
mod run;
mod schema;
mod session;
mod stages;
mod study;
mod suggest;
mod table;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::device::Choice;
use crate::exit::{self, Exit};
use crate::settings::{Overrides, Settings};
pub use new::{TEMPLATES, Template};

use error::CommandError;
use session::Session;

/// Experiments on the robustness and reliability of neural networks, from one TOML file a study
#[derive(Debug, Parser)]
#[command(name = "duress", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Folder of the cache, instead of `$DURESS_CACHE` or the platform's cache folder
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Folder that holds data sets (may be repeated), instead of `$DURESS_DATA` or the platform's data folder
    #[arg(long, global = true, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// When to use colours; `NO_COLOR` is respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    color: ColorChoice,
    /// The device to compute on, and whose results are looked at: cpu, cuda:N or auto [default: cpu]
    #[arg(long, global = true, value_name = "DEVICE")]
    device: Option<Choice>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find every fault of a spec, without reading data
    Check(check::Check),
    /// Show what a run would do: instances, and which of them the cache holds
    Plan(plan::PlanCommand),
    /// Run a study: compute what the cache does not hold yet
    Run(run::RunCommand),
    /// Say why a stage must run, or where its result comes from
    Why(why::Why),
    /// Draw the graph of a study
    Graph(graph::GraphCommand),
    /// Collect a stage over its axes into one table
    Table(table::TableCommand),
    /// Draw the figures of a study
    Figure(figure::FigureCommand),
    /// Write the weights of a stage as safetensors, NPZ or ONNX
    Export(export::Export),
    /// List the kinds of stages, or document one of them
    Stages(stages::Stages),
    /// Print the JSON schema of specs, with which editors complete and check them
    Schema(schema::SchemaCommand),
    /// Write a commented spec to start from
    New(new::New),
    /// Look at the cache, check it, shrink it, pack a study
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    /// List data sets, describe one, download one
    #[command(subcommand)]
    Data(data::DataCommand),
    /// List what there is to compute on, and why something cannot be used
    Devices(devices::Devices),
    /// Print a script that completes commands in your shell
    Completions(completions::Completions),
}

/// Runs the program: parses the command line, does what it says, prints errors.
#[must_use]
pub fn main() -> ExitCode {
    let matches = command().try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; that they could not be printed helps nobody.
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE.into() } else { exit::OK.into() };
        }
    };
    let Global { cache, data, color, device } = cli.global;
    let mut session = Session::new(Settings::read(Overrides { cache, data, color, device }));
    let exit = match cli.command.execute(&mut session) {
        Ok(exit) => exit,
        Err(CommandError::Closed) => exit::OK,
        Err(error) => session.report(&error),
    };
    exit.into()
}

/// The command line's definition, for completions and documentation.
#[must_use]
pub fn command() -> clap::Command {
    let codes: Vec<String> = exit::ALL.iter().map(|exit| format!("  {:>3}  {}", exit.code, exit.doc)).collect();
    Cli::command().after_help(format!("Exit codes:\n{}", codes.join("\n")))
}

impl Command {
    fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        match self {
            Self::Check(command) => command.execute(session),
            Self::Plan(command) => command.execute(session),
            Self::Run(command) => command.execute(session),
            Self::Why(command) => command.execute(session),
            Self::Graph(command) => command.execute(session),
            Self::Table(command) => command.execute(session),
            Self::Figure(command) => command.execute(session),
            Self::Export(command) => command.execute(session),
            Self::Stages(command) => command.execute(session),
            Self::Schema(command) => command.execute(session),
            Self::New(command) => command.execute(session),
            Self::Cache(command) => command.execute(session),
            Self::Data(command) => command.execute(session),
            Self::Devices(command) => command.execute(session),
            Self::Completions(command) => command.execute(session),
        }
    }
}
