//! Samples as tables, and back.
//!
//! A table of samples holds either the samples themselves (`x`, `label`; made by stages) or recipes for them, a row per split
//! (`split`, `recipe`; made by data sections), which are carried out where the samples are needed.

use arrow::array::Array;
use duress_cache::{ColumnSpec, Digest, Table, TableBuilder, TableError};
use duress_engine::input::Input;
use duress_engine::run::RunContext;
use duress_engine::spec::Count;
use duress_engine::stage::{Location, StageError};

use super::artifact::{Dataset, Split};
use crate::data::{self, DataError, Recipe, SourceBytes};
use crate::nn::Examples;

/// The columns of a table of recipes: the split's name, and how its samples are made, as JSON.
pub(crate) const SPLIT: &str = "split";
/// See [`SPLIT`].
pub(crate) const RECIPE: &str = "recipe";

/// The key of the metadata under which a table of samples says how many classes its labels come from; 0 for regression.
const CLASSES: &str = "classes";

/// A table that holds no samples.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SplitError {
    /// A column is missing or of another type.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Rows differ in length.
    #[error("read sample {row}: it has {found} features and not {expected}; give all samples the same")]
    Ragged {
        /// The row, from 0.
        row: usize,
        /// Its features.
        found: usize,
        /// Features of the first row.
        expected: usize,
    },
    /// A recipe cannot be read or carried out.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Recipes of several splits where one is wanted, or none.
    #[error("read one split: the table has recipes of {found:?}; say which, such as `images.test`")]
    Recipes {
        /// The splits there are.
        found: Vec<String>,
    },
    /// The metadata lack the number of classes.
    #[error("read samples: the table does not say its `classes`; make it with `perturb` or `evaluate`")]
    Classes,
}

/// The samples of an input, or the first so many of them.
///
/// # Errors
/// Where the table cannot be read or holds no samples.
pub(crate) fn examples(
    cx: &RunContext<'_>,
    split: &Input<Split>,
    samples: Option<Count>,
) -> Result<Examples, StageError> {
    let table = cx.table(split)?;
    if !is_recipe(&table) {
        let all = examples_of(&table).map_err(StageError::failed)?;
        return Ok(match samples {
            Some(limit) if limit.size() < all.rows() => all.first(limit.size()),
            _ => all,
        });
    }
    let mut splits = carried_out(cx, &table).map_err(StageError::failed)?;
    let found = splits.iter().map(|(name, _)| name.clone()).collect();
    match (splits.pop(), splits.is_empty()) {
        (Some((_, split)), true) => {
            let rows = samples.map_or(split.rows(), |limit| limit.size().min(split.rows()));
            Ok(split.examples(0..rows))
        }
        _ => Err(StageError::failed(SplitError::Recipes { found })),
    }
}

/// The rows to train on, and those held back for validation where there are any.
///
/// # Errors
/// Where the table cannot be read or holds no samples.
pub(crate) fn training(cx: &RunContext<'_>, data: &Input<Dataset>) -> Result<(Examples, Option<Examples>), StageError> {
    let table = cx.table(data)?;
    if !is_recipe(&table) {
        return Ok((examples_of(&table).map_err(StageError::failed)?, None));
    }
    let splits = carried_out(cx, &table).map_err(StageError::failed)?;
    let named = |wanted: &str| splits.iter().find(|(name, _)| name == wanted).map(|(_, split)| split.all());
    // A single split was named, whatever it is called.
    let only = || splits.first().filter(|_| splits.len() == 1).map(|(_, split)| split.all());
    let found = splits.iter().map(|(name, _)| name.clone()).collect();
    match named("train").or_else(only) {
        Some(train) => Ok((train, named("validation").filter(|_| splits.len() > 1))),
        None => Err(StageError::failed(SplitError::Recipes { found })),
    }
}

fn is_recipe(table: &Table) -> bool {
    table.schema().index_of(RECIPE).is_ok()
}

/// The splits of a table of recipes, by name; their rows stay as in the file until they are asked for.
fn carried_out(cx: &RunContext<'_>, table: &Table) -> Result<Vec<(String, data::Split)>, SplitError> {
    let resolve = |digest: &Digest| match cx.source(digest)? {
        Location::File(path) => Some(SourceBytes::File(path.clone())),
        Location::Embedded(bytes) => Some(SourceBytes::Embedded(bytes)),
    };
    let (names, recipes) = (table.strings(SPLIT)?, table.strings(RECIPE)?);
    (0..names.len())
        .map(|row| {
            let recipe = Recipe::from_json(recipes.value(row))?;
            Ok((names.value(row).to_owned(), data::load(&recipe, &resolve)?))
        })
        .collect()
}

/// The table of `examples`: `x`, `label`.
///
/// # Errors
/// None that sound examples can cause.
pub(crate) fn split_table(examples: &Examples) -> Result<Table, TableError> {
    let mut table = TableBuilder::new()
        .column(ColumnSpec::floats("x").doc("features"))
        .column(ColumnSpec::integer("label").doc("class"))
        .metadata(CLASSES, &examples.classes.to_string());
    for r in 0..examples.rows() {
        table.push([examples.row(r).into(), examples.labels.get(r).copied().unwrap_or(0).into()])?;
    }
    table.finish()
}

fn examples_of(table: &Table) -> Result<Examples, SplitError> {
    let classes = table.metadata(CLASSES).and_then(|text| text.parse().ok()).ok_or(SplitError::Classes)?;
    let rows = table.f32_lists("x")?;
    let expected = rows.first().map_or(0, |row| row.values().len());
    if let Some((row, found)) =
        rows.iter().map(|row| row.values().len()).enumerate().find(|(_, found)| *found != expected)
    {
        return Err(SplitError::Ragged { row, found, expected });
    }
    let x = rows.iter().flat_map(|row| row.values().iter().copied()).collect();
    let labels = table.i64s("label")?.values().iter().map(|label| *label as u32).collect();
    Ok(Examples { features: expected, classes, x, labels, targets: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_survive_their_table() {
        let examples =
            Examples { features: 2, classes: 3, x: vec![0.5, -0.0, 1.0, 0.25], labels: vec![2, 0], targets: None };
        assert_eq!(examples_of(&split_table(&examples).expect("sound")).expect("sound"), examples);
    }
}
