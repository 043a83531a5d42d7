use crate::support::{STUDY, Sandbox};

#[test]
fn the_second_run_computes_nothing() {
    let sandbox = Sandbox::with(STUDY);
    let first = sandbox.run(&[]);
    assert_eq!(first.total("hits"), 0);
    let instances = first.total("computed");
    let second = sandbox.run(&[]);
    assert_eq!((second.total("hits"), second.total("computed"), second.total("failed")), (instances, 0, 0));
    assert!(second.instances("started").is_empty());
}
