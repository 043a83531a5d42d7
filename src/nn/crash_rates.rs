//! Crash probabilities by layer, as bounds and campaigns take them.

use thiserror::Error;

/// Rates that are not one probability per layer.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CrashRatesError {
    /// One rate per layer is needed, the input and the output included.
    #[error("take {got} crash rates for a network of {want} layers counting its input: give {want}")]
    Count {
        /// Rates given.
        got: usize,
        /// Layers, the input counted.
        want: usize,
    },
    /// A rate is no probability.
    #[error("take {rate} as the crash rate of layer {layer}: give a number from 0 to 1")]
    Rate {
        /// Layer number, 0 for the input.
        layer: usize,
        /// The rate given.
        rate: f64,
    },
}

/// Whether `rates` are one probability for each of `layers` layers, the input counted.
///
/// # Errors
/// Where they are not.
pub fn check_crash_rates(rates: &[f64], layers: usize) -> Result<(), CrashRatesError> {
    if rates.len() != layers {
        return Err(CrashRatesError::Count { got: rates.len(), want: layers });
    }
    match rates.iter().enumerate().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
        Some((layer, rate)) => Err(CrashRatesError::Rate { layer, rate: *rate }),
        None => Ok(()),
    }
}
