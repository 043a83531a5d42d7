//! What every source decodes to: rows of values, and an answer for each.

use super::error::DataError;
use super::resize::Resizer;

/// A decoded part of a source, in the order of its files. Codes stay bytes until floats are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The shape of a row, such as `[28, 28]` or `[13]`; its product is the number of features.
    pub shape: Vec<usize>,
    /// The features, `rows x features`, row after row.
    pub values: Values,
    /// What is to be told of each row.
    pub answers: Answers,
}

/// Features as the files hold them.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Grey levels and the like: whole numbers `0..=max`.
    Codes {
        /// One byte a value.
        codes: Vec<u8>,
        /// The greatest code of the format, such as 255, whether or not it occurs.
        max: u8,
    },
    /// Measurements, each finite.
    Floats(Vec<f32>),
}

/// What is to be told of each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Answers {
    /// Its class.
    Classes {
        /// One label a row, below `classes`.
        labels: Vec<u32>,
        /// How many classes there are.
        classes: usize,
    },
    /// Numbers to fit.
    Targets {
        /// `rows x width` finite numbers, row after row.
        values: Vec<f32>,
        /// How many numbers belong to a row.
        width: usize,
    },
}

impl Values {
    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Codes { codes, .. } => codes.len(),
            Self::Floats(values) => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index` as the file holds it.
    pub(super) fn raw(&self, index: usize) -> f64 {
        match self {
            Self::Codes { codes, .. } => f64::from(codes[index]),
            Self::Floats(values) => f64::from(values[index]),
        }
    }
}

impl Answers {
    /// How many rows have an answer.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Targets { values, width } => values.len().checked_div(*width).unwrap_or(0),
        }
    }
}

impl Decoded {
    /// Puts the pieces together after checking that they fit.
    ///
    /// # Errors
    /// Where counts disagree, a label or code is out of range, or a number is not finite; `file` is named.
    pub fn new(file: &str, shape: Vec<usize>, values: Values, answers: Answers) -> Result<Self, DataError> {
        let bad = |problem: String| Err(DataError::malformed(file, problem));
        let features: usize = shape.iter().product();
        if features == 0 {
            return bad(format!("a row of shape {shape:?} has no features"));
        }
        if !values.len().is_multiple_of(features) || values.len() / features != answers.rows() {
            return bad(format!("{} values are not {} rows of {features} features", values.len(), answers.rows()));
        }
        match &values {
            Values::Codes { codes, max } => {
                if let Some(at) = codes.iter().position(|code| code > max) {
                    return bad(format!("row {} holds the value {}, more than {max}", at / features, codes[at]));
                }
            }
            Values::Floats(floats) => {
                if let Some(at) = floats.iter().position(|value| !value.is_finite()) {
                    return bad(format!("feature {} of row {} is {}", at % features, at / features, floats[at]));
                }
            }
        }
        match &answers {
            Answers::Classes { labels, classes } => {
                if let Some(row) = labels.iter().position(|&label| label as usize >= *classes) {
                    return bad(format!("row {row} has label {}, but there are {classes} classes", labels[row]));
                }
            }
            Answers::Targets { values, width } => {
                if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                    return bad(format!("the target of row {} is {}", at / width, values[at]));
                }
            }
        }
        Ok(Self { shape, values, answers })
    }

    /// The same rows with pictures of `[height, width]`.
    ///
    /// # Errors
    /// [`DataError::Setting`] where the rows are no pictures of codes.
    pub(super) fn resized(self, size: [usize; 2]) -> Result<Self, DataError> {
        let (Some(from), Values::Codes { codes, max }) = (self.shape.last_chunk::<2>().copied(), &self.values) else {
            return Err(DataError::setting("size", "is given for rows that are no pictures", "leave it out"));
        };
        let resizer = Resizer::new(from, size);
        let mut resized = Vec::with_capacity(codes.len() / (from[0] * from[1]) * size[0] * size[1]);
        for plane in codes.chunks_exact(from[0] * from[1]) {
            resizer.plane(plane, &mut resized);
        }
        let shape = [&self.shape[..self.shape.len() - 2], &size].concat();
        Ok(Self { shape, values: Values::Codes { codes: resized, max: *max }, answers: self.answers })
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.answers.rows()
    }

    /// Features per row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many classes there are; 0 for regression.
    #[must_use]
    pub fn classes(&self) -> usize {
        match &self.answers {
            Answers::Classes { classes, .. } => *classes,
            Answers::Targets { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(labels: &[u32]) -> Answers {
        Answers::Classes { labels: labels.to_vec(), classes: 2 }
    }

    #[test]
    fn rows_must_fit_values_and_labels_their_classes() {
        let codes = |codes: &[u8]| Values::Codes { codes: codes.to_vec(), max: 4 };
        let good = Decoded::new("f", vec![2, 1], codes(&[0, 1, 2, 4]), classes(&[0, 1])).expect("fits");
        assert_eq!((good.rows(), good.features(), good.classes()), (2, 2, 2));
        for (values, answers) in [
            (codes(&[0, 1, 2]), classes(&[0, 1])),
            (codes(&[0, 1, 2, 5]), classes(&[0, 1])),
            (codes(&[0, 1, 2, 3]), classes(&[0, 2])),
            (Values::Floats(vec![0.0, f32::NAN, 1.0, 1.0]), classes(&[0, 1])),
            (codes(&[0, 0]), Answers::Targets { values: vec![f32::INFINITY], width: 1 }),
        ] {
            let error = Decoded::new("some-file", vec![2], values, answers).expect_err("does not fit");
            assert!(error.to_string().contains("`some-file`"), "{error}");
        }
    }
}
