//! Samples as tables, and back.

use duress_cache::{ColumnSpec, Digest, Table, TableBuilder, TableError};
use duress_engine::input::Input;
use duress_engine::run::RunContext;
use duress_engine::spec::Count;
use duress_engine::stage::{Location, StageError};

use super::artifact::{Dataset, Split};
use crate::data::{self, Recipe, SourceBytes};
use crate::nn::Examples;

/// The column of recipes in tables that say how to make samples rather than hold them.
pub(crate) const RECIPE: &str = "recipe";

/// The key of the metadata under which a table of samples says how many classes its labels come from; 0 for regression.
const CLASSES: &str = "classes";

/// The key of the metadata under which such a table gives the shape of a sample, `3x32x32`; missing for plain vectors.
const SHAPE: &str = "shape";

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
    /// The metadata lack the number of classes.
    #[error("read samples: the table does not say its `classes`; make it with `perturb` or `evaluate`")]
    Classes,
    /// A table of recipes without rows.
    #[error("read samples: the table names no split; run the data section again")]
    Empty,
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
    let limit = samples.map_or(usize::MAX, Count::size);
    if is_recipe(&table) {
        return rows_of(cx, &table, "", limit)?.ok_or_else(|| StageError::failed(SplitError::Empty));
    }
    let all = examples_of(&table).map_err(StageError::failed)?;
    Ok(match samples {
        Some(limit) if limit.size() < all.rows() => all.first(limit.size()),
        _ => all,
    })
}

/// The training rows of a data set, and its validation rows where it holds some back. Samples that another stage made are
/// training rows all.
///
/// # Errors
/// Where the table cannot be read or its files are no longer what they were.
pub(crate) fn dataset(cx: &RunContext<'_>, data: &Input<Dataset>) -> Result<(Examples, Option<Examples>), StageError> {
    let table = cx.table(data)?;
    if !is_recipe(&table) {
        return Ok((examples_of(&table).map_err(StageError::failed)?, None));
    }
    let validation = rows_of(cx, &table, "validation", usize::MAX)?;
    // A single split is trained on, whichever it is.
    let name = if table.rows() == 1 { "" } else { "train" };
    let train = rows_of(cx, &table, name, usize::MAX)?.ok_or_else(|| StageError::failed(SplitError::Empty))?;
    Ok((train, validation.filter(|_| table.rows() > 1)))
}

/// Finds the bytes of a recipe's files among the sources of the plan.
pub(crate) fn resolver(cx: &RunContext<'_>) -> impl Fn(&Digest) -> Option<SourceBytes> {
    |digest| {
        cx.source(digest).map(|location| match location {
            Location::File(path) => SourceBytes::File(path.clone()),
            Location::Files(files) => SourceBytes::Files(files.clone()),
            Location::Embedded(bytes) => SourceBytes::Embedded(bytes),
        })
    }
}

fn is_recipe(table: &Table) -> bool {
    table.schema().column_with_name(RECIPE).is_some()
}

/// The first rows, at most `limit`, of the split called `name` in a table of recipes; of the first split where the name is
/// empty.
fn rows_of(cx: &RunContext<'_>, table: &Table, name: &str, limit: usize) -> Result<Option<Examples>, StageError> {
    let names = table.strings("split").map_err(StageError::failed)?;
    let recipes = table.strings(RECIPE).map_err(StageError::failed)?;
    let Some(row) = (0..table.rows()).find(|&row| name.is_empty() || names.value(row) == name) else {
        return Ok(None);
    };
    let recipe = Recipe::from_json(recipes.value(row)).map_err(StageError::failed)?;
    let split = data::load(&recipe, &resolver(cx)).map_err(StageError::failed)?;
    Ok(Some(split.examples(0..split.rows().min(limit))))
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
    if !examples.shape.is_empty() {
        let extents: Vec<String> = examples.shape.iter().map(usize::to_string).collect();
        table = table.metadata(SHAPE, &extents.join("x"));
    }
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
    let shape: Vec<usize> =
        table.metadata(SHAPE).map(|text| text.split('x').flat_map(str::parse).collect()).unwrap_or_default();
    let shape = if shape.iter().product::<usize>() == expected { shape } else { Vec::new() };
    let x = rows.iter().flat_map(|row| row.values().iter().copied()).collect();
    let labels = table.i64s("label")?.values().iter().map(|label| *label as u32).collect();
    Ok(Examples { features: expected, shape, classes, x, labels, targets: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_survive_their_table() {
        let examples = Examples {
            features: 2,
            classes: 3,
            x: vec![0.5, -0.0, 1.0, 0.25],
            labels: vec![2, 0],
            targets: None,
            ..Examples::default()
        };
        let pictures = Examples { shape: vec![1, 2, 1], ..examples.clone() };
        for examples in [examples, pictures] {
            assert_eq!(examples_of(&split_table(&examples).expect("sound")).expect("sound"), examples);
        }
    }
}
