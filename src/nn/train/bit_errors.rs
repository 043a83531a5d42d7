//! Random errors in the stored bits of the weights while they are trained, redrawn for every update (random bit error
//! training: Stutz, Chandramoorthy, Hein and Schiele 2021, arXiv 2006.13977).
//!
//! The gradient is taken at the weights as they would be read back, and moves the weights as they are. Weights that a mask
//! drops are stored nowhere and stay zero. Biases and normalisations are not hit.

use duress_network::memory::{Encoding, Format};
use duress_network::op::Role;
use duress_network::{Stream, Tensor, Weights};

use crate::nn::mask::Mask;

/// How a weight is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// In 8 bits, two's complement, in steps of the tensor's largest absolute weight over 127; bit 7 is the sign.
    Int8,
    /// In single precision, bit 31 being the sign.
    Fp32,
}

impl Word {
    fn format(self) -> Format {
        match self {
            Self::Int8 => Format::Int8,
            Self::Fp32 => Format::Fp32,
        }
    }
}

/// Random bit errors.
#[derive(Clone, Debug, PartialEq)]
pub struct BitErrors {
    /// Probability that a bit is inverted, in (0, 1].
    pub rate: f64,
    /// How weights are stored.
    pub word: Word,
    /// The bits that can be inverted, ascending, from 0 for the least significant.
    pub bits: Vec<u8>,
    /// Share of the loss with errors: `(1 - share) loss(w) + share loss(w')`.
    pub share: f64,
}

/// Weights as they are read back.
#[derive(Debug)]
pub(super) struct Disturbed {
    errors: BitErrors,
    seed: u64,
    mask: Option<Mask>,
    weights: Option<Weights>,
}

impl Disturbed {
    pub(super) fn new(errors: BitErrors, seed: u64, mask: Option<&Mask>) -> Self {
        Self { errors, seed, mask: mask.cloned(), weights: None }
    }

    pub(super) fn share(&self) -> f64 {
        self.errors.share
    }

    /// `weights` with the errors of update number `update`.
    pub(super) fn of(&mut self, weights: &Weights, update: u64) -> &Weights {
        let Self { errors, seed, mask, weights: read } = self;
        let read = read.get_or_insert_with(|| weights.clone());
        let masks = mask.iter().flat_map(|mask| &mask.tensors).map(|tensor| tensor.keep.as_slice());
        let mut masks = masks.map(Some).chain(std::iter::repeat(None));
        for (index, (from, to)) in weights.tensors().iter().zip(read.values_mut()).enumerate() {
            to.copy_from_slice(&from.values);
            if weights.network().parameters()[index].role == Role::Weight {
                let mut stream = Stream::new(*seed, "train/bit-errors", &[update, index as u64]);
                errors.hit(from, to, masks.next().flatten(), &mut stream);
            }
        }
        read
    }
}

impl BitErrors {
    /// Stores `tensor`, inverts bits, and reads them back into `values`, which are the tensor's.
    fn hit(&self, tensor: &Tensor, values: &mut [f32], keep: Option<&[bool]>, stream: &mut Stream) {
        let sites = (values.len() * self.bits.len()) as u64;
        let mut flips = Vec::new();
        let mut site = gap(stream, self.rate);
        while site < sites {
            let (at, bit) = (site / self.bits.len() as u64, site % self.bits.len() as u64);
            flips.push((at as usize, self.bits[bit as usize]));
            site = site.saturating_add(1).saturating_add(gap(stream, self.rate));
        }
        // Steps of nothing, or of more than there is, store nothing; a training that has diverged must be seen to have.
        let largest = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        if self.word == Word::Int8 && (largest == 0.0 || !largest.is_finite()) {
            return;
        }
        let encoding = Encoding::new(self.word.format(), tensor);
        let mut words: Vec<u32> = values.iter().enumerate().map(|(at, value)| encoding.word(at, *value)).collect();
        for (at, bit) in flips {
            words[at] ^= 1 << bit;
        }
        for (at, (value, word)) in values.iter_mut().zip(words).enumerate() {
            *value = encoding.value(at, word);
        }
        for (value, _) in values.iter_mut().zip(keep.into_iter().flatten()).filter(|(_, keep)| !**keep) {
            *value = 0.0;
        }
    }
}

/// How many bits come before the next that is inverted: geometric, by inversion of its distribution.
fn gap(stream: &mut Stream, rate: f64) -> u64 {
    // 1 - u lies in (0, 1], where the logarithm is finite; that of rate 1 is not, and makes every gap 0.
    (libm::log(1.0 - stream.uniform_f64()) / libm::log1p(-rate)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::activation::Activation;
    use crate::nn::mlp::Mlp;
    use duress_network::{Init, Scheme};

    fn weights() -> Weights {
        let network = Mlp::new(40, &[50], 10, Activation::relu(), true).graph().unwrap();
        network.initialize(&Scheme::new(Init::HeNormal, Init::Normal { std: 0.1 }), 1)
    }

    fn errors(rate: f64, word: Word, bits: &[u8]) -> BitErrors {
        BitErrors { rate, word, bits: bits.to_vec(), share: 0.5 }
    }

    #[test]
    fn bits_are_inverted_at_their_rate_each_alone_and_anew_for_every_update() {
        let weights = weights();
        let bits: Vec<u8> = (0..32).collect();
        let mut disturbed = Disturbed::new(errors(0.01, Word::Fp32, &bits), 1, None);
        let mut counts = [0_u32; 32];
        let mut patterns = Vec::new();
        for update in 0..20 {
            let read = disturbed.of(&weights, update).clone();
            for (from, to) in weights.weight_tensors().zip(read.weight_tensors()) {
                for (a, b) in from.values.iter().zip(&to.values) {
                    let flipped = a.to_bits() ^ b.to_bits();
                    (0..32).filter(|bit| flipped >> bit & 1 == 1).for_each(|bit| counts[bit] += 1);
                }
            }
            assert_eq!(read.tensors()[1], weights.tensors()[1], "biases are not hit");
            patterns.push(read);
        }
        // 2500 weights, 20 updates: 500 a bit, with a standard deviation of 22.
        assert!(counts.iter().all(|count| (400..600).contains(count)), "{counts:?}");
        assert!(patterns.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(*disturbed.of(&weights, 3), patterns[3]);
    }

    #[test]
    fn without_errors_eight_bits_round_to_the_nearest_step_and_the_sign_bit_takes_128_steps() {
        let weights = weights();
        let step = weights.tensors()[0].values.iter().fold(0.0_f32, |m, v| m.max(v.abs())) / 127.0;
        let rounded = Disturbed::new(errors(1e-300, Word::Int8, &[7]), 1, None).of(&weights, 0).clone();
        let inverted = Disturbed::new(errors(1.0, Word::Int8, &[7]), 1, None).of(&weights, 0).clone();
        let all = weights.tensors()[0].values.iter().zip(&rounded.tensors()[0].values);
        for ((w, r), i) in all.zip(&inverted.tensors()[0].values) {
            assert!((w - r).abs() <= 0.501 * step, "{w} {r}");
            assert!(((r - i).abs() / step - 128.0).abs() < 1e-3, "{r} {i}");
        }
    }

    #[test]
    fn weights_that_a_mask_drops_are_not_hit() {
        let mut weights = weights();
        let mut mask = Mask::full(weights.network());
        mask.tensors.iter_mut().for_each(|t| t.keep.iter_mut().step_by(2).for_each(|keep| *keep = false));
        mask.apply(&mut weights).unwrap();
        for word in [Word::Int8, Word::Fp32] {
            let read = Disturbed::new(errors(0.5, word, &[0, 1, 2]), 1, Some(&mask)).of(&weights, 0).clone();
            let mut masked = read.clone();
            mask.apply(&mut masked).unwrap();
            assert_eq!(read, masked);
            assert_ne!(read, weights);
        }
    }
}
