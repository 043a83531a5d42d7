//! TF32, the 19-bit format in which tensor cores of graphics processors take the factors of products.

/// `x` with ten bits of mantissa, to nearest and away from zero at ties; infinities and NaN stay.
#[inline]
#[must_use]
pub fn round(x: f32) -> f32 {
    if x.is_finite() { f32::from_bits((x.to_bits().wrapping_add(0x1000)) & 0xFFFF_E000) } else { x }
}

/// Rounds each of `values`.
pub fn round_all(values: &mut [f32]) {
    for value in values {
        *value = round(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_bits_stay_and_ties_go_away_from_zero() {
        let ulp = f32::powi(2.0, -10);
        for sign in [1.0, -1.0] {
            assert_eq!(round(sign * (1.0 + ulp)).to_bits(), (sign * (1.0 + ulp)).to_bits());
            assert_eq!(round(sign * (1.0 + ulp / 2.0)).to_bits(), (sign * (1.0 + ulp)).to_bits());
            assert_eq!(round(sign * (1.0 + ulp / 2.1)).to_bits(), sign.to_bits());
        }
        assert!(round(f32::NAN).is_nan() && round(f32::from_bits(u32::MAX)).is_nan());
        assert_eq!(round(f32::MAX).to_bits(), f32::INFINITY.to_bits());
    }

    #[test]
    fn the_last_twelve_bits_never_show() {
        for word in [0x3DCC_CCCD_u32, 0xBF12_3456, 0x0000_1FFF, 0x4048_F5C3] {
            for bit in 0..12 {
                let flipped = f32::from_bits(word ^ (1 << bit));
                assert_eq!(round(flipped).to_bits(), round(f32::from_bits(word)).to_bits(), "{word:x} {bit}");
            }
        }
    }
}
