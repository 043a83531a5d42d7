//! Spaces against their definitions and published populations.

use super::*;
use crate::nn::Activation;
use crate::nn::fault::BitModel;
use crate::nn::mlp::Mlp;
use duress_network::Op;
use duress_network::arch::find;

fn net() -> Network {
    Mlp::new(3, &[4, 2], 2, Activation::relu(), true).graph().expect("a network")
}

fn targets(places: &[Place], models: &[FaultModel]) -> Targets {
    Targets { places: places.to_vec(), models: models.to_vec(), ..Targets::default() }
}

fn all_bitwise() -> Vec<FaultModel> {
    BitModel::ALL.map(FaultModel::Bit).to_vec()
}

#[test]
fn every_site_of_the_space_is_listed_once() {
    let space =
        FaultSpace::new(&net(), &targets(&[Place::Weight, Place::Bias], &all_bitwise()), 1).expect("layers match");
    let parameters = 3 * 4 + 4 + 4 * 2 + 2 + 2 * 2 + 2;
    assert_eq!(space.population(), Some(parameters * 32 * 3));
    let all: BTreeSet<String> = (0..parameters * 96)
        .map(|i| {
            let s = space.site(i).expect("within");
            format!("{:?}{:?}{:?}{:?}", s.parameter, s.index, s.bit, s.model)
        })
        .collect();
    assert_eq!(all.len() as u64, parameters * 96);
    assert_eq!(space.site(parameters * 96), None);
}

#[test]
fn sites_run_over_models_then_bits_then_elements() {
    let targets = Targets {
        layers: vec!["hidden.2".to_owned()],
        bits: vec![31, 3, 3],
        models: vec![FaultModel::Zero, FaultModel::Bit(BitModel::StuckAt1), FaultModel::Bit(BitModel::BitFlip)],
        ..Targets::default()
    };
    let space = FaultSpace::new(&net(), &targets, 1).expect("layers match");
    let site = |i| space.site(i).map(|s| (s.parameter, s.index, s.bit, s.model)).expect("within");
    let (flip, stuck) = (FaultModel::Bit(BitModel::BitFlip), FaultModel::Bit(BitModel::StuckAt1));
    assert_eq!(site(0), (Some(2), vec![0, 0], Some(3), flip));
    assert_eq!(site(1), (Some(2), vec![0, 0], Some(3), stuck));
    assert_eq!(site(2), (Some(2), vec![0, 0], Some(31), flip));
    assert_eq!(site(4), (Some(2), vec![0, 0], None, FaultModel::Zero));
    assert_eq!(site(5), (Some(2), vec![0, 1], Some(3), flip));
    assert_eq!(space.population(), Some(40));
}

#[test]
fn layers_are_picked_by_node_and_by_parameter() {
    let count = |layers: &[&str], places: &[Place]| {
        let layers = layers.iter().map(|s| (*s).to_owned()).collect();
        let targets = Targets { layers, places: places.to_vec(), ..Targets::default() };
        FaultSpace::new(&net(), &targets, 1).map(|s| s.population().expect("finite") / 32)
    };
    assert_eq!(count(&["*"], &[Place::Weight]), Ok(24));
    assert_eq!(count(&["hidden.*"], &[Place::Weight]), Ok(20));
    assert_eq!(count(&["*.2", "output"], &[Place::Weight]), Ok(12));
    assert_eq!(count(&["output.weight"], &[Place::Weight, Place::Bias]), Ok(4));
    // Six neurons behind nonlinearities; the outputs only by their name.
    assert_eq!(count(&["*"], &[Place::Activation]), Ok(6));
    assert_eq!(count(&["output"], &[Place::Activation]), Ok(2));
    let missing = count(&["hiden.*"], &[Place::Weight]).expect_err("a typo").to_string();
    assert!(missing.contains("hiden.*") && missing.contains("hidden.1, hidden.2, output"), "{missing}");
    assert_eq!(count(&[], &[Place::Weight]), Err(SpaceError::Empty));
    assert_eq!(count(&["*"], &[Place::Normalisation]).map_err(|_| ()), Err(()));
}

#[test]
fn populations_of_convolutional_networks_are_the_published_ones() {
    for (name, weights) in [("resnet-20", 268_336), ("mobilenet-v2", 2_261_824), ("googlenet-stacked", 6_378_688)] {
        let known = find(name).expect("an architecture");
        let network = known.network(known.input, known.outputs).expect("a network");
        let space = FaultSpace::new(&network, &Targets::default(), 1).expect("weights");
        assert_eq!(space.population(), Some(weights * 32), "{name}");
    }
}

#[test]
fn channels_and_positions_of_an_image_pick_its_elements() {
    let known = find("lenet-5").expect("an architecture");
    let network = known.network(&[1, 28, 28], 10).expect("a network");
    let first = network.nodes().iter().position(|node| matches!(node.op, Op::Activation(_))).expect("one") + 1;
    let [channels, rows, columns] = network.shapes()[first][..] else { panic!("an image") };
    let with = |channels: Option<Vec<usize>>, positions: Option<Vec<Vec<usize>>>, place| Targets {
        layers: vec![network.nodes()[first - 1].name.clone()],
        places: vec![place],
        models: vec![FaultModel::Zero],
        channels,
        positions,
        ..Targets::default()
    };
    let space = |targets: &Targets| FaultSpace::new(&network, targets, 1);
    let all = space(&with(None, None, Place::Activation)).expect("elements");
    assert_eq!(all.population(), Some((channels * rows * columns) as u64));
    let some = space(&with(Some(vec![2]), Some(vec![vec![0, 1], vec![1, 0]]), Place::Activation)).expect("two");
    let indices: Vec<Vec<usize>> = (0..2).map(|i| some.site(i).expect("within").index).collect();
    assert_eq!((some.population(), indices), (Some(2), vec![vec![2, 0, 1], vec![2, 1, 0]]));
    let whole = space(&with(Some(vec![3]), None, Place::Channel)).expect("one");
    let site = whole.site(0).expect("within");
    assert_eq!((site.index.clone(), site.numbers()), (vec![3], rows * columns));
    let Hits::Output { elements, .. } = site.hits else { panic!("an output") };
    assert_eq!(elements[0], 3 * rows * columns);
    let missing = space(&with(Some(vec![channels]), None, Place::Activation)).expect_err("one too many");
    assert_eq!(missing, SpaceError::NoSuchChannel { channel: channels, most: channels });
    let missing = space(&with(None, Some(vec![vec![rows, 0]]), Place::Activation)).expect_err("one too many");
    assert_eq!(missing, SpaceError::NoSuchPosition(vec![rows, 0]));
}

#[test]
fn models_that_do_not_apply_are_refused() {
    let error = |places: &[Place], models: &[FaultModel]| {
        FaultSpace::new(&net(), &targets(places, models), 1).expect_err("no such fault").to_string()
    };
    let byzantine = FaultModel::Byzantine { low: -1.0, high: 1.0 };
    assert!(error(&[Place::Weight], &[byzantine]).contains("target activations"));
    assert!(error(&[Place::Activation], &[FaultModel::BitErrorRate(0.1)]).contains("target weights"));
    assert!(error(&[Place::Weight], &[FaultModel::BitErrorRate(0.1), FaultModel::Zero]).contains("of its own"));
    let beyond = Targets { bits: vec![32], ..Targets::default() };
    assert_eq!(FaultSpace::new(&net(), &beyond, 1), Err(SpaceError::NoSuchBit(32)));
}

#[test]
fn bit_errors_hit_every_bit_at_their_rate_and_only_those_asked_for() {
    let rate = 0.02;
    let targets = Targets {
        places: vec![Place::Weight, Place::Bias],
        models: vec![FaultModel::BitErrorRate(rate)],
        bits: vec![3, 30],
        ..Targets::default()
    };
    let space = FaultSpace::new(&net(), &targets, 9).expect("a memory");
    assert_eq!(space.population(), None);
    let mut hits = std::collections::BTreeMap::new();
    let draws = 20_000;
    for number in 0..draws {
        let Hits::Stored(all) = space.site(number).expect("endless").hits else { panic!("stored") };
        for (parameter, element, effect) in all {
            let Effect::Bits { mask, .. } = effect else { panic!("bits") };
            assert_eq!(mask & !(1 << 3 | 1 << 30), 0);
            for bit in (0..32).filter(|bit| mask >> bit & 1 == 1) {
                *hits.entry((parameter, element, bit)).or_insert(0u64) += 1;
            }
        }
    }
    // 32 parameters of two bits each; 400 hits expected of each bit, six standard deviations are 119.
    assert_eq!(hits.len(), 64);
    assert!(hits.values().all(|count| count.abs_diff(400) < 119), "{hits:?}");
}

#[test]
fn an_index_leads_back_to_its_element() {
    let shape = [3, 4, 5];
    for at in 0..60 {
        assert_eq!(ravel(&unravel(at, &shape), &shape), Some(at));
    }
    assert_eq!((ravel(&[3, 0, 0], &shape), ravel(&[0, 0], &shape)), (None, None));
}
