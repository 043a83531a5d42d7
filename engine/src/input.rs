//! Inputs: the fields of a stage that refer to what other stages make.

use std::marker::PhantomData;

use duress_cache::Tree;

use crate::spec::{Connection, Fault, FromSpec, Node, Request, Schema, Scope, Value};

/// A type of artifact, named; the product declares its own (`weights`, `mask`, ...).
pub trait ArtifactType: std::fmt::Debug + Send + Sync + 'static {
    /// The names of the artifact types an input of this type takes; the first is its own.
    const ACCEPTS: &'static [&'static str];
}

/// Any table at all.
#[derive(Debug)]
pub struct AnyTable;

impl ArtifactType for AnyTable {
    const ACCEPTS: &'static [&'static str] = &["table"];
}

/// Exactly one artifact of type `T`, written as a reference such as `"train"`, `"train.curve"`, `"train[trial=1]"` or
/// `"prune[round-1].mask"`, or as `{ from = "...", optional = true }` where the field is an `Option`.
#[derive(Debug)]
pub struct Input<T> {
    /// The slot of the instance that holds it.
    pub slot: usize,
    artifact: PhantomData<fn() -> T>,
}

/// One artifact of type `T`, or several that are collected along axes: `"train[seed=*]"`, or a list of references.
#[derive(Debug)]
pub struct Inputs<T> {
    /// The slots of the instance that hold them, in order.
    pub slots: Vec<usize>,
    artifact: PhantomData<fn() -> T>,
}

impl<T: ArtifactType> FromSpec for Input<T> {
    fn schema() -> Schema {
        Schema::Input { accepts: T::ACCEPTS, many: false }
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        match connect(node, scope, T::ACCEPTS, false)? {
            Connection::Slots(slots) => slots.first().map(|&slot| Self { slot, artifact: PhantomData }),
            Connection::Absent => {
                let key = scope.path.join(".");
                scope.fault(
                    Fault::new("required-input", node.span, format!("`{key}` cannot be left out"), "this is optional")
                        .help("drop `optional = true`, or give the first value of the axis an input of its own"),
                );
                None
            }
        }
    }

    fn from_spec_optional(node: &Node, scope: &mut Scope<'_>) -> Option<Option<Self>> {
        Some(match connect(node, scope, T::ACCEPTS, false)? {
            Connection::Slots(slots) => Some(Self { slot: *slots.first()?, artifact: PhantomData }),
            Connection::Absent => None,
        })
    }

    fn to_tree(&self) -> Option<Tree> {
        None
    }
}

impl<T: ArtifactType> FromSpec for Inputs<T> {
    fn schema() -> Schema {
        Schema::Input { accepts: T::ACCEPTS, many: true }
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        let nodes = match &node.value {
            Value::Array(items) => items.iter().collect(),
            _ => vec![node],
        };
        let mut slots = Vec::new();
        let mut whole = true;
        for item in nodes {
            match connect(item, scope, T::ACCEPTS, true) {
                Some(Connection::Slots(more)) => slots.extend(more),
                Some(Connection::Absent) => {}
                None => whole = false,
            }
        }
        whole.then_some(Self { slots, artifact: PhantomData })
    }

    fn to_tree(&self) -> Option<Tree> {
        None
    }
}

/// Reads `"reference"` or `{ from = "reference", optional = true }` and connects it.
fn connect(node: &Node, scope: &mut Scope<'_>, accepts: &'static [&'static str], many: bool) -> Option<Connection> {
    let written = crate::spec::read_reference(node, scope)?;
    let Some(reference) = written.reference else {
        return Some(Connection::Absent);
    };
    let request = Request {
        field: scope.path.join("."),
        reference: &reference,
        span: written.span,
        accepts,
        optional: written.optional,
        many,
    };
    scope.surroundings.connect(&request, scope.faults)
}
