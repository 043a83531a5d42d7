//! Which faults a campaign is about, and what makes no campaign.

use duress_network::op::Role;

use crate::nn::fault::BitModel;
use crate::nn::fault::bits::WORD_BITS;
use crate::nn::fault::model::FaultModel;

/// What kind of number is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Stored weights that multiply activations: those of convolutions, linear, recurrent and attention layers.
    Weight,
    /// Stored numbers added to such sums, and learned positions.
    Bias,
    /// Stored factors, offsets and statistics of normalisations.
    Normalisation,
    /// One number of a layer's output.
    Activation,
    /// A whole channel of a layer's output at once.
    Channel,
}

impl Place {
    /// Whether it is in a stored parameter.
    #[must_use]
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Weight | Self::Bias | Self::Normalisation)
    }

    /// The place that a parameter of `role` and `rank` extents belongs to.
    pub(super) fn of(role: Role, rank: usize) -> Option<Self> {
        match role {
            Role::Weight => (rank >= 2).then_some(Self::Weight),
            Role::Bias | Role::Position => Some(Self::Bias),
            Role::Scale | Role::Shift | Role::Buffer => Some(Self::Normalisation),
        }
    }
}

/// Which faults a campaign is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    /// Names of layers (of nodes, as `PyTorch` names modules), with `*` for any run of characters; `["*"]` for all. Of layers'
    /// outputs a pattern with `*` picks those of nonlinearities, a name picks any node.
    pub layers: Vec<String>,
    /// The kinds of numbers that are hit.
    pub places: Vec<Place>,
    /// The bits that bitwise models hit.
    pub bits: Vec<u8>,
    /// The models applied.
    pub models: Vec<FaultModel>,
    /// Of layers' outputs: the channels (or features) that are hit; all by default.
    pub channels: Option<Vec<usize>>,
    /// Of layers' outputs: the positions that are hit, `[row, column]` of an image and `[step]` of a sequence; all by default.
    pub positions: Option<Vec<Vec<usize>>>,
}

impl Default for Targets {
    /// Bit flips in any bit of any weight.
    fn default() -> Self {
        Self {
            layers: vec!["*".to_owned()],
            places: vec![Place::Weight],
            bits: (0..WORD_BITS).collect(),
            models: vec![FaultModel::Bit(BitModel::BitFlip)],
            channels: None,
            positions: None,
        }
    }
}

/// Targets that name nothing, or nothing that can be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpaceError {
    /// A pattern fits no layer.
    #[error("find a layer named like `{pattern}`: the layers are {}", layers.join(", "))]
    NoSuchLayer {
        /// The pattern given.
        pattern: String,
        /// The names there are.
        layers: Vec<String>,
    },
    /// A bit is not in the word.
    #[error("hit bit {0} of a 32-bit word: give bits from 0 (least significant) to 31 (sign)")]
    NoSuchBit(u8),
    /// A channel is in none of the layers' outputs.
    #[error("hit channel {channel}: the widest of these layers has {most} channels, numbered from 0")]
    NoSuchChannel {
        /// The channel given.
        channel: usize,
        /// Channels of the widest layer.
        most: usize,
    },
    /// A position is in none of the layers' outputs.
    #[error("hit position {0:?}: none of these layers has it; give [row, column] of an image or [step] of a sequence")]
    NoSuchPosition(Vec<usize>),
    /// A model does not apply to a place.
    #[error("apply `{model}` to {place}: {fix}")]
    WrongModel {
        /// The model.
        model: &'static str,
        /// Where it was to be applied.
        place: &'static str,
        /// What to do instead.
        fix: &'static str,
    },
    /// Nothing is left to hit.
    #[error("sample faults from an empty space: name at least one layer with such parameters, bit and model")]
    Empty,
}

pub(super) fn variants(targets: &Targets, bits: &[u8]) -> Vec<(FaultModel, Option<u8>)> {
    let mut models: Vec<FaultModel> = Vec::new();
    for model in &targets.models {
        if !models.contains(model) && !matches!(model, FaultModel::BitErrorRate(_)) {
            models.push(*model);
        }
    }
    let mut bitwise: Vec<BitModel> =
        models.iter().filter_map(|m| if let FaultModel::Bit(model) = m { Some(*model) } else { None }).collect();
    bitwise.sort_unstable();
    let of_bits = bits.iter().flat_map(|bit| bitwise.iter().map(|model| (FaultModel::Bit(*model), Some(*bit))));
    let others = models.iter().filter(|model| !model.is_bitwise()).map(|model| (*model, None));
    of_bits.chain(others).collect()
}

pub(super) fn check_models(targets: &Targets) -> Result<(), SpaceError> {
    let outputs = targets.places.iter().any(|place| !place.is_stored());
    let stored = targets.places.iter().any(|place| place.is_stored());
    for model in &targets.models {
        let (place, fix) = match model {
            FaultModel::Byzantine { .. } if stored => {
                ("stored numbers", "they have no range; write `random`, or target activations")
            }
            FaultModel::BitErrorRate(_) if outputs => ("activations", "it is about a memory; target weights or biases"),
            FaultModel::BitErrorRate(_) if targets.models.iter().any(|m| !matches!(m, FaultModel::BitErrorRate(_))) => {
                ("what other models hit one by one", "it hits the whole memory at once; give it a stage of its own")
            }
            _ => continue,
        };
        return Err(SpaceError::WrongModel { model: model.name(), place, fix });
    }
    Ok(())
}
