use crate::support::{STUDY, Sandbox, edited};

#[test]
fn batches_of_evaluation_do_not_matter() {
    let stages = ["clean"];
    let run = |batch: u32| {
        let mut spec = STUDY.to_owned();
        for stage in stages {
            let head = format!("[stage.{stage}]\n");
            spec = edited(&spec, &head, &format!("{head}batch = {batch}\n"));
        }
        let sandbox = Sandbox::with(&spec);
        sandbox.run(&[]);
        sandbox.tables(&stages)
    };
    assert_eq!(run(7), run(1000));
}
