//! `mnist` and what shares its files' names and shapes: 28 x 28 pixels, ten classes, 60 000 and 10 000 rows, four IDX files.
//!
//! Y. Le Cun, C. Cortes and C. J. C. Burges, *The MNIST database of handwritten digits*, 1998.

use super::decoded::{Answers, Decoded, Values};
use super::error::DataError;
use super::facts::{DIGIT_NAMES, Description, Facts, Moments, Task};
use super::find::Wanted;
use super::idx;
use super::source::Part;

/// The side of an image, in pixels.
const SIDE: usize = 28;
/// Rows to train on.
pub(super) const TRAIN_ROWS: usize = 60_000;
/// Rows to test on.
pub(super) const TEST_ROWS: usize = 10_000;

/// What is known of it.
pub(super) const DESCRIPTION: Description = Description {
    name: "mnist",
    summary: "Handwritten digits, 28 x 28 pixels",
    facts: facts(&DIGIT_NAMES, Moments { mean: &[0.1307], std: &[0.3081] }),
    origin: "https://yann.lecun.com/exdb/mnist/",
    licence: "CC BY-SA 3.0",
};

/// The facts of any set in this form.
pub(super) const fn facts(class_names: &'static [&'static str], moments: Moments) -> Facts {
    Facts {
        task: Task::Classification,
        shape: Some(&[SIDE, SIDE]),
        classes: Some(10),
        train_rows: Some(TRAIN_ROWS),
        test_rows: Some(TEST_ROWS),
        class_names,
        moments: Some(moments),
    }
}

/// The files of a part: images, then labels.
pub(super) fn wanted(part: Part) -> Vec<Wanted> {
    let (images, labels) = match part {
        Part::Train => ("train-images", "train-labels"),
        Part::Test => ("t10k-images", "t10k-labels"),
    };
    let file = |name: &'static str, kind: &str| Wanted {
        name,
        candidates: ["-", "."]
            .iter()
            .flat_map(|dash| ["", ".gz"].iter().map(move |end| format!("{name}{dash}{kind}-ubyte{end}")))
            .collect(),
        embedded: None,
    };
    vec![file(images, "idx3"), file(labels, "idx1")]
}

/// Decodes a part's images and labels, which must have exactly the published shape.
pub(super) fn decode(part: Part, files: &[(String, Vec<u8>)]) -> Result<Decoded, DataError> {
    let rows = match part {
        Part::Train => TRAIN_ROWS,
        Part::Test => TEST_ROWS,
    };
    decode_rows(rows, files)
}

fn decode_rows(rows: usize, files: &[(String, Vec<u8>)]) -> Result<Decoded, DataError> {
    let [(images_name, images), (labels_name, labels)] = files else {
        return Err(DataError::malformed("images and labels", format!("there are {} files and not two", files.len())));
    };
    let read = |name: &str, raw: &[u8], expected: &[usize]| {
        let array = idx::decode(name, raw, expected.len())?;
        if array.dims == expected {
            return Ok(array.data);
        }
        let problem = format!("it holds {:?} elements where the published file has {expected:?}", array.dims);
        Err(DataError::malformed_with(name, problem, "look whether the folder holds another data set"))
    };
    let codes = read(images_name, images, &[rows, SIDE, SIDE])?;
    let labels = read(labels_name, labels, &[rows])?.into_iter().map(u32::from).collect();
    let values = Values::Codes { codes, max: u8::MAX };
    Decoded::new(labels_name, vec![SIDE, SIDE], values, Answers::Classes { labels, classes: 10 })
}

#[cfg(test)]
mod tests {
    use super::super::idx::tests::{gzip, small};
    use super::*;

    fn files(images: Vec<u8>, labels: Vec<u8>) -> [(String, Vec<u8>); 2] {
        [("train-images".to_owned(), images), ("train-labels".to_owned(), labels)]
    }

    #[test]
    fn both_published_names_are_looked_for_compressed_or_not() {
        let wanted = wanted(Part::Test);
        assert_eq!(
            wanted[1].candidates,
            [
                "t10k-labels-idx1-ubyte",
                "t10k-labels-idx1-ubyte.gz",
                "t10k-labels.idx1-ubyte",
                "t10k-labels.idx1-ubyte.gz"
            ]
        );
        assert!(wanted[0].candidates.contains(&"t10k-images-idx3-ubyte.gz".to_owned()));
    }

    #[test]
    fn shapes_and_labels_are_checked() {
        let read = decode_rows(5, &files(gzip(&small(&[5, 28, 28])), small(&[5]))).expect("fits");
        assert_eq!((read.rows(), read.features(), read.classes()), (5, 784, 10));
        decode_rows(4, &files(small(&[5, 28, 28]), small(&[5]))).expect_err("rows");
        decode_rows(5, &files(small(&[5, 28, 27]), small(&[5]))).expect_err("columns");
        let error = decode_rows(11, &files(small(&[11, 28, 28]), small(&[11]))).expect_err("labels count up to 10");
        assert!(error.to_string().contains("`train-labels`: row 10 has label 10"), "{error}");
        let swapped = decode_rows(5, &files(small(&[5]), small(&[5, 28, 28]))).expect_err("swapped");
        assert!(swapped.to_string().contains("`train-images`"), "{swapped}");
    }
}
