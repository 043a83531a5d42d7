use crate::support::{STUDY, Sandbox, edited};

/// A sparsity of 0 and one so small that it rounds to no weight at all give the same mask: the stage runs, and nothing
/// below it does.
#[test]
fn an_equal_result_stops_the_reruns() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    sandbox.write("study.toml", &edited(STUDY, "sparsity = [0.0, 0.5]", "sparsity = [0.00001, 0.5]"));
    let log = sandbox.run(&[]);
    assert_eq!(log.sections().into_iter().collect::<Vec<_>>(), ["thin"]);
    assert_eq!(log.total("computed"), 2);
}
