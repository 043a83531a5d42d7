//! Files of weights: reading what other programs wrote, fitting it to a network, and writing what they read.
//!
//! A file may come from anyone. Its format is told by its content; nothing in it is executed; memory is taken in
//! proportion to its size; and whatever is wrong with it is an error that names it.

mod draft;
mod element;
mod error;
mod export;
mod format;
mod hdf5;
mod import;
mod keras;
mod layout;
mod mismatch;
mod names;
pub mod npy;
mod npz;
mod onnx;
pub mod parity;
mod pytorch;
mod safetensors;

use std::collections::BTreeMap;
use std::path::Path;

use error::Fault;

pub use error::FileError;
pub use export::{arrays_to_npz, export, to_bytes};
pub use format::Format;
pub use import::{Imported, import, import_with_graph};
pub use mismatch::{Mismatch, Misshapen, Named};
pub use names::NameMap;

use crate::tensor::Tensor;

/// Deflate cannot pack more than this many bytes into one (zlib's technical notes: 1032:1), so no file holds more.
const MAX_RATIO: usize = 1032;

/// What a file of weights holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// The tensors under their names in the file, in an order that depends on nothing but the file. Those of Keras have the
    /// names and layouts of everyone else: `conv2d.weight`, outputs x inputs x height x width.
    pub tensors: Vec<Tensor>,
    /// Texts and numbers beside them, such as `epoch` or `model_config`.
    pub metadata: BTreeMap<String, String>,
}

/// Reads every tensor of a file, as `f32`: narrower numbers exactly, wider ones rounded to the nearest.
///
/// # Errors
/// Where the file cannot be read, is in no known format, is damaged, or holds what is not read here.
pub fn read(path: &Path) -> Result<(Format, Contents), FileError> {
    let raw = content(path)?;
    let format = recognise(path, &raw)?;
    let contents = decode(path, format, raw).map_err(|fault| fault.of(path, format))?;
    if contents.tensors.is_empty() {
        let fault = Fault::Unsupported("holds no tensors".into(), "save the state dict, not what is beside it");
        return Err(fault.of(path, format));
    }
    Ok((format, contents))
}

fn decode(path: &Path, format: Format, raw: Vec<u8>) -> Result<Contents, Fault> {
    let limit = raw.len().saturating_mul(MAX_RATIO);
    match format {
        Format::Safetensors => safetensors::read(&raw),
        Format::PyTorch => pytorch::read(path, limit),
        Format::Npz => npz::read(&raw, limit),
        Format::Keras => keras::read(raw),
        Format::Onnx => onnx::read(&raw),
    }
}

fn recognise(path: &Path, raw: &[u8]) -> Result<Format, FileError> {
    Format::recognise(raw).map_err(|problem| FileError::Unknown { path: path.to_owned(), problem })
}

/// The bytes of a regular file; a device or a pipe might never end.
fn content(path: &Path) -> Result<Vec<u8>, FileError> {
    let io = |source| FileError::Io { action: "read", path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(io(std::io::Error::other("it is no regular file")));
    }
    std::fs::read(path).map_err(io)
}
