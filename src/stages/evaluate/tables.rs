//! The tables of `evaluate`.

use duress_cache::{Artifact, Cell, ColumnSpec, Table, TableBuilder, TableError};

use super::View;
use crate::nn::statistics::Moments;
use crate::nn::{self, Examples, Mask, classes::argmax};
use crate::stages::examples::split_table;
use crate::stages::tidy::{Dimension, Layout, Measure, Metric, Values};

pub(super) const RESULTS: Layout = Layout {
    metrics: &[
        Metric { name: "accuracy", doc: "share of all samples that are classified as labelled" },
        Metric { name: "class_accuracy", doc: "share of the samples of a class that are classified as labelled" },
        Metric { name: "loss", doc: "mean over all samples of -ln of the probability given to the label, in nats" },
        Metric { name: "confidence", doc: "mean over all samples of the probability given to the prediction" },
        Metric {
            name: "calibration_error",
            doc: "expected calibration error: mean over all samples of |accuracy - confidence| of their bin",
        },
    ],
    dimensions: &[Dimension {
        name: "class",
        values: Values::Integer,
        unit: "",
        doc: "the class a row is about; null where it is about all samples",
    }],
    network: true,
};

pub(super) const PREDICTIONS: &[(&str, bool)] = &[
    ("sample", true),
    ("label", true),
    ("prediction", true),
    ("confidence", true),
    ("correct", false),
    ("loss", true),
];

/// One sample as it was judged.
pub(super) struct Judged {
    label: u32,
    prediction: u32,
    confidence: f64,
    loss: f64,
}

impl Judged {
    fn correct(&self) -> bool {
        self.label == self.prediction
    }
}

/// Judges every sample by the mean of the networks' softmax outputs.
pub(super) fn judge(views: &[View], labels: &[u32]) -> Vec<Judged> {
    let classes = views.first().map_or(0, |view| view.classes);
    let judged = |(row, &label): (usize, &u32)| {
        let mut mean = vec![0.0; classes];
        for view in views {
            let one = &view.probabilities[row * classes..(row + 1) * classes];
            for (sum, value) in mean.iter_mut().zip(one) {
                *sum += value;
            }
        }
        for value in &mut mean {
            *value /= views.len() as f64;
        }
        let prediction = argmax(&mean);
        let likelihood = mean.get(label as usize).copied().unwrap_or(0.0);
        Judged { label, prediction: prediction as u32, confidence: mean[prediction], loss: -likelihood.ln() }
    };
    labels.iter().enumerate().map(judged).collect()
}

/// All tables of the stage.
pub(super) fn artifact(
    judged: &[Judged],
    views: &[View],
    networks: &[nn::Weights],
    data: &Examples,
    bins: usize,
) -> Result<Artifact, TableError> {
    let results = results(judged, networks.first().map(Mask::density_of), data.classes, bins)?;
    let activations = split_table(&side_by_side(views, data))?;
    Ok(Artifact::new([("results", results), ("predictions", predictions(judged)?), ("activations", activations)]))
}

fn results(judged: &[Judged], density: Option<f64>, classes: usize, bins: usize) -> Result<Table, TableError> {
    let mut tidy = RESULTS.start(density);
    let all = judged.len() as u64;
    let right = judged.iter().filter(|sample| sample.correct()).count() as u64;
    tidy.push("accuracy", [Cell::Null], Measure::rate(right, all))?;
    let (mut loss, mut confidence) = (Moments::default(), Moments::default());
    for sample in judged {
        loss.push(sample.loss);
        confidence.push(sample.confidence);
    }
    tidy.push("loss", [Cell::Null], Measure::mean(&loss))?;
    tidy.push("confidence", [Cell::Null], Measure::mean(&confidence))?;
    let error = match all {
        0 => Measure::undefined("no samples"),
        _ => Measure::number(calibration_error(judged, bins), all),
    };
    tidy.push("calibration_error", [Cell::Null], error)?;
    for class in 0..classes as u32 {
        let of_class = || judged.iter().filter(|sample| sample.label == class);
        let right = of_class().filter(|sample| sample.correct()).count() as u64;
        tidy.push("class_accuracy", [class.into()], Measure::rate(right, of_class().count() as u64))?;
    }
    tidy.finish()
}

/// The expected calibration error: samples are put into `bins` of equal width by their confidence.
fn calibration_error(judged: &[Judged], bins: usize) -> f64 {
    let mut gaps = vec![0.0; bins];
    for sample in judged {
        // A confidence of exactly 1 belongs to the last bin; NaN, from a network that overflows, to the first.
        let bin = ((sample.confidence * bins as f64) as usize).min(bins - 1);
        gaps[bin] += f64::from(u8::from(sample.correct())) - sample.confidence;
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / judged.len() as f64
}

fn predictions(judged: &[Judged]) -> Result<Table, TableError> {
    let mut table = TableBuilder::new()
        .column(ColumnSpec::integer("sample").doc("row of the data, from 0"))
        .column(ColumnSpec::integer("label").doc("class"))
        .column(ColumnSpec::integer("prediction").doc("class of the largest output, the first of equals"))
        .column(ColumnSpec::float("confidence").nullable().doc("probability given to the prediction"))
        .column(ColumnSpec::boolean("correct").doc("whether the prediction is the label"))
        .column(ColumnSpec::float("loss").nullable().unit("nat").doc("-ln of the probability given to the label"));
    for (row, sample) in judged.iter().enumerate() {
        table.push([
            row.into(),
            sample.label.into(),
            sample.prediction.into(),
            Some(sample.confidence).filter(|value| value.is_finite()).into(),
            sample.correct().into(),
            Some(sample.loss).filter(|value| value.is_finite()).into(),
        ])?;
    }
    table.finish()
}

/// The activations of all networks as samples, those of one row side by side.
fn side_by_side(views: &[View], data: &Examples) -> Examples {
    let row = |row: usize| {
        views.iter().flat_map(move |view| view.activations[row * view.width..(row + 1) * view.width].iter().copied())
    };
    Examples {
        features: views.iter().map(|view| view.width).sum(),
        classes: data.classes,
        x: (0..data.rows()).flat_map(row).collect(),
        labels: data.labels.clone(),
        targets: None,
        ..Examples::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(probabilities: &[f64]) -> View {
        View { probabilities: probabilities.to_vec(), classes: 2, activations: vec![1.0, 2.0], width: 1 }
    }

    #[test]
    fn an_ensemble_is_judged_by_the_mean_of_its_softmax_outputs() {
        let views = [view(&[0.9, 0.1, 0.4, 0.6]), view(&[0.3, 0.7, 0.2, 0.8])];
        let judged = judge(&views, &[0, 0]);
        let seen: Vec<_> = judged.iter().map(|s| (s.prediction, s.correct())).collect();
        assert_eq!(seen, [(0, true), (1, false)]);
        assert!((judged[0].confidence - 0.6).abs() < 1e-15 && (judged[0].loss + 0.6_f64.ln()).abs() < 1e-15);
        assert!((judged[1].confidence - 0.7).abs() < 1e-15 && (judged[1].loss + 0.3_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn the_calibration_error_is_the_mean_gap_of_the_bins() {
        let sample =
            |confidence, correct: bool| Judged { label: 0, prediction: u32::from(!correct), confidence, loss: 0.0 };
        // Two bins: in the lower one 0.4 is right and 0.3 wrong, a gap of |1 - 0.7|; in the upper one 1.0 is right.
        let judged = [sample(0.4, true), sample(0.3, false), sample(1.0, true)];
        assert!((calibration_error(&judged, 2) - 0.3 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn activations_of_several_networks_stand_side_by_side() {
        let data = Examples {
            features: 1,
            classes: 2,
            x: vec![0.0, 0.0],
            labels: vec![1, 0],
            targets: None,
            ..Examples::default()
        };
        let joined = side_by_side(&[view(&[]), view(&[])], &data);
        assert_eq!((joined.features, joined.x, joined.labels), (2, vec![1.0, 1.0, 2.0, 2.0], vec![1, 0]));
    }
}
