//! Data sets: finding their files, decoding them strictly, choosing rows, scaling values. Knows nothing of stages.
//!
//! | question | answer | where |
//! |---|---|---|
//! | which sources are there? | [`SOURCES`], [`describe`] | `facts.rs`, one file a source |
//! | what did the user ask for? | [`DataConfig`] | `config.rs` |
//! | which files? | [`DataConfig::files`] | `find.rs` |
//! | which rows, as text that can be hashed? | [`Recipe`] | `recipe.rs`, `select.rs`, `scale.rs` |
//! | the rows themselves | [`load()`], [`Split`] | `load.rs` |
//! | how do files get here? | [`fetch`] | `fetch/` |
//!
//! Adding a source: its file (facts, files, decoder), a variant of [`Source`] and of [`Reading`], a line in [`SOURCES`].

mod boston;
mod check;
mod cifar;
mod columns;
mod config;
mod csv;
mod decoded;
mod digits;
mod error;
mod facts;
mod fashion_mnist;
pub mod fetch;
mod find;
mod gtsrb;
mod idx;
mod inflate;
mod load;
mod mnist;
mod npz;
mod numbers;
mod parquet;
mod picture;
mod pictures;
mod recipe;
mod resize;
mod scale;
mod select;
mod source;

pub use cifar::Cifar;
pub use columns::{Answer, Columns};
pub use config::{DataConfig, Holdout, Limits, SplitName};
pub use decoded::{Answers, Decoded, Values};
pub use error::DataError;
pub use facts::{Description, Facts, Moments, SOURCES, Task, describe};
pub use find::DataRoots;
pub use load::{Resolve, Split, load};
pub use npz::Arrays;
pub use pictures::Pictures;
pub use recipe::Recipe;
pub use scale::Scale;
pub use select::{Portion, Step};
pub use source::{Part, Reading, Source, SourceBytes, SourceFile};
