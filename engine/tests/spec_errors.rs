//! Every mistake a spec can hold, one file each, with all that a user gets to see.
//!
//! `spec_errors/NAME.toml` is the spec, `NAME.stderr` beside it the whole output. `BLESS=1 cargo test -p duress-engine
//! --test spec_errors` writes the outputs anew; read the difference before committing it.

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use duress_engine::plan;
use duress_engine::spec::SourceText;
use miette::{GraphicalReportHandler, GraphicalTheme};

const NO_FAULT: &str = "no fault at all\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec_errors")
}

fn cases() -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder()).expect("the folder is part of the checkout");
    let mut cases: Vec<PathBuf> = files.map(|file| file.expect("a readable folder").path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    cases.sort();
    cases
}

fn rendered(path: &Path) -> String {
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).expect("a readable file");
    let Err(errors) = plan::read(SourceText { name, text }, &support::REGISTRY) else {
        return NO_FAULT.to_owned();
    };
    let mut out = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    handler.render_report(&mut out, &errors).expect("strings take everything");
    out.lines().fold(String::new(), |mut all, line| {
        writeln!(all, "{}", line.trim_end()).expect("strings take everything");
        all
    })
}

#[test]
fn every_invalid_spec_is_refused_with_the_whole_output_on_record() {
    #[expect(clippy::disallowed_methods, reason = "a test may be told to write its expectations anew")]
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = String::new();
    for case in cases() {
        let (found, record) = (rendered(&case), case.with_extension("stderr"));
        if found == NO_FAULT {
            writeln!(wrong, "{} should be invalid", case.display()).expect("strings take everything");
        } else if bless {
            std::fs::write(&record, &found).expect("a writable checkout");
        }
        let expected = std::fs::read_to_string(&record).unwrap_or_default();
        if found != expected {
            write!(wrong, "{}\n-- found\n{found}\n-- expected\n{expected}\n", case.display()).expect("strings");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn there_are_at_least_sixty_sorts_of_mistake() {
    assert!(cases().len() >= 60, "only {}", cases().len());
}
