//! How a type reads itself from a spec: [`FromSpec`], and the scope it reads in.

use duress_cache::Tree;

use super::fault::{Fault, Faults};
use super::schema::Schema;
use super::value::{Node, Span};

/// A type that can be written in a spec.
///
/// `from_spec` pushes every fault it finds into the scope and then returns `None`; it never stops at the first.
pub trait FromSpec: Sized {
    /// What a value of this type may look like.
    fn schema() -> Schema;

    /// Reads the value, or pushes at least one fault.
    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self>;

    /// Reads the value where it stands for an `Option<Self>`: an input that is written optional may turn out absent.
    fn from_spec_optional(node: &Node, scope: &mut Scope<'_>) -> Option<Option<Self>> {
        Self::from_spec(node, scope).map(Some)
    }

    /// The value of a key that is not written and has no default beside it; `None` makes the key required.
    fn when_absent(_scope: &mut Scope<'_>) -> Option<Self> {
        None
    }

    /// Whether a key of this type must be written where it has no default beside it: the static side of `when_absent`.
    #[must_use]
    fn required() -> bool {
        true
    }

    /// The resolved value as it enters a key; `None` for what is in the key by another way (inputs, by their digests).
    fn to_tree(&self) -> Option<Tree>;
}

/// What a type reads itself in: where faults go, and the spec around the value.
pub struct Scope<'a> {
    /// Every fault found so far.
    pub faults: &'a mut Faults,
    /// The rest of the spec, as this instance of a stage sees it.
    pub surroundings: &'a mut dyn Surroundings,
    /// The key path that is being read, outermost first, such as `["start", "from"]`.
    pub path: Vec<String>,
}

impl Scope<'_> {
    /// Pushes a fault.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Reads something below `key`.
    pub fn inside<T>(&mut self, key: impl Into<String>, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key.into());
        let result = read(self);
        self.path.pop();
        result
    }

    /// The dotted path of the value that is being read, such as `attack.eps`; `this` at the top.
    #[must_use]
    pub fn here(&self) -> String {
        if self.path.is_empty() { "this".to_owned() } else { self.path.join(".").replace(".[", "[") }
    }

    /// The dotted path of `key` below the value that is being read.
    #[must_use]
    pub fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.here()) }
    }

    /// Pushes the fault of a value that is of another type than `wanted` (said with its article).
    pub fn wrong_type(&mut self, node: &Node, wanted: &str) {
        self.wrong_type_with(node, wanted, None);
    }

    /// Pushes the fault of a value that is of another type than `wanted`, with its fix.
    pub fn wrong_type_with(&mut self, node: &Node, wanted: &str, help: Option<String>) {
        let label = format!("expected {wanted}, found {}", node.value.describe());
        let mut fault = Fault::new("wrong-type", node.span, format!("`{}` has the wrong type", self.here()), label);
        fault.help = help;
        self.fault(fault);
    }
}

/// The spec around a value that is being read.
pub trait Surroundings {
    /// The kind whose table is read, where it is one that `duress stages` documents.
    fn kind(&self) -> Option<&str> {
        None
    }

    /// The study's seed.
    fn seed(&self) -> u64;

    /// The table `[section.name]` with this instance's axis values filled in; pushes a fault where there is none.
    fn definition(&mut self, section: &'static str, name: &str, span: Span, faults: &mut Faults) -> Option<Node>;

    /// Connects an input to what it refers to; pushes a fault where it cannot be.
    fn connect(&mut self, request: &Request<'_>, faults: &mut Faults) -> Option<Connection>;
}

/// An input that asks to be connected.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The key path of the input, dotted, such as `weights`.
    pub field: String,
    /// The reference as written, axes filled in.
    pub reference: &'a str,
    /// Where it stands.
    pub span: Span,
    /// Names of the artifact types taken.
    pub accepts: &'static [&'static str],
    /// Whether an absent artifact is fine.
    pub optional: bool,
    /// Whether several artifacts may be collected.
    pub many: bool,
}

/// What an input was connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The artifacts in these slots of the instance, in order; exactly one unless the input takes many.
    Slots(Vec<usize>),
    /// There is none, and the reference says that is fine.
    Absent,
}
