//! The table of measured output errors under crashes: what `inject` writes and `bound` sets its bounds beside.

use arrow_array::Array;
use duress_cache::{Cell, ColumnSpec, Table, TableBuilder, TableError};

use crate::nn::statistics::Moments;

/// The key of the metadata under which the table says its crash rates by layer, as a JSON list.
const RATES: &str = "crash_rates";

/// Columns of the table, and whether they are numbers.
pub(crate) const COLUMNS: &[(&str, bool)] = &[
    ("sample", true),
    ("output", true),
    ("n", true),
    ("mean", true),
    ("mean_se", true),
    ("std", true),
    ("abs_mean", true),
    ("abs_mean_se", true),
    ("max_abs", true),
];

/// What is known of such a table at plan time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CrashFact {
    /// Crash probabilities by layer, the input first.
    pub(crate) rates: Vec<f64>,
}

/// The error of one output of one sample, over all crash patterns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) sample: usize,
    pub(crate) output: usize,
    pub(crate) mean: f64,
    pub(crate) std: f64,
    pub(crate) abs_mean: f64,
    /// Standard error of `abs_mean`; `None` of a single pattern.
    pub(crate) abs_mean_se: Option<f64>,
}

/// Declares the columns.
pub(crate) fn columns(table: TableBuilder) -> TableBuilder {
    table
        .column(ColumnSpec::integer("sample").doc("position in the split, from 0"))
        .column(ColumnSpec::integer("output").doc("output, from 0"))
        .column(ColumnSpec::integer("n").doc("crash patterns"))
        .column(ColumnSpec::float("mean").nullable().doc("mean of crashed less correct output"))
        .column(ColumnSpec::float("mean_se").nullable().doc("standard error of the mean"))
        .column(
            ColumnSpec::float("std")
                .nullable()
                .doc("standard deviation of crashed less correct output, as of a population"),
        )
        .column(ColumnSpec::float("abs_mean").nullable().doc("mean of the absolute difference"))
        .column(ColumnSpec::float("abs_mean_se").nullable().doc("standard error of that mean"))
        .column(ColumnSpec::float("max_abs").nullable().doc("largest absolute difference seen"))
}

/// The cells of one output of one sample.
pub(crate) fn cells(sample: usize, output: usize, delta: &Moments) -> Vec<Cell> {
    let finite = |v: f64| Cell::from(Some(v).filter(|v| v.is_finite()));
    // E|d|^2 = E d^2, so the spread of |d| follows from the moments of d.
    let squares = delta.population_std().powi(2) + delta.mean().powi(2);
    let n = delta.count() as f64;
    let abs_se = (n > 1.0).then(|| ((squares - delta.mean_abs().powi(2)).max(0.0) / (n - 1.0)).sqrt());
    vec![
        sample.into(),
        output.into(),
        delta.count().into(),
        finite(delta.mean()),
        delta.standard_error().filter(|v| v.is_finite()).into(),
        finite(delta.population_std()),
        finite(delta.mean_abs()),
        abs_se.filter(|v| v.is_finite()).into(),
        finite(delta.max_abs()),
    ]
}

/// The table with its crash rates in its metadata.
pub(crate) fn with_rates(table: &Table, rates: &[f64]) -> Result<Table, TableError> {
    table.with_metadata(RATES, serde_json::json!(rates).to_string())
}

/// The crash rates that the table was measured at.
pub(crate) fn rates(table: &Table) -> Option<Vec<f64>> {
    serde_json::from_str(table.metadata(RATES)?).ok()
}

/// The rows of the table whose numbers are finite.
pub(crate) fn measured(table: &Table) -> Result<Vec<Measured>, TableError> {
    let (sample, output) = (table.i64s("sample")?, table.i64s("output")?);
    let (mean, std) = (table.f64s("mean")?, table.f64s("std")?);
    let (abs_mean, abs_mean_se) = (table.f64s("abs_mean")?, table.f64s("abs_mean_se")?);
    let row = |r: usize| {
        (!mean.is_null(r) && !std.is_null(r) && !abs_mean.is_null(r)).then(|| Measured {
            sample: sample.value(r) as usize,
            output: output.value(r) as usize,
            mean: mean.value(r),
            std: std.value(r),
            abs_mean: abs_mean.value(r),
            abs_mean_se: (!abs_mean_se.is_null(r)).then(|| abs_mean_se.value(r)),
        })
    };
    Ok((0..table.rows()).filter_map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_survive_their_table_with_the_standard_error_of_the_absolute_mean() {
        let delta = [0.0, -2.0, 0.0, 4.0];
        let moments: Moments = delta.into_iter().collect();
        let mut table = columns(TableBuilder::new());
        table.push(cells(3, 1, &moments)).expect("fits");
        let table = with_rates(&table.finish().expect("sound"), &[0.0, 0.1]).expect("sound");
        assert_eq!(rates(&table), Some(vec![0.0, 0.1]));
        let row = measured(&table).expect("columns")[0];
        let absolute: Moments = delta.into_iter().map(f64::abs).collect();
        assert_eq!((row.sample, row.output), (3, 1));
        assert!((row.abs_mean - 1.5).abs() < 1e-15);
        assert!((row.abs_mean_se.expect("four") - absolute.standard_error().expect("four")).abs() < 1e-14);
    }
}
