//! What a study looks like to a reader: pictures of its graph and its results, and its tables in the formats people use.

pub mod figure;
pub mod graph;
pub mod table;
mod xml;
