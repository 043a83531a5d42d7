//! Faults: where they can be, which are run, and what they do to what they hit.
//!
//! Single faults in any network: [`space`] numbers them, [`design`] chooses among them or [`list`] reads them from a file, and
//! `duress_network::campaign` runs them. Neuron crashes of sequences of layers: [`crash_rows`].

mod bits;
pub mod compare;
mod crash;
pub mod design;
pub mod list;
mod mersenne;
mod model;
mod pattern;
pub mod plan;
pub mod precision;
pub mod protect;
mod published;
pub mod rounds;
mod run;
pub mod space;

pub use bits::{BitModel, WORD_BITS};
pub use crash::{
    CrashCampaign, CrashCampaignError, CrashRow, Layered, SequenceExecutor, crash_accuracy, crash_delta, crash_rows,
};
pub use mersenne::PythonRandom;
pub use model::{Effect, FaultModel};
pub use pattern::matches;
pub use published::{PUBLISHED, PUBLISHED_SEED, PublishedFault, published_list};
