//! The keys of a data section, and a data section run by the engine.

use duress_cache::{Digest, MemoryStore, Store};
use duress_engine::plan::compile;
use duress_engine::run::{CancelToken, Event, RunOptions, run};
use duress_engine::spec::{Faults, SourceText, check};

use super::super::REGISTRY;
use super::super::testing::{key, read};
use super::*;
use crate::host::Machine;

/// The outputs and the codes of the faults of a table.
fn infer(text: &str) -> (Vec<OutputFact>, Vec<String>) {
    let (stage, table) = match read::<Data>(text) {
        Ok(read) => read,
        Err(faults) => return (Vec::new(), faults.iter().map(|fault| fault.code.to_owned()).collect()),
    };
    let mut faults = Faults::new();
    let inputs = InputFacts::default();
    let facts = stage.infer(&mut InferContext { inputs: &inputs, faults: &mut faults, table: &table });
    (facts, faults.sorted().iter().map(|fault| format!("{}: {}", fault.code, fault.message)).collect())
}

#[test]
fn every_split_that_there_is_has_its_facts() {
    let (facts, faults) = infer("source = \"mnist\"\nvalidation = { first = 10_000 }\nlimit = { test = 1_000 }");
    assert!(faults.is_empty(), "{faults:?}");
    let rows: Vec<_> = facts
        .iter()
        .map(|output| (output.name, output.fact.detail::<DataFact>().expect("known").rows.expect("known")))
        .collect();
    assert_eq!(rows, [("training", 50_000), ("train", 50_000), ("validation", 10_000), ("test", 1_000)]);
    let digits = infer("source = \"digits\"").0;
    assert_eq!(digits.iter().map(|output| output.name).collect::<Vec<_>>(), ["training", "train", "test"]);
    let known = digits[0].fact.detail::<DataFact>().expect("known");
    assert_eq!((known.features, known.classes, known.regression), (Some(64), Some(10), false));
    assert_eq!(infer("source = \"digits\"\ntest = \"none\"").0.len(), 2);
}

#[test]
fn what_means_the_same_has_the_same_key() {
    let digits = key::<Data>("source = \"digits\"");
    for written in [
        "source = \"digits\"\nscale = \"unit\"",
        "source = \"digits\"\ntest = { share = 0.2 }",
        "limit = { validation = 7 }\ntest = { share = 0.2, seed = 0, stratified = true }\nsource = \"digits\"",
    ] {
        assert_eq!(key::<Data>(written), digits, "{written}");
    }
    for other in [
        "scale = \"none\"",
        "test = \"none\"",
        "validation = { last = 3 }",
        "limit = 9",
        "test = { share = 0.2, seed = 1 }",
    ] {
        assert_ne!(key::<Data>(&format!("source = \"digits\"\n{other}")), digits, "{other}");
    }
    let mnist = |path: &str| key::<Data>(&format!("source = \"mnist\"\n{path}"));
    assert_eq!(mnist("path = \"elsewhere\""), mnist(""));
}

#[test]
fn faults_are_told_at_plan_time() {
    let fault = |text: &str| infer(text).1.join("; ");
    assert!(fault("source = \"mnits\"").contains("unknown-choice"));
    assert!(fault("source = \"mnist\"\ntest = { share = 0.1 }").contains("has a test set of its own"));
    assert!(fault("source = \"digits\"\nvalidation = { first = 1_797 }").contains("leave at least one"));
    assert!(fault("source = \"digits\"\nvalidation = { first = 3, share = 0.1 }").contains("one-portion"));
    assert!(fault("source = \"digits\"\nvalidation = {}").contains("one-portion"));
    assert!(fault("source = \"digits\"\nlabel = \"kind\"").contains("`label` has no use for `digits`"));
    assert!(fault("source = \"csv\"").contains("`path` is missing"));
    assert!(fault("source = \"csv\"\npath = \"a\"\nlabel = \"b\"\ntarget = \"c\"").contains("two-answers"));
    assert!(fault("source = \"boston\"\nscale = \"unit\"").contains("no greatest code"));
    assert!(fault("source = \"digits\"\ntest = \"all\"").contains("wrong-type"));
    assert_eq!(fault("source = \"boston\"\nscale = { mean = 0.0, std = 2.0 }\nlimit = 20"), "");
}

/// Runs a study of nothing but a data section; the digest of each of its tables.
fn tables(keys: &str, roots: SourceRoots) -> Result<BTreeMap<String, Digest>, String> {
    let text = format!("[study]\nname = \"data\"\n[data.x]\n{keys}\n");
    let spec = check(SourceText { name: "test".to_owned(), text }, &REGISTRY).map_err(|errors| errors.to_string())?;
    let plan = compile(spec).map_err(|errors| errors.to_string())?;
    let events = std::sync::Mutex::new(Vec::new());
    let sink = |event: Event| events.lock().expect("no panic").push(event);
    let (store, options) = (MemoryStore::new(), RunOptions { roots, ..RunOptions::default() });
    run(&plan, &store as &dyn Store, &Machine::new(None), &options, &sink, &CancelToken::new())
        .map_err(|error| error.to_string())?;
    let events = events.into_inner().expect("no panic");
    let computed = events.iter().find_map(|event| match event {
        Event::Computed { outputs, .. } => Some(outputs.iter().cloned().collect()),
        _ => None,
    });
    computed.ok_or_else(|| format!("{events:?}"))
}

#[test]
fn a_change_of_test_options_leaves_the_training_rows_as_they_are() {
    let tables = |keys: &str| tables(&format!("source = \"digits\"\n{keys}"), SourceRoots::default()).expect("runs");
    let plain = tables("validation = { share = 0.1 }");
    assert_eq!(plain.keys().collect::<Vec<_>>(), ["test", "train", "training", "validation"]);
    let shorter = tables("validation = { share = 0.1 }\nlimit = { test = 100 }");
    assert_eq!((plain["training"], plain["train"]), (shorter["training"], shorter["train"]));
    assert_ne!(plain["test"], shorter["test"]);
    assert_ne!(plain["training"], tables("validation = { share = 0.2 }")["training"]);
    assert_eq!(tables("").keys().collect::<Vec<_>>(), ["test", "train", "training"]);
}

#[test]
fn a_broken_file_fails_the_data_section_and_a_missing_one_says_where_it_was_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let roots = SourceRoots { spec: folder.path().into(), data: Vec::new() };
    let keys = "source = \"csv\"\npath = \"mine.csv\"";
    let missing = tables(keys, roots.clone()).expect_err("no file");
    assert!(missing.contains("find the file `file` of csv"), "{missing}");
    std::fs::write(folder.path().join("mine.csv"), "a,label\n1,zero\n").expect("written");
    let broken = tables(keys, roots.clone()).expect_err("text for labels");
    assert!(broken.contains("`label` holds Utf8"), "{broken}");
    let rows = "1,0\n2,1\n".repeat(5);
    std::fs::write(folder.path().join("mine.csv"), format!("a,label\n{rows}")).expect("written");
    tables(keys, roots).expect("a good file");
}

#[test]
fn the_shape_of_pictures_is_known_at_plan_time() {
    let known = |text: &str| {
        let (facts, faults) = infer(text);
        assert!(faults.is_empty(), "{faults:?}");
        let known = facts[0].fact.detail::<DataFact>().expect("known").clone();
        (known.shape.expect("pictures"), known.features, known.classes)
    };
    assert_eq!(known("source = \"cifar-10\""), (vec![3, 32, 32], Some(3072), Some(10)));
    assert_eq!(known("source = \"cifar-100\"").2, Some(100));
    assert_eq!(known("source = \"mnist\"\nsize = 32"), (vec![32, 32], Some(1024), Some(10)));
    assert_eq!(known("source = \"gtsrb\"\nsize = [50, 40]"), (vec![3, 50, 40], Some(6000), Some(43)));
    assert_eq!(known("source = \"gtsrb\"\ngrey = true").0, [1, 32, 32]);
    assert_eq!(known("source = \"folder\"\npath = \"a\"\nsize = 8"), (vec![3, 8, 8], Some(192), None));
    let fault = |text: &str| infer(text).1.join("; ");
    assert!(fault("source = \"folder\"\npath = \"a\"").contains("`size` must be one or two numbers"));
    assert!(fault("source = \"mnist\"\nsize = [1, 2, 3]").contains("`size` must be one or two numbers"));
    assert!(fault("source = \"boston\"\nsize = 8").contains("are no pictures"));
    assert!(fault("source = \"mnist\"\ngrey = true").contains("`grey` has no use for `mnist`"));
    let mnist = |keys: &str| key::<Data>(&format!("source = \"mnist\"\n{keys}"));
    assert_eq!(mnist("size = 28"), mnist(""), "the size that pictures have anyway changes nothing");
    assert_ne!(mnist("size = 32"), mnist(""));
}

#[test]
fn a_folder_of_pictures_is_one_source_whose_names_and_bytes_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, level: u8| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("inside")).expect("made");
        std::fs::write(path, [b"P5 2 2 255\n", &[level; 4][..]].concat()).expect("written");
    };
    let roots = SourceRoots { spec: folder.path().into(), data: Vec::new() };
    let train = |roots: &SourceRoots| {
        let keys = "source = \"folder\"\npath = \"train\"\ntest_path = \"test\"\nsize = 2";
        tables(keys, roots.clone()).expect("runs")
    };
    for (name, level) in [("train/cat/1.pgm", 1), ("train/dog/2.pgm", 2), ("test/cat/3.pgm", 3), ("test/dog/4.pgm", 4)]
    {
        put(name, level);
    }
    let before = train(&roots);
    assert_eq!(before, train(&roots));
    put("train/dog/2.pgm", 9);
    let changed = train(&roots);
    assert_ne!(before["train"], changed["train"]);
    assert_eq!(before["test"], changed["test"]);
    std::fs::rename(folder.path().join("train/dog"), folder.path().join("train/ant")).expect("renamed");
    assert_ne!(changed["train"], train(&roots)["train"]);
    let missing = tables("source = \"folder\"\npath = \"nowhere\"\nsize = 2", roots).expect_err("no folder");
    assert!(missing.contains("find the file `file` of folder"), "{missing}");
}

#[test]
fn a_split_that_is_not_there_is_a_fault_of_whoever_reads_it() {
    let text = "[study]\nname = \"s\"\n[data.x]\nsource = \"digits\"\n[model.m]\nhidden = []\n\
        [stage.t]\nkind = \"train\"\nmodel = \"m\"\ndata = \"x\"\nepochs = 1\n\
        [stage.e]\nkind = \"evaluate\"\nweights = \"t\"\ndata = \"x.validation\"\n";
    let source = |text: &str| SourceText { name: "test".to_owned(), text: text.to_owned() };
    let spec = check(source(text), &REGISTRY).expect("well-formed");
    let errors = compile(spec).err().expect("a fault");
    let codes: Vec<_> = errors.faults().map(|fault| fault.code).collect();
    assert_eq!(codes, ["no-such-split"]);
    let held_back = text.replace("source = \"digits\"", "source = \"digits\"\nvalidation = { first = 9 }");
    compile(check(source(&held_back), &REGISTRY).expect("well-formed")).expect("now there is one");
}
