//! The formats, told by content and never by a file's name.

use std::fmt;
use std::io::Cursor;

use zip::ZipArchive;

/// A format of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `safetensors`.
    Safetensors,
    /// `torch.save`: zip, legacy stream or tar.
    PyTorch,
    /// `np.savez`, `np.savez_compressed`.
    Npz,
    /// HDF5 as Keras writes it.
    Keras,
    /// ONNX.
    Onnx,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Safetensors, Self::PyTorch, Self::Npz, Self::Keras, Self::Onnx];

    /// What people can do about a file in another format.
    pub(super) const WANTED: &'static str =
        "save a state dict by `torch.save` or as safetensors, arrays by `np.savez`, or a model as ONNX or Keras HDF5";

    /// Its name as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::PyTorch => "PyTorch",
            Self::Npz => "NPZ",
            Self::Keras => "Keras HDF5",
            Self::Onnx => "ONNX",
        }
    }

    /// Recognises the content of a file; an error says what it looks like instead.
    ///
    /// # Errors
    /// Where it is none of the formats.
    pub fn recognise(content: &[u8]) -> Result<Self, String> {
        match content {
            [] => Err("it is empty".into()),
            [0x89, b'H', b'D', b'F', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Self::Keras),
            [b'P', b'K', 3 | 5, 4 | 6, ..] => recognise_archive(content),
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Err("a single array without a name: use `np.savez`".into()),
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => Err("it is compressed: unpack it first".into()),
            [b'G', b'G', b'U', b'F', ..] => Err("GGUF is not read".into()),
            _ if starts_like_safetensors(content) => Ok(Self::Safetensors),
            _ if content.get(257..262) == Some(b"ustar") => Ok(Self::PyTorch),
            // A pickle of protocol 2 and later begins with the opcode PROTO and the version.
            [0x80, 2..=5, ..] => Ok(Self::PyTorch),
            _ if super::onnx::looks_like_a_model(content) => Ok(Self::Onnx),
            _ => Err("its first bytes are no format's".into()),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A little-endian length of the JSON header, and the brace that it begins with.
fn starts_like_safetensors(content: &[u8]) -> bool {
    let length = content.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    length.is_some_and(|length| length <= content.len() as u64) && content.get(8) == Some(&b'{')
}

fn recognise_archive(content: &[u8]) -> Result<Format, String> {
    let archive = ZipArchive::new(Cursor::new(content)).map_err(|error| format!("a zip archive cut short: {error}"))?;
    let names: Vec<_> = archive.file_names().filter_map(Result::ok).collect();
    let holds = |wanted: &dyn Fn(&str) -> bool| names.iter().any(|name| wanted(name));
    if holds(&|name| name.ends_with("/constants.pkl")) {
        return Err("a TorchScript archive: save `model.state_dict()`".into());
    }
    if holds(&|name| name == "data.pkl" || name.ends_with("/data.pkl")) {
        return Ok(Format::PyTorch);
    }
    if holds(&|name| name == "model.weights.h5") {
        return Err("a `.keras` archive: call `model.save(\"model.h5\")`".into());
    }
    if holds(&|name| name.strip_suffix(".npy").is_some()) || names.is_empty() {
        return Ok(Format::Npz);
    }
    Err("a zip archive without arrays".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_weights_is_called_by_its_name() {
        for (content, word) in [
            (&b""[..], "empty"),
            (b"\x1f\x8b\x08rest", "compressed"),
            (b"GGUF\x03", "GGUF"),
            (b"\x93NUMPY\x01\x00", "np.savez"),
            (b"hello, world", "first bytes"),
            (b"PK\x03\x04oops", "cut short"),
        ] {
            let problem = Format::recognise(content).expect_err("no format");
            assert!(problem.contains(word), "{problem}");
        }
    }
}
