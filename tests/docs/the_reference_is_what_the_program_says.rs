use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::support::Sandbox;

const HEAD: &str = "\
# Reference: every section and every key

What `duress stages NAME` prints, for every name. After a change of a key, `BLESS=1 cargo test --test main reference`
writes this page anew.
";

#[test]
#[expect(clippy::disallowed_methods, reason = "a variable asks for a new page")]
fn the_reference_is_what_the_program_says() {
    let sandbox = Sandbox::new();
    let list = sandbox.duress(&["stages"]).stdout;
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let mut page = HEAD.to_owned();
    for name in names {
        let text = sandbox.duress(&["stages", name]);
        assert_eq!(text.code, 0, "{name}: {}", text.stderr);
        write!(page, "\n## {name}\n\n```text\n{}\n```\n", text.stdout.trim_end()).expect("a string takes everything");
    }
    assert!(page.matches("\n## ").count() >= 8, "six kinds, data and models: {list}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/stages.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/stages.md is out of date: BLESS=1 cargo test --release --test main reference");
}
