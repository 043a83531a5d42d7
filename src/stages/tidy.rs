//! Tidy results: one metric a row, with its interval and its denominator, the same columns for every kind.
//!
//! `metric`, the kind's dimensions (`eps`, `bit`, ...), `value` (null where undefined, never NaN), `status` (`ok`, or why the
//! value is null), `lower`, `upper`, `n`, `interval`, and for kinds that look at a network `density` and `sparsity`.

use duress_cache::{Cell, ColumnSpec, Table, TableBuilder, TableError};
use duress_engine::stage::{Column, Fact};

use crate::nn::statistics::{ClusteredRate, Interval, Moments, t_interval, wilson};

/// Coverage of the intervals in result tables.
pub(crate) const LEVEL: f64 = 0.95;

/// A metric that a kind reports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    /// Its name in the `metric` column.
    pub(crate) name: &'static str,
    /// What it is, and of a rate what it is a share of.
    pub(crate) doc: &'static str,
}

/// A column that says which case a row is about; null where the row is about all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dimension {
    /// The column's name.
    pub(crate) name: &'static str,
    /// What its values are.
    pub(crate) values: Values,
    /// The unit of its values.
    pub(crate) unit: &'static str,
    /// What it says.
    pub(crate) doc: &'static str,
}

/// The type of a [`Dimension`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// Text.
    Text,
    /// Numbers.
    Float,
    /// Whole numbers.
    Integer,
}

/// What a kind's result table looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// The metrics it may report.
    pub(crate) metrics: &'static [Metric],
    /// Its dimensions, in the order of the columns.
    pub(crate) dimensions: &'static [Dimension],
    /// Whether it is about a network, whose density it then says.
    pub(crate) network: bool,
}

impl Layout {
    /// The table as known at plan time.
    pub(crate) fn fact(&self) -> Fact {
        let column = |name: &str, numeric| Column { name: name.to_owned(), numeric };
        let mut columns = vec![column("metric", false)];
        columns.extend(self.dimensions.iter().map(|d| column(d.name, d.values != Values::Text)));
        let rest =
            [("value", true), ("status", false), ("lower", true), ("upper", true), ("n", true), ("interval", false)];
        columns.extend(rest.map(|(name, numeric)| column(name, numeric)));
        if self.network {
            columns.extend([column("density", true), column("sparsity", true)]);
        }
        let metrics = self.metrics.iter().map(|m| m.name.to_owned()).collect();
        Fact { artifact: "table", columns, metrics, known: None }
    }

    /// An empty table to fill; `density` is that of the weights, which every row says if the layout is about a network.
    pub(crate) fn start(&self, density: Option<f64>) -> Tidy {
        let mut table = TableBuilder::new().column(ColumnSpec::text("metric").doc("what `value` is; see the metadata"));
        for d in self.dimensions {
            let column = match d.values {
                Values::Text => ColumnSpec::text(d.name),
                Values::Float => ColumnSpec::float(d.name),
                Values::Integer => ColumnSpec::integer(d.name),
            };
            table = table.column(column.nullable().unit(d.unit).doc(d.doc));
        }
        table = table
            .column(ColumnSpec::float("value").nullable().doc("null where undefined; `status` says why"))
            .column(ColumnSpec::text("status").doc("ok, or why the value is null"))
            .column(ColumnSpec::float("lower").nullable().doc("lower end of the interval"))
            .column(ColumnSpec::float("upper").nullable().doc("upper end of the interval"))
            .column(
                ColumnSpec::integer("n").doc("what the value was computed from: trials of a rate, numbers of a mean"),
            )
            .column(ColumnSpec::text("interval").doc("how the interval was made and its coverage in percent"));
        if self.network {
            table = table
                .column(ColumnSpec::float("density").doc("share of the network's weights that are not zero"))
                .column(ColumnSpec::float("sparsity").doc("share of the network's weights that are zero"));
        }
        for metric in self.metrics {
            table = table.metadata(&format!("metric.{}", metric.name), metric.doc);
        }
        let density = self.network.then(|| density.unwrap_or(1.0));
        Tidy { table, density, layout: *self }
    }
}

/// A result table being filled.
#[derive(Debug)]
pub(crate) struct Tidy {
    table: TableBuilder,
    density: Option<f64>,
    layout: Layout,
}

impl Tidy {
    /// Adds a row. `dimensions` are the cells of the layout's dimensions, in order.
    ///
    /// # Errors
    /// For cells that are not those of the layout.
    pub(crate) fn push(
        &mut self,
        metric: &'static str,
        dimensions: impl IntoIterator<Item = Cell>,
        measure: Measure,
    ) -> Result<(), TableError> {
        debug_assert!(self.layout.metrics.iter().any(|m| m.name == metric), "{metric} is not in the layout");
        // NaN and infinity have no place among the values: they are undefined, and say so.
        let value = measure.value.filter(|v| v.is_finite());
        let status = match (measure.value, value) {
            (Some(_), None) => "not finite",
            _ => measure.status,
        };
        let (lower, upper, method) = match (value, measure.interval) {
            (Some(_), Some(i)) => {
                (Some(i.lo), Some(i.hi), format!("{}-{}", i.method.name(), (i.level * 100.0).round()))
            }
            _ => (None, None, "none".to_owned()),
        };
        let mut row: Vec<Cell> = vec![metric.into()];
        row.extend(dimensions);
        row.extend([value.into(), status.into(), lower.into(), upper.into(), measure.n.into(), method.into()]);
        row.extend(self.density.into_iter().flat_map(|density| [density.into(), (1.0 - density).into()]));
        self.table.push(row)
    }

    /// The table.
    ///
    /// # Errors
    /// None that pushed rows can cause.
    pub(crate) fn finish(self) -> Result<Table, TableError> {
        self.table.finish()
    }
}

/// A value with what is known of its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measure {
    value: Option<f64>,
    status: &'static str,
    interval: Option<Interval>,
    n: u64,
}

impl Measure {
    /// `successes` of `trials`, with Wilson's interval.
    pub(crate) fn rate(successes: u64, trials: u64) -> Self {
        if trials == 0 {
            return Self::undefined("no trials");
        }
        let value = Some(successes as f64 / trials as f64);
        Self { value, status: "ok", interval: wilson(successes, trials, LEVEL), n: trials }
    }

    /// A rate over clusters, with an interval that knows of them; `n` counts the trials.
    pub(crate) fn clustered(rate: Option<ClusteredRate>) -> Self {
        rate.map_or(Self::undefined("no trials"), |r| Self {
            value: Some(r.rate),
            status: "ok",
            interval: r.interval(LEVEL),
            n: r.trials,
        })
    }

    /// The same value with another interval.
    pub(crate) fn within(self, interval: Interval) -> Self {
        Self { interval: Some(interval), ..self }
    }

    /// The mean of independent numbers, with Student's interval.
    pub(crate) fn mean(moments: &Moments) -> Self {
        if moments.count() == 0 {
            return Self::undefined("no numbers");
        }
        let interval = moments
            .standard_error()
            .and_then(|error| t_interval(moments.mean(), error, moments.count() as f64 - 1.0, LEVEL));
        Self { value: Some(moments.mean()), status: "ok", interval, n: moments.count() }
    }

    /// A number without interval, made of `n` others.
    pub(crate) fn number(value: f64, n: u64) -> Self {
        Self { value: Some(value), status: "ok", interval: None, n }
    }

    /// No number, and why.
    pub(crate) fn undefined(why: &'static str) -> Self {
        Self { value: None, status: why, interval: None, n: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;

    const LAYOUT: Layout = Layout {
        metrics: &[Metric { name: "accuracy", doc: "share of all samples" }],
        dimensions: &[Dimension { name: "eps", values: Values::Float, unit: "data units", doc: "size" }],
        network: true,
    };

    #[test]
    fn rows_have_the_columns_that_the_plan_promises() {
        let mut tidy = LAYOUT.start(None);
        tidy.push("accuracy", [0.1.into()], Measure::rate(81, 263)).expect("fits");
        tidy.push("accuracy", [Cell::Null], Measure::rate(0, 0)).expect("fits");
        tidy.push("accuracy", [Cell::Null], Measure::number(f64::NAN, 3)).expect("fits");
        let table = tidy.finish().expect("sound");
        let names: Vec<String> = table.schema().fields().iter().map(|f| f.name().clone()).collect();
        let promised: Vec<String> = LAYOUT.fact().columns.into_iter().map(|c| c.name).collect();
        assert_eq!(names, promised);
        let value = table.f64s("value").expect("a column");
        assert!((value.value(0) - 81.0 / 263.0).abs() < 1e-15 && value.is_null(1) && value.is_null(2));
        let status = table.strings("status").expect("a column");
        assert_eq!([status.value(0), status.value(1), status.value(2)], ["ok", "no trials", "not finite"]);
        assert_eq!(table.strings("interval").expect("a column").value(0), "wilson-95");
        assert!((table.f64s("lower").expect("a column").value(0) - 0.2553).abs() < 5e-5);
        assert_eq!(table.metadata("metric.accuracy"), Some("share of all samples"));
    }
}
