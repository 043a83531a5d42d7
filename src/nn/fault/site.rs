//! Where a fault can be: every (parameter, element, bit, model), numbered.

use super::bits::{BitModel, WORD_BITS};
use crate::nn::mlp::{Parameter, Role};
use crate::nn::mlp_weights::MlpWeights;

/// One fault: a model applied to one bit of one stored parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultSite {
    /// Number of the layer that owns the parameter, from 1.
    pub layer: usize,
    /// Position of the parameter in [`MlpWeights::tensors`], whose `name` is the one to show.
    pub tensor: usize,
    /// Element of the parameter: `[output, input]` of a weight, `[output]` of a bias.
    pub index: Vec<usize>,
    /// Bit, 0 the mantissa's least significant to 31 the sign.
    pub bit: u8,
    /// What happens to the bit.
    pub model: BitModel,
}

/// Which parameters, bits and models a campaign may hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Layer names with `*` for any run of characters; `["*"]` for all.
    pub layers: Vec<String>,
    /// Whether weights can be hit.
    pub weights: bool,
    /// Whether biases can be hit.
    pub biases: bool,
    /// The bits that can be hit.
    pub bits: Vec<u8>,
    /// The models applied.
    pub models: Vec<BitModel>,
}

impl Default for Targets {
    /// Bit flips in any bit of any weight.
    fn default() -> Self {
        Self {
            layers: vec!["*".to_owned()],
            weights: true,
            biases: false,
            bits: (0..WORD_BITS).collect(),
            models: vec![BitModel::BitFlip],
        }
    }
}

/// Targets that name nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// A pattern fits no layer.
    #[error("find a layer named like `{pattern}`: the layers are {}", layers.join(", "))]
    NoSuchLayer {
        /// The pattern given.
        pattern: String,
        /// The names there are.
        layers: Vec<String>,
    },
    /// A bit is not in the word.
    #[error("hit bit {0} of a 32-bit word: give bits from 0 to 31")]
    NoSuchBit(u8),
    /// Nothing is left to hit.
    #[error("sample faults from an empty space: name at least one layer with such parameters, bit and model")]
    Empty,
}

/// All sites of a campaign, numbered from 0: element by element, within it bit by bit, within it model by model.
///
/// Sites are made when asked for; a space of a billion faults takes no memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSpace {
    targets: Vec<Target>,
    bits: Vec<u8>,
    models: Vec<BitModel>,
}

/// One parameter that can be hit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    layer: usize,
    tensor: usize,
    shape: Vec<usize>,
    /// Number of its first site.
    first: u64,
}

impl FaultSpace {
    /// The sites that `targets` names in `weights`; repeated bits and models count once.
    ///
    /// # Errors
    /// [`SiteError`] for a pattern without layer, a bit beyond 31, and for no sites at all.
    pub fn new(weights: &MlpWeights, targets: &Targets) -> Result<Self, SiteError> {
        let network = &weights.network;
        for pattern in &targets.layers {
            if !network.layers.iter().any(|l| matches(pattern, &l.name)) {
                let layers = network.layers.iter().map(|l| l.name.clone()).collect();
                return Err(SiteError::NoSuchLayer { pattern: pattern.clone(), layers });
            }
        }
        if let Some(bit) = targets.bits.iter().find(|b| **b >= WORD_BITS) {
            return Err(SiteError::NoSuchBit(*bit));
        }
        let (bits, models) = (sorted(&targets.bits), sorted(&targets.models));
        let per_element = (bits.len() * models.len()) as u64;
        let wanted = |p: &Parameter| {
            let name = &network.layers[p.layer - 1].name;
            (if p.role == Role::Weight { targets.weights } else { targets.biases })
                && targets.layers.iter().any(|t| matches(t, name))
        };
        let mut first = 0;
        let mut all = Vec::new();
        for (tensor, p) in network.parameters().into_iter().enumerate().filter(|(_, p)| wanted(p)) {
            let elements: usize = p.shape.iter().product();
            all.push(Target { layer: p.layer, tensor, shape: p.shape, first });
            first += elements as u64 * per_element;
        }
        if first == 0 {
            return Err(SiteError::Empty);
        }
        Ok(Self { targets: all, bits, models })
    }

    /// How many sites there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.targets.last().map_or(0, |t| t.first + self.sites_of(t))
    }

    /// Never: a space without sites cannot be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Site `number`, if it is below [`FaultSpace::len`].
    #[must_use]
    pub fn site(&self, number: u64) -> Option<FaultSite> {
        if number >= self.len() {
            return None;
        }
        let target = &self.targets[self.targets.partition_point(|t| t.first <= number) - 1];
        let within = number - target.first;
        let (models, bits) = (self.models.len() as u64, self.bits.len() as u64);
        let (model, bit) = (within % models, within / models % bits);
        let mut element = (within / models / bits) as usize;
        let mut index = vec![0; target.shape.len()];
        for (place, extent) in index.iter_mut().zip(&target.shape).rev() {
            *place = element % extent;
            element /= extent;
        }
        Some(FaultSite {
            layer: target.layer,
            tensor: target.tensor,
            index,
            bit: self.bits[bit as usize],
            model: self.models[model as usize],
        })
    }

    /// How many bits of an element can be hit.
    #[must_use]
    pub fn bits(&self) -> u64 {
        self.bits.len() as u64
    }

    /// The ranges of site numbers by layer: layer number and its first and one-past-last sites, in order.
    #[must_use]
    pub fn layers(&self) -> Vec<(usize, std::ops::Range<u64>)> {
        let mut all: Vec<(usize, std::ops::Range<u64>)> = Vec::new();
        for t in &self.targets {
            let end = t.first + self.sites_of(t);
            match all.last_mut() {
                Some((layer, range)) if *layer == t.layer => range.end = end,
                _ => all.push((t.layer, t.first..end)),
            }
        }
        all
    }

    fn sites_of(&self, target: &Target) -> u64 {
        target.shape.iter().product::<usize>() as u64 * (self.bits.len() * self.models.len()) as u64
    }
}

impl FaultSite {
    /// The faulty value of the site's parameter.
    ///
    /// `None` where the weights have no such element.
    #[must_use]
    pub fn faulty_value(&self, weights: &MlpWeights) -> Option<f32> {
        let tensor = weights.tensors.get(self.tensor)?;
        Some(self.model.apply(*tensor.values.get(self.offset(&tensor.shape)?)?, self.bit))
    }

    /// Row-major position of the element in a tensor of `shape`; `None` where it lies outside.
    #[must_use]
    pub fn offset(&self, shape: &[usize]) -> Option<usize> {
        if self.index.len() != shape.len() {
            return None;
        }
        self.index.iter().zip(shape).try_fold(0, |at, (i, extent)| (i < extent).then_some(at * extent + i))
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any run of characters.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).filter(|i| tail.is_char_boundary(*i)).any(|i| matches(rest, &tail[i..]))
        }),
    }
}

fn sorted<T: Copy + Ord>(items: &[T]) -> Vec<T> {
    let mut all = items.to_vec();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::activation::Activation;
    use crate::nn::mlp::Mlp;
    use std::collections::BTreeSet;

    fn weights() -> MlpWeights {
        MlpWeights::zeros(&Mlp::new(3, &[4, 2], 2, Activation::relu(), true))
    }

    #[test]
    fn every_site_of_the_space_is_listed_once() {
        let targets = Targets { biases: true, models: BitModel::ALL.to_vec(), ..Targets::default() };
        let space = FaultSpace::new(&weights(), &targets).expect("layers match");
        let parameters = 3 * 4 + 4 + 4 * 2 + 2 + 2 * 2 + 2;
        assert_eq!(space.len(), parameters * 32 * 3);
        let all: BTreeSet<FaultSite> = (0..space.len()).map(|i| space.site(i).expect("within")).collect();
        assert_eq!(all.len() as u64, space.len());
        assert_eq!(space.site(space.len()), None);
        assert!(all.iter().all(|s| s.faulty_value(&weights()).is_some()));
    }

    #[test]
    fn sites_run_over_models_then_bits_then_elements() {
        let targets = Targets {
            layers: vec!["hidden.2".to_owned()],
            bits: vec![31, 3, 3],
            models: vec![BitModel::StuckAt1, BitModel::BitFlip],
            ..Targets::default()
        };
        let space = FaultSpace::new(&weights(), &targets).expect("layers match");
        let site = |i| space.site(i).map(|s| (s.layer, s.tensor, s.index, s.bit, s.model)).expect("within");
        assert_eq!(site(0), (2, 2, vec![0, 0], 3, BitModel::BitFlip));
        assert_eq!(site(1), (2, 2, vec![0, 0], 3, BitModel::StuckAt1));
        assert_eq!(site(2), (2, 2, vec![0, 0], 31, BitModel::BitFlip));
        assert_eq!(site(4), (2, 2, vec![0, 1], 3, BitModel::BitFlip));
        assert_eq!(site(16), (2, 2, vec![1, 0], 3, BitModel::BitFlip));
        assert_eq!(space.layers(), [(2, 0..32)]);
    }

    #[test]
    fn patterns_pick_layers_by_name() {
        let space = |layers: &[&str]| {
            let layers = layers.iter().map(|s| (*s).to_owned()).collect();
            FaultSpace::new(&weights(), &Targets { layers, ..Targets::default() }).map(|s| s.len() / 32)
        };
        assert_eq!(space(&["*"]), Ok(24));
        assert_eq!(space(&["hidden.*"]), Ok(20));
        assert_eq!(space(&["*.2", "output"]), Ok(12));
        assert_eq!(space(&["h*n.*1"]), Ok(12));
        let missing = space(&["hiden.*"]).expect_err("a typo").to_string();
        assert!(missing.contains("hiden.*") && missing.contains("hidden.1, hidden.2, output"), "{missing}");
        assert_eq!(space(&[]), Err(SiteError::Empty));
        let only_biases = Targets { weights: false, biases: true, ..Targets::default() };
        assert_eq!(FaultSpace::new(&weights(), &only_biases).map(|s| s.len()), Ok(8 * 32));
    }

    #[test]
    fn a_bit_beyond_the_word_is_refused() {
        let targets = Targets { bits: vec![32], ..Targets::default() };
        assert_eq!(FaultSpace::new(&weights(), &targets), Err(SiteError::NoSuchBit(32)));
    }
}
