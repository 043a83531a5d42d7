//! `duress graph`: the graph of a study as DOT, Mermaid or SVG.

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::error::CommandError;
use super::session::Session;
use super::study;
use crate::exit::{self, Exit};
use crate::report::graph::{Drawing, dot, mermaid, svg};

/// An SVG of more boxes than this is nothing a person can look at.
const MOST_BOXES: usize = 1500;

#[derive(Args, Debug)]
pub(super) struct GraphCommand {
    /// The spec
    spec: PathBuf,
    /// The picture's format [default: what FILE ends in, or dot]
    #[arg(long, value_enum)]
    format: Option<GraphFormat>,
    /// Draw every instance, not one box a section
    #[arg(long)]
    instances: bool,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// Graphviz
    Dot,
    /// Mermaid, for Markdown
    Mermaid,
    /// A picture that needs no other program
    Svg,
}

impl GraphCommand {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let plan = study::load(&self.spec)?;
        let drawing = if self.instances { Drawing::of_instances(&plan) } else { Drawing::of_sections(&plan) };
        let text = match self.format() {
            GraphFormat::Dot => dot(&drawing),
            GraphFormat::Mermaid => mermaid(&drawing),
            GraphFormat::Svg if drawing.shapes.len() > MOST_BOXES => {
                return Err(CommandError::Usage {
                    message: format!("{} boxes are too many for one picture", drawing.shapes.len()),
                    help: "leave out `--instances`, or use `--format dot` and a tool for large graphs".into(),
                });
            }
            GraphFormat::Svg => svg(&drawing),
        };
        match &self.output {
            Some(path) => fs::write(path, text).map_err(|cause| CommandError::Write { path: path.clone(), cause })?,
            None => session.print(&text)?,
        }
        Ok(exit::OK)
    }

    fn format(&self) -> GraphFormat {
        let ending = self.output.as_ref().and_then(|path| path.extension()?.to_str().map(str::to_owned));
        self.format.unwrap_or(match ending.as_deref() {
            Some("svg") => GraphFormat::Svg,
            Some("mmd" | "mermaid" | "md") => GraphFormat::Mermaid,
            _ => GraphFormat::Dot,
        })
    }
}
