//! Faults as a list that other programs read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Counts, Order};

/// A fault to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Its running number.
    pub number: u64,
    /// The parameter it is in, such as `layer1.0.conv1.weight`.
    pub tensor: String,
    /// The element, in `PyTorch`'s order.
    pub index: Vec<usize>,
    /// The bit, of faults in one.
    pub bit: Option<u8>,
    /// The model's name.
    pub model: String,
    /// What the number becomes, of the model `value`.
    pub value: Option<f32>,
    /// How it ended, where it was run.
    pub counts: Option<Counts>,
}

/// `faults` as a list. `names` gives the file's name for each of the network's layers; others keep theirs. The columns `Model`
/// and `Value` stand only where some fault is no bit flip, and the outcomes only where every fault has them, so that a list of
/// flips is what the published injectors read.
#[must_use]
pub fn write_list(faults: &[Written], order: Order, names: &BTreeMap<String, String>) -> String {
    let models = faults.iter().any(|fault| fault.model != "bit-flip");
    let counts = faults.iter().all(|fault| fault.counts.is_some()) && !faults.is_empty();
    let mut text = String::from(super::HEADER);
    text += if models { ",Model,Value" } else { "" };
    text += if counts { ",n_injections,masked,non_critical,critical\n" } else { "\n" };
    for fault in faults {
        let layer = fault.tensor.strip_suffix(".weight").unwrap_or(&fault.tensor);
        let layer = names.get(layer).map_or(layer, String::as_str);
        let index: Vec<String> = order.of_pytorch(&fault.index).iter().map(usize::to_string).collect();
        // A tuple of one has a comma, which needs the quotes as well.
        let index = if index.len() == 1 { format!("{},", index[0]) } else { index.join(", ") };
        let bit = fault.bit.map_or_else(String::new, |bit| bit.to_string());
        let _ = write!(text, "{},{layer},\"({index})\",{bit}", fault.number);
        if models {
            let value = fault.value.map_or_else(String::new, |value| value.to_string());
            let _ = write!(text, ",{},{value}", fault.model);
        }
        if let Some(c) = fault.counts.filter(|_| counts) {
            let _ = write!(text, ",{},{},{},{}", c.images, c.masked, c.non_critical, c.critical);
        }
        text.push('\n');
    }
    text
}
