//! Tables as people take them along: Parquet, CSV, Markdown, LaTeX; and picking rows of them.

mod cell;
mod filter;
mod text;

use std::fmt;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use clap::ValueEnum;

pub use filter::{Condition, FilterError, keep};

/// The formats a table is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Typed and compressed, with units and schema version; for pandas, polars, `DuckDB`
    Parquet,
    /// Comma-separated, one header line, nulls empty, numbers exact
    Csv,
    /// A pipe table, numbers to six digits
    Markdown,
    /// A booktabs tabular, numbers to six digits
    Latex,
}

impl Format {
    /// The format that a file's name asks for.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "parquet" | "pq" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "md" | "markdown" => Some(Self::Markdown),
            "tex" => Some(Self::Latex),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Markdown => "markdown",
            Self::Latex => "latex",
        })
    }
}

/// The rows as comma-separated values (RFC 4180) below a header line; lists are written as in Markdown.
///
/// # Errors
/// Where a column's type cannot be printed.
pub fn csv(rows: &RecordBatch) -> Result<String, ArrowError> {
    let cells = cell::print(rows, true)?;
    Ok(text::csv(&cells))
}

/// The rows as a Markdown table, numbers to the right.
///
/// # Errors
/// Where a column's type cannot be printed.
pub fn markdown(rows: &RecordBatch) -> Result<String, ArrowError> {
    let cells = cell::print(rows, false)?;
    Ok(text::markdown(&cells))
}

/// The rows as a LaTeX tabular in the style of booktabs.
///
/// # Errors
/// Where a column's type cannot be printed.
pub fn latex(rows: &RecordBatch) -> Result<String, ArrowError> {
    let cells = cell::print(rows, false)?;
    Ok(text::latex(&cells))
}
