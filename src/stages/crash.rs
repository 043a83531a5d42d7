//! `crash = 0.02` or `crash = { "hidden.1" = 0.02 }`: which neurons crash, and how often.

use std::collections::BTreeMap;

use duress_cache::Tree;
use duress_engine::spec::{Fault, Fraction, FromSpec, Node, Schema, Scope, Value};
use duress_engine::stage::InferContext;

use crate::nn::LayerNames;
use crate::nn::fault::matches;

/// Crash probabilities as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Crash {
    /// The same for every hidden layer.
    Hidden(f64),
    /// By layer: `input`, a layer's name, or a pattern with `*`; others do not crash.
    ByLayer(BTreeMap<String, f64>),
}

impl FromSpec for Crash {
    fn schema() -> Schema {
        Schema::AnyOf(vec![Fraction::schema(), BTreeMap::<String, Fraction>::schema()])
    }

    fn from_spec(node: &Node, scope: &mut Scope<'_>) -> Option<Self> {
        match &node.value {
            Value::Table(_) => {
                let by_layer = BTreeMap::<String, Fraction>::from_spec(node, scope)?;
                Some(Self::ByLayer(by_layer.into_iter().map(|(layer, p)| (layer, p.0)).collect()))
            }
            _ => Fraction::from_spec(node, scope).map(|p| Self::Hidden(p.0)),
        }
    }

    fn to_tree(&self) -> Option<Tree> {
        match self {
            Self::Hidden(p) => Some(Tree::Float(*p)),
            Self::ByLayer(by_layer) => {
                Some(Tree::map(by_layer.iter().map(|(layer, p)| (layer.clone(), Tree::Float(*p)))))
            }
        }
    }
}

impl Crash {
    /// The crash probability of each layer of `network`, the input first; the names that fit no layer otherwise.
    ///
    /// Where several patterns fit a layer its own name wins, and of patterns the last in the alphabet.
    ///
    /// # Errors
    /// The patterns that fit no layer.
    pub fn rates(&self, network: &impl LayerNames) -> Result<Vec<f64>, Vec<String>> {
        let mut names = vec!["input"];
        names.extend(network.layer_names());
        let by_layer = match self {
            Self::Hidden(p) => {
                let hidden = |l: usize| if l > 0 && l + 1 < names.len() { *p } else { 0.0 };
                return Ok((0..names.len()).map(hidden).collect());
            }
            Self::ByLayer(by_layer) => by_layer,
        };
        let strangers: Vec<String> =
            by_layer.keys().filter(|pattern| !names.iter().any(|name| matches(pattern, name))).cloned().collect();
        if !strangers.is_empty() {
            return Err(strangers);
        }
        let rate = |name: &&str| {
            let by_pattern = by_layer.iter().rev().find(|(pattern, _)| matches(pattern, name)).map(|(_, p)| *p);
            by_layer.get(*name).copied().or(by_pattern).unwrap_or(0.0)
        };
        Ok(names.iter().map(rate).collect())
    }

    /// The rates for a network known at plan time; reports, at the key `crash`, names that fit no layer.
    pub(crate) fn infer(&self, cx: &mut InferContext<'_>, network: &impl LayerNames) -> Option<Vec<f64>> {
        let strangers = match self.rates(network) {
            Ok(rates) => return Some(rates),
            Err(strangers) => strangers,
        };
        let layers = network.layer_names();
        for stranger in strangers {
            let span = cx.span_of("crash");
            let fault = Fault::new("unknown-layer", span, format!("there is no layer `{stranger}`"), "no such layer");
            cx.faults.push(fault.help(format!("the layers are input, {}", layers.join(", "))));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Activation, Mlp};

    fn rates(crash: &[(&str, f64)]) -> Result<Vec<f64>, Vec<String>> {
        let network = Mlp::new(4, &[3, 3], 2, Activation::relu(), true);
        Crash::ByLayer(crash.iter().map(|(layer, p)| ((*layer).to_owned(), *p)).collect()).rates(&network)
    }

    #[test]
    fn rates_are_given_by_name_pattern_or_to_all_hidden_layers() {
        assert_eq!(rates(&[("hidden.1", 0.1)]), Ok(vec![0.0, 0.1, 0.0, 0.0]));
        assert_eq!(rates(&[("hidden.*", 0.2), ("hidden.1", 0.1), ("input", 0.3)]), Ok(vec![0.3, 0.1, 0.2, 0.0]));
        assert_eq!(rates(&[("*", 0.5)]), Ok(vec![0.5; 4]));
        assert_eq!(rates(&[("hiden.1", 0.1)]), Err(vec!["hiden.1".to_owned()]));
        let network = Mlp::new(4, &[3, 3], 2, Activation::relu(), true);
        assert_eq!(Crash::Hidden(0.1).rates(&network), Ok(vec![0.0, 0.1, 0.1, 0.0]));
    }
}
