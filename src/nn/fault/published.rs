//! The lists of published campaigns, drawn again bit for bit.
//!
//! The generator of the dnn-benchmarks suite (Bolchini et al., "Benchmark suite for resilience assessment of deep learning
//! models", IEEE TCAD 2025): `n` of the whole network by [`sample_size`] over two faults a bit, shared out
//! over the layers in proportion to their weights, and per layer `CPython`'s `randint` for each index and the bit, where a fault
//! that is already on the list is drawn again.

use std::collections::BTreeSet;

use super::bits::WORD_BITS;
use super::mersenne::PythonRandom;
use super::precision::{Precision, sample_size};
use super::space::ravel;

/// Attempts at a fault that is not on the list yet.
const ATTEMPTS: usize = 1000;
/// The seed of the published lists.
pub const PUBLISHED_SEED: u64 = 42;
/// The precision of the published lists: one point at 99 %, for any rate.
pub const PUBLISHED: Precision = Precision { margin: 0.01, quantile: 2.58, rate: 0.5 };

/// A row of a published list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedFault {
    /// The layer, an index into the shapes given.
    pub layer: usize,
    /// Element of its weight.
    pub index: Vec<usize>,
    /// Bit, 0 the mantissa's least significant.
    pub bit: u8,
}

/// The faults of a published list, of layers whose weights have these shapes, in order.
///
/// Shapes have extents of at most 2^32 - 1, as those of a network do.
#[must_use]
pub fn published_list(shapes: &[&[usize]], seed: u64, precision: Precision) -> Vec<PublishedFault> {
    let sizes: Vec<u64> = shapes.iter().map(|shape| shape.iter().product::<usize>() as u64).collect();
    let total: u64 = sizes.iter().sum();
    if total == 0 {
        return Vec::new();
    }
    let n = sample_size(total * u64::from(WORD_BITS) * 2, precision);
    let mut random = PythonRandom::new(seed);
    let mut list = Vec::new();
    for (layer, (shape, size)) in shapes.iter().zip(sizes).enumerate() {
        let share = ((size * n) as f64 / total as f64).round_ties_even() as u64;
        let mut seen = BTreeSet::new();
        for _ in 0..share {
            list.extend(fresh(&mut random, shape, &mut seen).map(|(index, bit)| PublishedFault { layer, index, bit }));
        }
    }
    list
}

/// The next fault of a layer that was not drawn before, unless all attempts fail.
fn fresh(random: &mut PythonRandom, shape: &[usize], seen: &mut BTreeSet<u64>) -> Option<(Vec<usize>, u8)> {
    (0..ATTEMPTS).find_map(|_| {
        let index: Vec<usize> = shape.iter().map(|extent| random.below(*extent as u32) as usize).collect();
        let bit = random.below(u32::from(WORD_BITS)) as u8;
        let element = ravel(&index, shape)? as u64;
        seen.insert(element * u64::from(WORD_BITS) + u64::from(bit)).then_some((index, bit))
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use duress_network::arch::find;
    use duress_network::op::Role;
    use sha2::{Digest, Sha256};

    use super::*;

    /// Lists of the suite and one more by its rule: architecture, side of its images, classes, rows, SHA-256 of the list.
    const LISTS: [(&str, usize, usize, usize, &str); 16] = [
        ("densenet-121-unpooled", 32, 100, 16_638, "f924802865abb5ffc940381a8434d910960f0d65db2e478268a59f404b4dc90a"),
        ("googlenet-stacked", 32, 100, 16_635, "0281e5211e8ece6340228c37da4a683648eab1a8dbadf37264f9edc1c3261ec0"),
        ("resnet-18", 32, 100, 16_644, "24139229ce47c813d1a654d85e36be10f596721b6ba676428401075245970f70"),
        ("densenet-121", 32, 10, 16_628, "8a1a734367d5fd0680c87613549e562aa603943ebb0927f910a0d655af167c4e"),
        ("densenet-161", 32, 10, 16_677, "5886f6020621b23e9ab4ab3c533bb2a39c8f568ae0aa95b6427cb27f849c2b66"),
        ("googlenet", 32, 10, 16_640, "2e32ae72a54b0bf68683e1c10f5e49de23e4ef25f8fa704e7f3fdf6e229e34d5"),
        ("mobilenet-v2", 32, 10, 16_640, "d7d1b6a24bb0b549066a9c738fd1f41445e884cdd1a4c9c6dad575eb1b69c4de"),
        ("resnet-20", 32, 10, 16_627, "1a4fcd67d34287c63f5fe16e987dbab3eb82adc161d7c4334c1bb4d050283443"),
        ("resnet-32", 32, 10, 16_630, "c3f0371d6768af3ebc349ecbffe9666aab2a7594ec594a0f4027c38beaa81ba6"),
        ("resnet-44", 32, 10, 16_634, "902eeee6cdacbab6ea7f940b61d7ad1e717b1286971b237638c5027c35de3e5c"),
        ("resnet-56", 32, 10, 16_633, "e86de349fd8013ffddba35ec7780cc13c62841949fa69cf5a01f6c3ff0b29e5e"),
        ("vgg-11-bn", 32, 10, 16_642, "8ce7eb695998a10047cf065cc8f183d324f7a7c71b72c6bb98e919cf9023905c"),
        ("vgg-13-bn", 32, 10, 16_639, "34830e010cd0bded3e9421d3f2ecbd8a95444849cae91bdf63204007eef6b834"),
        ("densenet-121-unpooled", 50, 43, 16_650, "f9585ae63ddc800de2f80557133c22c882fc01d5c532ec555ed736502c353d91"),
        ("resnet-20", 50, 43, 16_629, "19d14a9ca431f248d5fbf77cdebd566d475c41d590aad901e219e8d682d8850a"),
        ("vgg-11-bn", 50, 43, 16_641, "30d50d296e8659a12bdcdc557e57ba238349a6e1cb991a75a4ec14ffce584cc7"),
    ];

    #[test]
    fn the_published_lists_come_out_bit_for_bit() {
        for (name, side, classes, rows, sha256) in LISTS {
            let network = find(name).expect("known").network(&[3, side, side], classes).expect("a network");
            let weights: Vec<_> = network.parameters().iter().filter(|p| p.role == Role::Weight).collect();
            let shapes: Vec<&[usize]> = weights.iter().map(|p| p.shape.as_slice()).collect();
            let list = published_list(&shapes, PUBLISHED_SEED, PUBLISHED);
            assert_eq!(list.len(), rows, "{name}");
            let mut text = String::from("Injection,Layer,TensorIndex,Bit\n");
            for (number, fault) in list.iter().enumerate() {
                let layer = weights[fault.layer].name.trim_end_matches(".weight");
                let index: Vec<String> = fault.index.iter().map(usize::to_string).collect();
                writeln!(text, "{number},{layer},\"({})\",{}", index.join(", "), fault.bit).expect("memory");
            }
            let digest = Sha256::digest(text.as_bytes());
            let hex = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            assert_eq!(hex, sha256, "{name} on {side} pixels");
        }
    }

    #[test]
    fn a_layer_that_runs_out_of_faults_is_listed_as_far_as_it_goes() {
        let list = published_list(&[&[1, 1]], 1, Precision { margin: 0.0, ..PUBLISHED });
        assert_eq!(list.len(), 32);
        assert!(published_list(&[], 1, PUBLISHED).is_empty());
    }
}
