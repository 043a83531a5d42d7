use crate::support::{STUDY, Sandbox, edited};

/// Runs the study, changes what has no meaning, and runs it again with these options: nothing may be computed.
fn all_hits(changed: &str, options: &[&str]) {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    sandbox.write("study.toml", changed);
    let log = sandbox.run(options);
    assert_eq!(log.total("computed"), 0, "{:?}", log.computed());
}

#[test]
fn comments_blank_lines_and_spelling_of_numbers_are_hits() {
    let spec = edited(STUDY, "lr = 0.003", "lr = 3e-3");
    let spec = edited(&spec, "hidden = [16]", "hidden = [\n  16, # neurons\n]");
    all_hits(&format!("# a comment\n\n{spec}\n# and another"), &[]);
}

#[test]
fn the_order_of_keys_and_tables_is_a_hit() {
    let spec = edited(STUDY, "model = \"tiny\"\ndata = \"digits\"\n", "data = \"digits\"\nmodel = \"tiny\"\n");
    let at = spec.find("[stage.clean]").expect("the study has that stage");
    let data = spec.find("[data.digits]").expect("the study has that data");
    all_hits(&format!("{}{}{}", &spec[..data], &spec[at..], &spec[data..at]), &[]);
}

#[test]
fn a_default_written_out_is_a_hit() {
    let spec = edited(STUDY, "{ adam = { lr = 0.003 } }", "{ adam = { lr = 0.003, beta1 = 0.9 } }");
    all_hits(&edited(&spec, "hidden = [16]", "hidden = [16]\nbias = true"), &[]);
}

#[test]
fn a_renamed_stage_axis_or_study_is_a_hit() {
    let spec = STUDY.replace("stage.thin", "stage.slim").replace("\"thin\"", "\"slim\"");
    let spec = spec.replace("sparsity = [0.0, 0.5]", "level = [0.0, 0.5]").replace("\"{sparsity}\"", "\"{level}\"");
    all_hits(&spec.replace("name = \"small\"", "name = \"smaller\""), &[]);
}

#[test]
fn another_number_of_threads_and_jobs_is_a_hit() {
    all_hits(STUDY, &["--threads", "1", "--jobs", "3"]);
}
