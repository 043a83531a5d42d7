//! Lists of faults as files: those of published campaigns, and our own for other programs.
//!
//! `Injection,Layer,TensorIndex,Bit`, a fault a line: the name of a layer (of its weight, without `.weight`), the index of an
//! element as a Python tuple, and the bit, 0 the mantissa's least significant. Columns `Model` and `Value` say what happens
//! where it is not a flip; `n_injections`, `masked`, `non_critical` and `critical` are the outcomes that were published. In
//! Keras's order an index is `(row, column, input, output)` of a convolution and `(input, output)` of a dense layer, which is
//! `PyTorch`'s backwards by kernel and channels, and layers have Keras's names, which a map (`PT,TF`) translates.

mod csv;
mod error;
mod row;
mod write;

use std::collections::BTreeMap;

use duress_network::Network;

use super::space::FaultSite;
use csv::{Cell, records};
pub use error::{ListError, ListErrors, Problem};
pub use write::{Written, write_list};

/// Columns of a list, in the order they are written in; the first four must be there, but `Bit` where `Model` is.
const COLUMNS: [&str; 10] = [
    "Injection",
    "Layer",
    "TensorIndex",
    "Bit",
    "Model",
    "Value",
    "n_injections",
    "masked",
    "non_critical",
    "critical",
];
const HEADER: &str = "Injection,Layer,TensorIndex,Bit";
const KNOWN: &str = "Injection, Layer, TensorIndex, Bit, Model, Value, n_injections, masked, non_critical, critical";
const NAMES_HEADER: &str = "PT,TF";

/// In which order a list indexes, and by which names it calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// `(output, input, row, column)`, names of `PyTorch` modules.
    #[default]
    Pytorch,
    /// `(row, column, input, output)`, names of Keras layers.
    Keras,
}

impl Order {
    /// An index or a shape of this order in `PyTorch`'s.
    fn to_pytorch(self, index: &[usize]) -> Vec<usize> {
        match (self, index) {
            (Self::Keras, &[row, column, input, output]) => vec![output, input, row, column],
            (Self::Keras, &[input, output]) => vec![output, input],
            _ => index.to_vec(),
        }
    }

    /// An index or a shape of `PyTorch`'s order in this one.
    fn of_pytorch(self, index: &[usize]) -> Vec<usize> {
        match (self, index) {
            (Self::Keras, &[output, input, row, column]) => vec![row, column, input, output],
            (Self::Keras, &[output, input]) => vec![input, output],
            _ => index.to_vec(),
        }
    }
}

/// What a list says of how a fault ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Images that the fault was said to be run on.
    pub images: u64,
    /// Images of which no output changed.
    pub masked: u64,
    /// Images of which an output changed and the class did not.
    pub non_critical: u64,
    /// Images of which the class changed.
    pub critical: u64,
}

/// A fault of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The fault.
    pub site: FaultSite,
    /// How it ended, where the list says.
    pub counts: Option<Counts>,
}

/// The faults in the bytes of a list, for weights of `network`. `names` gives the network's name for each name in the file;
/// where it is empty the names are the network's own.
///
/// # Errors
/// Every mistake in the file, each with its line and column.
pub fn read_list(
    bytes: &[u8],
    network: &Network,
    order: Order,
    names: &BTreeMap<String, String>,
) -> Result<Vec<Listed>, ListErrors> {
    let records = records(text_of(bytes)?)?;
    let Some((header, rows)) = records.split_first() else {
        return Err(ListError { line: 1, column: 1, problem: Problem::Empty(HEADER) }.into());
    };
    let columns = columns(header)?;
    if rows.is_empty() {
        let line = header[0].line + 1;
        return Err(ListError { line, column: 1, problem: Problem::NoFaults }.into());
    }
    let mut reader = row::Rows::new(network, order, names, columns, header.len());
    let mut errors = Vec::new();
    let mut faults = Vec::with_capacity(rows.len());
    for cells in rows {
        match reader.row(cells) {
            Ok(fault) => faults.push(fault),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(faults) } else { Err(ListErrors(errors)) }
}

/// The network's name for each name of Keras, from a map with the columns `PT` and `TF`.
///
/// # Errors
/// The first mistake in the file.
pub fn read_names(bytes: &[u8]) -> Result<BTreeMap<String, String>, ListErrors> {
    let records = records(text_of(bytes)?)?;
    let at = |cell: &Cell, problem| ListErrors::from(ListError { line: cell.line, column: cell.column, problem });
    let Some((header, rows)) = records.split_first() else {
        return Err(ListError { line: 1, column: 1, problem: Problem::Empty(NAMES_HEADER) }.into());
    };
    let column = |name: &'static str| {
        header.iter().position(|cell| cell.text == name).ok_or_else(|| at(&header[0], Problem::MissingColumn(name)))
    };
    let (ours, theirs) = (column("PT")?, column("TF")?);
    let mut names = BTreeMap::new();
    for cells in rows {
        if cells.len() != header.len() {
            return Err(at(&cells[0], Problem::Cells { found: cells.len(), wanted: header.len() }));
        }
        names.insert(cells[theirs].text.trim().to_owned(), cells[ours].text.trim().to_owned());
    }
    Ok(names)
}

fn text_of(bytes: &[u8]) -> Result<&str, ListErrors> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = 1 + before.matches('\n').count();
        ListErrors::from(ListError { line, column: 1, problem: Problem::NotText })
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Which cell each of [`COLUMNS`] is in.
fn columns(header: &[Cell]) -> Result<[Option<usize>; COLUMNS.len()], ListErrors> {
    let mut found = [None; COLUMNS.len()];
    let at = |cell: &Cell, problem| ListError { line: cell.line, column: cell.column, problem };
    let mut errors = Vec::new();
    for (index, cell) in header.iter().enumerate() {
        let name = cell.text.trim();
        match COLUMNS.iter().position(|known| *known == name) {
            None => {
                let near = duress_engine::spec::nearest(name, COLUMNS).map(str::to_owned);
                errors.push(at(cell, Problem::UnknownColumn { name: name.to_owned(), near, known: KNOWN }));
            }
            Some(column) if found[column].is_some() => {
                errors.push(at(cell, Problem::RepeatedColumn(name.to_owned())));
            }
            Some(column) => found[column] = Some(index),
        }
    }
    let needed = if found[4].is_some() { 3 } else { 4 };
    // A misspelt column is told of once.
    let meant = |column: &usize| {
        let near = |error: &ListError| matches!(&error.problem, Problem::UnknownColumn { near: Some(near), .. } if near == COLUMNS[*column]);
        errors.iter().any(near)
    };
    let missing: Vec<usize> = (0..needed).filter(|column| found[*column].is_none() && !meant(column)).collect();
    errors.extend(missing.into_iter().map(|column| at(&header[0], Problem::MissingColumn(COLUMNS[column]))));
    if errors.is_empty() { Ok(found) } else { Err(ListErrors(errors)) }
}

#[cfg(test)]
mod tests;
