//! Random numbers that depend on what they are for, and on nothing else.
//!
//! A stream is named by (seed, purpose, indices), say `(7, "crash", [sample, repetition])`. Its numbers are Philox4x32-10
//! (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) over a counter, with key and
//! the counter's upper half taken from a BLAKE3 hash of the name. Threads, batch sizes and restarts cannot change a draw,
//! because nothing is drawn in sequence across names.

use super::real::Real;

/// Rounds of Philox's block function.
const ROUNDS: usize = 10;
/// Multipliers of Philox4x32.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Key increments of Philox4x32: the golden ratio and the square root of three, less one.
const INCREMENTS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    /// Upper half of the counter: which stream under this key.
    lane: [u32; 2],
    /// Lower half of the counter: the next block.
    block: u64,
    buffer: [u32; 4],
    /// How many words of `buffer` were handed out.
    used: usize,
}

impl Stream {
    /// The stream named (`seed`, `purpose`, `indices`); unequal names give unrelated streams.
    #[must_use]
    pub fn new(seed: u64, purpose: &str, indices: &[u64]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"duress-stream-1");
        hasher.update(&seed.to_le_bytes());
        hasher.update(&(purpose.len() as u64).to_le_bytes());
        hasher.update(purpose.as_bytes());
        for index in indices {
            hasher.update(&index.to_le_bytes());
        }
        let hash = hasher.finalize();
        let word = |i: usize| {
            let bytes = hash.as_bytes();
            u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
        };
        Self { key: [word(0), word(1)], lane: [word(2), word(3)], block: 0, buffer: [0; 4], used: 4 }
    }

    /// 32 random bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.buffer = philox([self.block as u32, (self.block >> 32) as u32, self.lane[0], self.lane[1]], self.key);
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.buffer[self.used - 1]
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// Uniform on the multiples of 2^-24 in [0, 1).
    #[inline]
    pub fn uniform_f32(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform on the multiples of 2^-53 in [0, 1).
    #[inline]
    pub fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// A standard normal number, by the cosine half of the Box-Muller transform (so that every draw takes equally many words).
    #[inline]
    pub fn normal(&mut self) -> f64 {
        // 1 - u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * libm::log(1.0 - self.uniform_f64())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform_f64())
    }

    /// Uniform on `0..n` without bias (Lemire, "Fast random integer generation in an interval", 2019); 0 where `n` is 0.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        let mut product = u128::from(self.next_u64()) * u128::from(n);
        if (product as u64) < n {
            let threshold = n.wrapping_neg() % n;
            while (product as u64) < threshold {
                product = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// True with probability `p`, exactly never for 0 and always for 1.
    #[inline]
    pub fn bernoulli(&mut self, p: f64) -> bool {
        self.uniform_f64() < p
    }

    /// Puts `items` in a uniformly random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// The numbers `0..n` in a uniformly random order.
    #[must_use]
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// Fills `out` with uniform numbers in [low, high).
    pub fn fill_uniform<T: Real>(&mut self, out: &mut [T], low: f64, high: f64) {
        for value in out {
            *value = T::from_f64(low + (high - low) * self.uniform_f64());
        }
    }

    /// Fills `out` with normal numbers of the given mean and standard deviation.
    pub fn fill_normal<T: Real>(&mut self, out: &mut [T], mean: f64, std: f64) {
        for value in out {
            *value = T::from_f64(mean + std * self.normal());
        }
    }
}

/// Philox4x32-10's bijection of `counter` under `key`.
#[inline]
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let first = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let second = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(INCREMENTS[0]), key[1].wrapping_add(INCREMENTS[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_known_answers() {
        // kat_vectors of the Random123 distribution, "philox4x32 10".
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, answer) in cases {
            assert_eq!(philox(counter, key), answer);
        }
    }

    #[test]
    fn streams_differ_in_seed_purpose_and_every_index() {
        let names: [(u64, &str, &[u64]); 7] = [
            (1, "a", &[]),
            (2, "a", &[]),
            (1, "b", &[]),
            (1, "a", &[0]),
            (1, "a", &[0, 0]),
            (1, "a", &[1]),
            (1, "", &[]),
        ];
        let mut first: Vec<u64> = names.iter().map(|(s, p, i)| Stream::new(*s, p, i).next_u64()).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), names.len());
        assert_eq!(Stream::new(1, "a", &[3]).next_u64(), Stream::new(1, "a", &[3]).next_u64());
    }

    #[test]
    fn moments_of_uniform_and_normal_numbers_are_right() {
        let mut stream = Stream::new(3, "moments", &[]);
        let n = 200_000;
        let (mut mean, mut square, mut normal_mean, mut normal_square) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..n {
            let u = stream.uniform_f64();
            assert!((0.0..1.0).contains(&u));
            mean += u / f64::from(n);
            square += u * u / f64::from(n);
            let z = stream.normal();
            normal_mean += z / f64::from(n);
            normal_square += z * z / f64::from(n);
        }
        assert!((mean - 0.5).abs() < 0.003 && (square - 1.0 / 3.0).abs() < 0.003, "{mean} {square}");
        assert!(normal_mean.abs() < 0.01 && (normal_square - 1.0).abs() < 0.015, "{normal_mean} {normal_square}");
    }

    #[test]
    fn numbers_below_n_are_uniform_and_in_range() {
        let mut stream = Stream::new(4, "below", &[]);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        // Chi-square with 6 degrees of freedom; 22.46 is its 99.9 % quantile.
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi < 22.46, "{counts:?}");
        assert_eq!((stream.below(1), stream.below(0)), (0, 0));
    }

    #[test]
    fn a_permutation_holds_every_number_once() {
        let mut order = Stream::new(5, "order", &[9]).permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn certain_and_impossible_events_are_exact() {
        let mut stream = Stream::new(6, "coin", &[]);
        assert!((0..1000).all(|_| stream.bernoulli(1.0) && !stream.bernoulli(0.0)));
    }
}
