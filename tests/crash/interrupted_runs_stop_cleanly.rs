//! Ctrl-C, as the terminal sends it.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::{Log, STUDY, Sandbox, edited};

fn interrupt(child: &Child) {
    let done = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(done.is_ok_and(|status| status.success()), "a signal can be sent");
}

/// Starts a long run and waits until its first stage runs.
fn started(sandbox: &Sandbox) -> (Child, Vec<String>) {
    let mut command = sandbox.command(&["run", "study.toml", "--json", "--threads", "1", "--jobs", "1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = Vec::new();
    let mut reader = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
    while !lines.last().is_some_and(|line: &String| line.contains("\"started\"") && line.contains("train")) {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).expect("events can be read") > 0, "the run ended early: {lines:?}");
        lines.push(line);
    }
    child.stdout = Some(reader.into_inner());
    (child, lines)
}

#[test]
fn the_first_interrupt_leaves_a_cache_to_resume_from() {
    let sandbox = Sandbox::with(&edited(STUDY, "epochs = 3", "epochs = 300"));
    let (child, _) = started(&sandbox);
    interrupt(&child);
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("finishing the parts"));
    let log = Log::parse(&String::from_utf8_lossy(&output.stdout));
    assert!(log.total("failed") > 0 && log.instances("failed").is_empty());
    sandbox.write("study.toml", STUDY);
    let log = sandbox.run(&[]);
    assert_eq!(log.total("hits"), 1, "the data were computed before the interrupt");
}

#[test]
fn the_second_interrupt_stops_at_once() {
    let sandbox = Sandbox::with(&edited(STUDY, "epochs = 3", "epochs = 3000"));
    let (mut child, _) = started(&sandbox);
    interrupt(&child);
    // Two signals at once would be one, so wait until the first was heard.
    let mut heard = String::new();
    let mut reader = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
    reader.read_line(&mut heard).expect("the answer can be read");
    assert!(heard.contains("press Ctrl-C again"), "{heard}");
    interrupt(&child);
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(130));
    sandbox.write("study.toml", STUDY);
    sandbox.run(&[]);
}
