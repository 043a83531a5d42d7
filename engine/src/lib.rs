//! The engine of Duress: a spec compiles into a plan, a plan runs against a cache.
//!
//! | phase | type | where |
//! |---|---|---|
//! | text with positions | [`spec::RawSpec`] | `spec/raw.rs` |
//! | checked study | [`spec::Spec`] | `spec/check.rs` |
//! | DAG of stage instances | [`plan::Plan`] | `plan/` |
//! | what happened | [`run::Outcome`], [`run::Event`] | `run/` |
//!
//! It knows nothing of neural networks, printing, clocks or the environment: kinds come in through a
//! [`stage::Registry`], time through [`run::Host`], and everything that happens leaves as an [`run::Event`].

pub mod input;
pub mod plan;
pub mod run;
pub mod spec;
pub mod stage;

pub use duress_cache::Tree;
