//! How a number is stored: floating point of three widths, and eight-bit integers with a scale.

use half::{bf16, f16};

use crate::op::Role;
use crate::tensor::Tensor;

/// A format of stored numbers. All arithmetic is done in single precision on the numbers that a format can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// IEEE 754 binary32: bits 0 to 22 the mantissa, 23 to 30 the exponent, 31 the sign.
    #[default]
    Fp32,
    /// IEEE 754 binary16: bits 0 to 9 the mantissa, 10 to 14 the exponent, 15 the sign.
    Fp16,
    /// The upper half of binary32: bits 0 to 6 the mantissa, 7 to 14 the exponent, 15 the sign.
    Bf16,
    /// Two's complement integers `q` from -127 to 127 that stand for `q scale`, with one scale for a tensor.
    Int8,
    /// The same with a scale for each output of a layer.
    Int8PerChannel,
}

impl Format {
    /// Every format, in the order of their documentation.
    pub const ALL: [Self; 5] = [Self::Fp32, Self::Fp16, Self::Bf16, Self::Int8, Self::Int8PerChannel];

    /// Its name in tables and specs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::Int8PerChannel => "int8-per-channel",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Bits of a stored number.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Fp32 => 32,
            Self::Fp16 | Self::Bf16 => 16,
            Self::Int8 | Self::Int8PerChannel => 8,
        }
    }

    /// The most significant bit of the exponent; `None` of integers.
    #[must_use]
    pub const fn top_exponent_bit(self) -> Option<u8> {
        match self {
            Self::Fp32 => Some(30),
            Self::Fp16 | Self::Bf16 => Some(14),
            Self::Int8 | Self::Int8PerChannel => None,
        }
    }

    /// What a parameter of role `role` is stored as in a network of this format: integers hold weights alone, and the few
    /// other parameters stay in single precision.
    #[must_use]
    pub fn of_role(self, role: Role) -> Self {
        match self {
            Self::Int8 | Self::Int8PerChannel if role != Role::Weight => Self::Fp32,
            _ => self,
        }
    }
}

/// A format with all that it takes to store the values of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    format: Format,
    /// Of integers: what a step is worth, for each run of elements.
    scales: Vec<f32>,
    /// Elements that share a scale.
    run: usize,
}

impl Encoding {
    /// The encoding of `tensor`: the scales of integers take its largest magnitude, or that of each row, to 127.
    ///
    /// Values that are not finite have no part in a scale.
    #[must_use]
    pub fn new(format: Format, tensor: &Tensor) -> Self {
        let len = tensor.values.len().max(1);
        let run = match format {
            Format::Int8PerChannel => len / tensor.shape.first().map_or(1, |rows| (*rows).clamp(1, len)),
            _ => len,
        };
        let scale = |values: &[f32]| {
            let largest = values.iter().filter(|v| v.is_finite()).fold(0.0_f32, |largest, v| largest.max(v.abs()));
            let scale = largest / 127.0;
            // A tensor of zeros, or of numbers so small that their scale would be zero.
            if scale > 0.0 { scale } else { 1.0 }
        };
        let scales = match format {
            Format::Int8 | Format::Int8PerChannel => tensor.values.chunks(run).map(scale).collect(),
            _ => Vec::new(),
        };
        Self { format, scales, run }
    }

    /// The format.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The scales of integers, in the order of the rows they belong to; empty for floating point.
    #[must_use]
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// The elements that scale `index` belongs to.
    #[must_use]
    pub fn scaled_by(&self, index: usize) -> std::ops::Range<usize> {
        index * self.run..(index + 1) * self.run
    }

    /// The word that stores `value` at `element`: the nearest number there is, ties to even, in the low bits.
    ///
    /// Too large a value becomes infinity in floating point and 127 steps in integers; NaN becomes 0 in integers, which have
    /// none.
    #[must_use]
    pub fn word(&self, element: usize, value: f32) -> u32 {
        match self.format {
            Format::Fp32 => value.to_bits(),
            Format::Fp16 => f16::from_f32(value).to_bits().into(),
            Format::Bf16 => bf16::from_f32(value).to_bits().into(),
            Format::Int8 | Format::Int8PerChannel => {
                let steps = (value / self.scales[element / self.run]).round_ties_even();
                u32::from((steps.clamp(-127.0, 127.0) as i8).cast_unsigned())
            }
        }
    }

    /// The value that `word` stands for at `element`; bits beyond the width have no meaning.
    #[must_use]
    pub fn value(&self, element: usize, word: u32) -> f32 {
        match self.format {
            Format::Fp32 => f32::from_bits(word),
            Format::Fp16 => f16::from_bits(word as u16).to_f32(),
            Format::Bf16 => bf16::from_bits(word as u16).to_f32(),
            Format::Int8 | Format::Int8PerChannel => {
                f32::from((word as u8).cast_signed()) * self.scales[element / self.run]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(format: Format) -> Encoding {
        Encoding::new(format, &Tensor { name: "w".into(), shape: vec![1, 1], values: vec![1.0] })
    }

    /// A binary floating point word by its definition.
    fn by_definition(word: u32, mantissa_bits: i32, exponent_bits: i32) -> f64 {
        let sign = if word >> (mantissa_bits + exponent_bits) & 1 == 1 { -1.0 } else { 1.0 };
        let exponent = (word >> mantissa_bits) as i32 & ((1 << exponent_bits) - 1);
        let mantissa = f64::from(word & ((1 << mantissa_bits) - 1)) / 2.0_f64.powi(mantissa_bits);
        let bias = (1 << (exponent_bits - 1)) - 1;
        if exponent == (1 << exponent_bits) - 1 {
            return if mantissa == 0.0 { sign * f64::INFINITY } else { f64::NAN };
        }
        let (lead, power) = if exponent == 0 { (0.0, 1 - bias) } else { (1.0, exponent - bias) };
        sign * (lead + mantissa) * 2.0_f64.powi(power)
    }

    const HALVES: [(Format, i32, i32); 2] = [(Format::Fp16, 10, 5), (Format::Bf16, 7, 8)];

    #[test]
    fn every_word_of_sixteen_bits_stands_for_the_number_that_the_standard_says() {
        for (format, mantissa, exponent) in HALVES {
            let encoding = encoding(format);
            for word in 0..=0xFFFF {
                let (found, wanted) = (f64::from(encoding.value(0, word)), by_definition(word, mantissa, exponent));
                assert!(
                    found.to_bits() == wanted.to_bits() || (found.is_nan() && wanted.is_nan()),
                    "{format:?} {word:x}"
                );
                if !wanted.is_nan() {
                    assert_eq!(encoding.word(0, wanted as f32), word, "{format:?} holds what it can hold");
                }
            }
        }
    }

    #[test]
    fn between_two_words_the_nearer_one_is_stored_and_the_even_one_in_the_middle() {
        for (format, mantissa, exponent) in HALVES {
            let encoding = encoding(format);
            let last = ((1 << exponent) - 1) << mantissa;
            for word in 0..last {
                let (low, high) =
                    (by_definition(word, mantissa, exponent), by_definition(word + 1, mantissa, exponent));
                // Beyond the largest number, infinity stands where the next one would be.
                let high =
                    if high.is_infinite() { low + (low - by_definition(word - 1, mantissa, exponent)) } else { high };
                let middle = f64::midpoint(low, high) as f32;
                if f64::from(middle).to_bits() != f64::midpoint(low, high).to_bits() {
                    continue;
                }
                let even = word + (word & 1);
                for (value, wanted) in [(middle.next_down(), word), (middle, even), (middle.next_up(), word + 1)] {
                    assert_eq!(encoding.word(0, value), wanted, "{format:?} {value:e}");
                    assert_eq!(encoding.word(0, -value), wanted | 0x8000, "{format:?} {:e}", -value);
                }
            }
            assert!(encoding.value(0, encoding.word(0, f32::NAN)).is_nan());
        }
    }

    #[test]
    fn integers_share_a_scale_by_tensor_or_by_row() {
        let values = vec![0.5, -1.27, 0.0, 0.02, 0.009, -0.0254];
        let tensor = Tensor { name: "w".into(), shape: vec![2, 3], values };
        let words = |format| -> Vec<i8> {
            let encoding = Encoding::new(format, &tensor);
            let word = |(i, v): (usize, &f32)| (encoding.word(i, *v) as u8).cast_signed();
            tensor.values.iter().enumerate().map(word).collect()
        };
        assert_eq!(words(Format::Int8), [50, -127, 0, 2, 1, -3]);
        // The second row has steps of 0.0002.
        assert_eq!(words(Format::Int8PerChannel), [50, -127, 0, 100, 45, -127]);
        let encoding = Encoding::new(Format::Int8PerChannel, &tensor);
        assert_eq!((encoding.scales().len(), encoding.scaled_by(1)), (2, 3..6));
        assert!((encoding.value(3, 100) - 0.02).abs() < 1e-8);
        // A flipped sign bit reaches the one number that no value is stored as.
        assert!((encoding.value(2, 0x80) + 1.28).abs() < 1e-6);
    }

    #[test]
    fn every_integer_is_stored_as_itself_and_ties_go_to_even() {
        let tensor = Tensor { name: "w".into(), shape: vec![1, 1], values: vec![127.0] };
        let encoding = Encoding::new(Format::Int8, &tensor);
        for q in -127..=127_i8 {
            let word = u32::from(q.cast_unsigned());
            assert_eq!(encoding.word(0, f32::from(q)), word);
            assert_eq!(encoding.value(0, word).to_bits(), f32::from(q).to_bits());
        }
        let stored = |v: f32| (encoding.word(0, v) as u8).cast_signed();
        assert_eq!([0.5, 1.5, 2.5, -0.5, -1.5].map(stored), [0, 2, 2, 0, -2]);
        assert_eq!([f32::INFINITY, -1e30, f32::NAN].map(stored), [127, -127, 0]);
        let zeros = Encoding::new(Format::Int8, &Tensor::zeros("w", vec![2, 2]));
        assert_eq!((zeros.word(3, 0.0), zeros.scales()), (0, &[1.0][..]));
    }

    #[test]
    fn names_lead_back_to_their_formats_and_integers_hold_weights_alone() {
        for format in Format::ALL {
            assert_eq!(Format::from_name(format.name()), Some(format));
            let bias = format.of_role(Role::Bias);
            assert_eq!(bias, if format.top_exponent_bit().is_some() { format } else { Format::Fp32 });
            assert_eq!(format.of_role(Role::Weight), format);
        }
    }
}
