//! Whole studies of toy kinds, from text to results: what runs, what runs again, and what comes out.

#[path = "support/running.rs"]
mod running;
mod support;

use duress_cache::MemoryStore;
use duress_engine::run::{Collected, collect};

use running::computed;

/// With seeds s, factors f and the numbers 1 to 4: fit = s * 0.1 * 10, scaled = f * fit, total = -10 * scaled.
const STUDY: &str = r#"
[study]
name = "toys"
[axes]
seed = [1, 2]
factor = [1.0, 2.0]
[data.xs]
count = 4
[stage.fit]
kind = "fit"
data = "xs"
seed = "{seed}"
[stage.scaled]
kind = "scale"
weights = "fit"
factor = "{factor}"
[stage.score]
kind = "score"
weights = "scaled"
data = "xs.test"
parts = 2
[[expect]]
name = "totals are negative"
table = "score"
metric = "total"
at_most = 0
"#;

fn totals(collected: &Collected) -> Vec<f64> {
    let metric = collected.table.strings("metric").expect("text");
    let value = collected.table.f64s("value").expect("numbers");
    (0..value.len()).filter(|&row| metric.value(row) == "total").map(|row| value.value(row)).collect()
}

#[test]
fn a_study_runs_from_text_to_a_table_over_its_axes() {
    let store = MemoryStore::new();
    let (plan, outcome, _) = computed(STUDY, &store, 2);
    // Weights 2 * 1 and 1 * 2 are equal, so that one score serves both.
    assert_eq!((outcome.computed, outcome.hits, outcome.unmet), (10, 1, 0));
    assert_eq!(outcome.verdicts[0].detail, "4 of 4 rows as expected (at most 0)");
    let collected = collect(&plan, &store, &outcome.entries, "score").expect("all of it is there");
    assert_eq!(collected.axes, ["seed", "factor"]);
    assert_eq!(totals(&collected), [-10.0, -20.0, -20.0, -40.0]);
    assert_eq!(collected.table.i64s("seed").expect("whole numbers").values(), &[1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(computed(STUDY, &store, 1).2, [""; 0]);
}

#[test]
fn what_says_the_same_runs_nothing() {
    let store = MemoryStore::new();
    computed(STUDY, &store, 2);
    let rewritten = STUDY
        .replace("data = \"xs\"\nseed = \"{seed}\"", "seed = '{seed}' # as before\nrate = 0.1\ndata = \"xs\"")
        .replace("stage.fit", "stage.learn")
        .replace("\"fit\"\nfactor", "\"learn\"\nfactor")
        .replace("seed = [1, 2]\nfactor = [1.0, 2.0]", "factor = [1.0, 2.0]\nseed = [2, 1]");
    assert_eq!(computed(&rewritten, &store, 1).2, [""; 0]);
}

#[test]
fn changing_a_seed_runs_only_its_descendants() {
    let store = MemoryStore::new();
    computed(STUDY, &store, 2);
    let (_, outcome, labels) = computed(&STUDY.replace("[1, 2]", "[1, 3]"), &store, 2);
    assert_eq!(
        labels,
        [
            "fit[seed=3]",
            "scaled[seed=3,factor=1.0]",
            "scaled[seed=3,factor=2.0]",
            "score[seed=3,factor=1.0]",
            "score[seed=3,factor=2.0]",
        ]
    );
    assert_eq!(outcome.hits, 6);
}

#[test]
fn adding_a_value_to_an_axis_runs_only_the_new_instances() {
    let store = MemoryStore::new();
    computed(STUDY, &store, 2);
    let (_, _, labels) = computed(&STUDY.replace("[1.0, 2.0]", "[1.0, 2.0, 5.0]"), &store, 2);
    assert_eq!(
        labels,
        [
            "scaled[seed=1,factor=5.0]",
            "scaled[seed=2,factor=5.0]",
            "score[seed=1,factor=5.0]",
            "score[seed=2,factor=5.0]",
        ]
    );
}

#[test]
fn rounds_go_on_from_the_rounds_before() {
    let text = r#"
[study]
name = "rounds"
[axes]
round = { range = [1, 4] }
[data.xs]
count = 4
[stage.fit]
kind = "fit"
data = "xs"
seed = "{round}"
start = { from = "scaled[round-1]", optional = true }
[stage.scaled]
kind = "scale"
weights = "fit"
factor = 2.0
[stage.score]
kind = "score"
weights = "fit[round=*]"
data = "xs.test"
"#;
    let store = MemoryStore::new();
    let (plan, outcome, _) = computed(text, &store, 2);
    // fit(r) = 2 * fit(r - 1) + r, so 1, 4, 11, 26, and their sum is 42.
    let fits = collect(&plan, &store, &outcome.entries, "fit.weights").expect("all of it is there").table;
    assert_eq!(fits.f64s("value").expect("numbers").values(), &[1.0, 4.0, 11.0, 26.0]);
    let score = collect(&plan, &store, &outcome.entries, "score").expect("all of it is there");
    assert_eq!(totals(&score), [-420.0]);
}

#[test]
fn an_unmet_expectation_is_no_success() {
    let (_, outcome, _) = computed(&STUDY.replace("at_most = 0", "at_most = -15"), &MemoryStore::new(), 2);
    assert_eq!(outcome.unmet, 1);
    assert!(!outcome.is_success());
    assert_eq!(outcome.verdicts[0].detail, "3 of 4 rows as expected (at most -15); -10 at seed=1, factor=1.0");
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let digests = |threads| {
        let (_, outcome, _) = computed(STUDY, &MemoryStore::new(), threads);
        let tables = outcome.entries.into_iter().flatten().map(|entry| (entry.key, entry.tables.clone()));
        tables.collect::<Vec<_>>()
    };
    assert_eq!(digests(1), digests(4));
}
