//! `duress devices`: what there is to compute on, and why something cannot be used.

use clap::Args;
use duress_engine::run::Host;

use super::columns::Columns;
use super::error::CommandError;
use super::session::{Paint, Session};
use crate::exit::{self, Exit};
use crate::host::Machine;

/// List what `--device` can name, and say why something cannot be used
#[derive(Args, Debug)]
pub(super) struct Devices {}

impl Devices {
    #[expect(clippy::unused_self, reason = "as all commands are executed")]
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let mut rows = Columns::new(&["device", "what it is"]);
        rows.row(["cpu".to_owned(), format!("{}, {} threads", session.machine().cpu(), Machine::threads())]);
        gpus(&mut rows);
        let text = rows.print(Paint::of(session.settings.stdout));
        session.print(&text)?;
        Ok(exit::OK)
    }
}

#[cfg(not(feature = "cuda"))]
fn gpus(rows: &mut Columns<2>) {
    rows.row(["cuda".to_owned(), crate::device::Unusable::NotBuilt.to_string()]);
}

#[cfg(feature = "cuda")]
fn gpus(rows: &mut Columns<2>) {
    use duress_network::device::cuda::survey;

    let found = survey();
    let told = |what: &str, version: Result<String, String>| match version {
        Ok(version) => format!("{what} {version}"),
        Err(missing) => missing,
    };
    let driver = told("the NVIDIA driver knows CUDA up to", found.driver.map_err(|missing| missing.to_string()));
    rows.row(["driver".to_owned(), driver.clone()]);
    rows.row([
        "nvrtc".to_owned(),
        told("compiles kernels, version", found.compiler.map_err(|missing| missing.to_string())),
    ]);
    match found.devices {
        Ok(devices) if devices.is_empty() => rows.row(["cuda".to_owned(), "the NVIDIA driver knows no GPU".to_owned()]),
        Ok(devices) => {
            for device in devices {
                let memory = crate::units::size(device.memory as u64);
                let kernels = match device.target {
                    Ok(target) => format!("kernels are compiled to {target}"),
                    Err(missing) => format!("cannot be used: {missing}"),
                };
                let what = format!("{}, compute capability {}, {memory}; {kernels}", device.name, device.capability);
                rows.row([format!("cuda:{}", device.ordinal), what]);
            }
        }
        // One reason is told once.
        Err(missing) if missing.to_string() == driver => {}
        Err(missing) => rows.row(["cuda".to_owned(), missing.to_string()]),
    }
}
