//! What stores promise, through the public interface.
//!
//! * `contract`: what every store does, run on both
//! * `damage`: flipped and missing bytes are found, named and healed
//! * `processes`: several at once, and killed ones
//! * `full`: no room, no permission
//! * `cleaning`: `verify` and `gc`
//! * `bundles`: `export` and `import`

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod bundles;
mod cleaning;
mod contract;
mod damage;
mod full;
mod processes;
mod support;
