//! What a study looks like to a reader: pictures of its graph, and its tables in the formats people use.

pub mod graph;
pub mod table;
