//! `[[expect]]`: an assertion over a collected table; the run exits non-zero where it does not hold.

use super::Section;
use super::axes::Axis;
use super::fault::Fault;
use super::filter::{Filter, TableName, table_name};
use super::from_spec::{FromSpec, Scope};
use super::scalar::Spanned;
use super::value::{Node, Span};
use crate::{choice, config};

/// An assertion.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// What it says; made from its numbers where it has no name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// The table it looks at.
    pub table: TableName,
    /// What of a row it looks at.
    pub measure: Measure,
    /// Which rows it looks at.
    pub filter: Filter,
    /// How many rows become one number, or how many of them must do.
    pub reduce: Reduce,
    /// What must hold, all of it; at least one.
    pub bounds: Vec<Bound>,
}

/// What of a row is looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// The column `value` of the rows whose column `metric` is this.
    Metric(Spanned<String>),
    /// This column.
    Column(Spanned<String>),
    /// The row itself, to be counted.
    Row,
}

/// What must hold of the reduced value, or of each row's.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// It is this or more.
    AtLeast(f64),
    /// It is this or less.
    AtMost(f64),
    /// It is this, give or take `within`.
    Equals {
        /// The value.
        value: f64,
        /// The largest absolute difference that still counts as equal.
        within: f64,
    },
    /// It is at least `by` above the same reduction of the same table's rows in `filter`.
    Above {
        /// Which rows it is compared with.
        filter: Filter,
        /// How much above, at least.
        by: f64,
    },
}

config! {
    /// An assertion over the collected table of a stage: the run exits with a code of its own where it does not hold.
    pub(super) struct ExpectTable {
        /// What it says, for people.
        name: Option<String>,
        /// The stage whose table is looked at, such as `"attacked"` or `"attacked.results"`.
        table: Spanned<String>,
        /// The metric of a tidy table: rows whose `metric` is this, by their `value`.
        metric: Option<Spanned<String>>,
        /// The column that is looked at, where it is not a metric.
        column: Option<Spanned<String>>,
        /// Which rows are looked at: values by column or axis.
        r#where: Option<Filter>,
        /// How many rows become one number, or how many of them must do.
        reduce: Reduce = Reduce::All,
        /// It is this or more.
        at_least: Option<f64>,
        /// It is this or less.
        at_most: Option<Spanned<f64>>,
        /// It is this, give or take `within`.
        equals: Option<f64>,
        /// The largest absolute difference that still counts as equal.
        within: Option<Spanned<f64>>,
        /// It lies above other rows of the same table.
        above: Option<Spanned<AboveTable>>,
    }
}

config! {
    /// Other rows of the same table that lie below.
    pub(super) struct AboveTable {
        /// Which rows: values by column or axis.
        r#where: Filter,
        /// How far below, at least.
        by: f64 = 0.0,
    }
}

choice! {
    /// How rows become an answer.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Reduce {
        /// Every row must do.
        "all" => All,
        /// One row must do.
        "any" => Any,
        /// The mean of the rows must do.
        "mean" => Mean,
        /// The least of the rows must do.
        "min" => Min,
        /// The greatest of the rows must do.
        "max" => Max,
        /// The number of rows must do.
        "count" => Count,
    }
}

/// Reads one `[[expect]]`.
pub(super) fn read(node: &Node, sections: &[Section], axes: &[Axis], scope: &mut Scope<'_>) -> Option<Expect> {
    let expect = ExpectTable::from_spec(node, scope)?;
    let measure = measure(&expect, node, scope);
    let filter = expect.r#where.clone().unwrap_or_default();
    filter.check(axes, scope.faults);
    if let Some(above) = &expect.above {
        above.r#where.check(axes, scope.faults);
    }
    let bounds = bounds(&expect, node, scope)?;
    let table = table_name(&expect.table, sections, scope.faults)?;
    let measure = measure?;
    let name = expect.name.unwrap_or_else(|| described(&expect.table, &measure, expect.reduce, &bounds));
    Some(Expect { name, span: node.span, table, measure, filter, reduce: expect.reduce, bounds })
}

fn measure(expect: &ExpectTable, node: &Node, scope: &mut Scope<'_>) -> Option<Measure> {
    let fault = match (&expect.metric, &expect.column) {
        (Some(metric), None) => return Some(Measure::Metric(metric.clone())),
        (None, Some(column)) => return Some(Measure::Column(column.clone())),
        (None, None) if expect.reduce == Reduce::Count => return Some(Measure::Row),
        (Some(_), Some(column)) => {
            Fault::new("bad-expect", column.span, "`metric` and `column` exclude each other", "one too many")
                .help("`metric` already means the column `value` of the rows with that metric: drop one")
        }
        (None, None) => {
            Fault::new("bad-expect", node.span, "this expectation looks at nothing", "needs `metric` or `column`")
                .help("add `metric = \"...\"` for a tidy table, or `column = \"...\"`")
        }
    };
    scope.fault(fault);
    None
}

fn bounds(expect: &ExpectTable, node: &Node, scope: &mut Scope<'_>) -> Option<Vec<Bound>> {
    let within = expect.within.as_ref();
    let equals = |value| Bound::Equals { value, within: within.map_or(0.0, |within| within.value) };
    let above = |above: &Spanned<AboveTable>| Bound::Above { filter: above.r#where.clone(), by: above.by };
    let bounds: Vec<Bound> = [
        expect.at_least.map(Bound::AtLeast),
        expect.at_most.as_ref().map(|most| Bound::AtMost(most.value)),
        expect.equals.map(equals),
        expect.above.as_ref().map(above),
    ]
    .into_iter()
    .flatten()
    .collect();
    for fault in contradictions(expect) {
        scope.fault(fault);
    }
    if bounds.is_empty() {
        let fault = Fault::new("bad-expect", node.span, "this expectation expects nothing", "needs a bound");
        scope.fault(fault.help("add one of `at_least`, `at_most`, `equals` and `above`"));
        return None;
    }
    Some(bounds)
}

/// Bounds that could never hold or say nothing.
fn contradictions(expect: &ExpectTable) -> Vec<Fault> {
    let bad = |span, message: String, label| Fault::new("bad-expect", span, message, label);
    let mut faults = Vec::new();
    if let (Some(low), Some(high)) = (expect.at_least, &expect.at_most)
        && low > high.value
    {
        let message = format!("nothing is at least {low} and at most {}", high.value);
        faults.push(bad(high.span, message, "below `at_least`").help("swap the bounds"));
    }
    if let Some(within) = &expect.within {
        if expect.equals.is_none() {
            let message = "`within` needs a value to be near to".to_owned();
            faults.push(bad(within.span, message, "within this of what?").help("add `equals = ...`"));
        }
        if within.value < 0.0 {
            let message = "`within` is a distance".to_owned();
            faults.push(bad(within.span, message, "negative").help("write a number of 0 or more"));
        }
    }
    if let Some(above) = &expect.above
        && matches!(expect.reduce, Reduce::All | Reduce::Any)
    {
        let word = reduce_word(expect.reduce);
        let message = format!("`above` compares one number, and `reduce = \"{word}\"` leaves many");
        let fault = bad(above.span, message, "which of them?");
        faults.push(fault.help("add `reduce = \"mean\"` (or \"min\", \"max\", \"count\")"));
    }
    faults
}

fn reduce_word(reduce: Reduce) -> &'static str {
    super::Choice::word(&reduce)
}

/// A name for an expectation that was given none: `mean accuracy of clean at least 0.9`.
fn described(table: &str, measure: &Measure, reduce: Reduce, bounds: &[Bound]) -> String {
    let what = match measure {
        Measure::Metric(name) | Measure::Column(name) => name.value.as_str(),
        Measure::Row => "rows",
    };
    let bounds: Vec<String> = bounds
        .iter()
        .map(|bound| match bound {
            Bound::AtLeast(value) => format!("at least {value}"),
            Bound::AtMost(value) => format!("at most {value}"),
            Bound::Equals { value, within } if *within == 0.0 => format!("equal to {value}"),
            Bound::Equals { value, within } => format!("within {within} of {value}"),
            Bound::Above { by, .. } => format!("at least {by} above the other rows"),
        })
        .collect();
    format!("{} {what} of {table} {}", reduce_word(reduce), bounds.join(" and "))
}
