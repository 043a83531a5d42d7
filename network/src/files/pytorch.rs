//! Reading what `torch.save` wrote: zip, legacy stream and tar; state dicts, checkpoints around them, whole modules.
//!
//! The crate interprets pickles by a list of opcodes and types that it knows, and executes nothing; sizes, nesting and
//! memo copies are limited.

use std::collections::BTreeMap;
use std::path::Path;

use pytorch_reader::{DType, PickleValue, PytorchReader};

use super::Contents;
use super::element::{Element, Endian};
use super::error::Fault;
use crate::tensor::Tensor;

/// Keys under which training scripts put the state dict.
const CONTAINERS: [&str; 3] = ["state_dict", "model_state_dict", "net"];

/// Reads the tensors, sorted by name, of a file that unpacks to `limit` bytes at most.
pub(super) fn read(path: &Path, limit: usize) -> Result<Contents, Fault> {
    let reader = PytorchReader::new(path).map_err(Fault::malformed)?;
    let mut found: Vec<_> = reader.into_tensors().into_iter().collect();
    found.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    let container = CONTAINERS.iter().find(|key| found.iter().any(|(name, _)| within(name, key).is_some()));
    let mut left = limit;
    let mut tensors = Vec::new();
    for (name, tensor) in &found {
        let Some(name) = container.map_or(Some(name.as_str()), |key| within(name, key)) else { continue };
        let element = element(tensor.dtype());
        let bytes = element.bytes(tensor.shape(), left)?;
        left -= bytes;
        let raw = tensor.read().map_err(Fault::malformed)?;
        let values = element.decode(&raw, Endian::NATIVE)?;
        tensors.push(Tensor { name: name.to_owned(), shape: tensor.shape().to_vec(), values });
    }
    Ok(Contents { tensors, metadata: notes(path) })
}

/// `name` without the `container` that it lies in.
fn within<'a>(name: &'a str, container: &str) -> Option<&'a str> {
    name.strip_prefix(container)?.strip_prefix('.')
}

/// Numbers and texts beside the weights, such as an epoch; a checkpoint without any is as good.
fn notes(path: &Path) -> BTreeMap<String, String> {
    let Ok(PickleValue::Dict(entries)) = PytorchReader::read_pickle_data(path, None) else {
        return BTreeMap::new();
    };
    let text = |value| match value {
        PickleValue::Bool(value) => Some(value.to_string()),
        PickleValue::Int(value) => Some(value.to_string()),
        PickleValue::Float(value) => Some(value.to_string()),
        PickleValue::String(value) => Some(value),
        _ => None,
    };
    entries.into_iter().filter_map(|(key, value)| Some((key, text(value)?))).collect()
}

fn element(dtype: DType) -> Element {
    match dtype {
        DType::F64 => Element::F64,
        DType::F32 => Element::F32,
        DType::F16 => Element::F16,
        DType::BF16 => Element::Bf16,
        DType::I64 => Element::I64,
        DType::I32 => Element::I32,
        DType::I16 => Element::I16,
        DType::I8 => Element::I8,
        DType::U64 => Element::U64,
        DType::U32 => Element::U32,
        DType::U16 => Element::U16,
        DType::U8 => Element::U8,
        DType::Bool => Element::Bool,
    }
}
