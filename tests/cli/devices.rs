use crate::support::{STUDY, Sandbox};

/// More GPUs than any machine has.
const NONE: &str = "cuda:999";

#[test]
fn devices_are_listed_and_what_is_missing_is_told() {
    let sandbox = Sandbox::new();
    let output = sandbox.duress(&["devices"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = output.stdout.lines().map(str::trim).collect();
    assert!(lines[1].starts_with("cpu ") && lines[1].ends_with(" threads"), "{}", output.stdout);
    if cfg!(feature = "cuda") {
        assert!(lines[2].starts_with("driver ") && lines[3].starts_with("nvrtc "), "{}", output.stdout);
    } else {
        assert_eq!(
            lines[2],
            "cuda    this build computes on the CPU alone; build it with `--features cuda` to compute on a GPU"
        );
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_with_a_fix_and_nothing_is_run() {
    let sandbox = Sandbox::with(STUDY);
    let output = sandbox.duress(&["run", "study.toml", "--device", NONE]);
    assert_eq!((output.code, output.stdout.as_str()), (2, ""));
    assert!(output.stderr.contains("`--device auto` takes the CPU where there is no GPU"), "{}", output.stderr);
    if !cfg!(feature = "cuda") {
        insta::assert_snapshot!(output.whole(), @"
        --- stderr
        error: this build computes on the CPU alone; build it with `--features cuda` to compute on a GPU
        help: `duress devices` lists what can be used; `--device auto` takes the CPU where there is no GPU
        --- code 2
        ");
    }
    let output = sandbox.duress(&["run", "study.toml", "--device", "gpu"]);
    insta::assert_snapshot!(output.whole(), @"
    --- stderr
    error: invalid value 'gpu' for '--device <DEVICE>': `gpu` is no device; use `cpu`, `cuda:N` with the number of a GPU, or `auto`

    For more information, try '--help'.
    --- code 2
    ");
}

#[test]
fn whoever_leaves_the_choice_computes_on_the_cpu_where_there_is_nothing_else_and_is_told() {
    let sandbox = Sandbox::with(STUDY);
    let output = sandbox.duress(&["run", "study.toml", "--only", "clean", "--device", "auto"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let told = output.stderr.lines().any(|line| line.starts_with("computing on the CPU: ") && line.contains(';'));
    let with_gpu = sandbox.duress(&["devices"]).stdout.contains("cuda:0");
    assert_eq!(told, !with_gpu, "{}", output.stderr);
}

#[test]
fn results_of_another_class_of_device_are_others_and_those_of_the_cpu_are_named_as_before() {
    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&["--only", "clean,thin"]);
    let of = |device: &[&str]| sandbox.duress(&[&["plan", "study.toml", "--instances"], device].concat()).stdout;
    let with = |text: &str, name: &str, word: &str| {
        let rows = text.lines().filter_map(|line| line.split_once(' '));
        let mut words = rows.filter(|(_, label)| label.trim_start().starts_with(name)).map(|(word, _)| word).peekable();
        assert!(words.peek().is_some() && words.all(|found| found == word), "{name}: {text}");
    };
    let cpu = of(&[]);
    assert_eq!(of(&["--device", "cpu"]), cpu);
    with(&cpu, "train[", "hit");
    with(&cpu, "clean[", "hit");
    let cuda = of(&["--device", NONE]);
    assert_eq!(of(&["--device", "cuda:1"]), cuda, "the number of a GPU is in no key");
    with(&cuda, "train[", "miss");
    with(&cuda, "clean[", "pending");
    with(&cuda, "digits", "hit");
    let why = sandbox.duress(&["why", "study.toml", "train[seed=0]", "--device", NONE]).stdout;
    assert!(why.contains("device") && why.contains("cuda"), "{why}");
}

/// Multilayer perceptrons with rectifiers: the kernels have the CPU's bits, so every table is the same.
#[cfg(feature = "cuda-on-host")]
#[test]
fn every_kind_gives_the_tables_of_the_cpu_on_the_kernels_of_a_gpu() {
    use crate::support::STAGES;

    let sandbox = Sandbox::with(STUDY);
    sandbox.run(&[]);
    let wanted = sandbox.tables(STAGES);
    let device = ["--device", "cuda:host"];
    let probe = sandbox.duress(&[&["run", "study.toml", "--only", "clean"], &device[..]].concat());
    if probe.stderr.contains("no C++ compiler") {
        println!("skipped: {}", probe.stderr);
        return;
    }
    let log = sandbox.run(&device);
    let found = sandbox.tables_with(STAGES, &device);
    for stage in STAGES {
        assert!(found[*stage] == wanted[*stage], "{stage} differs");
    }
    // Kinds without a tolerance have results already, since their inputs are equal.
    let computed = log.sections();
    assert!(["flipped", "attacked", "crashed"].iter().all(|stage| computed.contains(*stage)), "{computed:?}");
    assert!(!computed.contains("thin") && !computed.contains("bounds"), "{computed:?}");
}
