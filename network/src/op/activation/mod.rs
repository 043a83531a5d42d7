//! An elementwise function; which ones there are is in [`crate::activation`].

pub(crate) mod backward;
pub(crate) mod forward;
pub(crate) mod reference;

use crate::activation::Activation;
use crate::op::operation::{OpError, Operation, Shape};

impl Operation for Activation {
    fn output(&self, inputs: &[&[usize]]) -> Result<Shape, OpError> {
        let bad = |key, value: f64, fix| Err(OpError::Setting { key, value: value.to_string(), fix });
        match *self {
            Self::Relu { slope } if !(slope > 0.0 && slope.is_finite()) => bad("slope", slope, "use a positive slope"),
            Self::LeakyRelu { slope } if !slope.is_finite() => bad("slope", slope, "use a finite slope"),
            Self::Elu { alpha } if !(alpha > 0.0 && alpha.is_finite()) => bad("alpha", alpha, "use a positive number"),
            Self::Sigmoid { gain } if !(gain > 0.0 && gain.is_finite()) => bad("gain", gain, "use a positive gain"),
            Self::RectifiedPower { power } if !(power >= 1.0 && power.is_finite()) => {
                bad("power", power, "use a power of at least 1")
            }
            Self::Clip { low, high } if low.partial_cmp(&high) != Some(std::cmp::Ordering::Less) => {
                bad("low", low, "use a lower limit below `high`")
            }
            _ => Ok(inputs[0].to_vec()),
        }
    }
}
