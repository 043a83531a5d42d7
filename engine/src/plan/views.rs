//! Whether figures and expectations ask for axes, columns and metrics that will exist.

use std::collections::BTreeMap;

use super::Instance;
use crate::spec::{Bound, Condition, Fault, Faults, Filter, Measure, Spanned, Spec, TableName, nearest};
use crate::stage::Fact;

/// Checks every figure and every expectation of the spec against the facts of the instances.
pub(super) fn check(spec: &Spec, axes: &BTreeMap<String, Vec<String>>, instances: &[Instance], faults: &mut Faults) {
    for figure in &spec.figures {
        let view = View::open(&figure.table, axes, instances);
        [&figure.x].into_iter().chain(&figure.series).chain(&figure.panel).for_each(|name| view.column(name, faults));
        view.filter(&figure.filter, faults);
        view.column_or_metric(&figure.y, faults);
    }
    for expect in &spec.expects {
        let view = View::open(&expect.table, axes, instances);
        match &expect.measure {
            Measure::Metric(name) => view.metric(name, faults),
            Measure::Column(name) => view.column(name, faults),
            Measure::Row => {}
        }
        view.filter(&expect.filter, faults);
        for bound in &expect.bounds {
            if let Bound::Above { filter, .. } = bound {
                view.filter(filter, faults);
            }
        }
    }
}

/// One collected table as it will be.
struct View<'a> {
    axes: &'a [String],
    /// None where the stage has faults of its own, and nothing can be said of its table.
    fact: Option<&'a Fact>,
}

impl<'a> View<'a> {
    fn open(table: &TableName, axes: &'a BTreeMap<String, Vec<String>>, instances: &'a [Instance]) -> Self {
        let mut instances = instances.iter().filter(|instance| instance.section == table.section);
        let axes = axes.get(&table.section).map_or(&[][..], Vec::as_slice);
        Self { axes, fact: instances.find_map(|instance| instance.facts.get(table.output)) }
    }

    fn columns(&self) -> Option<Vec<&str>> {
        let fact = self.fact.filter(|fact| !fact.columns.is_empty())?;
        let columns = fact.columns.iter().map(|column| column.name.as_str());
        Some(self.axes.iter().map(String::as_str).chain(columns).collect())
    }

    fn metrics(&self) -> Vec<&str> {
        self.fact.map_or_else(Vec::new, |fact| fact.metrics.iter().map(String::as_str).collect())
    }

    fn filter(&self, filter: &Filter, faults: &mut Faults) {
        filter.0.iter().for_each(|Condition { column, .. }| self.column(column, faults));
    }

    fn column(&self, name: &Spanned<String>, faults: &mut Faults) {
        if let Some(columns) = self.columns()
            && !columns.contains(&name.value.as_str())
        {
            faults.push(unknown("unknown-column", "axis or column", name, &columns));
        }
    }

    fn metric(&self, name: &Spanned<String>, faults: &mut Faults) {
        let metrics = self.metrics();
        if self.fact.is_some() && !metrics.contains(&name.value.as_str()) {
            faults.push(unknown("unknown-metric", "metric", name, &metrics));
        }
    }

    fn column_or_metric(&self, name: &Spanned<String>, faults: &mut Faults) {
        let Some(mut known) = self.columns() else { return };
        known.extend(self.metrics());
        if !known.contains(&name.value.as_str()) {
            faults.push(unknown("unknown-column", "column or metric", name, &known));
        }
    }
}

fn unknown(code: &'static str, what: &str, name: &Spanned<String>, known: &[&str]) -> Fault {
    let label = match nearest(&name.value, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "not in the table".to_owned(),
    };
    let fault = Fault::new(code, name.span, format!("the table has no {what} `{}`", name.value), label);
    match known {
        [] => fault.help("the table reports none"),
        known => fault.help(format!("it has {}", known.join(", "))),
    }
}
