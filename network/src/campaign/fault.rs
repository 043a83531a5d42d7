//! What goes wrong: stored numbers that are other numbers, and values that come out as others.

use std::fmt::Debug;
use std::sync::Arc;

/// A fault that lasts for the whole run.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Stored numbers are replaced, for every example alike.
    Stored(Vec<Stored>),
    /// Computed values are replaced, in every example.
    Activation(ActivationFault),
}

/// A stored number and what is there instead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stored {
    /// The parameter, by its place in [`Network::parameters`](crate::Network::parameters).
    pub parameter: usize,
    /// The element, row-major.
    pub element: usize,
    /// The number that is there.
    pub value: f32,
}

/// Values that a node computes and others read wrongly.
#[derive(Clone, Debug)]
pub struct ActivationFault {
    /// The node, from 1; 0 is the network's input. It must not be merged with what follows it: name it in
    /// [`Options::exposed`](super::Options::exposed).
    pub node: usize,
    /// Which of an example's numbers, row-major; each at most once.
    pub elements: Vec<usize>,
    /// What becomes of each.
    pub corrupt: Arc<dyn Corrupt>,
}

/// What becomes of a number.
pub trait Corrupt: Send + Sync + Debug {
    /// The faulty number in place of `value`; the same for the same arguments, always.
    fn corrupt(&self, value: f32, range: Range) -> f32;
}

/// The smallest and the largest of the numbers that a node gives for one example (of those that are no NaN).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The smallest.
    pub min: f32,
    /// The largest.
    pub max: f32,
}

impl Range {
    /// Of `values`.
    #[must_use]
    pub fn of(values: &[f32]) -> Self {
        let start = Self { min: f32::INFINITY, max: f32::NEG_INFINITY };
        values.iter().fold(start, |range, v| Self { min: range.min.min(*v), max: range.max.max(*v) })
    }
}

/// A fault, and the examples to try it on.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The fault.
    pub fault: &'a Fault,
    /// The examples, by number; all of them where nothing is said. An example that is named twice counts twice.
    pub images: Option<&'a [u32]>,
}

impl<'a> Run<'a> {
    /// `fault` on all examples.
    #[must_use]
    pub const fn all(fault: &'a Fault) -> Self {
        Self { fault, images: None }
    }
}
