//! Faults: where they can be, which are run, and what they do to a network's answers.
//!
//! Weight faults: [`FaultSpace`] numbers every site, [`sample_sites`] chooses, [`Golden`] is the fault-free run and
//! [`evaluate_faults`] judges against it. Neuron crashes: [`crash_rows`].

mod bits;
mod campaign;
mod crash;
pub mod design;
pub mod list;
mod mersenne;
mod model;
pub mod precision;
mod published;
mod sampling;
mod site;
pub mod space;

pub use bits::{BitModel, WORD_BITS};
pub use campaign::{CampaignError, FaultOutcome, Golden, critical_rate, evaluate_faults};
pub use crash::{CrashCampaign, CrashCampaignError, CrashRow, crash_accuracy, crash_delta, crash_rows};
pub use mersenne::PythonRandom;
pub use model::{Effect, FaultModel};
pub use published::{PUBLISHED, PUBLISHED_SEED, PublishedFault, published_list};
pub use sampling::{Precision, Sampling, margin_of, sample_layers, sample_sites, sample_size};
pub use site::{FaultSite, FaultSpace, SiteError, Targets, matches};
