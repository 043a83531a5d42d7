//! Codes that protect stored numbers: what is stored in their place, and what is read back after some bits have changed.
//!
//! A block of one or more numbers is stored as one code word, held in a `u128`: the numbers' own bits from bit 0 on, the
//! first number lowest, then what the code adds.

use thiserror::Error;

use super::format::Format;
use super::secded::Secded;

/// How numbers in memory are protected against changed bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Not at all.
    #[default]
    None,
    /// Triple modular redundancy of the bits of this mask: two more copies are stored, and the majority is read.
    Tmr(u32),
    /// An extended Hamming code over blocks of so many data bits (8, 16, 32 or 64): one changed bit is corrected, two are
    /// detected, and a block in which that happens reads as zeros. 64 bits take 8 more, 32 take 7.
    Secded(u8),
    /// A bit of parity for each number: an odd count of changed bits is detected, and the number reads as zero.
    Parity,
    /// The top bit of the exponent is copied into the two lowest bits of the mantissa, which cost their precision and no
    /// memory; the majority is read, and the two lowest bits read as zeros (MSET).
    Mset,
}

/// A code that does not suit a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodeError {
    /// Blocks that numbers do not fill.
    #[error(
        "protect blocks of {block} bits that hold numbers of {width} bits; use blocks of 8, 16, 32 or 64 bits that hold at least one number"
    )]
    Block {
        /// Data bits of a block.
        block: u8,
        /// Bits of a number.
        width: u8,
    },
    /// Numbers without an exponent.
    #[error("copy the top exponent bit of `{}`, which has none; use a floating-point format or another code", .0.name())]
    NoExponent(Format),
    /// Bits that are not there.
    #[error("store bits {bits:#x} of `{}` three times; choose at least one of its {} bits", format.name(), format.bits())]
    NoSuchBits {
        /// The bits asked for.
        bits: u32,
        /// The format.
        format: Format,
    },
}

/// What a code found when a block was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing wrong.
    Clean,
    /// Something wrong that it put right, as far as it can tell.
    Corrected,
    /// Something wrong that it could not put right.
    Detected,
}

/// What is read of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The bits of its numbers, the first number lowest.
    pub data: u64,
    /// What the code found.
    pub verdict: Verdict,
}

impl Code {
    /// Its name in tables and specs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Tmr(_) => "tmr",
            Self::Secded(_) => "secded",
            Self::Parity => "parity",
            Self::Mset => "mset",
        }
    }

    /// Whether numbers of `format` can be protected this way.
    ///
    /// # Errors
    /// [`CodeError`] with what would do.
    pub fn check(self, format: Format) -> Result<(), CodeError> {
        let width = format.bits();
        match self {
            Self::Secded(block) if !matches!(block, 8 | 16 | 32 | 64) || block < width => {
                Err(CodeError::Block { block, width })
            }
            Self::Tmr(bits) if bits == 0 || u64::from(bits) >> width != 0 => {
                Err(CodeError::NoSuchBits { bits, format })
            }
            Self::Mset if format.top_exponent_bit().is_none() => Err(CodeError::NoExponent(format)),
            _ => Ok(()),
        }
    }

    /// How many numbers of `format` a block holds.
    #[must_use]
    pub fn numbers(self, format: Format) -> usize {
        match self {
            Self::Secded(block) => (block / format.bits()).max(1).into(),
            _ => 1,
        }
    }

    /// How many bits are stored besides the numbers' own, for each block.
    #[must_use]
    pub fn redundant_bits(self) -> u32 {
        match self {
            Self::None | Self::Mset => 0,
            Self::Tmr(bits) => 2 * bits.count_ones(),
            Self::Secded(block) => Secded::new(block).check_bits(),
            Self::Parity => 1,
        }
    }

    /// The code word of `data`.
    #[must_use]
    pub fn store(self, format: Format, data: u64) -> u128 {
        let width = u32::from(format.bits());
        match self {
            Self::None => data.into(),
            Self::Tmr(bits) => {
                let copy = gather(data, bits.into());
                let copies = u128::from(copy) | (u128::from(copy) << bits.count_ones());
                u128::from(data) | (copies << width)
            }
            Self::Secded(block) => Secded::new(block).store(data),
            Self::Parity => u128::from(data) | (u128::from(data.count_ones() & 1) << width),
            Self::Mset => {
                let top = format.top_exponent_bit().map_or(0, |top| (data >> top) & 1);
                u128::from((data & !0b11) | (top * 0b11))
            }
        }
    }

    /// What is read of the code word `stored`.
    #[must_use]
    pub fn read(self, format: Format, stored: u128) -> Read {
        let width = u32::from(format.bits());
        let low = stored as u64 & (u64::MAX >> (64 - width));
        match self {
            Self::Tmr(bits) => read_tmr(low, (stored >> width) as u64, bits),
            Self::Secded(block) => Secded::new(block).read(stored),
            Self::Parity if (low.count_ones() ^ (stored >> width) as u32) & 1 == 1 => {
                Read { data: 0, verdict: Verdict::Detected }
            }
            Self::None | Self::Parity => Read { data: low, verdict: Verdict::Clean },
            Self::Mset => {
                let top = format.top_exponent_bit().unwrap_or_default();
                let votes = ((low >> top) & 1) + (low & 1) + ((low >> 1) & 1);
                let majority = u64::from(votes >= 2);
                let data = (low & !((1 << top) | 0b11)) | (majority << top);
                Read { data, verdict: if votes.is_multiple_of(3) { Verdict::Clean } else { Verdict::Corrected } }
            }
        }
    }
}

/// The majority of three copies of the bits of `mask`, the other two packed one after the other in `copies`.
fn read_tmr(low: u64, copies: u64, mask: u32) -> Read {
    let ones = u64::MAX.checked_shr(64 - mask.count_ones()).unwrap_or(0);
    let a = gather(low, mask.into());
    let (b, c) = (copies & ones, copies >> mask.count_ones() & ones);
    let majority = a & b | a & c | b & c;
    let data = low & !u64::from(mask) | scatter(majority, mask.into());
    Read { data, verdict: if a == b && b == c { Verdict::Clean } else { Verdict::Corrected } }
}

/// The bits of `value` under `mask`, packed from bit 0 on.
fn gather(value: u64, mask: u64) -> u64 {
    let set = (0..64).filter(|bit| mask >> bit & 1 == 1);
    set.enumerate().map(|(at, bit)| (value >> bit & 1) << at).sum()
}

/// The reverse of [`gather`].
fn scatter(packed: u64, mask: u64) -> u64 {
    let set = (0..64).filter(|bit| mask >> bit & 1 == 1);
    set.enumerate().map(|(at, bit)| (packed >> at & 1) << bit).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    const WORDS: [u64; 6] = [0, 1, 0x3F80_0000, 0xBE12_3457, 0x8000_0000, 0xFFFF_FFFF];

    /// All bits of a block of `code`, its own and the added ones.
    fn bits_of(code: Code, format: Format) -> u32 {
        code.numbers(format) as u32 * u32::from(format.bits()) + code.redundant_bits()
    }

    fn words(format: Format, code: Code) -> Vec<u64> {
        let bits = code.numbers(format) as u32 * u32::from(format.bits());
        let mut stream = Stream::new(3, "words", &[u64::from(bits)]);
        let random = (0..4).map(|_| stream.below(1 << 32) << 32 | stream.below(1 << 32));
        WORDS.into_iter().chain(random).map(|w| w & (u64::MAX >> (64 - bits))).collect()
    }

    fn all() -> Vec<(Format, Code)> {
        let codes = |format: Format| {
            let tmr = [1, 1 << (format.bits() - 1), u32::MAX >> (32 - format.bits())].map(Code::Tmr);
            let secded = [8, 16, 32, 64].map(Code::Secded);
            let all = [Code::None, Code::Parity, Code::Mset].into_iter().chain(tmr).chain(secded);
            all.filter(move |code| code.check(format).is_ok()).map(move |code| (format, code))
        };
        Format::ALL.into_iter().flat_map(codes).collect()
    }

    #[test]
    fn what_is_stored_is_read_again_but_for_the_bits_that_mset_gives_up() {
        for (format, code) in all() {
            for data in words(format, code) {
                let stored = code.store(format, data);
                assert_eq!(stored.checked_shr(bits_of(code, format)).unwrap_or(0), 0, "{code:?} stays in its bits");
                let kept = if code == Code::Mset { data & !0b11 } else { data };
                assert_eq!(
                    code.read(format, stored),
                    Read { data: kept, verdict: Verdict::Clean },
                    "{format:?} {code:?}"
                );
            }
        }
    }

    #[test]
    fn one_changed_bit_is_corrected_where_the_code_covers_it() {
        for (format, code) in all() {
            for data in words(format, code) {
                let (stored, clean) = (code.store(format, data), code.read(format, code.store(format, data)));
                for bit in 0..bits_of(code, format) {
                    let read = code.read(format, stored ^ 1 << bit);
                    let own = bit < u32::from(format.bits());
                    let covered = match code {
                        Code::None => false,
                        Code::Tmr(mask) => !own || mask >> bit & 1 == 1,
                        Code::Secded(_) => true,
                        Code::Mset => bit < 2 || Some(bit as u8) == format.top_exponent_bit(),
                        Code::Parity => {
                            assert_eq!(read, Read { data: 0, verdict: Verdict::Detected });
                            continue;
                        }
                    };
                    let wanted = if covered {
                        Read { data: clean.data, verdict: Verdict::Corrected }
                    } else {
                        Read { data: clean.data ^ 1 << bit, verdict: Verdict::Clean }
                    };
                    assert_eq!(read, wanted, "{format:?} {code:?} bit {bit} of {data:x}");
                }
            }
        }
    }

    #[test]
    fn two_changed_copies_outvote_the_third() {
        let code = Code::Tmr(0b1010);
        let stored = code.store(Format::Int8, 0b0000_1000);
        // Data bit 3 and its first copy, which is the second of the two copied bits.
        let read = code.read(Format::Int8, stored ^ 1 << 3 ^ 1 << 9);
        assert_eq!(read, Read { data: 0, verdict: Verdict::Corrected });
        let twice = Code::Parity.store(Format::Fp16, 0x3C00) ^ 0b11;
        assert_eq!(Code::Parity.read(Format::Fp16, twice), Read { data: 0x3C03, verdict: Verdict::Clean });
        let mset = Code::Mset.store(Format::Fp32, 0x3F80_0000) ^ 1 << 30 ^ 1;
        assert_eq!(Code::Mset.read(Format::Fp32, mset), Read { data: 0x7F80_0000, verdict: Verdict::Corrected });
    }

    #[test]
    fn memory_costs_are_those_of_the_literature() {
        let share = |code: Code, format| {
            f64::from(code.redundant_bits()) / (code.numbers(format) as f64 * f64::from(format.bits()))
        };
        let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found}");
        close(share(Code::Secded(64), Format::Fp32), 0.125);
        close(share(Code::Secded(32), Format::Fp32), 7.0 / 32.0);
        close(share(Code::Secded(64), Format::Int8), 0.125);
        close(share(Code::Tmr(u32::MAX), Format::Fp32), 2.0);
        close(share(Code::Tmr(1 << 30), Format::Fp32), 2.0 / 32.0);
        close(share(Code::Parity, Format::Fp16), 1.0 / 16.0);
        close(share(Code::Mset, Format::Fp32), 0.0);
    }

    #[test]
    fn a_code_that_does_not_suit_a_format_is_refused_with_one_that_does() {
        assert_eq!(Code::Mset.check(Format::Int8), Err(CodeError::NoExponent(Format::Int8)));
        assert_eq!(Code::Secded(16).check(Format::Fp32), Err(CodeError::Block { block: 16, width: 32 }));
        assert_eq!(Code::Secded(48).check(Format::Fp16), Err(CodeError::Block { block: 48, width: 16 }));
        assert!(Code::Tmr(0).check(Format::Fp32).is_err() && Code::Tmr(1 << 20).check(Format::Bf16).is_err());
        let text = Code::Mset.check(Format::Int8PerChannel).unwrap_err().to_string();
        assert!(text.contains("`int8-per-channel`") && text.contains("use a floating-point format"), "{text}");
    }
}
