use crate::support::{STAGES, STUDY, Sandbox};

#[test]
fn a_shuffled_spec_gives_the_same_tables() {
    let straight = Sandbox::with(STUDY);
    straight.run(&[]);
    // The axes keep their order, for it is the order of the columns.
    let mut sections: Vec<&str> = STUDY.trim().split("\n\n").collect();
    sections.reverse();
    let shuffled = Sandbox::with(&sections.join("\n\n"));
    shuffled.run(&[]);
    assert_eq!(straight.tables(STAGES), shuffled.tables(STAGES));
}
