//! Reading and writing safetensors.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::json;

use super::Contents;
use super::element::{Element, Endian};
use super::error::Fault;
use crate::tensor::Tensor;

/// Reads tensors in the order of their bytes in the file.
pub(super) fn read(raw: &[u8]) -> Result<Contents, Fault> {
    let (_, metadata) = SafeTensors::read_metadata(raw).map_err(Fault::malformed)?;
    let file = SafeTensors::deserialize(raw).map_err(Fault::malformed)?;
    let tensors = metadata
        .offset_keys()
        .into_iter()
        .map(|name| {
            let view = file.tensor(&name).map_err(Fault::malformed)?;
            let element = element(view.dtype()).ok_or_else(|| {
                let problem = format!("holds `{name}` of type {:?}", view.dtype());
                Fault::Unsupported(problem, "save it as F32, F16 or BF16")
            })?;
            let values = element.decode(view.data(), Endian::Little)?;
            Ok(Tensor { name, shape: view.shape().to_vec(), values })
        })
        .collect::<Result<_, Fault>>()?;
    let notes = metadata.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    Ok(Contents { tensors, metadata: notes.collect() })
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::F64 => Element::F64,
        Dtype::F32 => Element::F32,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::I64 => Element::I64,
        Dtype::I32 => Element::I32,
        Dtype::I16 => Element::I16,
        Dtype::I8 => Element::I8,
        Dtype::U64 => Element::U64,
        Dtype::U32 => Element::U32,
        Dtype::U16 => Element::U16,
        Dtype::U8 => Element::U8,
        Dtype::BOOL => Element::Bool,
        _ => return None,
    })
}

/// The bytes of a file with these tensors: an eight-byte length, a JSON header padded to a multiple of eight, the numbers.
///
/// The crate keeps notes in a hash map, whose order would differ from run to run; written here, equal content has equal
/// bytes.
pub(super) fn write(tensors: &[Tensor], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), json!(metadata));
    }
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.values.len() * size_of::<f32>();
        let entry = json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end] });
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut raw = Vec::with_capacity(8 + header.len() + end);
    raw.extend((header.len() as u64).to_le_bytes());
    raw.extend(header);
    raw.extend(tensors.iter().flat_map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes())));
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_bit_for_bit() {
        let odd = [f32::MIN_POSITIVE / 4.0, -0.0, f32::from_bits(0x7fc0_1234), f32::INFINITY, 1.5, -3.0];
        let tensors = vec![
            Tensor { name: "conv.weight".into(), shape: vec![2, 3], values: odd.to_vec() },
            Tensor { name: "a".into(), shape: vec![], values: vec![7.0] },
        ];
        let notes = BTreeMap::from([("format".into(), "pt".into()), ("study".into(), "\"quoted\" é".into())]);
        let raw = write(&tensors, &notes);
        let read = read(&raw).expect("just written");
        assert_eq!(read.metadata, notes);
        for (read, written) in read.tensors.iter().zip(&tensors) {
            assert_eq!((&read.name, &read.shape), (&written.name, &written.shape));
            let bits = |tensor: &Tensor| tensor.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(read), bits(written));
        }
    }
}
