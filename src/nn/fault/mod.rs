//! Faults: where they can be, which are run, and what they do to a network's answers.

mod bits;
mod sampling;
mod site;

pub use bits::{BitModel, WORD_BITS};
pub use sampling::{Precision, Sampling, margin_of, sample_size, sample_sites};
pub use site::{FaultSite, FaultSpace, SiteError, Targets};
