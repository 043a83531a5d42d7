//! From the path of a spec to its plan.

use std::fs;
use std::path::Path;

use duress_engine::plan::{self, Plan};
use duress_engine::spec::SourceText;

use super::error::CommandError;
use crate::stages::REGISTRY;

/// Reads and compiles a spec.
pub(super) fn load(path: &Path) -> Result<Plan, CommandError> {
    Ok(plan::read(source(path)?, &REGISTRY).map_err(Box::new)?)
}

fn source(path: &Path) -> Result<SourceText, CommandError> {
    let bytes = fs::read(path).map_err(|cause| CommandError::Read { path: path.to_owned(), cause })?;
    let text = String::from_utf8(bytes)
        .map_err(|error| CommandError::NotText { path: path.to_owned(), at: error.utf8_error().valid_up_to() })?;
    Ok(SourceText { name: path.display().to_string(), text })
}
