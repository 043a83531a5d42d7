//! Keras models in HDF5: their weights in this program's names and layouts, and their description as a network.

mod graph;
mod layers;
mod weights;

use super::error::Fault;
use super::import::Described;
use super::{Contents, MAX_RATIO, hdf5};

/// Reads the weights.
pub(super) fn read(raw: Vec<u8>) -> Result<Contents, Fault> {
    let limit = raw.len().saturating_mul(MAX_RATIO);
    let contents = hdf5::read(raw, limit)?;
    Ok(Contents { tensors: weights::convert(contents.tensors), ..contents })
}

/// Reads the described network, its parameters, and the notes of the file.
pub(super) fn network(raw: Vec<u8>) -> Result<Described, Fault> {
    let Contents { tensors, metadata } = read(raw)?;
    let config = metadata.get("model_config").ok_or_else(|| {
        let problem = "holds weights without a description of the model".into();
        Fault::Unsupported(problem, "save it by `model.save(...)`, or name the architecture")
    })?;
    let network = graph::network(config)?;
    Ok(Described { network, tensors, metadata })
}
