//! Tables over all axes of a stage, and what is expected of them.

use std::sync::Arc;

use arrow_schema::DataType;
use duress_cache::{Entry, MemoryStore};

use super::toys::{Sketch, log, one_job};
use crate::plan::Plan;
use crate::run::{Outcome, RunOptions, collect};
use crate::spec::{Bound, Condition, Expect, Filter, Measure, Node, Reduce, Span, Spanned, TableName, Value};

/// Toys at (net, eps), each making 10 * net + eps.
fn grid() -> Sketch {
    let mut sketch = Sketch::default();
    for net in ["a", "b"] {
        for eps in [1, 2] {
            let tens = if net == "a" { 10 } else { 20 };
            sketch.toy(&format!("attacked[net={net},eps={eps}]"), tens + eps, &[]);
        }
    }
    sketch
}

fn spanned(text: &str) -> Spanned<String> {
    Spanned { value: text.to_owned(), span: Span::default() }
}

fn filter(column: &str, value: Value) -> Filter {
    Filter(vec![Condition { column: spanned(column), values: vec![Node { value, span: Span::default() }] }])
}

fn net(name: &str) -> Filter {
    filter("net", Value::String(name.to_owned()))
}

/// Runs the grid with one expectation over its column `value`; the last event and the detail.
fn judged(filter: Filter, reduce: Reduce, bounds: Vec<Bound>) -> (String, String) {
    let mut plan = grid().plan();
    plan.expects.push(Expect {
        name: "it".to_owned(),
        span: Span::default(),
        table: TableName { section: "attacked".to_owned(), output: "value", span: Span::default() },
        measure: Measure::Column(spanned("value")),
        filter,
        reduce,
        bounds,
    });
    let (outcome, events) = log(&plan, &MemoryStore::new(), &one_job());
    assert_eq!(outcome.unmet, outcome.verdicts.iter().filter(|verdict| !verdict.passed).count());
    (events.last().expect("something happened").clone(), outcome.verdicts[0].detail.clone())
}

#[test]
fn a_table_is_collected_with_typed_axes_in_front() {
    let plan = grid().plan();
    let store = MemoryStore::new();
    let (outcome, _) = log(&plan, &store, &one_job());
    let collected = collect(&plan, &store, &outcome.entries, "attacked").expect("all of it is there");
    let table = &collected.table;
    let columns: Vec<_> =
        table.schema().fields().iter().map(|field| (field.name().as_str(), field.data_type().clone())).collect();
    assert_eq!(columns, [("net", DataType::Utf8), ("eps", DataType::Int64), ("value", DataType::Int64)]);
    assert_eq!(table.strings("net").expect("text").iter().flatten().collect::<Vec<_>>(), ["a", "a", "b", "b"]);
    assert_eq!(table.i64s("eps").expect("integers").values(), &[1, 2, 1, 2]);
    assert_eq!(table.i64s("value").expect("integers").values(), &[11, 12, 21, 22]);
    assert!(collected.missing.is_empty());
}

#[test]
fn an_axis_that_the_table_tells_itself_is_not_told_twice() {
    let plan = |axis_is_value: bool| {
        let mut sketch = Sketch::default();
        for value in [1, 2] {
            sketch.toy(&format!("toy[value={value}]"), if axis_is_value { value } else { 7 }, &[]);
        }
        sketch.plan()
    };
    let columns = |plan: &Plan| {
        let store = MemoryStore::new();
        let (outcome, _) = log(plan, &store, &one_job());
        let table = collect(plan, &store, &outcome.entries, "toy").expect("all of it is there").table;
        table.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    };
    assert_eq!(columns(&plan(true)), ["value"]);
    assert_eq!(columns(&plan(false)), ["axis_value", "value"]);
}

#[test]
fn what_cannot_be_collected_says_what_to_do() {
    let plan = grid().plan();
    let store = MemoryStore::new();
    let nothing: Vec<Option<Arc<Entry>>> = vec![None; 4];
    let message = |name: &str| collect(&plan, &store, &nothing, name).expect_err("nothing is there").to_string();
    assert_eq!(message("attaked"), "collect `attaked`: there is no stage `attaked`; did you mean `attacked`?");
    assert_eq!(message("attacked.x"), "collect `attacked.x`: its outputs are `value`; write one of them");
    assert_eq!(
        message("attacked"),
        "collect `attacked.value`: none of its 4 results is in the cache; run the study first"
    );
}

#[test]
fn every_row_must_do_and_the_first_that_does_not_is_told() {
    let (event, detail) = judged(Filter::default(), Reduce::All, vec![Bound::AtLeast(12.0)]);
    assert_eq!(event, "expect it: false");
    assert_eq!(detail, "3 of 4 rows as expected (at least 12); 11 at net=a, eps=1");
    assert_eq!(judged(Filter::default(), Reduce::Any, vec![Bound::AtLeast(22.0)]).0, "expect it: true");
    assert_eq!(judged(net("b"), Reduce::All, vec![Bound::AtLeast(12.0)]).0, "expect it: true");
}

#[test]
fn rows_reduce_to_one_number() {
    let mean = judged(net("a"), Reduce::Mean, vec![Bound::Equals { value: 11.6, within: 0.1 }]);
    assert_eq!(mean, ("expect it: true".to_owned(), "mean 11.5 over 2 rows, expected 11.6 ± 0.1".to_owned()));
    let least = judged(filter("eps", Value::Float(2.0)), Reduce::Min, vec![Bound::AtMost(11.0)]);
    assert_eq!(least, ("expect it: false".to_owned(), "min 12 over 2 rows, expected at most 11".to_owned()));
    assert_eq!(judged(net("c"), Reduce::Count, vec![Bound::AtMost(0.0)]).0, "expect it: true");
    assert_eq!(judged(net("c"), Reduce::Mean, vec![Bound::AtMost(0.0)]).0, "expect it: false");
}

#[test]
fn rows_are_compared_with_other_rows() {
    let above = |by| judged(net("b"), Reduce::Mean, vec![Bound::Above { filter: net("a"), by }]);
    assert_eq!(above(10.0).0, "expect it: true");
    let unmet = above(11.0);
    assert_eq!(
        unmet,
        ("expect it: false".to_owned(), "mean 21.5 over 2 rows, expected 11 above the 11.5 of the others".to_owned())
    );
}

#[test]
fn an_expectation_over_damaged_results_computes_them_again() {
    let store = MemoryStore::new();
    let run = |expects: bool| -> (Outcome, Vec<String>) {
        let mut plan = grid().plan();
        if expects {
            plan.expects.push(Expect {
                name: "it".to_owned(),
                span: Span::default(),
                table: TableName { section: "attacked".to_owned(), output: "value", span: Span::default() },
                measure: Measure::Row,
                filter: Filter::default(),
                reduce: Reduce::Count,
                bounds: vec![Bound::AtLeast(4.0)],
            });
        }
        log(&plan, &store, &RunOptions::default())
    };
    let (outcome, _) = run(false);
    let object = outcome.entries[2].as_ref().expect("it was computed").tables["value"].object;
    store.damage(&object, |bytes| bytes[20] ^= 1);
    let (outcome, events) = run(true);
    assert!(events.contains(&"run attacked[net=b,eps=1]".to_owned()), "{events:?}");
    assert_eq!(events.last().map(String::as_str), Some("expect it: true"));
    assert!(outcome.is_success());
}
