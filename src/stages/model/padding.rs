//! How far an image is padded: a number of rows and columns, or as far as its size needs.

use duress_cache::Tree;
use duress_engine::spec::{FromSpec, Node, Schema, Scope, Value, Variant};
use duress_network::arch::Layer;
use duress_network::op::Op;

/// Padding on every side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// So many rows and columns.
    Cells(u32),
    /// As many as give `ceil(extent / stride)` rows and columns.
    Same,
}

const SAME: &str = "same";

impl Padding {
    /// The layer of `op`, which is told its padding.
    pub(super) fn layer(self, op: impl FnOnce(usize) -> Op) -> Layer {
        match self {
            Self::Cells(cells) => Layer::op(op(cells as usize)),
            Self::Same => Layer::same(op(0)),
        }
    }
}

impl FromSpec for Padding {
    fn schema() -> Schema {
        let doc = "As many as give `ceil(extent / stride)` rows and columns.".to_owned();
        Schema::AnyOf(vec![u32::schema(), Schema::Choice(vec![Variant { name: SAME, doc, content: None }])])
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        match &node.value {
            Value::String(word) if word == SAME => Some(Self::Same),
            Value::String(_) => {
                scope.wrong_type_with(node, "a whole number >= 0, or `\"same\"`", Some("write `\"same\"`".to_owned()));
                None
            }
            _ => u32::from_spec(node, scope).map(Self::Cells),
        }
    }

    fn to_tree(&self) -> Option<Tree> {
        match self {
            Self::Cells(cells) => cells.to_tree(),
            Self::Same => Some(SAME.into()),
        }
    }
}
