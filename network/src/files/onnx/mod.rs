//! ONNX: its constants, its graph as a network, and networks as its graphs.

mod arithmetic;
mod attention;
mod constant;
mod constants;
mod export;
mod gelu;
mod import;
mod laid;
mod model;
mod moves;
mod operators;
mod recurrent;
mod sequences;
mod settings;
mod settle;
mod shapes;
mod shortcut;
mod wire;
mod writer;

use super::Contents;
use super::error::Fault;
use super::import::Described;
use crate::tensor::Tensor;
use model::Model;

pub(super) use export::write;

/// Whether the bytes are a model: nothing marks one but that it reads as one, with a graph.
pub(super) fn looks_like_a_model(raw: &[u8]) -> bool {
    // The file begins with the version of its format (field 1) in every exporter there is; the check is cheap.
    raw.first() == Some(&0x08) && wire::fields(raw).any(|field| matches!(field, Ok((7, wire::Value::Bytes(_)))))
}

/// Reads the named constants, in the order of the file.
pub(super) fn read(raw: &[u8]) -> Result<Contents, Fault> {
    let model = Model::read(raw).map_err(Fault::Malformed)?;
    let graph = model.graph.ok_or_else(|| Fault::malformed("it has no graph"))?;
    if graph.has_sparse_initialisers {
        return Err(Fault::Unsupported("holds sparse constants".into(), "export it with dense ones"));
    }
    let tensors = graph
        .initialisers
        .iter()
        .map(|constant| {
            Ok(Tensor { name: constant.name.clone(), shape: constant.extents()?, values: constant.values()? })
        })
        .collect::<Result<_, Fault>>()?;
    Ok(Contents { tensors, metadata: model.notes.into_iter().collect() })
}

/// Reads the graph as a network, and its parameters; with the notes of the file.
pub(super) fn network(raw: &[u8]) -> Result<Described, Fault> {
    let mut model = Model::read(raw).map_err(Fault::Malformed)?;
    let metadata = std::mem::take(&mut model.notes).into_iter().collect();
    let (network, tensors) = import::network(model, raw.len())?;
    Ok(Described { network, tensors, metadata })
}
