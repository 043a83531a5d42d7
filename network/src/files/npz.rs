//! Reading and writing archives of `NumPy` arrays (`np.savez`). Nothing is unpickled.

use std::io::{Cursor, Read, Write};

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, ZipArchive};

use super::Contents;
use super::error::Fault;
use super::npy::{self, Header};
use crate::tensor::Tensor;

/// Reads the arrays in the order of the archive, which unpacks to `limit` bytes at most.
pub(super) fn read(raw: &[u8], limit: usize) -> Result<Contents, Fault> {
    let mut archive = ZipArchive::new(Cursor::new(raw)).map_err(Fault::malformed)?;
    let mut left = limit;
    let mut tensors = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(Fault::malformed)?;
        let name = entry.name().map_err(Fault::malformed)?;
        let Some(name) = name.strip_suffix(".npy").map(str::to_owned) else { continue };
        let mut content = Vec::new();
        entry.take(left as u64 + 1).read_to_end(&mut content).map_err(Fault::malformed)?;
        left = left
            .checked_sub(content.len())
            .ok_or_else(|| Fault::malformed(format!("it unpacks to more than {limit} bytes")))?;
        tensors.push(array(name, &content)?);
    }
    Ok(Contents { tensors, ..Contents::default() })
}

/// The array in `content`.
pub(super) fn array(name: String, content: &[u8]) -> Result<Tensor, Fault> {
    let (header, numbers) = npy::split(content)?;
    let Header { element, endian, fortran, shape } = header;
    if element.bytes(&shape, numbers.len())? != numbers.len() {
        return Err(Fault::malformed(format!("array `{name}` of shape {shape:?} has {} bytes", numbers.len())));
    }
    let values = element.decode(numbers, endian)?;
    let values = if fortran { row_major(&shape, &values) } else { values };
    Ok(Tensor { name, shape, values })
}

/// `values` of an array whose first index varies fastest, with the last one varying fastest.
fn row_major(shape: &[usize], values: &[f32]) -> Vec<f32> {
    let reversed: Vec<usize> = shape.iter().rev().copied().collect();
    let axes: Vec<usize> = (0..shape.len()).rev().collect();
    super::layout::permute(&reversed, values, &axes)
}

/// The bytes of an archive with these arrays, the same for the same content.
pub(super) fn write(tensors: &[Tensor]) -> std::io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let options = options.last_modified_time(zip::DateTime::default());
    for tensor in tensors {
        archive.start_file(format!("{}.npy", tensor.name), options)?;
        archive.write_all(&npy::write(&tensor.shape, &tensor.values))?;
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_bit_for_bit_and_written_alike() {
        let tensors = vec![
            Tensor { name: "layer1.0.weight".into(), shape: vec![2, 2], values: vec![1.0, -0.0, 3.5, f32::INFINITY] },
            Tensor { name: "scale".into(), shape: vec![], values: vec![0.25] },
        ];
        let raw = write(&tensors).expect("in memory");
        assert_eq!(read(&raw, 1 << 20).expect("just written").tensors, tensors);
        assert_eq!(raw, write(&tensors).expect("in memory"));
    }

    #[test]
    fn an_archive_that_unpacks_to_too_much_is_refused() {
        let tensors = vec![Tensor::zeros("zeros", vec![1000])];
        let raw = write(&tensors).expect("in memory");
        assert!(matches!(read(&raw, 1000), Err(Fault::Malformed(problem)) if problem.contains("1000 bytes")));
    }

    #[test]
    fn columns_first_becomes_rows_first() {
        // np.asfortranarray([[1, 2, 3], [4, 5, 6]]) stores 1 4 2 5 3 6.
        assert_eq!(row_major(&[2, 3], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
