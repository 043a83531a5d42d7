//! Faults in the bits of a stored number.

/// Bits of a single-precision word: 0 is the mantissa's least significant, 22 its most significant, 23 to 30 the exponent, 31 the sign.
pub const WORD_BITS: u8 = 32;

/// What happens to one bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BitModel {
    /// It is inverted.
    BitFlip,
    /// It reads 0.
    StuckAt0,
    /// It reads 1.
    StuckAt1,
}

impl BitModel {
    /// Every model, in the order of the reports.
    pub const ALL: [Self; 3] = [Self::BitFlip, Self::StuckAt0, Self::StuckAt1];

    /// The name written into tables and specs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BitFlip => "bit-flip",
            Self::StuckAt0 => "stuck-at-0",
            Self::StuckAt1 => "stuck-at-1",
        }
    }

    /// The model of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }

    /// `value` with this fault in `bit` of its IEEE 754 binary32 word (taken modulo 32).
    ///
    /// Works on the word, so that infinities and every NaN payload come through as they are.
    #[must_use]
    pub fn apply(self, value: f32, bit: u8) -> f32 {
        self.apply_mask(value, 1u32 << (bit % WORD_BITS))
    }

    /// `value` with this fault in every bit of `mask`.
    #[must_use]
    pub fn apply_mask(self, value: f32, mask: u32) -> f32 {
        f32::from_bits(match self {
            Self::BitFlip => value.to_bits() ^ mask,
            Self::StuckAt0 => value.to_bits() & !mask,
            Self::StuckAt1 => value.to_bits() | mask,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_count_from_the_least_significant_of_the_mantissa_to_the_sign() {
        let flip = |v: f32, b| BitModel::BitFlip.apply(v, b);
        assert_eq!(flip(1.0, 31).to_bits(), (-1.0f32).to_bits());
        assert_eq!(flip(1.0, 0).to_bits(), (1.0 + f32::EPSILON).to_bits());
        assert_eq!(flip(1.0, 22).to_bits(), 1.5f32.to_bits());
        assert_eq!(flip(1.0, 23).to_bits(), 0.5f32.to_bits());
        assert_eq!(flip(0.5, 30).to_bits(), 2.0f32.powi(127).to_bits());
        assert!(flip(1.0, 30).is_infinite());
        assert!(flip(1.5, 30).is_nan());
        assert_eq!(flip(0.0, 31).to_bits(), (-0.0f32).to_bits());
    }

    #[test]
    fn stuck_bits_change_a_value_only_where_they_differ_from_it() {
        for value in [0.3f32, -7.25, 1e-40, f32::INFINITY] {
            for bit in 0..WORD_BITS {
                let set = value.to_bits() >> bit & 1 == 1;
                let (zero, one) = (BitModel::StuckAt0.apply(value, bit), BitModel::StuckAt1.apply(value, bit));
                let (kept, flipped) = if set { (one, zero) } else { (zero, one) };
                assert_eq!(kept.to_bits(), value.to_bits());
                assert_eq!(flipped.to_bits(), BitModel::BitFlip.apply(value, bit).to_bits());
            }
        }
    }

    #[test]
    fn flipping_twice_restores_the_very_word() {
        for bit in 0..WORD_BITS {
            let value = -0.123_456_79f32;
            assert_eq!(BitModel::BitFlip.apply(BitModel::BitFlip.apply(value, bit), bit).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn names_lead_back_to_their_models() {
        for model in BitModel::ALL {
            assert_eq!(BitModel::from_name(model.name()), Some(model));
        }
        assert_eq!(BitModel::from_name("stuck"), None);
    }
}
