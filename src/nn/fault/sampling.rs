//! Which faults of a space are run, and how many are enough.

use super::site::FaultSpace;
use crate::nn::random::Stream;
use std::collections::BTreeMap;

/// How the faults of a campaign are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sampling {
    /// Every fault of the space, in its order.
    Exhaustive,
    /// This many of the whole space, uniformly, without replacement, in the order drawn.
    NetworkWise(u64),
    /// About this many, shared out over the layers in proportion to their sites, uniformly within each. Rounding per layer may
    /// change the total by a few.
    LayerProportional(u64),
}

/// The numbers of the sites to run, in the order to run them.
///
/// Without replacement, by a Fisher-Yates shuffle that is cut short. A larger sample with the same seed begins with the smaller
/// one (layer by layer, for [`Sampling::LayerProportional`]), so that enlarging a campaign keeps what was computed.
#[must_use]
pub fn sample_sites(space: &FaultSpace, sampling: Sampling, seed: u64) -> Vec<u64> {
    match sampling {
        Sampling::Exhaustive => (0..space.len()).collect(),
        Sampling::NetworkWise(count) => draw(&(0..space.len()), count, seed, 0),
        Sampling::LayerProportional(count) => sample_layers(space, seed, |sites| {
            (count as f64 * (sites as f64 / space.len() as f64)).round_ties_even() as u64
        }),
    }
}

/// The numbers of the sites to run where each layer gets a sample of its own, of the size that `size` gives for its sites.
#[must_use]
pub fn sample_layers(space: &FaultSpace, seed: u64, size: impl Fn(u64) -> u64) -> Vec<u64> {
    let of_layer = |(layer, range): &(usize, std::ops::Range<u64>)| {
        draw(range, size(range.end - range.start), seed, *layer as u64)
    };
    space.layers().iter().flat_map(of_layer).collect()
}

/// `count` different numbers of `range` in random order; `stratum` tells apart the draws of different layers.
fn draw(range: &std::ops::Range<u64>, count: u64, seed: u64, stratum: u64) -> Vec<u64> {
    let population = range.end - range.start;
    let mut random = Stream::new(seed, "fault-sample", &[stratum]);
    // The array being shuffled, holding only what differs from `a[i] = i`.
    let mut moved: BTreeMap<u64, u64> = BTreeMap::new();
    (0..count.min(population))
        .map(|i| {
            let j = i + random.below(population - i);
            let at_i = moved.remove(&i).unwrap_or(i);
            let chosen = if i == j { at_i } else { moved.insert(j, at_i).unwrap_or(j) };
            range.start + chosen
        })
        .collect()
}

/// What a statistical fault-injection campaign wants to be sure of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// Half-width of the interval, as a fraction (0.01).
    pub margin: f64,
    /// Normal quantile of the confidence: 1.96 for 95 %, 2.58 for 99 %.
    pub quantile: f64,
    /// Expected rate; 0.5 is the safe choice.
    pub rate: f64,
}

/// Faults needed out of `population`: `n = N / (1 + e^2 (N - 1) / (t^2 p (1 - p)))`, rounded half to even.
///
/// Leveugle et al., "Statistical fault injection: quantified error and confidence", DATE 2009. Never more than the population,
/// and all of it for a margin of zero or less.
#[must_use]
pub fn sample_size(population: u64, precision: Precision) -> u64 {
    let Precision { margin, quantile, rate } = precision;
    let n = population as f64;
    let spread = quantile * quantile * rate * (1.0 - rate);
    if margin <= 0.0 {
        return population;
    }
    // A rate of 0 or 1 has no variance, and this makes n zero: one fault is the least that says anything.
    let size = n / (1.0 + margin * margin * (n - 1.0) / spread);
    (size.round_ties_even() as u64).clamp(population.min(1), population)
}

/// The margin that `count` faults out of `population` reach: `e = t sqrt(p (1 - p) / n * (N - n) / (N - 1))`.
///
/// The inverse of [`sample_size`]; 0 once the whole population was run, infinite for no faults.
#[must_use]
pub fn margin_of(count: u64, population: u64, quantile: f64, rate: f64) -> f64 {
    if count == 0 {
        return f64::INFINITY;
    }
    if count >= population {
        return 0.0;
    }
    let (n, all) = (count as f64, population as f64);
    quantile * (rate * (1.0 - rate) / n * (all - n) / (all - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::activation::Activation;
    use crate::nn::fault::{BitModel, Targets};
    use crate::nn::mlp::Mlp;
    use crate::nn::mlp_weights::MlpWeights;
    use std::collections::BTreeSet;

    const PUBLISHED: Precision = Precision { margin: 0.01, quantile: 2.58, rate: 0.5 };

    #[test]
    fn sample_sizes_equal_those_of_the_published_campaigns() {
        for (weights, size) in [
            (6_964_928, 16_640),
            (11_210_432, 16_641),
            (2_261_824, 16_639),
            (268_336, 16_625),
            (461_872, 16_632),
            (655_408, 16_634),
            (848_944, 16_636),
        ] {
            let population = weights * 32 * 2;
            assert_eq!(sample_size(population, PUBLISHED), size);
            let margin = margin_of(size, population, 2.58, 0.5);
            assert!((margin - 0.01).abs() < 1e-6, "{margin}");
        }
    }

    #[test]
    fn sizes_and_margins_at_the_ends_are_sane() {
        assert_eq!(sample_size(10, PUBLISHED), 10);
        assert_eq!(sample_size(0, PUBLISHED), 0);
        assert_eq!(sample_size(1000, Precision { margin: 0.0, ..PUBLISHED }), 1000);
        assert_eq!(sample_size(1000, Precision { rate: 0.0, ..PUBLISHED }), 1);
        assert!(margin_of(0, 10, 1.96, 0.5).is_infinite());
        assert!(margin_of(10, 10, 1.96, 0.5).abs() < f64::MIN_POSITIVE);
    }

    fn space() -> FaultSpace {
        let weights = MlpWeights::zeros(&Mlp::new(3, &[4], 2, Activation::relu(), true));
        let targets = Targets { models: BitModel::ALL.to_vec(), biases: true, ..Targets::default() };
        FaultSpace::new(&weights, &targets).expect("layers match")
    }

    #[test]
    fn samples_have_no_repetition_and_grow_at_their_end() {
        let space = space();
        let small = sample_sites(&space, Sampling::NetworkWise(100), 7);
        let large = sample_sites(&space, Sampling::NetworkWise(1000), 7);
        assert_eq!(small[..], large[..100]);
        assert_eq!(large.iter().collect::<BTreeSet<_>>().len(), 1000);
        assert_ne!(small, sample_sites(&space, Sampling::NetworkWise(100), 8));
        let all = sample_sites(&space, Sampling::NetworkWise(u64::MAX), 7);
        assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), (0..space.len()).collect());
    }

    #[test]
    fn layers_get_their_share() {
        let space = space();
        let layers = space.layers();
        assert_eq!(layers.len(), 2);
        let sample = sample_sites(&space, Sampling::LayerProportional(260), 1);
        let of_first = sample.iter().filter(|i| layers[0].1.contains(i)).count();
        // 16 of 26 parameters belong to the first layer.
        assert_eq!((of_first, sample.len()), (160, 260));
        assert_eq!(sample_sites(&space, Sampling::Exhaustive, 1), (0..space.len()).collect::<Vec<_>>());
    }

    #[test]
    fn each_site_is_as_likely_as_any_other() {
        // 5 of 20, 4000 times: 1000 hits each; 43.8 is the 99.9 % quantile of chi-square with 19 degrees of freedom, and a
        // sample without replacement spreads less than that.
        let mut hits = [0.0f64; 20];
        for seed in 0..4000 {
            for i in draw(&(100..120), 5, seed, 0) {
                hits[(i - 100) as usize] += 1.0;
            }
        }
        let chi: f64 = hits.iter().map(|h| (h - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 43.8, "{hits:?}");
    }
}
