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

/// Kills runs on one cache until one gets through, `kills` at most, then looks at everything.
fn kill_and_compare(moments: &mut Moments, kills: usize, longest: u64) -> usize {
    let undisturbed = Sandbox::with(STUDY);
    undisturbed.run(&[]);
    let expected = undisturbed.tables(STAGES);
    let sandbox = Sandbox::with(STUDY);
    let hit = (0..kills).filter(|_| killed(&sandbox, moments.below(longest))).count();
    sandbox.run(&[]);
    assert_eq!(sandbox.tables(STAGES), expected);
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
    let hit = kill_and_compare(&mut Moments(1), 10, 300);
    assert!(hit > 0, "no kill met a running program");
}

/// Minutes: 20 caches, 10 kills each.
#[test]
#[ignore = "takes minutes; run by hand before a release"]
fn two_hundred_kills_end_in_the_same_tables() {
    let mut moments = Moments(2);
    let hit: usize = (0..20).map(|round| kill_and_compare(&mut moments, 10, 100 + 60 * round)).sum();
    println!("{hit} of 200 kills met a running program");
    assert!(hit > 100);
}
