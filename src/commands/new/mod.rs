//! `duress new`: a commented spec to start from.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;

use super::error::CommandError;
use super::session::Session;
use crate::exit::{self, Exit};

/// A spec to start from.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Its name.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The spec.
    pub text: &'static str,
}

/// Every template; tests check each.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "starter",
        summary: "train, attack and look: the smallest useful study",
        text: include_str!("starter.toml"),
    },
    Template {
        name: "quickstart",
        summary: "digits trained, pruned, attacked, injected and bounded",
        text: include_str!("../../../specs/quickstart.toml"),
    },
    Template {
        name: "lottery",
        summary: "iterative pruning with rewinding, round by round",
        text: include_str!("lottery.toml"),
    },
];

/// Write a commented spec to start from
#[derive(Args, Debug)]
pub(super) struct New {
    /// The file to write; an existing one is never overwritten
    #[arg(default_value = "study.toml")]
    file: PathBuf,
    /// What to start from
    #[arg(long, default_value = "starter", value_parser = PossibleValuesParser::new(TEMPLATES.iter().map(named)).map(found))]
    template: Template,
}

fn named(template: &Template) -> clap::builder::PossibleValue {
    clap::builder::PossibleValue::new(template.name).help(template.summary)
}

fn found(name: impl AsRef<str>) -> Template {
    TEMPLATES.iter().copied().find(|template| template.name == name.as_ref()).unwrap_or(TEMPLATES[0])
}

impl New {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let file = OpenOptions::new().write(true).create_new(true).open(&self.file);
        let written = file.and_then(|mut file| file.write_all(self.template.text.as_bytes()));
        written.map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => CommandError::Exists { path: self.file.clone() },
            _ => CommandError::Write { path: self.file.clone(), cause },
        })?;
        let path = self.file.display();
        session.print(&format!("wrote {path}\n\n  duress check {path}\n  duress run {path}\n"))?;
        Ok(exit::OK)
    }
}
