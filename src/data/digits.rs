//! `digits`: 1 797 handwritten digits of 8 x 8 pixels, part of the program itself. See README.md beside this file.

use super::decoded::{Answers, Decoded, Values};
use super::error::DataError;
use super::facts::{DIGIT_NAMES, Description, Facts, Task};
use super::inflate;
use super::numbers;

/// The file, compressed.
pub(super) const BYTES: &[u8] = include_bytes!("digits.csv.gz");

/// The side of an image, in pixels.
const SIDE: usize = 8;
/// The greatest grey level.
const MAX: u8 = 16;
/// More than the file holds uncompressed.
const LIMIT: usize = 1 << 20;

/// What is known of it.
pub(super) const DESCRIPTION: Description = Description {
    name: "digits",
    summary: "Handwritten digits, 8 x 8 pixels, part of the program",
    facts: Facts {
        task: Task::Classification,
        shape: Some(&[SIDE, SIDE]),
        classes: Some(10),
        train_rows: Some(1797),
        test_rows: None,
        class_names: &DIGIT_NAMES,
        moments: None,
    },
    origin: "https://doi.org/10.24432/C50P49",
    licence: "CC BY 4.0; the file BSD-3-Clause",
};

/// Decodes the file.
pub(super) fn decode(file: &str, raw: &[u8]) -> Result<Decoded, DataError> {
    let width = SIDE * SIDE + 1;
    let text = inflate::plain(raw, LIMIT)
        .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
        .map_err(|error| DataError::malformed(file, format!("it breaks off or is garbled ({error})")))?;
    let numbers = numbers::parse(file, text.lines(), 1, width)?;
    let mut codes = Vec::with_capacity(numbers.len());
    let mut labels = Vec::with_capacity(numbers.len() / width);
    for (line, row) in numbers.chunks_exact(width).enumerate() {
        for &number in row {
            if number.fract() != 0.0 || !(0.0..=f64::from(MAX)).contains(&number) {
                let problem = format!("line {} holds {number} where grey levels are 0..{MAX}", line + 1);
                return Err(DataError::malformed(file, problem));
            }
        }
        codes.extend(row[..width - 1].iter().map(|&number| number as u8));
        labels.push(row[width - 1] as u32);
    }
    let values = Values::Codes { codes, max: MAX };
    Decoded::new(file, vec![SIDE, SIDE], values, Answers::Classes { labels, classes: 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_has_the_published_statistics() {
        let digits = decode("digits", BYTES).expect("intact");
        assert_eq!((digits.rows(), digits.features(), digits.classes()), (1797, 64, 10));
        let Answers::Classes { labels, .. } = &digits.answers else { panic!("labels") };
        assert_eq!(labels[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let histogram: Vec<usize> = (0..10).map(|class| labels.iter().filter(|&&l| l == class).count()).collect();
        assert_eq!(histogram, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let mean = (0..digits.values.len()).map(|i| digits.values.raw(i)).sum::<f64>() / digits.values.len() as f64;
        assert!((mean - 4.8842).abs() < 5e-5, "{mean}");
    }

    #[test]
    fn garbled_digits_are_refused() {
        decode("digits", &BYTES[..BYTES.len() / 2]).expect_err("truncated");
        decode("digits", b"1,2,3\n").expect_err("too narrow");
        let line = [vec!["17"; 64].join(","), "3".to_owned()].join(",");
        assert!(decode("digits", line.as_bytes()).expect_err("too bright").to_string().contains("17"));
    }
}
