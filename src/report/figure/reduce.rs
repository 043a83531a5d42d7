//! From rows to points: what falls on one point becomes a mean with a band around it.

use duress_engine::spec::{Band, Figure, FigureKind};

use super::data::{Own, Quantity, Row, Selection};
use super::number::{Format, format_of_share, is_share};
use super::value::Value;
use crate::nn::statistics::{Moments, t_interval};

/// Everything a figure shows, in the order in which it is shown.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) panels: Vec<Panel>,
    pub(super) panel_by: Vec<Quantity>,
    /// One value, which means nothing, where there is no `series`.
    pub(super) series: Vec<Value>,
    pub(super) series_by: Option<Quantity>,
    pub(super) xs: Vec<Value>,
    pub(super) x: Quantity,
    pub(super) y: Quantity,
    /// Rows that have no finite `x` or `y`.
    pub(super) missing: usize,
    /// Axes that means are taken over.
    pub(super) over: Vec<String>,
}

/// The points of one panel.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    /// Its value of each panel key.
    pub(super) at: Vec<Value>,
    /// For each series of the chart, its points from left to right.
    pub(super) series: Vec<Vec<Point>>,
}

/// A mean of one row or more.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: Value,
    pub(super) y: f64,
    /// How many rows it is the mean of.
    pub(super) n: usize,
    pub(super) band: Option<Spread>,
}

/// A band around a mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) how: How,
}

/// What a band is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum How {
    /// The 95 % confidence interval of the mean, by Student's t.
    Confidence,
    /// One standard deviation of the sample.
    Deviation,
    /// The only row's own 95 % interval.
    Own { method: String, n: Option<i64> },
}

/// Reduces the rows of a figure to its points. Rows may come in any order.
pub(super) fn reduce(selection: Selection, figure: &Figure) -> Chart {
    let Selection { mut rows, mut x, mut y, series, mut panel, rest } = selection;
    let all = rows.len();
    rows.retain(|row| row.x != Value::Missing);
    rows.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| order_y(a).total_cmp(&order_y(b))));
    let distinct = |of: &dyn Fn(&Row) -> &Value| {
        let mut values: Vec<Value> = rows.iter().map(|row| of(row).clone()).collect();
        values.sort();
        values.dedup();
        values
    };
    let xs = distinct(&|row| &row.x);
    for (index, quantity) in panel.iter_mut().enumerate() {
        quantity.format = format(quantity, &distinct(&|row| &row.panel[index]));
    }
    x.format = format(&x, &xs);
    let series: Vec<Quantity> = (series.into_iter().enumerate())
        .map(|(index, by)| Quantity { format: format(&by, &distinct(&|row| &row.series[index])), ..by })
        .collect();
    let (keys, names) = names(&rows, &series);
    let band = if figure.kind == FigureKind::Scatter { Band::None } else { figure.band };
    let over = varying(&rows, rest);
    let panels: Vec<Panel> = (rows.chunk_by(|a, b| a.panel == b.panel))
        .map(|rows| Panel { at: rows[0].panel.clone(), series: lines(rows, &keys, band, figure.kind) })
        .collect();
    let points = || panels.iter().flat_map(|panel| panel.series.iter().flatten());
    let share = is_share(&y.name, &y.unit, points().map(|point| point.y));
    if share {
        y.format = format_of_share(points().map(|point| point.y), figure.log_y);
    }
    let drawn = rows.iter().filter(|row| row.y.is_some()).count();
    let mut chart = Chart {
        panels,
        panel_by: panel,
        series: names,
        series_by: together(series),
        xs,
        x,
        y,
        missing: all - drawn,
        over,
    };
    if share {
        chart.hold_bands(0.0, 1.0);
    }
    chart
}

impl Chart {
    /// All points.
    pub(super) fn points(&self) -> impl Iterator<Item = &Point> {
        self.panels.iter().flat_map(|panel| panel.series.iter().flatten())
    }

    /// A share is never below 0 nor above 1, and neither is what is said about it.
    fn hold_bands(&mut self, least: f64, most: f64) {
        for point in self.panels.iter_mut().flat_map(|panel| panel.series.iter_mut().flatten()) {
            if let Some(band) = &mut point.band {
                (band.low, band.high) = (band.low.max(least), band.high.min(most));
            }
        }
    }
}

fn key(row: &Row) -> (&[Value], &[Value], &Value) {
    (&row.panel, &row.series, &row.x)
}

/// Those of `rest` that differ between two rows of one point.
fn varying(rows: &[Row], rest: Vec<String>) -> Vec<String> {
    let differs = |index: usize| {
        rows.chunk_by(|a, b| key(a) == key(b)).any(|rows| rows.iter().any(|row| row.rest[index] != rows[0].rest[index]))
    };
    rest.into_iter().enumerate().filter(|(index, _)| differs(*index)).map(|(_, name)| name).collect()
}

fn order_y(row: &Row) -> f64 {
    row.y.unwrap_or(f64::INFINITY)
}

fn format(quantity: &Quantity, values: &[Value]) -> Format {
    let numbers = || values.iter().filter_map(Value::as_number);
    let share = is_share(&quantity.name, &quantity.unit, numbers());
    if share { format_of_share(numbers(), true) } else { Format::Plain }
}

/// What tells the series apart, and what they are called: several values become one text, in the same order.
fn names(rows: &[Row], by: &[Quantity]) -> (Vec<Vec<Value>>, Vec<Value>) {
    let mut keys: Vec<Vec<Value>> = rows.iter().map(|row| row.series.clone()).collect();
    keys.sort();
    keys.dedup();
    let name = |(rank, key): (usize, &Vec<Value>)| match key.as_slice() {
        [] => Value::Missing,
        [one] => one.clone(),
        many => {
            let parts: Vec<String> = many.iter().zip(by).map(|(value, by)| value.print(by.format)).collect();
            Value::Text { rank, text: parts.join(" · ") }
        }
    };
    let names = keys.iter().enumerate().map(name).collect();
    (keys, names)
}

/// One quantity for all that tells series apart.
fn together(mut series: Vec<Quantity>) -> Option<Quantity> {
    if series.len() < 2 {
        return series.pop();
    }
    let titles: Vec<String> = series.iter().map(Quantity::title).collect();
    Some(Quantity { name: titles.join(" · "), unit: String::new(), format: Format::Plain })
}

fn lines(rows: &[Row], keys: &[Vec<Value>], band: Band, kind: FigureKind) -> Vec<Vec<Point>> {
    let mut lines = vec![Vec::new(); keys.len()];
    for rows in rows.chunk_by(|a, b| (&a.series, &a.x) == (&b.series, &b.x)) {
        let Ok(line) = keys.binary_search(&rows[0].series) else { continue };
        if kind == FigureKind::Scatter {
            let single = |row: &Row| Some(Point { x: row.x.clone(), y: row.y?, n: 1, band: None });
            lines[line].extend(rows.iter().filter_map(single));
        } else {
            lines[line].extend(point(rows, band));
        }
    }
    lines
}

/// The mean of the rows that have a value; `None` where none has.
fn point(rows: &[Row], band: Band) -> Option<Point> {
    let mut moments = Moments::default();
    for value in rows.iter().filter_map(|row| row.y) {
        moments.push(value);
    }
    let n = usize::try_from(moments.count()).ok().filter(|&n| n > 0)?;
    let mean = moments.mean();
    let spread = match (band, moments.sample_std()) {
        (Band::None, _) | (Band::Sd, None) => None,
        (Band::Sd, Some(sd)) => Some(Spread { low: mean - sd, high: mean + sd, how: How::Deviation }),
        (Band::Ci95, Some(sd)) => t_interval(mean, sd / (n as f64).sqrt(), n as f64 - 1.0, 0.95)
            .map(|interval| Spread { low: interval.lo, high: interval.hi, how: How::Confidence }),
        (Band::Ci95, None) => rows.iter().find(|row| row.y.is_some()).and_then(|row| row.own.clone()).map(own),
    };
    Some(Point { x: rows[0].x.clone(), y: mean, n, band: spread })
}

fn own(interval: Own) -> Spread {
    let Own { low, high, method, n } = interval;
    Spread { low, high, how: How::Own { method, n } }
}

#[cfg(test)]
mod tests {
    use duress_engine::spec::Value as Written;

    use super::super::data::{Orders, select};
    use super::super::tests::{attacked, figure, only, plain};
    use super::*;

    fn chart(figure: &Figure, table: &duress_cache::Table) -> Chart {
        reduce(select(figure, table, &Orders::new()).expect("can be picked"), figure)
    }

    fn one(band: Band, losses: &[Option<f64>]) -> Point {
        let rows: Vec<_> = losses.iter().map(|loss| ("a", "m", 1.0, *loss)).collect();
        let chart = chart(&Figure { band, ..figure("bits", "loss", &[], &[]) }, &plain(&rows));
        chart.points().next().expect("one point").clone()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn a_point_is_the_mean_with_one_sample_deviation_or_a_t_interval_around_it() {
        // By hand: mean 0.5, squares 0.09 + 0.01 + 0.16 = 0.26, sd = sqrt(0.13) = 0.3605551,
        // standard error 0.2081666, t(0.975, 2) = 4.3026527, half width 0.8956686.
        let losses = [Some(0.9), None, Some(0.2), Some(0.4)];
        let point = one(Band::None, &losses);
        assert!(close(point.y, 0.5) && point.n == 3 && point.band.is_none(), "{point:?}");
        let band = one(Band::Sd, &losses).band.expect("three rows");
        assert!(close(band.low, 0.139_444_9) && close(band.high, 0.860_555_1), "{band:?}");
        let band = one(Band::Ci95, &losses).band.expect("three rows");
        assert!(close(band.low, -0.395_668_6) && close(band.high, 1.395_668_6), "{band:?}");
    }

    #[test]
    fn one_row_has_no_band_but_the_interval_it_states() {
        assert_eq!(one(Band::Sd, &[Some(0.5)]).band, None);
        assert_eq!(one(Band::Ci95, &[Some(0.5)]).band, None);
        let figure = Figure { band: Band::Ci95, ..figure("eps", "robust_accuracy", &[], &[]) };
        let figure = Figure { filter: only("eps", &[Written::Float(0.1)]), ..figure };
        let chart = chart(&figure, &attacked(&["fgsm"], &[0.5], 1));
        let point = chart.points().next().expect("one point");
        let band = point.band.as_ref().expect("the table states one");
        assert_eq!(band.how, How::Own { method: "wilson-95".into(), n: Some(360) });
        assert!(close(band.low, point.y - 0.02) && close(band.high, point.y + 0.02));
    }

    #[test]
    fn shares_are_percent_and_their_bands_stay_within_0_and_1() {
        let figure = Figure { band: Band::Ci95, ..figure("eps", "robust_accuracy", &["sparsity"], &["attack"]) };
        let chart = chart(&figure, &attacked(&["fgsm", "gaussian"], &[0.0, 0.9], 3));
        assert_eq!((chart.y.format, chart.x.format), (Format::Percent, Format::Plain));
        assert!(chart.points().filter_map(|point| point.band.as_ref()).all(|band| band.low >= 0.0 && band.high <= 1.0));
        assert_eq!((chart.panels.len(), chart.series.len(), chart.xs.len(), chart.missing), (2, 2, 6, 0));
    }

    #[test]
    fn rows_without_a_value_are_counted_and_leave_their_place() {
        let rows = [("b", "m", 1.0, None), ("a", "m", 1.0, Some(2.0)), ("a", "n", 1.0, Some(f64::NAN))];
        let chart = chart(&figure("layer", "loss", &["model"], &[]), &plain(&rows));
        assert_eq!((chart.xs.len(), chart.series.len(), chart.points().count(), chart.missing), (2, 2, 1, 2));
    }

    #[test]
    fn a_scatter_plot_keeps_every_row() {
        let rows = [("a", "m", 1.0, Some(2.0)), ("a", "m", 1.0, Some(2.0)), ("a", "m", 1.0, Some(1.0))];
        let chart = chart(&Figure { kind: FigureKind::Scatter, ..figure("bits", "loss", &[], &[]) }, &plain(&rows));
        assert_eq!(chart.points().map(|point| point.y).collect::<Vec<_>>(), [1.0, 2.0, 2.0]);
    }

    #[test]
    fn several_keys_of_series_become_one() {
        let table = attacked(&["pgd", "fgsm"], &[0.5, 0.0], 1);
        let chart = chart(&figure("eps", "robust_accuracy", &["attack", "sparsity"], &[]), &table);
        let names: Vec<String> = chart.series.iter().map(|name| name.print(Format::Plain)).collect();
        assert_eq!(names, ["fgsm · 0%", "fgsm · 50%", "pgd · 0%", "pgd · 50%"]);
        assert_eq!(chart.series_by.map(|by| by.name), Some("attack · sparsity".to_owned()));
    }
}
