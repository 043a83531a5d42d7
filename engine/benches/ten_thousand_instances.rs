//! How long a plan of 10 000 instances takes, and a run that finds all of them in the cache; `cargo bench -p
//! duress-engine`. Medians of repeated runs on a disk store, beside the time that computing them took.

#[path = "../tests/support/running.rs"]
mod running;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use duress_cache::DiskStore;

/// 9 fits, 9 x 555 scalings, as many scores, and the numbers: 10 000 instances.
const STUDY: &str = r#"
[study]
name = "toys"
[axes]
seed = { range = [1, 9] }
factor = { range = [1, 555] }
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
"#;

const REPEATS: usize = 7;
const THREADS: usize = 2;

#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench tells times")]
fn main() {
    let folder = tempfile::tempdir().expect("a folder for the cache");
    let store = DiskStore::open(folder.path().join("cache")).expect("a cache can be made there");
    let start = Instant::now();
    let (_, outcome, _) = running::computed(STUDY, &store, THREADS);
    assert_eq!(outcome.computed + outcome.hits, 10_000);
    println!("planned and computed once   {:7.3} s", start.elapsed().as_secs_f64());
    println!(
        "planned                     {:7.3} s",
        median(|| assert_eq!(running::planned(STUDY).instances.len(), 10_000))
    );
    let hits = median(|| assert_eq!(running::computed(STUDY, &store, THREADS).1.hits, 10_000));
    println!("planned and run, all hits   {hits:7.3} s");
}

#[expect(clippy::disallowed_methods, reason = "a bench tells times")]
fn median(mut work: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[REPEATS / 2]
}
