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
}

/// The spec around a value that is being read.
pub trait Surroundings {
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
