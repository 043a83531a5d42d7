//! The rows to train on and those to validate on.

use duress_engine::input::Input;
use duress_engine::run::RunContext;
use duress_engine::stage::StageError;

use crate::nn::Examples;
use crate::stages::artifact::Dataset;

/// The training rows of a data set, and its validation rows where it holds some back.
pub(super) fn dataset(cx: &RunContext<'_>, data: &Input<Dataset>) -> Result<(Examples, Option<Examples>), StageError> {
    let _ = cx.table(data)?;
    Err(StageError::failed("not yet"))
}
