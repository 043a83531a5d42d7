//! `CPython`'s random numbers, for lists that a published generator drew.
//!
//! The Mersenne Twister MT19937 (Matsumoto and Nishimura, ACM TOMACS 8, 1998), seeded as `random.seed(n)` does and read as
//! `random.randint` does. Everything else in this program draws from [`Stream`](crate::nn::Stream).

const WORDS: usize = 624;
const SHIFT: usize = 397;

/// The state of `random.Random`.
#[derive(Clone, Debug)]
pub struct PythonRandom {
    state: Vec<u32>,
    /// How many words of the state were handed out.
    used: usize,
}

impl PythonRandom {
    /// `random.Random(seed)`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key = if high == 0 { vec![low] } else { vec![low, high] };
        Self { state: init_by_array(&key), used: WORDS }
    }

    /// `getrandbits(32)`.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == WORDS {
            self.twist();
        }
        let mut y = self.state[self.used];
        self.used += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// `randint(0, n - 1)`, which draws even where `n` is 1.
    ///
    /// `n` is at most 2^32 - 1, the extent of an array, and at least 1.
    pub fn below(&mut self, n: u32) -> u32 {
        let bits = u32::BITS - n.leading_zeros();
        loop {
            let drawn = self.next_u32().checked_shr(u32::BITS - bits).unwrap_or(0);
            if drawn < n || n == 0 {
                return drawn;
            }
        }
    }

    fn twist(&mut self) {
        for i in 0..WORDS {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % WORDS] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + SHIFT) % WORDS] ^ (y >> 1) ^ odd;
        }
        self.used = 0;
    }
}

fn init_by_number(seed: u32) -> Vec<u32> {
    let mut state = vec![seed; WORDS];
    for i in 1..WORDS {
        let before = state[i - 1];
        state[i] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
    }
    state
}

fn init_by_array(key: &[u32]) -> Vec<u32> {
    let mut state = init_by_number(19_650_218);
    let (mut i, mut j) = (1, 0);
    for _ in 0..WORDS.max(key.len()) {
        let mixed = state[i] ^ (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_664_525);
        state[i] = mixed.wrapping_add(key[j]).wrapping_add(j as u32);
        (i, j) = (next(&mut state, i), (j + 1) % key.len());
    }
    for _ in 1..WORDS {
        let mixed = state[i] ^ (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_566_083_941);
        state[i] = mixed.wrapping_sub(i as u32);
        i = next(&mut state, i);
    }
    state[0] = 0x8000_0000;
    state
}

/// The place after `i`; the last word becomes the first on the way round.
fn next(state: &mut [u32], i: usize) -> usize {
    if i + 1 < WORDS {
        return i + 1;
    }
    state[0] = state[WORDS - 1];
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_of_seed_42_are_cpythons() {
        let mut random = PythonRandom::new(42);
        let words: Vec<u32> = (0..8).map(|_| random.next_u32()).collect();
        let cpython = [
            2_746_317_213,
            478_163_327,
            107_420_369,
            3_184_935_163,
            1_181_241_943,
            1_051_802_512,
            958_682_846,
            599_310_825,
        ];
        assert_eq!(words, cpython);
    }

    #[test]
    fn a_range_of_one_still_draws() {
        let (mut one, mut none) = (PythonRandom::new(7), PythonRandom::new(7));
        assert_eq!((one.below(1), one.next_u32()), (0, 4_071_050_724));
        assert_ne!(none.next_u32(), 4_071_050_724);
    }

    #[test]
    fn seeds_beyond_32_bits_are_two_words() {
        // >>> random.seed(2**40 + 3); random.getrandbits(32), random.randint(0, 9)
        let mut random = PythonRandom::new((1 << 40) + 3);
        assert_eq!((random.next_u32(), random.below(10)), PYTHON_40);
    }

    const PYTHON_40: (u32, u32) = (943_978_446, 0);
}
