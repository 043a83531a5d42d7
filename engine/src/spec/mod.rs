//! The spec language.

mod fault;
mod from_spec;
mod schema;
mod value;

pub use fault::{Fault, Faults};
pub use from_spec::{Connection, FromSpec, Request, Scope, Surroundings};
pub use schema::{Field, Record, Schema, Variant};
pub use value::{Entry, Node, Span, Table, Value};
