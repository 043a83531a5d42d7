//! Single-error correction, double-error detection: the extended Hamming code (Hamming 1950).
//!
//! Bits of a code word have positions from 1: check bit `j` has position `2^j`, and data bits take the others in order. A
//! check bit is the parity of all positions that have its power of two in them, so that the positions of the ones of a code
//! word sum to zero, bit by bit; one changed bit leaves its own position. A last bit holds the parity of everything, which
//! tells one changed bit from two.

use super::code::{Read, Verdict};

/// The code over a number of data bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Secded {
    data: u32,
    /// Check bits besides the parity of everything.
    checks: u32,
}

impl Secded {
    /// The code over `data` bits, 1 to 64.
    pub(super) fn new(data: u8) -> Self {
        let data = u32::from(data);
        let checks = (2..7).find(|checks| 1 << checks > data + checks).unwrap_or(7);
        Self { data, checks }
    }

    /// Bits that the code adds.
    pub(super) fn check_bits(self) -> u32 {
        self.checks + 1
    }

    /// The code word: data, check bits, parity of everything.
    pub(super) fn store(self, data: u64) -> u128 {
        let word = u128::from(data) | u128::from(self.positions(data)) << self.data;
        word | u128::from(word.count_ones() & 1) << (self.data + self.checks)
    }

    /// What is read of a code word.
    ///
    /// Three or more changed bits may look like one, and then a further bit is changed.
    pub(super) fn read(self, stored: u128) -> Read {
        let data = stored as u64 & (u64::MAX >> (64 - self.data));
        let checks = (stored >> self.data) as u32 & ((1 << self.checks) - 1);
        let syndrome = self.positions(data) ^ checks;
        let odd = stored.count_ones() & 1 == 1;
        match (syndrome, odd) {
            (0, false) => Read { data, verdict: Verdict::Clean },
            // The parity of everything itself, or a check bit.
            (0, true) => Read { data, verdict: Verdict::Corrected },
            (position, true) if position.is_power_of_two() => Read { data, verdict: Verdict::Corrected },
            (position, true) => match self.data_bit(position) {
                Some(bit) => Read { data: data ^ 1 << bit, verdict: Verdict::Corrected },
                None => Read { data: 0, verdict: Verdict::Detected },
            },
            (_, false) => Read { data: 0, verdict: Verdict::Detected },
        }
    }

    /// The sum, bit by bit, of the positions of the ones of `data`.
    fn positions(self, data: u64) -> u32 {
        let ones = (0..self.data).filter(|bit| data >> bit & 1 == 1);
        ones.fold(0, |sum, bit| sum ^ position(bit))
    }

    /// The data bit at `position`, which is no power of two.
    fn data_bit(self, position: u32) -> Option<u32> {
        // Before it lie the positions of the check bits, and position 0, which is none.
        let bit = position - (u32::BITS - position.leading_zeros()) - 1;
        (bit < self.data).then_some(bit)
    }
}

/// The position of data bit `bit`: the number `bit` of those that are no powers of two, from 3.
fn position(bit: u32) -> u32 {
    let mut position = bit + 1;
    let mut power = 1;
    while power <= position {
        position += 1;
        power <<= 1;
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_bits_take_the_positions_that_are_no_powers_of_two() {
        let wanted: Vec<u32> = (1_u32..80).filter(|p| !p.is_power_of_two()).take(64).collect();
        let code = Secded::new(64);
        for (bit, wanted) in (0..).zip(wanted) {
            assert_eq!(position(bit), wanted);
            assert_eq!(code.data_bit(wanted), Some(bit));
        }
        assert_eq!(code.data_bit(73), None);
    }

    #[test]
    fn the_code_of_four_bits_is_the_one_of_the_textbook() {
        // Data 1011 (first bit first): p1 = d1+d2+d4 = 0, p2 = d1+d3+d4 = 1, p4 = d2+d3+d4 = 0.
        let code = Secded::new(4);
        assert_eq!((code.checks, code.check_bits()), (3, 4));
        assert_eq!(code.store(0b1101) >> 4 & 0b111, 0b010);
    }

    #[test]
    fn any_two_changed_bits_are_detected() {
        for data in [8, 16, 32, 64] {
            let code = Secded::new(data);
            let stored = code.store(0x9E37_79B9_7F4A_7C15 & (u64::MAX >> (64 - data)));
            let bits = u32::from(data) + code.check_bits();
            for a in 0..bits {
                for b in 0..a {
                    let read = code.read(stored ^ 1 << a ^ 1 << b);
                    assert_eq!(read, Read { data: 0, verdict: Verdict::Detected }, "{a} and {b} of {data}");
                }
            }
        }
    }

    #[test]
    fn three_changed_bits_are_never_taken_for_none() {
        let code = Secded::new(32);
        let stored = code.store(0x3F80_0000);
        let mut wrong = 0;
        for (a, b, c) in (2..39).flat_map(|a| (1..a).flat_map(move |b| (0..b).map(move |c| (a, b, c)))) {
            let read = code.read(stored ^ 1 << a ^ 1 << b ^ 1 << c);
            assert!(read.verdict != Verdict::Clean);
            wrong += u32::from(read.verdict == Verdict::Corrected && read.data != 0x3F80_0000);
        }
        assert!(wrong > 4000, "most look like one changed bit: {wrong}");
    }
}
