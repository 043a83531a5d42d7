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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::spec::testing::Toy;
    use crate::spec::{Template, definition_names, references};

    #[derive(Debug)]
    struct Weights;

    impl ArtifactType for Weights {
        const ACCEPTS: &'static [&'static str] = &["weights"];
    }

    config! {
        /// Reads several inputs.
        struct Reads {
            /// The one it must have.
            weights: Input<Weights>,
            /// One it may have.
            start: Option<Input<Weights>>,
            /// Any number of them.
            others: Option<Inputs<Weights>>,
        }
    }

    fn read(text: &str) -> Result<Reads, Vec<Fault>> {
        Toy::new("").read(text)
    }

    #[test]
    fn inputs_hold_the_slots_they_are_connected_to() {
        let reads = read("weights = \"a\"\nstart = { from = \"b\" }\nothers = [\"c\", \"d[x=*]\"]").expect("valid");
        assert_eq!(reads.weights.slot, 0);
        assert_eq!(reads.start.map(|input| input.slot), Some(1));
        assert_eq!(reads.others.map(|inputs| inputs.slots), Some(vec![2, 3, 4, 5]));
    }

    #[test]
    fn an_optional_input_may_turn_out_absent() {
        for start in ["{ from = \"absent\", optional = true }", "{ from = \"\", optional = true }"] {
            let reads = read(&format!("weights = \"a\"\nstart = {start}")).expect("valid");
            assert!(reads.start.is_none());
        }
        let absent = read("weights = { from = \"absent\", optional = true }").expect_err("it must be there");
        assert_eq!(absent[0].code, "required-input");
    }

    #[test]
    fn what_is_no_reference_is_a_fault() {
        for (text, code) in [
            ("weights = 3", "wrong-type"),
            ("weights = \"\"", "bad-reference"),
            ("weights = { optional = true }", "missing-key"),
            ("weights = { from = \"a\", option = true }", "unknown-key"),
            ("weights = { from = \"a\", optional = 1 }", "wrong-type"),
            ("", "missing-key"),
        ] {
            assert_eq!(read(text).expect_err("a fault")[0].code, code, "{text}");
        }
    }

    #[test]
    fn references_are_found_before_axes_are_filled_in() {
        let Schema::Record(record) = Reads::schema() else { panic!("not a record") };
        let text = "others = [\"{a}\", { from = \"b\", optional = true }]\nweights = \"train[seed={s}]\"";
        let mut faults = crate::spec::Faults::new();
        let source = crate::spec::SourceText { name: String::new(), text: text.to_owned() };
        let raw = crate::spec::RawSpec::parse(source, &mut faults);
        let node = Node { value: Value::Table(raw.root), span: crate::spec::Span::default() };
        let found = references(&record, &node);
        let brief: Vec<_> =
            found.iter().map(|Template { text, field, optional, .. }| (text.as_str(), field.as_str(), *optional)).collect();
        assert_eq!(
            brief,
            [("train[seed={s}]", "weights", false), ("{a}", "others", false), ("b", "others", true)]
        );
        assert_eq!(definition_names(&record, &node), []);
    }

    #[test]
    fn inputs_are_no_part_of_the_configuration() {
        let reads = read("weights = \"a\"").expect("valid");
        assert_eq!(reads.to_tree(), Some(Tree::Map(std::collections::BTreeMap::new())));
    }
}
