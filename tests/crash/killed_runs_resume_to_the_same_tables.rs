use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::support::{STAGES, STUDY, Sandbox, files};

/// A linear congruential generator (Knuth's MMIX constants): the moments are arbitrary, and the same in every run.
struct Moments(u64);

impl Moments {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Starts a run, kills it (SIGKILL) after so many milliseconds; whether it was still running.
#[expect(clippy::disallowed_methods, reason = "the moment of the kill is the test's input")]
fn killed(sandbox: &Sandbox, after: u64) -> bool {
    let mut command = sandbox.command(&["run", "study.toml", "--quiet"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    thread::sleep(Duration::from_millis(after));
    let running = child.try_wait().expect("a child can be asked").is_none();
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");
    running
}

/// A run that nobody disturbs: its tables, and how long it takes in milliseconds.
struct Undisturbed {
    tables: BTreeMap<String, Vec<u8>>,
    takes: u64,
}

impl Undisturbed {
    fn run() -> Self {
        let sandbox = Sandbox::with(STUDY);
        let log = sandbox.run(&[]);
        let seconds = log.events.last().and_then(|event| event["seconds"].as_f64()).expect("a run tells its time");
        Self { tables: sandbox.tables(STAGES), takes: (seconds * 1000.0) as u64 + 1 }
    }
}

/// Kills so many runs on one cache, finishes it, and looks at everything; how many kills met a running program.
fn kill_and_compare(undisturbed: &Undisturbed, moments: &mut Moments, kills: usize) -> usize {
    let sandbox = Sandbox::with(STUDY);
    let longest = undisturbed.takes * 2 / (kills as u64 + 1) + 10;
    let hit = (0..kills).filter(|_| killed(&sandbox, moments.below(longest))).count();
    sandbox.run(&[]);
    assert_eq!(sandbox.tables(STAGES), undisturbed.tables);
    let output = sandbox.duress(&["cache", "verify"]);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    let output = sandbox.duress(&["cache", "gc"]);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    let left: Vec<_> = files(&sandbox.cache()).into_iter().filter(|path| temporary(path)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(sandbox.run(&[]).total("computed"), 0, "gc takes nothing that is young");
    hit
}

fn temporary(path: &std::path::Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("tmp")
        && !text.contains("/cache/CACHEDIR")
        && path.file_name().is_some_and(|name| name.to_string_lossy().contains("tmp"))
}

#[test]
fn a_run_killed_ten_times_ends_in_the_same_tables() {
    let hit = kill_and_compare(&Undisturbed::run(), &mut Moments(1), 10);
    assert!(hit > 0, "no kill met a running program");
}

/// A minute or more: 200 caches, each killed once at any moment of a whole run.
#[test]
#[ignore = "takes minutes; run by hand before a release"]
fn two_hundred_kills_end_in_the_same_tables() {
    let (undisturbed, mut moments) = (Undisturbed::run(), Moments(2));
    let hit: usize = (0..200).map(|_| kill_and_compare(&undisturbed, &mut moments, 1)).sum();
    println!("{hit} of 200 kills met a running program");
    assert!(hit > 100, "{hit} of 200 kills met a running program");
}
