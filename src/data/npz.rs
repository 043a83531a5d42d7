//! `npz`: arrays of a `NumPy` archive (`np.savez`), one of rows and one of labels or targets.
//!
//! Arrays come from anywhere and may claim any size. Nothing is unpickled.

use std::io::{Cursor, Read};

use duress_network::files::npy::Array;
use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use super::decoded::{Answers, Decoded, Values};
use super::error::DataError;
use super::inflate::MAX_RATIO;

/// Which arrays to read, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrays {
    /// The array of features, of shape `rows x ...`. Unsigned bytes are codes up to 255, all else is taken as numbers.
    pub x: String,
    /// The array of labels (whole numbers from 0, of shape `rows`) or of targets (`rows` or `rows x outputs`).
    pub y: String,
    /// Whether `y` holds numbers to fit rather than classes.
    pub regression: bool,
    /// Features per row, where the spec says so.
    pub features: Option<usize>,
    /// How many classes there are; where the spec does not say, one more than the greatest label.
    pub classes: Option<usize>,
}

impl Default for Arrays {
    fn default() -> Self {
        Self { x: "x".to_owned(), y: "y".to_owned(), regression: false, features: None, classes: None }
    }
}

/// Decodes the archive.
pub(super) fn decode(file: &str, raw: &[u8], arrays: &Arrays) -> Result<Decoded, DataError> {
    let mut archive = ZipArchive::new(Cursor::new(raw))
        .map_err(|error| DataError::malformed(file, format!("it is no NumPy archive ({error})")))?;
    let limit = raw.len().saturating_mul(MAX_RATIO);
    let (x, y) = (unpack(file, &mut archive, &arrays.x, limit)?, unpack(file, &mut archive, &arrays.y, limit)?);
    let (x, y) = (read(file, &arrays.x, &x)?, read(file, &arrays.y, &y)?);
    let (Some((&rows, shape)), Some(&answers)) = (x.shape().split_first(), y.shape().first()) else {
        return Err(DataError::malformed(file, "an array has no dimensions where the first must count rows"));
    };
    if rows != answers {
        let problem = format!("`{}` has {rows} rows and `{}` has {answers}", arrays.x, arrays.y);
        return Err(DataError::malformed(file, problem));
    }
    let shape = if shape.is_empty() { vec![1] } else { shape.to_vec() };
    check_features(file, shape.iter().product(), arrays.features)?;
    let values = match x.bytes() {
        Some(codes) => Values::Codes { codes: codes.to_vec(), max: u8::MAX },
        None => Values::Floats(x.numbers().into_iter().map(|number| number as f32).collect()),
    };
    let answers = if arrays.regression { targets(&y) } else { classes(file, &arrays.y, &y, arrays.classes)? };
    Decoded::new(file, shape, values, answers)
}

/// Fails where a row does not have the number of features that the spec claims.
pub(super) fn check_features(file: &str, found: usize, claimed: Option<usize>) -> Result<(), DataError> {
    match claimed {
        Some(claimed) if claimed != found => Err(DataError::malformed_with(
            file,
            format!("a row has {found} features and not {claimed}"),
            format!("write `features = {found}`"),
        )),
        _ => Ok(()),
    }
}

/// The bytes of one array, `limit` at most.
fn unpack(file: &str, archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, limit: usize) -> Result<Vec<u8>, DataError> {
    let bad = |problem: String| DataError::malformed(file, format!("array `{name}` {problem}"));
    let files = archive.file_names().filter_map(Result::ok);
    let mut names: Vec<String> = files.filter_map(|file| file.strip_suffix(".npy").map(str::to_owned)).collect();
    names.sort_unstable();
    if !names.iter().any(|present| present == name) {
        let problem = format!("there is no array `{name}`; it holds {}", names.join(", "));
        return Err(DataError::malformed_with(file, problem, "name the arrays by `x = ...` and `y = ...`"));
    }
    let entry =
        archive.by_name(&format!("{name}.npy")).map_err(|error| bad(format!("cannot be unpacked ({error})")))?;
    let mut raw = Vec::new();
    // Reading to the very end is what checks the archive's checksum.
    let read = entry.take(limit as u64 + 1).read_to_end(&mut raw);
    read.map_err(|error| bad(format!("breaks off or is garbled ({error})")))?;
    if raw.len() > limit {
        return Err(bad("unpacks to more than the file can hold".to_owned()));
    }
    Ok(raw)
}

/// The array in `raw`, which must have its first index varying slowest.
fn read<'a>(file: &str, name: &str, raw: &'a [u8]) -> Result<Array<'a>, DataError> {
    let bad = |problem: String| DataError::malformed(file, format!("array `{name}`: {problem}"));
    let array = Array::read(raw).map_err(bad)?;
    if array.is_fortran() {
        return Err(bad("it is in Fortran order; save `np.ascontiguousarray(...)` of it".to_owned()));
    }
    Ok(array)
}

fn targets(y: &Array<'_>) -> Answers {
    let width = y.shape()[1..].iter().product();
    Answers::Targets { values: y.numbers().into_iter().map(|number| number as f32).collect(), width }
}

fn classes(file: &str, name: &str, y: &Array<'_>, classes: Option<usize>) -> Result<Answers, DataError> {
    if y.is_float() || y.shape().len() != 1 {
        let problem = format!("array `{name}` of shape {:?} is no list of whole numbers", y.shape());
        return Err(DataError::malformed_with(file, problem, "save labels as integers, or write `regression = true`"));
    }
    labels(file, y.numbers().into_iter().map(|number| number as i64), classes)
}

/// Labels from whole numbers.
pub(super) fn labels(
    file: &str,
    numbers: impl Iterator<Item = i64>,
    classes: Option<usize>,
) -> Result<Answers, DataError> {
    let labels = numbers
        .enumerate()
        .map(|(row, number)| {
            u32::try_from(number).map_err(|_| {
                DataError::malformed_with(file, format!("row {row} has label {number}"), "number classes from 0")
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let greatest = labels.iter().max().map_or(0, |&greatest| greatest as usize + 1);
    Ok(Answers::Classes { labels, classes: classes.unwrap_or(greatest) })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut raw = b"\x93NUMPY\x01\x00".to_vec();
        raw.extend((header.len() as u16).to_le_bytes());
        raw.extend(header.as_bytes());
        raw.extend(data);
        raw
    }

    fn archive(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        for (name, raw) in entries {
            writer.start_file(format!("{name}.npy"), options).expect("memory");
            writer.write_all(raw).expect("memory");
        }
        writer.finish().expect("memory").into_inner()
    }

    fn f4(shape: &str, numbers: &[f32]) -> Vec<u8> {
        let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        npy(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n"), &data)
    }

    fn i8s(numbers: &[i64]) -> Vec<u8> {
        let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        npy(&format!("{{'descr': '>i8', 'fortran_order': False, 'shape': ({},), }}\n", numbers.len()), &data)
    }

    #[test]
    fn an_archive_that_numpy_wrote_is_read() {
        // np.savez(file, x=np.array([0, 255, 3, 4, 5, 6, 7, 8], "u1").reshape(2, 2, 2), y=np.array([1, 0], "u1"))
        let raw = include_bytes!("testdata/numpy.npz");
        let read = decode("mine", raw, &Arrays::default()).expect("intact");
        assert_eq!(read.shape, [2, 2]);
        assert_eq!(read.values, Values::Codes { codes: vec![0, 255, 3, 4, 5, 6, 7, 8], max: 255 });
        assert_eq!(read.answers, Answers::Classes { labels: vec![1, 0], classes: 2 });
    }

    #[test]
    fn floats_and_big_endian_labels_are_read_under_their_keys() {
        let raw = archive(&[("images", f4("(2, 2)", &[0.5, -1.0, 2.0, 3.5])), ("labels", i8s(&[0, 3]))]);
        let arrays = Arrays { x: "images".into(), y: "labels".into(), classes: Some(5), ..Arrays::default() };
        let read = decode("mine", &raw, &arrays).expect("intact");
        assert_eq!(read.values, Values::Floats(vec![0.5, -1.0, 2.0, 3.5]));
        assert_eq!(read.answers, Answers::Classes { labels: vec![0, 3], classes: 5 });
        let regression = Arrays { y: "images".into(), regression: true, x: "images".into(), ..Arrays::default() };
        let read = decode("mine", &raw, &regression).expect("intact");
        assert_eq!(read.answers, Answers::Targets { values: vec![0.5, -1.0, 2.0, 3.5], width: 2 });
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let good = || f4("(2, 1)", &[0.0, 1.0]);
        let fault = |x: Vec<u8>, y: Vec<u8>| {
            let raw = archive(&[("x", x), ("y", y)]);
            decode("mine", &raw, &Arrays::default()).expect_err("wrong").to_string()
        };
        assert!(fault(good(), i8s(&[0, -1])).contains("row 1 has label -1"));
        assert!(fault(good(), i8s(&[0])).contains("`x` has 2 rows and `y` has 1"));
        assert!(fault(good(), f4("(2,)", &[0.0, 1.0])).contains("`regression = true`"));
        assert!(fault(f4("(2, 3)", &[0.0]), i8s(&[0, 1])).contains("claims the shape [2, 3]"));
        assert!(fault(f4("()", &[0.0]), i8s(&[0, 1])).contains("no dimensions"));
        assert!(fault(f4("(2, 1)", &[0.0, f32::NAN]), i8s(&[0, 1])).contains("NaN"));
        let huge = "(9223372036854775807, 9223372036854775807)";
        assert!(fault(f4(huge, &[]), i8s(&[])).contains("more than the file can hold"));
        let object = npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", b"");
        assert!(fault(object, i8s(&[0, 1])).contains("type |O"));
        let fortran = npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", &[0; 8]);
        assert!(fault(fortran, i8s(&[0, 1])).contains("ascontiguousarray"));
        let error = decode("mine", &archive(&[("z", good())]), &Arrays::default()).expect_err("absent").to_string();
        assert!(error.contains("no array `x`; it holds z"), "{error}");
    }

    #[test]
    fn truncations_and_flipped_bits_never_panic() {
        let raw = archive(&[("x", f4("(2, 1)", &[0.0, 1.0])), ("y", i8s(&[0, 1]))]);
        for length in 0..raw.len() {
            decode("mine", &raw[..length], &Arrays::default()).expect_err("truncated");
        }
        for bit in 0..raw.len() * 8 {
            let mut flipped = raw.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = decode("mine", &flipped, &Arrays::default());
        }
    }
}
