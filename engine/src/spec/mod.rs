//! The spec language: from a text to a [`Spec`], and how types read themselves from it.
//!
//! | step | file |
//! |---|---|
//! | text to values with positions | `raw.rs`, `value.rs` |
//! | values to a study: axes, sections, views | `check.rs`, `axes.rs`, `grid.rs`, `sections.rs`, `exclude.rs`, `figure.rs`, `expect.rs`, `filter.rs`, `usage.rs` |
//! | `{axis}` filled in, references taken apart | `substitute.rs`, `reference.rs`, `walk.rs` |
//! | a table to a configured type | `from_spec.rs`, `config.rs`, `scalar.rs`, `bounded.rs`, `defined.rs` |
//! | what may be written, as data | `schema.rs`, `describe.rs`, `json_schema.rs` |
//! | what is wrong | `fault.rs`, `error.rs`, `suggest.rs`, `names.rs` |

mod axes;
mod bounded;
mod check;
#[doc(hidden)]
pub mod config;
mod defined;
mod describe;
mod error;
mod exclude;
mod expect;
mod fault;
mod figure;
mod filter;
mod from_spec;
mod grid;
mod json_schema;
mod names;
mod raw;
mod reference;
mod scalar;
mod schema;
mod sections;
mod substitute;
mod suggest;
#[cfg(test)]
pub(crate) mod testing;
mod usage;
mod value;
mod walk;

pub use axes::{Axis, AxisValue};
pub use bounded::{Count, Fraction, NonNegative, Positive, Seed};
pub use check::{DefinitionTable, Section, Spec, Study, check, check_collecting};
pub use config::Choice;
pub use defined::{Defined, HasSection};
pub use describe::describe;
pub use error::SpecErrors;
pub use exclude::Exclude;
pub use expect::{Bound, Expect, Measure, Reduce};
pub use fault::{Fault, Faults};
pub use figure::{Band, Figure, FigureKind};
pub use filter::{Condition, Filter, TableName};
pub use from_spec::{Connection, FromSpec, Request, Scope, Surroundings};
pub use json_schema::json_schema;
pub use raw::{RawSpec, SourceText};
pub use reference::{Pick, Reference, Selection, Written, quote_label, read_reference};
pub use scalar::{OneOrMany, Spanned};
pub use schema::{Field, Record, Schema, Variant};
pub use substitute::{Placeholder, placeholders, substitute, substitute_what_can_be};
pub use suggest::nearest;
pub use value::{Entry, Node, Span, Table, Value};
pub use walk::{Template, definition_names, references};
