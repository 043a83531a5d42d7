//! Strata and draws against their definitions.

use std::collections::BTreeSet;

use super::draw::draw_images;
use super::*;
use crate::nn::fault::precision::{Precision, sample_size};
use crate::nn::fault::space::{Place, Targets};
use crate::nn::fault::{BitModel, FaultModel};
use crate::nn::mlp::Mlp;
use crate::nn::{Activation, Init, Scheme};

fn setting() -> (Weights, FaultSpace) {
    let network = Mlp::new(3, &[4], 2, Activation::relu(), true).graph().expect("a network");
    let models = BitModel::ALL.map(FaultModel::Bit).to_vec();
    let targets = Targets { models, places: vec![Place::Weight, Place::Bias], ..Targets::default() };
    let space = FaultSpace::new(&network, &targets, 7).expect("layers match");
    (network.initialize(&Scheme::new(Init::HeNormal, Init::Normal { std: 0.3 }), 3), space)
}

fn numbers(chosen: &[Chosen]) -> Vec<u64> {
    chosen.iter().map(|chosen| chosen.number).collect()
}

#[test]
fn samples_have_no_repetition_and_grow_at_their_end() {
    let (weights, space) = setting();
    let sample = |count, seed| numbers(&choose(&space, &weights, Sampling::Random(count), seed).1);
    let (small, large) = (sample(100, 7), sample(1000, 7));
    assert_eq!(small[..], large[..100]);
    assert_eq!(large.iter().collect::<BTreeSet<_>>().len(), 1000);
    assert_ne!(small, sample(100, 8));
    let all = sample(u64::MAX, 7);
    let population = space.population().expect("finite");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), (0..population).collect());
    assert_eq!(numbers(&choose(&space, &weights, Sampling::Exhaustive, 1).1), (0..population).collect::<Vec<_>>());
}

#[test]
fn layers_get_their_share() {
    let (weights, space) = setting();
    let (design, chosen) = choose(&space, &weights, Sampling::Layers(260), 1);
    assert_eq!(design.populations(), [Some(16 * 96), Some(10 * 96)]);
    // 16 of 26 parameters belong to the first layer.
    assert_eq!((chosen.iter().filter(|c| c.stratum == 0).count(), chosen.len()), (160, 260));
    assert!(chosen.iter().all(|c| (c.number < 16 * 96) == (c.stratum == 0)));
    assert_eq!(planned(&space, Sampling::Layers(260)), Some(260));
}

#[test]
fn every_fault_belongs_to_exactly_one_stratum_of_its_layer_bit_and_sign() {
    let (weights, space) = setting();
    let by = By { layer: true, bit: Fineness::Each, sign: true };
    let design = Design::by(&space, Some(&weights), by);
    let all = design.census();
    let population = space.population().expect("finite");
    assert_eq!(all.iter().map(|c| c.number).collect::<BTreeSet<_>>(), (0..population).collect());
    assert_eq!(all.len() as u64, population);
    let mut seen = BTreeMap::new();
    for chosen in all {
        let site = space.site(chosen.number).expect("within");
        let sign = site.stored(&weights).expect("stored").is_sign_negative();
        let of = seen.entry(chosen.stratum).or_insert((site.node, site.bit, sign));
        assert_eq!(*of, (site.node, site.bit, sign));
    }
    assert_eq!(seen.len(), design.strata().len());
}

#[test]
fn strata_are_merged_until_each_can_have_its_pilot() {
    let (weights, space) = setting();
    let by = By { layer: true, bit: Fineness::Each, sign: true };
    let strata = |faults| Design::fitting(&space, &weights, by, faults, 2).strata().len();
    // Two layers, 32 bits, two signs; then four classes of bits; without layers; without signs; without anything.
    assert_eq!(strata(512), 128);
    assert_eq!(strata(511), 16);
    assert_eq!(strata(63), 8);
    assert_eq!(strata(31), 4);
    assert_eq!(strata(15), 1);
}

#[test]
fn margins_are_met_layer_by_layer_and_bit_by_bit() {
    let (weights, space) = setting();
    let precision = Precision { margin: 0.1, quantile: 1.96, rate: 0.5 };
    let count = |sampling| {
        let (design, chosen) = choose(&space, &weights, sampling, 1);
        let mut counts = vec![0; design.strata().len()];
        for c in &chosen {
            counts[c.stratum] += 1;
        }
        counts
    };
    assert_eq!(count(Sampling::LayerMargin(precision)), [sample_size(16 * 96, precision), sample_size(960, precision)]);
    let bits = count(Sampling::BitMargin(precision));
    assert_eq!((bits.len(), bits[0], bits[63]), (64, sample_size(48, precision), sample_size(30, precision)));
    assert_eq!(planned(&space, Sampling::BitMargin(precision)), Some(bits.iter().sum()));
    // Of the bits of the first layer the top of the exponent is expected to matter most, the lowest of the mantissa least.
    let aware = count(Sampling::DataAware(precision));
    assert!(aware[30] > aware[0] && aware[0] >= 1, "{aware:?}");
    assert!(aware.iter().sum::<u64>() < bits.iter().sum());
}

#[test]
fn a_flip_is_expected_to_matter_by_how_far_it_moves_a_weight() {
    let flip = |bit: u8| move |_, _| FaultModel::Bit(BitModel::BitFlip).effect(Some(bit), 0, 0);
    // 0.5 becomes -0.5: as far as twice the largest weight, which is as far as can be; 1.0 loses 0.5 of 1.
    assert!((prior(&[0.5, -0.5], flip(31), 0.5) - 0.5).abs() < 1e-12);
    assert!((prior(&[1.0], flip(23), 0.5) - 0.25).abs() < 1e-12);
    assert!((prior(&[1.0], flip(0), 0.5) - 1e-4).abs() < 1e-12);
    assert!((prior(&[1.0], flip(30), 0.5) - 0.5).abs() < 1e-12);
}

#[test]
fn each_site_is_as_likely_as_any_other() {
    // 5 of 20, 4000 times: 1000 hits each; 43.8 is the 99.9 % quantile of chi-square with 19 degrees of freedom, and a
    // sample without replacement spreads less than that.
    for of in [&(|seed| draw(20, 5, seed, 0)) as &dyn Fn(u64) -> Vec<u64>, &|seed| {
        draw_images(20, 5, 1, seed).into_iter().map(u64::from).collect()
    }] {
        let mut hits = [0.0f64; 20];
        for seed in 0..4000 {
            let drawn = of(seed);
            assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 5);
            for i in drawn {
                hits[i as usize] += 1.0;
            }
        }
        let chi: f64 = hits.iter().map(|h| (h - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 43.8, "{hits:?}");
    }
}

#[test]
fn images_are_redrawn_for_every_fault() {
    assert_eq!(images_of(3, 10, 10, 1), None);
    let (a, b) = (images_of(3, 4, 1000, 1), images_of(4, 4, 1000, 1));
    assert_ne!(a, b);
    assert_eq!(a, images_of(3, 4, 1000, 1));
    assert!(a.expect("some").is_sorted());
}
