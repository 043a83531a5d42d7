//! Pictures of a plan: DOT, Mermaid, and an SVG that needs no other program.
//!
//! [`Drawing`] is the picture before its format is chosen. One of sections shows a study as its author wrote it, with
//! the axes as annotations; since an iterative study refers to its previous round, it may have cycles, which are drawn
//! dashed and against the flow. One of instances is always acyclic.

mod dot;
mod frame;
mod layout;
mod mermaid;
mod model;
mod svg;

pub use dot::dot;
pub use mermaid::mermaid;
pub use model::{Arrow, Drawing, Shape};
pub use svg::svg;
