//! Which device a run computes on: what `--device` says, what there is, and what has been opened.
//!
//! A device is named `cpu`, or `cuda:N` with the number of a GPU. What comes before the colon is its class, which is part of a key
//! where results may differ from the CPU's. A driver belongs to the whole process, so what is opened stays so, for all stages.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;

use duress_engine::run::RunContext;
use duress_engine::stage::StageError;
use duress_network::chosen::Processor;
use thiserror::Error;

/// The device that is used unless another is asked for.
pub const CPU: &str = "cpu";

/// How far a network's outputs on a GPU may be from the CPU's, relative to the largest of them. Only functions like `exp` differ at all;
/// what is trained on a GPU differs by more, since every update goes on from the last one.
pub const TOLERANCE: f64 = 1e-4;

/// What `--device` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One by name.
    Named(String),
    /// The first GPU that can be used, else the CPU.
    Auto,
}

/// A device that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unusable {
    /// Not in this build.
    #[error("this build computes on the CPU alone; build it with `--features cuda` to compute on a GPU")]
    NotBuilt,
    /// Not the name of a device.
    #[error("`{0}` is no device; use `cpu`, `cuda:N` with the number of a GPU, or `auto`")]
    Name(String),
    /// No GPU, no driver, or no compiler.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Missing(#[from] duress_network::device::cuda::Missing),
    /// The GPU's kernels cannot be run on the CPU.
    #[cfg(feature = "cuda-on-host")]
    #[error(transparent)]
    NoHost(#[from] duress_network::device::cuda::NoHost),
}

impl FromStr for Choice {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        match text {
            "auto" => Ok(Self::Auto),
            CPU => Ok(Self::Named(CPU.to_owned())),
            "cuda" => Ok(Self::Named("cuda:0".to_owned())),
            _ => match text.strip_prefix("cuda:") {
                Some(number) if number.parse::<u16>().is_ok() || is_host(number) => Ok(Self::Named(text.to_owned())),
                _ => Err(Unusable::Name(text.to_owned())),
            },
        }
    }
}

/// Whether a GPU's number stands for its kernels on the CPU, for tests.
fn is_host(number: &str) -> bool {
    cfg!(feature = "cuda-on-host") && number == "host"
}

/// A device by name, and why it is not a GPU although one was welcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Such as `cpu`.
    pub name: String,
    /// Why it is the CPU.
    pub note: Option<String>,
}

impl Choice {
    /// The device that is meant, which need not exist where it is named: results may be looked at anywhere.
    #[must_use]
    pub fn named(&self) -> Settled {
        match self {
            Self::Named(name) => Settled { name: name.clone(), note: None },
            Self::Auto => automatic(),
        }
    }

    /// The device that is meant, ready to compute; `kernels` is where compiled ones are kept.
    ///
    /// # Errors
    /// Where it is named and cannot be used.
    pub fn open(&self, kernels: PathBuf) -> Result<Settled, Unusable> {
        KERNELS.get_or_init(|| kernels);
        let settled = self.named();
        match (processor(&settled.name), self) {
            (Ok(_), _) => Ok(settled),
            (Err(error), Self::Auto) => Ok(Settled { name: CPU.to_owned(), note: Some(error.to_string()) }),
            (Err(error), Self::Named(_)) => Err(error),
        }
    }
}

/// Where compiled kernels are kept.
static KERNELS: OnceLock<PathBuf> = OnceLock::new();

#[cfg(not(feature = "cuda"))]
fn automatic() -> Settled {
    Settled { name: CPU.to_owned(), note: Some(Unusable::NotBuilt.to_string()) }
}

#[cfg(feature = "cuda")]
fn automatic() -> Settled {
    use duress_network::device::cuda::survey;
    let found = survey();
    let missing = match (&found.devices, &found.compiler) {
        (Err(missing), _) | (Ok(_), Err(missing)) => missing.to_string(),
        (Ok(devices), Ok(_)) if devices.is_empty() => "the NVIDIA driver knows no GPU".to_owned(),
        (Ok(_), Ok(_)) => return Settled { name: "cuda:0".to_owned(), note: None },
    };
    Settled { name: CPU.to_owned(), note: Some(missing) }
}

/// The device of that name; a GPU is opened when it is first asked for.
///
/// # Errors
/// Where it cannot be used.
#[cfg(not(feature = "cuda"))]
pub fn processor(name: &str) -> Result<Processor, Unusable> {
    if name == CPU { Ok(Processor::default()) } else { Err(Unusable::NotBuilt) }
}

/// The device of that name; a GPU is opened when it is first asked for.
///
/// # Errors
/// Where it cannot be used.
#[cfg(feature = "cuda")]
pub fn processor(name: &str) -> Result<Processor, Unusable> {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    use duress_network::device::Cuda;

    static OPENED: Mutex<BTreeMap<String, Cuda>> = Mutex::new(BTreeMap::new());
    if name == CPU {
        return Ok(Processor::default());
    }
    let number = name.strip_prefix("cuda:").ok_or_else(|| Unusable::Name(name.to_owned()))?;
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = opened.get(number) {
        return Ok(Processor::Cuda(device.clone()));
    }
    let kernels = KERNELS.get().map(PathBuf::as_path);
    let device = match number.parse() {
        Ok(ordinal) => Cuda::open(ordinal, kernels)?,
        #[cfg(feature = "cuda-on-host")]
        Err(_) if is_host(number) => Cuda::on_host(kernels.unwrap_or(&std::env::temp_dir()), 4 << 30)?,
        Err(_) => return Err(Unusable::Name(name.to_owned())),
    };
    opened.insert(number.to_owned(), device.clone());
    Ok(Processor::Cuda(device))
}

/// The device that a stage computes on.
///
/// # Errors
/// Where it cannot be used.
pub(crate) fn of_run(cx: &RunContext<'_>) -> Result<Processor, StageError> {
    processor(cx.device()).map_err(StageError::failed)
}

/// Tells that a stage computes on the CPU although another device was asked for.
pub(crate) fn on_cpu(cx: &RunContext<'_>, what: &str) {
    if cx.device() != CPU {
        cx.warn(format!("{what} computes on the CPU, whatever `--device` says"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_by_class_and_number() {
        let named = |text: &str| text.parse::<Choice>().map(|choice| choice.named().name);
        assert_eq!(named("cpu").as_deref(), Ok("cpu"));
        assert_eq!(named("cuda").as_deref(), Ok("cuda:0"));
        assert_eq!(named("cuda:3").as_deref(), Ok("cuda:3"));
        for wrong in ["gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", ""] {
            assert_eq!(named(wrong), Err(Unusable::Name(wrong.to_owned())));
        }
        assert_eq!("auto".parse(), Ok(Choice::Auto));
    }

    #[test]
    fn what_chooses_itself_is_never_an_error_and_says_why_it_is_the_cpu() {
        let settled = Choice::Auto.open(std::env::temp_dir()).unwrap();
        assert_eq!(settled.name == CPU, settled.note.is_some(), "{settled:?}");
        let named = Choice::Named("cuda:999".to_owned()).open(std::env::temp_dir()).unwrap_err();
        assert!(named.to_string().contains(';'), "a message that ends in a fix: {named}");
    }
}
