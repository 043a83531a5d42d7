use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Log, Sandbox};

/// A training of a few parts.
const STUDY: &str = r#"
[study]
name = "long"
[data.digits]
source = "digits"
validation = { first = 200 }
[model.wide]
hidden = [300, 200]
[stage.train]
kind = "train"
model = "wide"
data = "digits"
steps = 1_900
batch = 1_000
evaluate_every = 100
snapshot = 500
"#;

/// The parts of a run, as (index, of how many, whether cached).
fn parts<'a>(events: impl IntoIterator<Item = &'a Value>) -> Vec<(u64, u64, bool)> {
    let parts = events.into_iter().filter(|event| event["event"] == "part");
    let number = |event: &Value, field: &str| event[field].as_u64().expect("a number");
    parts.map(|event| (number(event, "index"), number(event, "parts"), event["cached"] == true)).collect()
}

#[test]
fn a_killed_training_goes_on_at_its_last_part() {
    let stages = ["train.weights", "train.snapshot", "train.curve"];
    let undisturbed = Sandbox::with(STUDY);
    let all = parts(&undisturbed.run(&[]).events);
    let count = all.len() as u64;
    assert!(count >= 3, "a training of several parts: {all:?}");
    assert_eq!(all, (0..count).map(|index| (index, count, false)).collect::<Vec<_>>());

    let sandbox = Sandbox::with(STUDY);
    let mut child =
        sandbox.command(&["run", "study.toml", "--json"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut reader = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
    let mut events: Vec<Value> = Vec::new();
    // A part is told when its state is kept.
    while parts(&events).len() < 2 {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).expect("events can be read") > 0, "the run ended early: {events:?}");
        events.extend(Log::parse(&line).events);
    }
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");

    let resumed = parts(&sandbox.run(&[]).events);
    let (first, rest) = resumed.split_first().expect("the state of a part is there");
    assert!(first.2 && first.0 >= 1, "{resumed:?}");
    assert_eq!(rest, (first.0 + 1..count).map(|index| (index, count, false)).collect::<Vec<_>>());
    assert_eq!(sandbox.tables(&stages), undisturbed.tables(&stages));
    let output = sandbox.duress(&["cache", "verify"]);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    // The last state is a part of a result that is whole now.
    let listed = |sandbox: &Sandbox| sandbox.duress(&["cache", "list", "--entries"]).stdout.matches("(part)").count();
    assert_eq!(listed(&sandbox), 1);
    assert_eq!(sandbox.duress(&["cache", "gc"]).code, 0);
    assert_eq!(listed(&sandbox), 0);
    assert_eq!(sandbox.run(&[]).total("computed"), 0);
}
