//! Which bits of which layers must be protected so that the critical rate of a memory comes under a limit, for the least
//! memory: planned from a finished campaign.
//!
//! A campaign tells a rate for each cell: the faults of one bit of one layer. Protecting a unit (a cell, a bit of all layers,
//! a layer) takes its faults out of the critical ones and costs memory. Units are taken in the order of what they take off for
//! each bit of memory, then those that turn out not to be needed are given back, the costliest first. Where all units cost
//! the same, as bits of one memory do, no cheaper choice has estimates that are enough.

use std::collections::BTreeMap;

use crate::nn::statistics::normal_quantile;

/// What a campaign found of faults that are alike: of one bit of one layer, perhaps of one sign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellRate {
    /// The layer, by name.
    pub layer: String,
    /// The bit.
    pub bit: u8,
    /// How many such faults there are.
    pub sites: u64,
    /// How many of them were run.
    pub faults: u64,
    /// Sum over these of the share of examples with a critical outcome.
    pub critical: f64,
    /// Sum of the squares of those shares.
    pub squares: f64,
}

/// What is protected as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// One bit of all layers, stored three times.
    Bit,
    /// One bit of one layer, stored three times.
    Cell,
    /// All bits of a layer, in a code that corrects one of them.
    Layer,
}

/// What rate of a unit is planned with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trust {
    /// The estimate itself; 0 where nothing was run.
    Estimate,
    /// The upper end of its interval at this coverage; 1 where nothing was run.
    Upper(f64),
}

/// What is to be protected, and what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Protection {
    /// The protected bits of each layer, as a mask; no layer without any.
    pub bits: BTreeMap<String, u32>,
    /// Bits of memory that it costs.
    pub cost: u64,
    /// The critical rate that is left, by the rates planned with.
    pub left: f64,
    /// The critical rate without protection, by the same rates.
    pub before: f64,
}

/// A limit that cannot be reached.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// There are no faults.
    #[error("plan protection from a campaign without faults: run one first")]
    Empty,
    /// A limit that is no rate.
    #[error("plan protection for a critical rate under {0}: give a rate above 0 and below 1")]
    Limit(f64),
}

/// Faults of a cell below which it has no estimate of its own, and is pooled with others like it.
const ENOUGH: u64 = 10;

/// Something that can be protected as one, and what a campaign says of its faults.
#[derive(Clone, Debug, Default)]
struct Item {
    cells: Vec<usize>,
    cost: u64,
    sites: u64,
    faults: u64,
    /// Critical faults to expect, by a stratified estimate, and its variance.
    expected: f64,
    variance: f64,
}

impl Item {
    fn new(all: &[CellRate], cells: Vec<usize>) -> Self {
        let of = || cells.iter().map(|&index| &all[index]);
        let (sites, faults) = (of().map(|cell| cell.sites).sum(), of().map(|cell| cell.faults).sum());
        let (enough, few): (Vec<&CellRate>, Vec<&CellRate>) =
            of().partition(|cell| cell.faults >= ENOUGH.min(cell.sites));
        let mut rest = CellRate { sites: few.iter().map(|cell| cell.sites).sum(), ..CellRate::default() };
        let scarce = few.iter().map(|cell| cell.faults).sum::<u64>() < ENOUGH;
        // Too few even together: what is known of the others stands for them.
        for cell in few.iter().chain(enough.iter().filter(|_| scarce && rest.sites > 0)) {
            rest.faults += cell.faults;
            rest.critical += cell.critical;
            rest.squares += cell.squares;
        }
        let (mut expected, mut variance) = (0.0, 0.0);
        for cell in enough.into_iter().chain([&rest]).filter(|cell| cell.faults > 0) {
            let (n, all) = (cell.faults as f64, cell.sites as f64);
            let mean = (cell.critical / n).clamp(0.0, 1.0);
            let spread = (cell.squares / n - mean * mean).max(0.0) * n / (n - 1.0).max(1.0);
            expected += all * mean;
            variance += all * all * spread / n * (1.0 - n / all).max(0.0);
        }
        Self { cells, cost: 0, sites, faults, expected, variance }
    }
}

/// Critical faults to expect of some items: their estimates, or the upper end of what all of them have together.
///
/// Items in which nothing critical was seen show no spread, which is no certainty. Of these together the upper end is the exact
/// one of a rate of which none was seen, in as many faults as they would have had if all were drawn from as thinly as the one
/// with the smallest share; of an item of which nothing was run all may be critical.
fn left<'a>(items: impl Iterator<Item = &'a Item> + Clone, trust: Trust) -> f64 {
    let Trust::Upper(level) = trust else { return items.map(|item| item.expected).sum() };
    let tail = (1.0 - level) / 2.0;
    let untried: u64 = items.clone().filter(|item| item.faults == 0).map(|item| item.sites).sum();
    let seen = items.clone().filter(|item| item.expected > 0.0);
    let (expected, variance) = seen.fold((0.0, 0.0), |sum, item| (sum.0 + item.expected, sum.1 + item.variance));
    let clear = items.filter(|item| item.expected <= 0.0 && item.faults > 0 && item.faults < item.sites);
    let (sites, share) = clear.fold((0.0, 1.0), |(sites, share): (f64, f64), item| {
        (sites + item.sites as f64, share.min(item.faults as f64 / item.sites as f64))
    });
    let unseen = if sites > 0.0 { sites * (1.0 - tail.powf(1.0 / (share * sites))) } else { 0.0 };
    untried as f64 + expected + normal_quantile(1.0 - tail) * variance.sqrt() + unseen
}

/// What to protect so that the critical rate over all faults of `cells` comes under `limit`.
///
/// `layer_cost` is what protecting a layer costs for each of its bits; bits that are stored three times cost two each.
///
/// # Errors
/// For no cells, and for a limit that is no rate. Every rate can be reached: protecting everything leaves none.
pub fn plan(
    cells: &[CellRate],
    unit: Unit,
    trust: Trust,
    limit: f64,
    layer_cost: f64,
) -> Result<Protection, PlanError> {
    if !(limit > 0.0 && limit < 1.0) {
        return Err(PlanError::Limit(limit));
    }
    let all: u64 = cells.iter().map(|cell| cell.sites).sum();
    if all == 0 {
        return Err(PlanError::Empty);
    }
    let mut groups: BTreeMap<(&str, u8), Vec<usize>> = BTreeMap::new();
    for (index, cell) in cells.iter().enumerate() {
        let key = match unit {
            Unit::Bit => ("", cell.bit),
            Unit::Cell => (cell.layer.as_str(), cell.bit),
            Unit::Layer => (cell.layer.as_str(), 0),
        };
        groups.entry(key).or_default().push(index);
    }
    let item = |members: Vec<usize>| {
        let item = Item::new(cells, members);
        let cost = if unit == Unit::Layer { (item.sites as f64 * layer_cost).ceil() as u64 } else { 2 * item.sites };
        Item { cost, ..item }
    };
    let items: Vec<Item> = groups.into_values().map(item).collect();
    let chosen = choose(&items, trust, limit * all as f64);
    let mut bits: BTreeMap<String, u32> = BTreeMap::new();
    for &cell in chosen.iter().flat_map(|&index| &items[index].cells) {
        *bits.entry(cells[cell].layer.clone()).or_default() |= 1 << (cells[cell].bit % 32);
    }
    let rate = |mass: f64| (mass / all as f64).min(1.0);
    Ok(Protection {
        bits,
        cost: chosen.iter().map(|&index| items[index].cost).sum(),
        left: rate(left(others(&items, &chosen), trust)),
        before: rate(left(items.iter(), trust)),
    })
}

/// The items that are not chosen.
fn others<'a>(items: &'a [Item], chosen: &'a [usize]) -> impl Iterator<Item = &'a Item> + Clone {
    items.iter().enumerate().filter(|(index, _)| !chosen.contains(index)).map(|(_, item)| item)
}

/// Items without which at most `allowed` critical faults are left.
fn choose(items: &[Item], trust: Trust, allowed: f64) -> Vec<usize> {
    let worth = |index: usize| items[index].expected / (items[index].cost.max(1)) as f64;
    // Of items that look alike, the one that is known least goes first.
    let doubt = |index: usize| left(std::iter::once(&items[index]), trust) / (items[index].cost.max(1)) as f64;
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|&a, &b| worth(b).total_cmp(&worth(a)).then(doubt(b).total_cmp(&doubt(a))).then(a.cmp(&b)));
    let enough = |chosen: &[usize]| left(others(items, chosen), trust) <= allowed;
    let mut chosen = Vec::new();
    for index in order {
        if enough(&chosen) {
            break;
        }
        chosen.push(index);
    }
    let mut dearest = chosen.clone();
    dearest.sort_by(|&a, &b| items[b].cost.cmp(&items[a].cost).then(worth(a).total_cmp(&worth(b))).then(a.cmp(&b)));
    for index in dearest {
        let without: Vec<usize> = chosen.iter().copied().filter(|&other| other != index).collect();
        if enough(&without) {
            chosen = without;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::random::Stream;

    fn cell(layer: &str, bit: u8, sites: u64, rate: f64) -> CellRate {
        let n = sites as f64;
        CellRate { layer: layer.to_owned(), bit, sites, faults: sites, critical: rate * n, squares: rate * rate * n }
    }

    /// A network of two layers in which bit 30 is nearly all, bit 25 some.
    fn cells() -> Vec<CellRate> {
        let rate = |bit| match bit {
            30 => 0.4,
            25 => 0.003,
            _ => 0.0001,
        };
        (0..32).flat_map(|bit| [cell("a", bit, 100, rate(bit)), cell("b", bit, 300, rate(bit) * 2.0)]).collect()
    }

    #[test]
    fn the_bit_with_nearly_all_critical_faults_is_protected_first() {
        let found = plan(&cells(), Unit::Bit, Trust::Estimate, 0.001, 0.125).expect("a plan");
        assert_eq!(found.bits, BTreeMap::from([("a".to_owned(), 1 << 30), ("b".to_owned(), 1 << 30)]));
        assert_eq!(found.cost, 800);
        // (0.4 + 0.003 + 30 * 0.0001) (100 + 2 * 300) / (32 * 400) before, the same without 0.4 after.
        assert!((found.before - 0.406 * 700.0 / 12_800.0).abs() < 1e-12);
        assert!((found.left - 0.006 * 700.0 / 12_800.0).abs() < 1e-12);
        let finer = plan(&cells(), Unit::Cell, Trust::Estimate, 0.005, 0.125).expect("a plan");
        assert_eq!(finer.bits, BTreeMap::from([("b".to_owned(), 1 << 30)]), "most of the mass is in one layer");
        let layers = plan(&cells(), Unit::Layer, Trust::Estimate, 0.005, 0.125).expect("a plan");
        assert_eq!((layers.bits, layers.cost), (BTreeMap::from([("b".to_owned(), u32::MAX)]), 1200));
        let nothing = plan(&cells(), Unit::Bit, Trust::Estimate, 0.5, 0.125).expect("a plan");
        assert_eq!((nothing.bits.len(), nothing.cost), (0, 0));
    }

    #[test]
    fn of_bits_that_cost_the_same_no_cheaper_choice_is_enough() {
        for seed in 0..200 {
            let mut stream = Stream::new(seed, "cells", &[]);
            let cells: Vec<CellRate> =
                (0..10).map(|bit| cell("a", bit, 50, f64::from(stream.uniform_f32()).powi(4))).collect();
            let limit = 0.001 + 0.2 * f64::from(stream.uniform_f32());
            let found = plan(&cells, Unit::Bit, Trust::Estimate, limit, 0.125).expect("a plan");
            // Every subset of ten bits.
            let cheapest = (0_u32..1 << 10)
                .filter(|set| {
                    let left = (0..10).filter(|bit| set >> bit & 1 == 0).map(|bit| cells[bit].critical).sum::<f64>();
                    left <= limit * 500.0 + 1e-9
                })
                .map(|set| u64::from(set.count_ones()) * 100)
                .min();
            assert_eq!(Some(found.cost), cheapest, "seed {seed}");
            assert!(found.left <= limit);
        }
    }

    #[test]
    fn what_is_not_needed_in_the_end_is_given_back() {
        // The small layer is worth most for its cost, but the large one is needed anyway, and enough.
        let cells = [cell("small", 0, 10, 0.5), cell("large", 0, 1000, 0.3)];
        let found = plan(&cells, Unit::Layer, Trust::Estimate, 0.01, 0.125).expect("a plan");
        assert_eq!(found.bits.keys().collect::<Vec<_>>(), ["large"]);
    }

    #[test]
    fn upper_ends_protect_what_was_hardly_tried() {
        let sampled = |bit, faults, shares: &[f64]| CellRate {
            layer: "a".into(),
            bit,
            sites: 1000,
            faults,
            critical: shares.iter().sum(),
            squares: shares.iter().map(|s| s * s).sum(),
        };
        let cells = [sampled(0, 1000, &[]), sampled(1, 20, &[]), sampled(2, 0, &[])];
        let upper = |cell: &CellRate| {
            left([&Item::new(std::slice::from_ref(cell), vec![0])].into_iter(), Trust::Upper(0.95)) / 1000.0
        };
        // Of 0 of 20 the exact upper end at 95 %: 1 - 0.025^(1/20).
        assert!((upper(&cells[1]) - 0.168_433).abs() < 1e-5, "{}", upper(&cells[1]));
        assert_eq!([0, 2].map(|i| upper(&cells[i]).to_bits()), [0.0_f64, 1.0].map(f64::to_bits));
        let careful = plan(&cells, Unit::Bit, Trust::Upper(0.95), 0.01, 0.125).expect("a plan");
        assert_eq!(careful.bits["a"], 0b110);
        let trusting = plan(&cells, Unit::Bit, Trust::Estimate, 0.01, 0.125).expect("a plan");
        assert!(trusting.bits.is_empty());
        // Mean 0.02, standard deviation 0.01 sqrt(100 / 99), of 100 of 1000.
        let shares: Vec<f64> = (0..100).map(|i| if i % 2 == 0 { 0.01 } else { 0.03 }).collect();
        let wanted = 0.02 + 1.959_964 * (1e-4 * 100.0 / 99.0 / 100.0 * 0.9_f64).sqrt();
        assert!((upper(&sampled(3, 100, &shares)) - wanted).abs() < 1e-8);
    }

    #[test]
    fn what_was_seen_nowhere_is_doubted_once_and_not_for_each_bit() {
        // 31 bits of which 100 of 1000 faults were run and none was critical: 1 - 0.025^(1/3100) of all of them.
        let clear = |bit| CellRate { layer: "a".into(), bit, sites: 1000, faults: 100, ..CellRate::default() };
        let mut cells: Vec<CellRate> = (0..31).map(clear).collect();
        cells.push(CellRate { critical: 40.0, squares: 30.0, ..clear(31) });
        let found = plan(&cells, Unit::Bit, Trust::Upper(0.95), 0.002, 0.125).expect("a plan");
        assert_eq!(found.bits["a"], 1 << 31);
        let wanted = (1.0 - 0.025_f64.powf(1.0 / 3100.0)) * 31.0 / 32.0;
        assert!((found.left - wanted).abs() < 1e-9, "{} {wanted}", found.left);
    }

    #[test]
    fn cells_that_were_hardly_tried_are_taken_for_the_others_of_their_unit() {
        let tried = |sites, faults, rate: f64| CellRate {
            layer: "a".into(),
            bit: 0,
            sites,
            faults,
            critical: rate * faults as f64,
            squares: rate * rate * faults as f64,
        };
        let (many, few, none) = (tried(800, 40, 0.1), tried(150, 3, 0.2), tried(50, 0, 0.0));
        let together = Item::new(&[many, few, none], vec![0, 1, 2]).expected;
        // 800 at 0.1, and 200 at the mean of all 43.
        assert!((together - (80.0 + 200.0 * (4.0 + 0.6) / 43.0)).abs() < 1e-9, "{together}");
    }

    #[test]
    fn limits_that_are_no_rates_and_empty_campaigns_are_refused() {
        assert_eq!(plan(&[], Unit::Bit, Trust::Estimate, 0.1, 0.125), Err(PlanError::Empty));
        for limit in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(plan(&cells(), Unit::Bit, Trust::Estimate, limit, 0.125).is_err());
        }
    }
}
