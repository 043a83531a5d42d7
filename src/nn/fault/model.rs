//! What a fault does to what it hits: the models that can be written, and their effect on one number.

use super::bits::{BitModel, WORD_BITS};
use crate::nn::random::Stream;

/// What can happen to what is hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultModel {
    /// Something happens to one bit; there is a fault for every bit that can be hit.
    Bit(BitModel),
    /// So many different bits of one word are inverted, drawn anew for every word.
    MultiBit(u8),
    /// The number becomes 0.
    Zero,
    /// The number becomes this one.
    Value(f32),
    /// The number becomes one drawn uniformly from `[low, high)`.
    Random {
        /// Least number.
        low: f32,
        /// Number that all drawn ones are below.
        high: f32,
    },
    /// A number of a layer's output becomes `v (max - min)` of that output for the same example, `v` drawn uniformly from
    /// `[low, high)`.
    ///
    /// The published Byzantine neuron takes the extremes over a whole batch, so that a verdict depends on what else is in
    /// the batch; those of the example alone make it a property of fault and example.
    Byzantine {
        /// Least `v`.
        low: f32,
        /// Number that all `v` are below.
        high: f32,
    },
    /// Every bit of the whole memory is inverted with this probability: one fault is one draw of the memory.
    BitErrorRate(f64),
}

impl FaultModel {
    /// The name written into tables and lists.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bit(model) => model.name(),
            Self::MultiBit(_) => "multi-bit",
            Self::Zero => "zero",
            Self::Value(_) => "value",
            Self::Random { .. } => "random",
            Self::Byzantine { .. } => "byzantine",
            Self::BitErrorRate(_) => "bit-error-rate",
        }
    }

    /// Whether there is a fault for every bit.
    #[must_use]
    pub fn is_bitwise(self) -> bool {
        matches!(self, Self::Bit(_))
    }

    /// What it does in fault `number`, whose random part depends on (`seed`, `number`) alone; `bit` is that of a bitwise
    /// model.
    pub(super) fn effect(self, bit: Option<u8>, seed: u64, number: u64) -> Effect {
        let draw = |low: f32, high: f32| {
            let share = Stream::new(seed, "fault-value", &[number]).uniform_f32();
            (high - low).mul_add(share, low)
        };
        match self {
            Self::Bit(model) => Effect::Bits { model, mask: 1 << (bit.unwrap_or(0) % WORD_BITS) },
            Self::MultiBit(count) => Effect::Bits { model: BitModel::BitFlip, mask: bits(count, seed, number) },
            Self::Zero | Self::BitErrorRate(_) => Effect::Value(0.0),
            Self::Value(value) => Effect::Value(value),
            Self::Random { low, high } => Effect::Value(draw(low, high)),
            Self::Byzantine { low, high } => Effect::Range(draw(low, high)),
        }
    }
}

/// `count` different bits.
fn bits(count: u8, seed: u64, number: u64) -> u32 {
    let order = Stream::new(seed, "fault-bits", &[number]).permutation(usize::from(WORD_BITS));
    order.into_iter().take(usize::from(count)).fold(0, |mask, bit| mask | 1 << bit)
}

/// What becomes of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Something happens to the bits of a mask.
    Bits {
        /// What.
        model: BitModel,
        /// The bits, the word's least significant first.
        mask: u32,
    },
    /// It becomes this.
    Value(f32),
    /// It becomes this times the range of the layer's output for the example.
    Range(f32),
}

impl Effect {
    /// What `value` becomes; `range` is the extent of the layer's output, which stored numbers have none of.
    #[must_use]
    pub fn apply(self, value: f32, range: f32) -> f32 {
        match self {
            Self::Bits { model, mask } => model.apply_mask(value, mask),
            Self::Value(value) => value,
            Self::Range(share) => share * range,
        }
    }

    /// The one bit that is hit, if it is one.
    #[must_use]
    pub fn bit(self) -> Option<u8> {
        match self {
            Self::Bits { mask, .. } if mask.is_power_of_two() => Some(mask.trailing_zeros() as u8),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_bits_of_a_word_are_different_ones_and_all_equally_often() {
        let mut hits = [0u32; 32];
        for number in 0..3200 {
            let Effect::Bits { mask, .. } = FaultModel::MultiBit(3).effect(None, 1, number) else { panic!("bits") };
            assert_eq!(mask.count_ones(), 3);
            (0..32).filter(|bit| mask >> bit & 1 == 1).for_each(|bit| hits[bit as usize] += 1);
        }
        // 300 each; six standard deviations of a binomial.
        assert!(hits.iter().all(|h| (200..400).contains(h)), "{hits:?}");
        assert_eq!(FaultModel::MultiBit(3).effect(None, 1, 7), FaultModel::MultiBit(3).effect(None, 1, 7));
    }

    #[test]
    fn drawn_values_stay_in_their_range_and_depend_on_the_fault() {
        let model = FaultModel::Random { low: -2.0, high: 3.0 };
        let value = |number| model.effect(None, 5, number).apply(9.0, 0.0);
        let values: Vec<f32> = (0..1000).map(value).collect();
        assert!(values.iter().all(|v| (-2.0..3.0).contains(v)));
        let mean = values.iter().sum::<f32>() / 1000.0;
        // The standard error of the mean of 1000 such draws is 0.046.
        assert!((mean - 0.5).abs() < 0.25, "{mean}");
    }

    #[test]
    fn a_byzantine_value_is_a_share_of_the_range() {
        let effect = FaultModel::Byzantine { low: 0.5, high: 0.5 }.effect(None, 1, 0);
        assert!((effect.apply(-3.0, 8.0) - 4.0).abs() < 1e-6);
        assert_eq!(effect.bit(), None);
    }

    #[test]
    fn a_bitwise_model_hits_its_bit() {
        let effect = FaultModel::Bit(BitModel::StuckAt1).effect(Some(30), 1, 0);
        assert_eq!(effect.bit(), Some(30));
        assert_eq!(effect.apply(0.5, 0.0).to_bits(), 2.0f32.powi(127).to_bits());
        assert_eq!(FaultModel::Zero.effect(None, 1, 0).apply(7.0, 0.0).to_bits(), 0);
    }
}
