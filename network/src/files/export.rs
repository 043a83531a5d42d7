//! Writing weights: safetensors, NPZ and ONNX, the same bytes for the same weights.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::{FileError, Format, npz, onnx, safetensors};
use crate::tensor::Tensor;
use crate::weights::Weights;

/// The note under which a safetensors file of this program describes its network.
pub(super) const NETWORK: &str = "duress.network";

/// Writes weights to a file, which appears whole or not at all.
///
/// Safetensors and NPZ hold every parameter under its name, running statistics too; safetensors describe the network as
/// well. ONNX holds the graph for inference, on batches of any size, its input named `input` and its output after the last
/// node.
///
/// # Errors
/// Where the format is not written or cannot express the network, or the file cannot be written.
pub fn export(weights: &Weights, format: Format, path: &Path) -> Result<(), FileError> {
    let raw = to_bytes(weights, format)?;
    let io = |source| FileError::Io { action: "write", path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io(std::io::Error::other("it names no file")))?;
    let temporary = folder.join(format!(".{}.part", name.to_string_lossy()));
    let written = std::fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(&raw).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|source| {
        // Whatever went wrong, the part must not stay; that it cannot be removed adds nothing.
        let _ = std::fs::remove_file(&temporary);
        io(source)
    })
}

/// The bytes of an archive of arrays (`np.savez`), such as images and their outputs.
///
/// # Errors
/// Where an array has a name that no archive can hold.
pub fn arrays_to_npz(arrays: &[Tensor]) -> Result<Vec<u8>, FileError> {
    let impossible = |problem| FileError::Inexpressible { format: Format::Npz, problems: vec![problem] };
    npz::write(arrays).map_err(|error| impossible(error.to_string()))
}

/// The bytes of a file with these weights.
///
/// # Errors
/// Where the format is not written or cannot express the network.
pub fn to_bytes(weights: &Weights, format: Format) -> Result<Vec<u8>, FileError> {
    let impossible = |problem: String| FileError::Inexpressible { format, problems: vec![problem] };
    match format {
        Format::Safetensors => {
            let network = serde_json::to_string(weights.network()).map_err(|error| impossible(error.to_string()))?;
            let notes = BTreeMap::from([("format".into(), "pt".into()), (NETWORK.into(), network)]);
            Ok(safetensors::write(weights.tensors(), &notes))
        }
        Format::Npz => arrays_to_npz(weights.tensors()),
        Format::Onnx => Ok(onnx::write(weights)),
        Format::PyTorch | Format::Keras => {
            Err(impossible("this format is read but not written; write safetensors, NPZ or ONNX".into()))
        }
    }
}
