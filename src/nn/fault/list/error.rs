//! What can be wrong with a fault list, where, and how to mend it.

use std::fmt;

use thiserror::Error;

/// How many mistakes are shown.
const SHOWN: usize = 8;

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct ListError {
    /// Line, from 1.
    pub line: usize,
    /// Column of the text, in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// All mistakes in a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ListErrors(pub Vec<ListError>);

impl fmt::Display for ListErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read the fault list")?;
        for error in self.0.iter().take(SHOWN) {
            write!(f, "; {error}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} mistakes more"),
        }
    }
}

impl From<ListError> for ListErrors {
    fn from(error: ListError) -> Self {
        Self(vec![error])
    }
}

/// What is wrong, and the fix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// Not text.
    #[error("the file is not text in UTF-8; save it as plain CSV")]
    NotText,
    /// Nothing is in the file.
    #[error("the file is empty; begin it with `{0}`")]
    Empty(&'static str),
    /// A header and nothing else.
    #[error("there is no fault below the header; list at least one")]
    NoFaults,
    /// A quote without its partner.
    #[error("a quote is opened and never closed; close it with `\"`")]
    OpenQuote,
    /// Text right after a closing quote.
    #[error("text follows a closing quote; put a comma between them, or double a quote that is meant as text")]
    AfterQuote,
    /// A column that there is not.
    #[error("`{name}` is no column of such a file{}; its columns are {known}", hint(.near.as_ref()))]
    UnknownColumn {
        /// The column.
        name: String,
        /// The column that was probably meant.
        near: Option<String>,
        /// Those there are.
        known: &'static str,
    },
    /// A column stands twice.
    #[error("column `{0}` stands twice; keep one of them")]
    RepeatedColumn(String),
    /// A column that must be there.
    #[error("column `{0}` is missing; add it to the header and to every line")]
    MissingColumn(&'static str),
    /// Another number of cells than the header has.
    #[error("the line has {found} cells and the header {wanted}; put an index such as `\"(0, 1)\"` in quotes")]
    Cells {
        /// Cells of the line.
        found: usize,
        /// Cells of the header.
        wanted: usize,
    },
    /// Not a whole number.
    #[error("`{text}` in `{column}` is not a whole number; write one, such as `7`")]
    NotANumber {
        /// The column.
        column: &'static str,
        /// What stands there.
        text: String,
    },
    /// Two faults have a number.
    #[error("injection {number} stands already in line {first}; number every fault once")]
    RepeatedNumber {
        /// The number.
        number: u64,
        /// The line that has it.
        first: usize,
    },
    /// A layer that there is not.
    #[error("the network has no layer `{name}`{}; use the names that `duress stages model` or the weights' own file give", hint(.near.as_ref()))]
    UnknownLayer {
        /// The layer.
        name: String,
        /// The layer that was probably meant.
        near: Option<String>,
    },
    /// A layer with several weights.
    #[error("layer `{name}` has several weights; name one of {}", tensors.join(", "))]
    SeveralWeights {
        /// The layer.
        name: String,
        /// Its weights.
        tensors: Vec<String>,
    },
    /// A name that the map of names lacks.
    #[error("the map of names has no `{name}` in its column `TF`{}; add a line for it", hint(.near.as_ref()))]
    UnmappedLayer {
        /// The layer.
        name: String,
        /// The layer that was probably meant.
        near: Option<String>,
    },
    /// Not an index.
    #[error("`{0}` is not an index; write whole numbers in brackets, such as `\"(3, 0, 2, 1)\"`")]
    NotAnIndex(String),
    /// An index of another number of extents.
    #[error("the index has {found} numbers and the weight has the shape {shape:?}; give {} numbers", shape.len())]
    Rank {
        /// Numbers of the index.
        found: usize,
        /// The shape, in the order of the file.
        shape: Vec<usize>,
    },
    /// An index beyond the tensor.
    #[error("index {index} at place {place} is out of range: the weight has the shape {shape:?}; use 0 to {}", shape[*.place].saturating_sub(1))]
    OutOfRange {
        /// The index.
        index: usize,
        /// Which of the extents, from 0.
        place: usize,
        /// The shape, in the order of the file.
        shape: Vec<usize>,
    },
    /// A bit beyond the word.
    #[error("there is no bit {0} in a 32-bit word; use 0 (least significant) to 31 (sign)")]
    NoSuchBit(u64),
    /// A model that there is not.
    #[error("`{name}` is no fault model of a list{}; the models are bit-flip, stuck-at-0, stuck-at-1, zero, value", hint(.near.as_ref()))]
    UnknownModel {
        /// The model.
        name: String,
        /// The model that was probably meant.
        near: Option<String>,
    },
    /// A fault in a bit without a bit.
    #[error("the fault needs a bit; give one, or a `Model` that is not about a bit")]
    NoBit,
    /// A bit where there is nothing to do with it.
    #[error("model `{0}` is about the whole number; leave `Bit` empty")]
    NeedlessBit(&'static str),
    /// A model without its value, or a value without meaning.
    #[error(
        "`{0}` is no value here; write a number where the number becomes it, 0 or 1 where a bit is stuck, or nothing"
    )]
    Value(String),
    /// A fault stands twice.
    #[error("the same fault stands already in line {first}; list it once")]
    Repeated {
        /// The line that has it.
        first: usize,
    },
}

fn hint(near: Option<&String>) -> String {
    near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"))
}
