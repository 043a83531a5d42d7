//! Faults: where they can be, which are run, and what they do to a network's answers.
//!
//! Weight faults: [`FaultSpace`] numbers every site, [`sample_sites`] chooses, [`Golden`] is the fault-free run and
//! [`evaluate_faults`] judges against it. Neuron crashes: [`crash_rows`].

mod bits;
mod campaign;
mod crash;
mod sampling;
mod site;

pub use bits::{BitModel, WORD_BITS};
pub use campaign::{CampaignError, FaultOutcome, Golden, critical_rate, evaluate_faults};
pub use crash::{CrashCampaign, CrashCampaignError, CrashRow, crash_accuracy, crash_delta, crash_rows};
pub use sampling::{Precision, Sampling, margin_of, sample_layers, sample_sites, sample_size};
pub use site::{FaultSite, FaultSpace, SiteError, Targets, matches};
