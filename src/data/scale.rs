//! From the values of the files to those that a network sees.
//!
//! The default divides codes by the greatest of their format, so that a grey level is between 0 and 1 and an epsilon of 0.1
//! means a tenth of it. Standardising belongs into the network, which keeps epsilons in units of the data; it can be done
//! here for features that have no common unit, such as those of `boston`.

use serde::{Deserialize, Serialize};

use super::decoded::{Decoded, Values};
use super::error::DataError;

/// How values are scaled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// `Unit` for codes, `None` for measurements.
    #[default]
    Auto,
    /// Codes divided by the greatest code of their format: between 0 and 1.
    Unit,
    /// As in the file.
    None,
    /// Less the mean and divided by the standard deviation of each feature over the training split.
    Standard,
    /// As `Auto`, then less `mean` and divided by `std`: one number for all features, or one a feature.
    Fixed {
        /// What is taken away.
        mean: Vec<f64>,
        /// What is divided by then.
        std: Vec<f64>,
    },
}

/// A scaling with its numbers: what is left to do for a row.
#[derive(Clone, Debug)]
pub(super) enum Transform {
    /// Nothing.
    Identity,
    /// Looks each code up.
    Table(Box<[f32; 256]>),
    /// `(x / unit - mean) / std` for each feature.
    Affine { unit: f64, mean: Vec<f64>, std: Vec<f64> },
}

impl Scale {
    /// What is wrong with it, as far as can be told without reading; `codes` says whether the source holds codes.
    pub(super) fn check(&self, features: Option<usize>, codes: Option<bool>) -> Option<DataError> {
        match self {
            Self::Unit if codes == Some(false) => Some(not_codes()),
            Self::Fixed { mean, std } => check_fixed(mean, std, features),
            _ => None,
        }
    }
}

fn not_codes() -> DataError {
    let problem = "is \"unit\", but these features are measurements, which have no greatest code";
    DataError::setting("scale", problem, "write \"standard\" or \"none\"")
}

fn check_fixed(mean: &[f64], std: &[f64], features: Option<usize>) -> Option<DataError> {
    let problem = if mean.len() != std.len() {
        format!("has {} means and {} standard deviations", mean.len(), std.len())
    } else if std.iter().any(|&std| !(std.is_finite() && std > 0.0)) || mean.iter().any(|mean| !mean.is_finite()) {
        "has a mean that is not finite, or a standard deviation that is not above 0".to_owned()
    } else if mean.len() != 1 && features.is_some_and(|features| features != mean.len()) {
        format!("has {} means for {} features", mean.len(), features.unwrap_or_default())
    } else {
        return None;
    };
    Some(DataError::setting("scale", problem, "give one mean and one standard deviation, or one of each a feature"))
}

/// The transform of `scale` on `data`; `training` are the data and rows that `Scale::Standard` is fitted on.
pub(super) fn transform(
    scale: &Scale,
    data: &Decoded,
    training: Option<(&Decoded, &[u32])>,
) -> Result<Transform, DataError> {
    let max = match &data.values {
        Values::Codes { max, .. } => Some(f64::from(*max)),
        Values::Floats(_) => None,
    };
    let table = |f: &dyn Fn(f64) -> f64| Transform::Table(Box::new(std::array::from_fn(|code| f(code as f64) as f32)));
    Ok(match (scale, max) {
        (Scale::Unit, None) => return Err(not_codes()),
        (Scale::Auto | Scale::None, None) => Transform::Identity,
        (Scale::None, Some(_)) => table(&|code| code),
        (Scale::Auto | Scale::Unit, Some(max)) => table(&|code| code / max),
        (Scale::Standard, _) => {
            let (data, rows) = training.ok_or_else(|| {
                DataError::setting("scale", "is \"standard\" without rows to fit it on", "run the data section again")
            })?;
            let (mean, std) = moments(data, rows);
            Transform::Affine { unit: 1.0, mean, std }
        }
        (Scale::Fixed { mean, std }, max) => {
            let unit = max.unwrap_or(1.0);
            if let Some(fault) = check_fixed(mean, std, Some(data.features())) {
                return Err(fault);
            }
            match (&mean[..], &std[..], max) {
                (&[mean], &[std], Some(max)) => table(&|code| (code / max - mean) / std),
                (&[mean], &[std], None) => {
                    let features = data.features();
                    Transform::Affine { unit, mean: vec![mean; features], std: vec![std; features] }
                }
                _ => Transform::Affine { unit, mean: mean.clone(), std: std.clone() },
            }
        }
    })
}

/// Mean and standard deviation (over the rows, not one less) of each feature; a feature that never varies gets 1.
fn moments(data: &Decoded, rows: &[u32]) -> (Vec<f64>, Vec<f64>) {
    let features = data.features();
    let n = rows.len().max(1) as f64;
    let (mut mean, mut std) = (vec![0.0; features], vec![0.0; features]);
    let value = |row: u32, feature: usize| data.values.raw(row as usize * features + feature);
    for &row in rows {
        for (feature, mean) in mean.iter_mut().enumerate() {
            *mean += value(row, feature);
        }
    }
    for mean in &mut mean {
        *mean /= n;
    }
    for &row in rows {
        for (feature, std) in std.iter_mut().enumerate() {
            *std += (value(row, feature) - mean[feature]).powi(2);
        }
    }
    for std in &mut std {
        *std = (*std / n).sqrt();
        if *std == 0.0 {
            *std = 1.0;
        }
    }
    (mean, std)
}

impl Transform {
    /// Appends the scaled features of `row`.
    pub(super) fn write(&self, data: &Decoded, row: usize, out: &mut Vec<f32>) {
        let features = data.features();
        let range = row * features..(row + 1) * features;
        match (self, &data.values) {
            (Self::Table(table), Values::Codes { codes, .. }) => {
                out.extend(codes[range].iter().map(|&code| table[usize::from(code)]));
            }
            (Self::Affine { unit, mean, std }, values) => {
                let scaled = range.zip(mean.iter().zip(std));
                out.extend(scaled.map(|(at, (mean, std))| ((values.raw(at) / unit - mean) / std) as f32));
            }
            (_, Values::Floats(values)) => out.extend(&values[range]),
            (_, Values::Codes { codes, .. }) => out.extend(codes[range].iter().map(|&code| f32::from(code))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decoded::Answers;
    use super::*;

    fn codes() -> Decoded {
        let values = Values::Codes { codes: vec![0, 16, 8, 16, 4, 16], max: 16 };
        Decoded::new("f", vec![2], values, Answers::Classes { labels: vec![0, 0, 0], classes: 1 }).expect("fits")
    }

    fn floats() -> Decoded {
        let values = Values::Floats(vec![1.0, 5.0, 3.0, 5.0]);
        Decoded::new("f", vec![2], values, Answers::Targets { values: vec![0.0, 0.0], width: 1 }).expect("fits")
    }

    fn row(scale: &Scale, data: &Decoded, row: usize) -> Vec<f32> {
        let training: Vec<u32> = (0..data.rows() as u32).collect();
        let mut out = Vec::new();
        transform(scale, data, Some((data, &training))).expect("fits").write(data, row, &mut out);
        out
    }

    #[test]
    fn codes_are_between_0_and_1_by_default_and_measurements_stay() {
        assert_eq!(row(&Scale::Auto, &codes(), 1), [0.5, 1.0]);
        assert_eq!(row(&Scale::None, &codes(), 1), [8.0, 16.0]);
        assert_eq!(row(&Scale::Auto, &floats(), 1), [3.0, 5.0]);
        assert!(transform(&Scale::Unit, &floats(), None).is_err());
    }

    #[test]
    fn standardised_training_rows_have_mean_0_and_deviation_1() {
        assert_eq!(
            [row(&Scale::Standard, &floats(), 0), row(&Scale::Standard, &floats(), 1)],
            [[-1.0, 0.0], [1.0, 0.0]]
        );
        let rows: Vec<f32> = (0..3).map(|i| row(&Scale::Standard, &codes(), i)[0]).collect();
        assert!(rows.iter().sum::<f32>().abs() < 1e-6);
        assert!((rows.iter().map(|x| x * x).sum::<f32>() - 3.0).abs() < 1e-5, "{rows:?}");
    }

    #[test]
    fn fixed_numbers_apply_after_the_unit_scale() {
        let one = |mean, std| Scale::Fixed { mean: vec![mean], std: vec![std] };
        assert_eq!(row(&one(0.5, 0.25), &codes(), 1), [0.0, 2.0]);
        assert_eq!(row(&one(1.0, 2.0), &floats(), 1), [1.0, 2.0]);
        let each = Scale::Fixed { mean: vec![0.0, 1.0], std: vec![1.0, 4.0] };
        assert_eq!(row(&each, &codes(), 1), [0.5, 0.0]);
        assert!(each.check(Some(3), None).is_some());
        assert!(one(0.0, 0.0).check(None, None).is_some());
    }
}
