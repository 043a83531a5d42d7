//! What every command prints, word for word, and how it ends.

mod cache;
mod check;
mod devices;
mod errors;
mod figure;
mod graph;
mod inject;
mod new;
mod parity;
mod plan;
mod run;
mod stages;
mod table;
mod why;
