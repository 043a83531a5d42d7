//! Runs a plan against a cache.

mod event;
mod host;

pub use event::{Event, EventSink};
pub use host::Host;

/// What a stage runs in.
pub struct RunContext<'a> {
    /// Placeholder.
    _marker: std::marker::PhantomData<&'a ()>,
}
