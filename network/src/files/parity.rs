//! Whether an imported network computes what its author's program computes: outputs compared with a file of outputs.

use std::path::Path;

use thiserror::Error;

use super::error::Fault;
use super::{FileError, Format, MAX_RATIO, content, npz};
use crate::executor::{Executor, ExecutorError};
use crate::tensor::Tensor;

/// How near two programs' outputs for the same examples are.
#[derive(Clone, Debug, PartialEq)]
pub struct Parity {
    /// Examples compared.
    pub examples: usize,
    /// Examples for which both programs' largest output is the same one.
    pub agreeing: usize,
    /// The largest difference of any output, without sign.
    pub largest_difference: f64,
    /// The example and the output at which it is.
    pub at: (usize, usize),
    /// The mean difference, without sign.
    pub mean_difference: f64,
    /// The largest of the file's outputs, without sign: what differences are to be seen against.
    pub largest_output: f64,
}

/// Why outputs were not compared.
#[derive(Debug, Error)]
pub enum ParityError {
    /// The file was not read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The network did not run.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The file holds outputs of another network, or for other examples.
    #[error(
        "the file's outputs have the shape {found:?}, where {wanted:?} belongs; save one row of outputs an example"
    )]
    Shape {
        /// The shape in the file.
        found: Vec<usize>,
        /// Examples, and outputs of one.
        wanted: Vec<usize>,
    },
}

/// Runs `images` (row-major, as many as `outputs` has rows) and compares what the network gives with `outputs`.
///
/// A faithful executor compares best: it does every operation on its own, in the network's order.
///
/// # Errors
/// Where the numbers of examples or of outputs differ.
pub fn compare(executor: &Executor, images: &[f32], outputs: &Tensor) -> Result<Parity, ParityError> {
    let (one, width) = (executor.network().input_len(), executor.network().output_len());
    let examples = outputs.shape.first().copied().unwrap_or(0);
    if images.len() != examples * one || outputs.values.len() != examples * width || examples == 0 {
        return Err(ParityError::Shape { found: outputs.shape.clone(), wanted: vec![images.len() / one, width] });
    }
    let found = executor.run(images, examples)?;
    Ok(measure(&found, &outputs.values, width))
}

/// Compares rows of `width` outputs; a NaN on one side alone is infinitely far from a number.
fn measure(found: &[f32], wanted: &[f32], width: usize) -> Parity {
    let mut parity = Parity {
        examples: wanted.len() / width,
        agreeing: 0,
        largest_difference: 0.0,
        at: (0, 0),
        mean_difference: 0.0,
        largest_output: 0.0,
    };
    for (example, (found, wanted)) in found.chunks_exact(width).zip(wanted.chunks_exact(width)).enumerate() {
        parity.agreeing += usize::from(largest(found) == largest(wanted));
        for (output, (&found, &wanted)) in found.iter().zip(wanted).enumerate() {
            let difference = match (found.is_nan(), wanted.is_nan()) {
                (false, false) if found.to_bits() == wanted.to_bits() => 0.0,
                (false, false) => (f64::from(found) - f64::from(wanted)).abs(),
                (true, true) => 0.0,
                _ => f64::INFINITY,
            };
            parity.mean_difference += difference;
            parity.largest_output = parity.largest_output.max(f64::from(wanted.abs()));
            if difference > parity.largest_difference {
                (parity.largest_difference, parity.at) = (difference, (example, output));
            }
        }
    }
    parity.mean_difference /= wanted.len().max(1) as f64;
    parity
}

/// The first of the largest outputs.
fn largest(outputs: &[f32]) -> usize {
    let mut best = 0;
    for (index, output) in outputs.iter().enumerate() {
        if *output > outputs[best] {
            best = index;
        }
    }
    best
}

/// Reads an array from a file: `.npy`; the array `name` of an NPZ archive, or its only one; or comma-separated numbers, a row
/// a line, perhaps after a line of titles. Told by content.
///
/// # Errors
/// Where the file cannot be read, is damaged, or has no such array.
pub fn read_array(path: &Path, name: &str) -> Result<Tensor, FileError> {
    let raw = content(path)?;
    let array = match raw.as_slice() {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => npz::array(name.to_owned(), &raw),
        [b'P', b'K', ..] => member(&raw, name),
        _ => comma_separated(&raw, name),
    };
    array.map_err(|fault| fault.of(path, Format::Npz))
}

fn member(raw: &[u8], name: &str) -> Result<Tensor, Fault> {
    let mut tensors = npz::read(raw, raw.len().saturating_mul(MAX_RATIO))?.tensors;
    let place = tensors.iter().position(|tensor| tensor.name == name).or((tensors.len() == 1).then_some(0));
    place.map(|place| tensors.swap_remove(place)).ok_or_else(|| {
        let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        let problem = format!("has no array `{name}` among {names:?}");
        Fault::Unsupported(problem, "name it so in `np.savez`, or save it alone")
    })
}

fn comma_separated(raw: &[u8], name: &str) -> Result<Tensor, Fault> {
    let fix = "save outputs by `np.save`, `np.savez`, or as comma-separated numbers";
    let text = std::str::from_utf8(raw).map_err(|_| Fault::Unsupported("holds no array".into(), fix))?;
    let mut shape = [0, 0];
    let mut values = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let before = values.len();
        let numbers: Result<Vec<f32>, _> = line.split(',').map(|number| number.trim().parse()).collect();
        match numbers {
            Ok(numbers) => values.extend(numbers),
            Err(_) if index == 0 => continue,
            Err(error) => return Err(Fault::malformed(format!("line {}: {error}", index + 1))),
        }
        let width = values.len() - before;
        if shape[0] > 0 && width != shape[1] {
            let problem = format!("line {} has {width} numbers and the first {}", index + 1, shape[1]);
            return Err(Fault::malformed(problem));
        }
        shape = [shape[0] + 1, width];
    }
    if values.is_empty() {
        return Err(Fault::Unsupported("holds no array".into(), fix));
    }
    Ok(Tensor { name: name.to_owned(), shape: shape.to_vec(), values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Options;
    use crate::graph::{Builder, Value};
    use crate::op::Linear;
    use crate::weights::Weights;

    #[test]
    fn differences_and_agreement_are_counted() {
        let parity = measure(&[1.0, 2.0, 5.0, 4.0], &[1.5, 2.0, 4.0, 4.25], 2);
        assert_eq!((parity.examples, parity.agreeing, parity.at), (2, 1, (1, 0)));
        assert!((parity.largest_difference - 1.0).abs() < 1e-12);
        assert!((parity.mean_difference - (0.5 + 1.0 + 0.25) / 4.0).abs() < 1e-12);
        assert!((parity.largest_output - 4.25).abs() < 1e-12);
        assert!(measure(&[f32::NAN], &[1.0], 1).largest_difference.is_infinite());
        assert!(measure(&[f32::INFINITY], &[f32::INFINITY], 1).largest_difference.abs() < 1e-12);
    }

    #[test]
    fn arrays_are_read_in_every_form() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("logits");
        let wanted = Tensor { name: "logits".into(), shape: vec![2, 2], values: vec![1.0, -2.5, 3.0, 1e-3] };
        let archive = npz::write(&[Tensor::zeros("images", vec![1]), wanted.clone()]).expect("in memory");
        let array = super::super::npy::write(&wanted.shape, &wanted.values);
        for raw in [&archive[..], &array, b"a,b\n1,-2.5\n3, 0.001\n", b"1.0,-2.5\n\n3,1e-3"] {
            std::fs::write(&path, raw).expect("a file");
            assert_eq!(read_array(&path, "logits").expect("an array"), wanted);
        }
        for (raw, word) in [("1,2\n3\n", "line 2"), ("1,2\nx,3\n", "line 2"), ("", "no array")] {
            std::fs::write(&path, raw).expect("a file");
            let error = read_array(&path, "logits").expect_err("no array").to_string();
            assert!(error.contains(word), "{error}");
        }
        std::fs::write(&path, archive).expect("a file");
        assert!(read_array(&path, "outputs").expect_err("absent").to_string().contains("`outputs` among"));
    }

    #[test]
    fn a_network_is_compared_with_a_table() {
        let mut builder = Builder::new(&[2]);
        builder.then("sum", Linear::new(1).bias(false), Value::INPUT);
        let mut weights = Weights::zeros(&builder.finish().expect("sound"));
        weights.value_mut(0).fill(1.0);
        let executor = Executor::new(&weights, &Options::faithful());
        let outputs = Tensor { name: "outputs".into(), shape: vec![2, 1], values: vec![3.0, 7.5] };
        let parity = compare(&executor, &[1.0, 2.0, 3.0, 4.0], &outputs).expect("fitting shapes");
        assert!((parity.largest_difference - 0.5).abs() < 1e-12);
        let error = compare(&executor, &[1.0, 2.0], &outputs).expect_err("one example").to_string();
        assert!(error.contains("[2, 1], where [1, 1] belongs"), "{error}");
    }
}
