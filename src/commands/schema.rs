//! `duress schema`: the JSON schema of the spec language.

use clap::Args;
use duress_engine::spec::json_schema;

use super::error::CommandError;
use super::session::Session;
use crate::exit::{self, Exit};
use crate::stages::REGISTRY;

/// Print the JSON schema of specs, with which editors complete and check them
///
/// Save it (`duress schema > duress.schema.json`) and begin a spec with `#:schema duress.schema.json`; Taplo and Even
/// Better TOML find it there.
#[derive(Args, Debug)]
pub(super) struct SchemaCommand {}

impl SchemaCommand {
    #[expect(clippy::unused_self, reason = "every command is executed the same way")]
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        session.print(&format!("{:#}\n", json_schema(&REGISTRY)))?;
        Ok(exit::OK)
    }
}
