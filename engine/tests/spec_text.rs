//! No text makes the engine panic, and every fault points into the text it was found in.
//!
//! `cargo test -p duress-engine --test spec_text -- --ignored` looks for ten minutes.

mod support;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use duress_engine::plan;
use duress_engine::spec::{Fault, SourceText, check};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const VALID: &str = r#"
[study]
name = "study"
about = "Everything the language has"
seed = 3

[axes]
seed = { range = [1, 3] }
rate = [0.1, 0.2]
round = { range = [0, 2] }
net = { grid = { steps = [1, 2], size = [0.5, 0.25] }, sample = 3, seed = 1 }
restart = [{ name = "rewind", start = "ticket[round-1].weights" }, { name = "random" }]

[data.xs]
count = 4

[model.line]
hidden = [3, 2]
slope = 2.0

[stage.fit]
kind = "fit"
model = "line"
data = "xs"
rate = "{rate}"
steps = "{net.steps}"
method = { steps = { size = "{net.size}" } }
seed = "{seed}"

[stage.ticket]
kind = "fit"
data = "xs"
start = { from = "{restart.start}", optional = true }
seed = "{round}"

[stage.double]
kind = "scale"
weights = "fit[rate=0.1]"
factor = 2.0

[stage.last]
kind = "scale"
weights = { from = "ticket[round=2,restart=rewind]" }

[stage.score]
kind = "score"
weights = ["double[seed=*]", "fit"]
data = "xs.test"

[figure.scores]
table = "score"
x = "rate"
y = "total"
series = "net"
band = "ci95"

[[expect]]
table = "score.results"
metric = "total"
where = { rate = 0.1 }
reduce = "mean"
at_least = -1e9

[[exclude]]
seed = 2
rate = [0.2]
"#;

/// What a mutation is made of: bytes that mean something somewhere.
const PIECES: &[&str] = &[
    "[", "]", "{", "}", "\"", "'", ",", "=", ".", "\n", "-", "*", "#", "0", "9", "1e999", "nan", "é", "\u{0}", "\u{feff}",
    "[[", "]]", "\"\"\"", "{rate}", "{{", "{net.steps}", "[round-1]", "[seed=*]", "kind = ", "from", "optional = true",
    "1979-05-27", "true", "[stage.fit]", "name = \"x\"", "fit", "xs", "range", "grid",
];

/// One change of a text.
#[derive(Clone, Debug)]
enum Edit {
    Cut(prop::sample::Index, usize),
    Insert(prop::sample::Index, &'static str),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (any::<prop::sample::Index>(), 1usize..30).prop_map(|(at, length)| Edit::Cut(at, length)),
        (any::<prop::sample::Index>(), prop::sample::select(PIECES)).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ];
    proptest::collection::vec(edit, 1..most)
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut signs: Vec<char> = text.chars().collect();
    for edit in edits {
        match edit {
            _ if signs.is_empty() => break,
            Edit::Cut(at, length) => {
                let start = at.index(signs.len());
                signs.drain(start..(start + length).min(signs.len()));
            }
            Edit::Insert(at, piece) => {
                let at = at.index(signs.len());
                signs.splice(at..at, piece.chars());
            }
            Edit::Repeat(from, to) => {
                let text: String = signs.iter().collect();
                let lines: Vec<&str> = text.lines().collect();
                if lines.is_empty() {
                    break;
                }
                let mut repeated = lines.clone();
                repeated.insert(to.index(lines.len()), lines[from.index(lines.len())]);
                signs = repeated.join("\n").chars().collect();
            }
        }
    }
    signs.into_iter().collect()
}

/// Reads a text as far as it goes; the error is what must never be.
fn look(text: &str) -> Result<(), String> {
    let source = || SourceText { name: "spec.toml".to_owned(), text: text.to_owned() };
    let faults: Vec<Fault> = match check(source(), &support::REGISTRY) {
        Err(errors) => errors.faults().cloned().collect(),
        // A number that grew by some digits can ask for more instances than a test has time for.
        Ok(spec) if spec.axes.iter().map(|axis| axis.values.len()).fold(1, usize::saturating_mul) > 2_000 => Vec::new(),
        Ok(_) => match plan::read(source(), &support::REGISTRY) {
            Err(errors) => errors.faults().cloned().collect(),
            Ok(_) => Vec::new(),
        },
    };
    for fault in faults {
        let (start, end) = (fault.span.start, fault.span.end);
        let inside = start <= end && text.get(start..end).is_some();
        if !inside || fault.message.is_empty() || fault.label.is_empty() {
            return Err(format!("{fault:?} in {} bytes", text.len()));
        }
    }
    Ok(())
}

fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec_errors");
    let files = std::fs::read_dir(folder).expect("the folder is part of the checkout");
    let mut paths: Vec<_> = files.map(|file| file.expect("a readable folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let texts = paths.iter().map(|path| std::fs::read_to_string(path).expect("a readable file"));
    texts.chain([VALID.to_owned()]).collect()
}

fn texts() -> impl Strategy<Value = String> {
    let mutated = (prop::sample::select(corpus()), edits(6)).prop_map(|(text, edits)| edited(&text, &edits));
    let pieces = proptest::collection::vec(prop::sample::select(PIECES), 0..60).prop_map(|pieces| pieces.concat());
    let bytes = proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    prop_oneof![6 => mutated, 1 => pieces, 1 => bytes, 1 => "\\PC{0,100}"]
}

#[test]
fn the_text_that_is_mutated_is_valid() {
    let source = SourceText { name: "spec.toml".to_owned(), text: VALID.to_owned() };
    if let Err(errors) = plan::read(source, &support::REGISTRY) {
        panic!("{:#?}", errors.faults().collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_engine_panic_and_every_fault_lies_inside_it(text in texts()) {
        look(&text).map_err(TestCaseError::fail)?;
    }
}

#[test]
#[ignore = "looks for ten minutes"]
fn ten_minutes_of_texts_find_nothing() {
    const LENGTH: Duration = Duration::from_secs(600);
    let started = Instant::now();
    let mut texts_seen = 0u64;
    while step(started, LENGTH, &mut texts_seen).is_continue() {}
    eprintln!("{texts_seen} texts");
}

fn step(started: Instant, length: Duration, seen: &mut u64) -> ControlFlow<()> {
    let config = ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() };
    let found = TestRunner::new(config).run(&texts(), |text| look(&text).map_err(TestCaseError::fail));
    found.expect("no text is misread");
    *seen += 1_000;
    if started.elapsed() < length { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
