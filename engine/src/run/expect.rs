//! Judges the study's expectations over what it collected.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_cast::display::array_value_to_string;
use arrow_schema::DataType;
use duress_cache::{Entry, Store, Table};

use super::collect::{CollectError, Collected, collect_output};
use super::context::is_lost;
use crate::plan::Plan;
use crate::spec::{Bound, Condition, Expect, Filter, Measure, Reduce};

/// What came of one expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it says.
    pub name: String,
    /// Whether it holds.
    pub passed: bool,
    /// The numbers behind it, or why it could not be judged.
    pub detail: String,
}

/// Judges the expectations for which `wanted` holds; `entries` are the results of the plan's instances. Second come the
/// instances whose results are damaged or gone.
pub(super) fn judge(
    plan: &Plan,
    store: &dyn Store,
    entries: &[Option<Arc<Entry>>],
    wanted: impl Fn(&Expect) -> bool,
) -> (Vec<Verdict>, BTreeSet<usize>) {
    let mut verdicts = Vec::new();
    let mut lost = BTreeSet::new();
    for expect in plan.expects.iter().filter(|expect| wanted(expect)) {
        let table = &expect.table;
        let judged = match collect_output(plan, store, entries, &table.section, table.output) {
            Ok(collected) if !collected.missing.is_empty() => {
                Err(format!("not judged: `{}` has no result", collected.missing.join("`, `")))
            }
            Ok(collected) => judge_one(expect, &collected).map_err(|why| format!("not judged: {why}")),
            Err(error) => {
                if let CollectError::Store { instance, source } = &error
                    && is_lost(source)
                {
                    lost.insert(*instance);
                }
                Err(format!("not judged: {error}"))
            }
        };
        let (passed, detail) = judged.unwrap_or_else(|why| (false, why));
        verdicts.push(Verdict { name: expect.name.clone(), passed, detail });
    }
    (verdicts, lost)
}

/// Whether the expectation holds, and the numbers.
fn judge_one(expect: &Expect, collected: &Collected) -> Result<(bool, String), String> {
    let rows = Rows::pick(collected, &expect.measure, &expect.filter)?;
    if rows.picked.is_empty() && expect.reduce != Reduce::Count {
        return Err("no row fulfils its `where` and `metric`; see the table for what there is".to_owned());
    }
    let holds = |value: f64| {
        expect
            .bounds
            .iter()
            .try_fold(true, |all, bound| Ok::<_, String>(all && holds(value, bound, expect, collected)?))
    };
    let wanted = expect.bounds.iter().map(|bound| wanted(bound, expect, collected)).collect::<Result<Vec<_>, _>>()?;
    let wanted = wanted.join(" and ");
    if let Some(value) = rows.reduced(expect.reduce)? {
        let what = crate::spec::Choice::word(&expect.reduce);
        return Ok((holds(value)?, format!("{what} {} over {}, expected {wanted}", short(value), rows.count())));
    }
    let mut failing = Vec::new();
    for &(row, value) in &rows.picked {
        if !value.map_or(Ok(false), holds)? {
            failing.push((row, value));
        }
    }
    let good = rows.picked.len() - failing.len();
    let passed = if expect.reduce == Reduce::Any { good > 0 } else { failing.is_empty() };
    let mut detail = format!("{good} of {} as expected ({wanted})", rows.count());
    if let Some(&(row, value)) = failing.first() {
        let value = value.map_or_else(|| "nothing".to_owned(), short);
        let _ = write!(detail, "; {value} at {}", rows.place(row));
    }
    Ok((passed, detail))
}

fn holds(value: f64, bound: &Bound, expect: &Expect, collected: &Collected) -> Result<bool, String> {
    Ok(match bound {
        Bound::AtLeast(least) => value >= *least,
        Bound::AtMost(most) => value <= *most,
        Bound::Equals { value: wanted, within } => (value - wanted).abs() <= *within,
        Bound::Above { filter, by } => value - others(filter, expect, collected)? >= *by,
    })
}

fn wanted(bound: &Bound, expect: &Expect, collected: &Collected) -> Result<String, String> {
    Ok(match bound {
        Bound::AtLeast(value) => format!("at least {value}"),
        Bound::AtMost(value) => format!("at most {value}"),
        Bound::Equals { value, within } if *within == 0.0 => format!("{value}"),
        Bound::Equals { value, within } => format!("{value} ± {within}"),
        Bound::Above { filter, by } => {
            format!("{by} above the {} of the others", short(others(filter, expect, collected)?))
        }
    })
}

/// The rows to compare with, reduced the same way.
fn others(filter: &Filter, expect: &Expect, collected: &Collected) -> Result<f64, String> {
    let rows = Rows::pick(collected, &expect.measure, filter)?;
    rows.reduced(expect.reduce)?.ok_or_else(|| "`above` needs a `reduce` that leaves one number".to_owned())
}

/// The rows that are looked at, with what is looked at; none where it is null.
struct Rows<'c> {
    collected: &'c Collected,
    picked: Vec<(usize, Option<f64>)>,
}

impl<'c> Rows<'c> {
    fn pick(collected: &'c Collected, measure: &Measure, filter: &Filter) -> Result<Self, String> {
        let table = &collected.table;
        let mut keep = vec![true; table.rows()];
        for condition in &filter.0 {
            let column = array(table, &condition.column.value)?;
            for (row, keep) in keep.iter_mut().enumerate() {
                *keep = *keep && takes(condition, &column, row);
            }
        }
        let column = match measure {
            Measure::Metric(metric) => {
                let metrics = table.strings("metric").map_err(|error| error.to_string())?;
                for (row, keep) in keep.iter_mut().enumerate() {
                    *keep = *keep && metrics.is_valid(row) && metrics.value(row) == metric.value;
                }
                Some(numbers(table, "value")?)
            }
            Measure::Column(column) => Some(numbers(table, &column.value)?),
            Measure::Row => None,
        };
        let value = |row: usize| match &column {
            Some(column) => {
                let column = column.as_primitive::<Float64Type>();
                column.is_valid(row).then(|| column.value(row))
            }
            None => Some(1.0),
        };
        let picked = (0..keep.len()).filter(|&row| keep[row]).map(|row| (row, value(row))).collect();
        Ok(Self { collected, picked })
    }

    /// One number of all rows that have a value; none where every row is to be looked at on its own.
    fn reduced(&self, reduce: Reduce) -> Result<Option<f64>, String> {
        let values = || self.picked.iter().filter_map(|(_, value)| *value);
        let count = values().count();
        if count == 0 && !matches!(reduce, Reduce::All | Reduce::Any | Reduce::Count) {
            return Err("none of its rows has a value; the column `status` may say why".to_owned());
        }
        Ok(match reduce {
            Reduce::All | Reduce::Any => None,
            Reduce::Mean => Some(values().sum::<f64>() / count as f64),
            Reduce::Min => values().reduce(f64::min),
            Reduce::Max => values().reduce(f64::max),
            Reduce::Count => Some(self.picked.len() as f64),
        })
    }

    fn count(&self) -> String {
        match self.picked.len() {
            1 => "1 row".to_owned(),
            rows => format!("{rows} rows"),
        }
    }

    /// Where a row stands on the axes.
    fn place(&self, row: usize) -> String {
        let told = self.collected.axes.iter().filter_map(|axis| {
            let column = self.collected.table.column(axis).ok()?;
            Some(format!("{axis}={}", array_value_to_string(&column, row).ok()?))
        });
        let place = told.collect::<Vec<_>>().join(", ");
        if place.is_empty() { format!("row {row}") } else { place }
    }
}

fn array(table: &Table, name: &str) -> Result<ArrayRef, String> {
    table.column(name).map_err(|error| error.to_string())
}

fn numbers(table: &Table, name: &str) -> Result<ArrayRef, String> {
    let column = array(table, name)?;
    if !column.data_type().is_numeric() {
        return Err(format!("column `{name}` holds no numbers but {}; name one that does", column.data_type()));
    }
    cast(&column, &DataType::Float64).map_err(|error| error.to_string())
}

fn takes(condition: &Condition, column: &ArrayRef, row: usize) -> bool {
    if column.is_null(row) {
        return false;
    }
    let Ok(text) = array_value_to_string(column, row) else { return false };
    match column.data_type() {
        DataType::Boolean => condition.takes_boolean(text == "true"),
        kind if kind.is_numeric() => text.parse().is_ok_and(|number| condition.takes_number(number)),
        _ => condition.takes_text(&text),
    }
}

/// Six digits, without what says nothing.
fn short(value: f64) -> String {
    let rounded = format!("{value:.6}");
    if rounded.parse::<f64>().is_ok_and(|rounded| (rounded - value).abs() <= value.abs() * 1e-4)
        && rounded.contains('.')
    {
        return rounded.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{value}")
}
