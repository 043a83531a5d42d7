use crate::support::{STAGES, STUDY, Sandbox};

#[test]
fn one_thread_or_two_and_one_job_or_three_give_the_same_tables() {
    let run = |options: &[&str]| {
        let sandbox = Sandbox::with(STUDY);
        sandbox.run(options);
        sandbox.tables(STAGES)
    };
    let alone = run(&["--threads", "1", "--jobs", "1"]);
    assert_eq!(alone, run(&["--threads", "2", "--jobs", "3"]));
}
