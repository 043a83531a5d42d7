//! How many faults of a space there are of each sort.

use std::collections::BTreeMap;

use duress_network::Weights;

use super::FaultSpace;

/// A sort of fault: what tells results apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sort {
    /// The node, from 1.
    pub node: usize,
    /// The bit, of faults in one.
    pub bit: Option<u8>,
    /// The model's name.
    pub model: &'static str,
    /// Whether the stored number is negative; `None` of what is not stored.
    pub negative: Option<bool>,
}

/// How many faults there are of each sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells(BTreeMap<Sort, u64>);

impl Cells {
    /// Of a space with an end, in `weights`; `None` of others.
    #[must_use]
    pub fn of(space: &FaultSpace, weights: &Weights) -> Option<Self> {
        space.population()?;
        let mut cells: BTreeMap<Sort, u64> = BTreeMap::new();
        for region in &space.regions {
            let stored = region.parameter.map(|parameter| &weights.tensors()[parameter].values);
            let negative = |values: &&Vec<f32>| values.iter().filter(|v| v.is_sign_negative()).count() as u64;
            let all = region.cells() as u64;
            let signs = match stored.as_ref().map(negative) {
                Some(below) => vec![(Some(false), all - below), (Some(true), below)],
                None => vec![(None, all)],
            };
            for (model, bit) in &space.variants {
                for (negative, count) in signs.iter().filter(|(_, count)| *count > 0) {
                    let sort = Sort { node: region.node, bit: *bit, model: model.name(), negative: *negative };
                    *cells.entry(sort).or_default() += count;
                }
            }
        }
        Some(Self(cells))
    }

    /// How many faults there are of the sorts that `wanted` names.
    #[must_use]
    pub fn count(&self, wanted: impl Fn(&Sort) -> bool) -> u64 {
        self.0.iter().filter(|(sort, _)| wanted(sort)).map(|(_, count)| count).sum()
    }
}
