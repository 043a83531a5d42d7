//! Networks and numbers for tests of trainings.

use crate::graph::{Builder, Network, Value};
use crate::op::{Linear, Op};
use crate::random::Stream;

/// Normal numbers, the same for the same purpose.
pub(super) fn random(purpose: &str, len: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    Stream::new(5, purpose, &[]).fill_normal(&mut values, 0.0, 0.3);
    values
}

/// A residual block of linear layers over a sequence, with a value that is read twice.
pub(super) fn sequence() -> Network {
    let mut b = Builder::new(&[7, 24]);
    let x = b.then("first", Linear::new(40), Value::INPUT);
    let x = b.relu("relu", x);
    let y = b.then("inner", Linear::new(40), x);
    let z = b.then("side", Linear::new(40).bias(false), x);
    let y = b.join("add", Op::Add, &[y, z]);
    let y = b.relu("after", y);
    let y = b.then("flatten", Op::Flatten, y);
    b.then("last", Linear::new(5), y);
    b.finish().unwrap()
}
