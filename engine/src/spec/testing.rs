//! What the tests of this crate read configurations with.

use super::fault::{Fault, Faults};
use super::from_spec::{Connection, FromSpec, Request, Scope, Surroundings};
use super::raw::{RawSpec, SourceText};
use super::value::{Node, Span, Table, Value};

/// Surroundings with a seed of 7, the definitions of a text, and a slot for every reference but those called `absent`.
pub(crate) struct Toy {
    definitions: Table,
    slots: usize,
}

impl Toy {
    pub(crate) fn new(definitions: &str) -> Self {
        Self { definitions: table(definitions), slots: 0 }
    }

    /// Reads a `T` from a table that is written as TOML.
    pub(crate) fn read<T: FromSpec>(&mut self, text: &str) -> Result<T, Vec<Fault>> {
        let node = Node { value: Value::Table(table(text)), span: Span { start: 0, end: text.len() } };
        self.read_node(&node)
    }

    /// Reads a `T` from the value of `v = ...`.
    pub(crate) fn read_value<T: FromSpec>(&mut self, text: &str) -> Result<T, Vec<Fault>> {
        let table = table(&format!("v = {text}"));
        self.read_node(&table.entries[0].node)
    }

    fn read_node<T: FromSpec>(&mut self, node: &Node) -> Result<T, Vec<Fault>> {
        let mut faults = Faults::new();
        let read = T::from_spec(node, &mut Scope { faults: &mut faults, surroundings: self, path: Vec::new() });
        match read {
            Some(value) if faults.is_empty() => Ok(value),
            _ => Err(faults.sorted()),
        }
    }
}

fn table(text: &str) -> Table {
    let mut faults = Faults::new();
    let raw = RawSpec::parse(SourceText { name: "test.toml".into(), text: text.into() }, &mut faults);
    assert!(faults.is_empty(), "{faults:?}");
    raw.root
}

impl Surroundings for Toy {
    fn kind(&self) -> Option<&str> {
        Some("toy")
    }

    fn seed(&self) -> u64 {
        7
    }

    fn definition(&mut self, section: &'static str, name: &str, span: Span, faults: &mut Faults) -> Option<Node> {
        let found = self.definitions.get(name).map(|entry| entry.node.clone());
        if found.is_none() {
            faults.push(Fault::new("unknown-definition", span, format!("there is no `[{section}.{name}]`"), "unknown"));
        }
        found
    }

    fn connect(&mut self, request: &Request<'_>, faults: &mut Faults) -> Option<Connection> {
        if request.reference.starts_with("absent") {
            if !request.optional {
                faults.push(Fault::new("no-previous", request.span, "absent", "absent"));
                return None;
            }
            return Some(Connection::Absent);
        }
        let slots = if request.reference.contains('*') { 3 } else { 1 };
        self.slots += slots;
        Some(Connection::Slots((self.slots - slots..self.slots).collect()))
    }
}
