//! One line of a list as a fault.

use std::collections::BTreeMap;

use duress_engine::spec::nearest;
use duress_network::Network;
use duress_network::op::Role;

use super::csv::Cell;
use super::error::{ListError, Problem};
use super::{COLUMNS, Counts, Listed, Order};
use crate::nn::fault::space::{FaultSite, Hits, ravel};
use crate::nn::fault::{BitModel, FaultModel, WORD_BITS};

/// Reads the lines of one list.
pub(super) struct Rows<'a> {
    network: &'a Network,
    order: Order,
    names: &'a BTreeMap<String, String>,
    columns: [Option<usize>; COLUMNS.len()],
    cells: usize,
    /// Names by which a tensor can be called, and the tensors of that name.
    tensors: BTreeMap<&'a str, Vec<usize>>,
    numbers: BTreeMap<u64, usize>,
    faults: BTreeMap<(usize, usize, Option<u8>, String), usize>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        network: &'a Network,
        order: Order,
        names: &'a BTreeMap<String, String>,
        columns: [Option<usize>; COLUMNS.len()],
        cells: usize,
    ) -> Self {
        let mut tensors: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, parameter) in network.parameters().iter().enumerate() {
            if parameter.role == Role::Weight {
                tensors.entry(network.nodes()[parameter.node - 1].name.as_str()).or_default().push(index);
            }
        }
        for (index, parameter) in network.parameters().iter().enumerate() {
            let name = parameter.name.as_str();
            tensors.insert(name, vec![index]);
            if let Some(short) = name.strip_suffix(".weight") {
                tensors.insert(short, vec![index]);
            }
        }
        Self { network, order, names, columns, cells, tensors, numbers: BTreeMap::new(), faults: BTreeMap::new() }
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> Result<Listed, ListError> {
        if cells.len() != self.cells {
            return Err(at(&cells[0], Problem::Cells { found: cells.len(), wanted: self.cells }));
        }
        let number = self.number(cells)?;
        let parameter = self.parameter(self.cell(cells, 1).unwrap_or(&cells[0]))?;
        let place = self.cell(cells, 2).unwrap_or(&cells[0]);
        let index = self.index(place, &self.network.parameters()[parameter].shape)?;
        let (model, bit) = self.model(cells)?;
        let shape = &self.network.parameters()[parameter].shape;
        let element = ravel(&index, shape).ok_or_else(|| at(place, Problem::NotAnIndex(place.text.clone())))?;
        let identity = (parameter, element, bit, format!("{model:?}"));
        if let Some(first) = self.faults.insert(identity, cells[0].line) {
            return Err(at(&cells[0], Problem::Repeated { first }));
        }
        let effect = model.effect(bit, 0, number);
        let site = FaultSite {
            number,
            node: Some(self.network.parameters()[parameter].node),
            parameter: Some(parameter),
            index,
            bit,
            model,
            hits: Hits::Stored(vec![(parameter, element, effect)]),
        };
        Ok(Listed { site, counts: self.counts(cells)? })
    }

    /// The cell of a column that the list has.
    fn cell<'c>(&self, cells: &'c [Cell], column: usize) -> Option<&'c Cell> {
        cells.get(self.columns[column]?)
    }

    fn number(&mut self, cells: &[Cell]) -> Result<u64, ListError> {
        let cell = self.cell(cells, 0).unwrap_or(&cells[0]);
        let number = whole(cell, COLUMNS[0])?;
        match self.numbers.insert(number, cell.line) {
            Some(first) => Err(at(cell, Problem::RepeatedNumber { number, first })),
            None => Ok(number),
        }
    }

    fn parameter(&self, cell: &Cell) -> Result<usize, ListError> {
        let written = cell.text.trim();
        let name = if self.names.is_empty() {
            written
        } else {
            self.names.get(written).map(String::as_str).ok_or_else(|| {
                let near = nearest(written, self.names.keys().map(String::as_str)).map(str::to_owned);
                at(cell, Problem::UnmappedLayer { name: written.to_owned(), near })
            })?
        };
        match self.tensors.get(name).map(Vec::as_slice) {
            Some([one]) => Ok(*one),
            Some(several) => {
                let tensors = several.iter().map(|p| self.network.parameters()[*p].name.clone()).collect();
                Err(at(cell, Problem::SeveralWeights { name: name.to_owned(), tensors }))
            }
            None => {
                let short = self.tensors.keys().copied().filter(|name| !name.ends_with(".weight"));
                let near = nearest(name, short).map(str::to_owned);
                Err(at(cell, Problem::UnknownLayer { name: name.to_owned(), near }))
            }
        }
    }

    /// The index in `PyTorch`'s order.
    fn index(&self, cell: &Cell, shape: &[usize]) -> Result<Vec<usize>, ListError> {
        let bad = || at(cell, Problem::NotAnIndex(cell.text.clone()));
        let inner = cell.text.trim().strip_prefix('(').and_then(|text| text.strip_suffix(')')).ok_or_else(bad)?;
        // Python writes a tuple of one with a comma.
        let inner = inner.trim().trim_end_matches(',');
        let numbers = inner.split(',').map(|text| text.trim().parse::<usize>());
        let written = numbers.collect::<Result<Vec<usize>, _>>().map_err(|_| bad())?;
        let theirs = self.order.of_pytorch(shape);
        if written.len() != theirs.len() {
            return Err(at(cell, Problem::Rank { found: written.len(), shape: theirs }));
        }
        if let Some(place) = (0..written.len()).find(|place| written[*place] >= theirs[*place]) {
            return Err(at(cell, Problem::OutOfRange { index: written[place], place, shape: theirs }));
        }
        Ok(self.order.to_pytorch(&written))
    }

    fn model(&self, cells: &[Cell]) -> Result<(FaultModel, Option<u8>), ListError> {
        let filled = |column| self.cell(cells, column).filter(|cell| !cell.text.trim().is_empty());
        let (bit, model, value) = (filled(3), filled(4), filled(5));
        let bit_number = bit.map(bit_of).transpose()?;
        let number = |cell: Option<&Cell>| match cell.map(|cell| (cell, cell.text.trim().parse::<f32>())) {
            Some((_, Ok(number))) if number.is_finite() => Ok(number),
            Some((cell, _)) => Err(at(cell, Problem::Value(cell.text.clone()))),
            None => Err(at(model.unwrap_or(&cells[0]), Problem::Value(String::new()))),
        };
        let (model, cell) = match (model, value) {
            (Some(cell), _) => match cell.text.trim() {
                "zero" => (FaultModel::Zero, cell),
                "value" => (FaultModel::Value(number(value)?), cell),
                name => {
                    let unknown = || {
                        let known = ["bit-flip", "stuck-at-0", "stuck-at-1", "zero", "value"];
                        let near = nearest(name, known).map(str::to_owned);
                        at(cell, Problem::UnknownModel { name: name.to_owned(), near })
                    };
                    (FaultModel::Bit(BitModel::from_name(name).ok_or_else(unknown)?), cell)
                }
            },
            (None, Some(cell)) if bit.is_some() => match cell.text.trim() {
                "0" => (FaultModel::Bit(BitModel::StuckAt0), cell),
                "1" => (FaultModel::Bit(BitModel::StuckAt1), cell),
                _ => return Err(at(cell, Problem::Value(cell.text.clone()))),
            },
            (None, Some(cell)) => (FaultModel::Value(number(value)?), cell),
            (None, None) => (FaultModel::Bit(BitModel::BitFlip), bit.unwrap_or(&cells[0])),
        };
        match (model.is_bitwise(), bit) {
            (true, None) => Err(at(self.cell(cells, 3).unwrap_or(cell), Problem::NoBit)),
            (false, Some(bit)) => Err(at(bit, Problem::NeedlessBit(model.name()))),
            _ => Ok((model, bit_number)),
        }
    }

    fn counts(&self, cells: &[Cell]) -> Result<Option<Counts>, ListError> {
        let mut counts = [0; 4];
        for (count, column) in counts.iter_mut().zip(6..10) {
            match self.cell(cells, column) {
                Some(cell) => *count = whole(cell, COLUMNS[column])?,
                // Without the number of images it is that of all outcomes.
                None if column == 6 => *count = u64::MAX,
                None => return Ok(None),
            }
        }
        let [images, masked, non_critical, critical] = counts;
        let all = masked.saturating_add(non_critical).saturating_add(critical);
        Ok(Some(Counts { images: if images == u64::MAX { all } else { images }, masked, non_critical, critical }))
    }
}

fn at(cell: &Cell, problem: Problem) -> ListError {
    ListError { line: cell.line, column: cell.column, problem }
}

fn whole(cell: &Cell, column: &'static str) -> Result<u64, ListError> {
    let text = cell.text.trim();
    text.parse().map_err(|_| at(cell, Problem::NotANumber { column, text: text.to_owned() }))
}

fn bit_of(cell: &Cell) -> Result<u8, ListError> {
    let bit = whole(cell, COLUMNS[3])?;
    u8::try_from(bit).ok().filter(|bit| *bit < WORD_BITS).ok_or_else(|| at(cell, Problem::NoSuchBit(bit)))
}
