//! The names of architectures: those of the catalogue, and `cnn` for a list of layers.

use duress_cache::Tree;
use duress_engine::spec::config::pick;
use duress_engine::spec::{FromSpec, Node, Schema, Scope, Variant};
use duress_network::arch::{Architecture, catalogue, find};
use duress_network::graph::GraphError;

use crate::nn;

/// What a list of layers is called.
const CNN: &str = "cnn";

/// A family of architectures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arch(&'static str);

impl Arch {
    /// A multilayer perceptron.
    pub const MLP: Self = Self("mlp");

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }

    /// The network as its authors published it.
    ///
    /// # Errors
    /// Where it cannot read examples of that shape.
    pub(super) fn network(self, input: &[usize], outputs: usize) -> Result<nn::Network, GraphError> {
        find(self.0).map_or(Err(GraphError::Empty), |known| known.network(input, outputs))
    }

    /// How its parameters are drawn.
    pub(super) fn scheme(self) -> nn::Scheme {
        match self.0 {
            "mlp" => nn::Scheme::new(nn::Init::GlorotUniform, nn::Init::Zeros),
            name => find(name).map_or(nn::Scheme::PYTORCH, |known| known.scheme),
        }
    }
}

impl FromSpec for Arch {
    fn schema() -> Schema {
        let variant = |known: &Architecture| Variant { name: known.name, doc: sentence(known.summary), content: None };
        let mut variants: Vec<Variant> = catalogue().iter().map(variant).collect();
        variants.push(Variant { name: CNN, doc: "What `layers` lists.".to_owned(), content: None });
        Schema::Choice(variants)
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        let Schema::Choice(variants) = Self::schema() else { return None };
        let picked = pick(node, scope, &variants)?;
        Some(Self(find(picked.0).map_or(CNN, |known| known.name)))
    }

    fn to_tree(&self) -> Option<Tree> {
        Some(self.0.into())
    }
}

/// A summary as a sentence.
fn sentence(summary: &str) -> String {
    let mut letters = summary.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}
