//! What the engine may not find out for itself: the time, and where it runs.

/// The machine a run happens on, as the product tells it.
pub trait Host: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_unix_ms(&self) -> u64;

    /// Seconds on a clock that never goes back.
    fn elapsed_seconds(&self) -> f64;

    /// The machine's name.
    fn name(&self) -> String;

    /// Program name and version.
    fn program(&self) -> String;

    /// The processor and the features kernels may use.
    fn cpu(&self) -> String;

    /// The process, for lock files.
    fn process(&self) -> u32;
}
