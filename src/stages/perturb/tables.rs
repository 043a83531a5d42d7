//! The table of samples of `perturb`, in parts and as a whole.

use duress_cache::{Cell, ColumnSpec, Table, TableBuilder, TableError};

use crate::nn::Examples;
use crate::nn::attack::Sweep;

/// Columns of the table of samples, and whether they are numbers.
pub(super) const SAMPLES: &[(&str, bool)] = &[
    ("sample", true),
    ("eps", true),
    ("draw", true),
    ("label", true),
    ("clean_prediction", true),
    ("prediction", true),
    ("clean_correct", false),
    ("success", false),
    ("attacked", false),
    ("by", false),
    ("linf", true),
    ("l2", true),
    ("size", true),
    ("lowest", true),
    ("highest", true),
    ("loss_before", true),
    ("loss_after", true),
    ("critical_eps", true),
];

fn samples_table() -> TableBuilder {
    TableBuilder::new()
        .column(ColumnSpec::integer("sample").doc("position in the split, from 0"))
        .column(ColumnSpec::float("eps").unit("units of the data").doc("size of the perturbation"))
        .column(ColumnSpec::integer("draw").doc("which draw of a noise, from 0"))
        .integer("label")
        .integer("clean_prediction")
        .integer("prediction")
        .column(ColumnSpec::boolean("clean_correct").doc("the clean sample is predicted as its label"))
        .column(
            ColumnSpec::boolean("success")
                .doc("the perturbed sample is predicted as another class than the attacked one"),
        )
        .column(
            ColumnSpec::boolean("attacked").doc("false where a smaller size had fooled it; then that result stands"),
        )
        .column(
            ColumnSpec::text("by").nullable().doc("the attack whose point fools it at this size; null where none does"),
        )
        .column(ColumnSpec::float("linf").unit("units of the data").doc("largest change of a feature, as measured"))
        .column(ColumnSpec::float("l2").unit("units of the data").doc("Euclidean norm of the change, as measured"))
        .column(
            ColumnSpec::float("size")
                .nullable()
                .unit("units of the data")
                .doc("the change in the norm that epsilon bounds, as measured; null for noise without bound"),
        )
        .column(ColumnSpec::float("lowest").unit("units of the data").doc("lowest perturbed feature"))
        .column(ColumnSpec::float("highest").unit("units of the data").doc("highest perturbed feature"))
        .column(ColumnSpec::float("loss_before").nullable().doc("cross-entropy of the attacked class, clean"))
        .column(ColumnSpec::float("loss_after").nullable().doc("cross-entropy of the attacked class, perturbed"))
        .column(
            ColumnSpec::float("critical_eps").nullable().unit("units of the data").doc(
                "smallest tested size that fools it in this draw; 0 where it is wrong when clean; null if none does",
            ),
        )
}

/// The table of one part: the samples, and on the row of each sample's largest size in the first draw its perturbed features.
///
/// `names` are what the attacks are called.
pub(super) fn part(
    ids: &[u64],
    labels: &[u32],
    sizes: &[f64],
    names: &[String],
    draws: &[Sweep],
) -> Result<Table, TableError> {
    let mut table = samples_table().floats("x");
    for (r, (id, label)) in ids.iter().zip(labels).enumerate() {
        for (draw, sweep) in draws.iter().enumerate() {
            let sample = &sweep.samples[r];
            for (k, (eps, at)) in sizes.iter().zip(&sample.at).enumerate() {
                let features = sweep.x.len() / ids.len();
                let last = draw == 0 && k + 1 == sizes.len();
                let x = if last { &sweep.x[r * features..(r + 1) * features] } else { &[] };
                let finite = |loss: f32| Cell::from(loss.is_finite().then_some(f64::from(loss)));
                table.push([
                    (*id).into(),
                    (*eps).into(),
                    draw.into(),
                    (*label).into(),
                    at.clean_prediction.into(),
                    at.prediction.into(),
                    at.clean_correct.into(),
                    at.success.into(),
                    sample.attacked[k].into(),
                    sample.by[k].and_then(|by| names.get(by)).into(),
                    at.linf.into(),
                    at.l2.into(),
                    at.size.into(),
                    at.extremes.0.into(),
                    at.extremes.1.into(),
                    finite(at.loss_before),
                    finite(at.loss_after),
                    sample.critical_eps.into(),
                    x.into(),
                ])?;
            }
        }
    }
    table.finish()
}

/// The table of all samples, and the samples as perturbed, from the tables of the parts.
pub(super) fn joined(parts: &[Table], data: &Examples) -> Result<(Table, Examples), TableError> {
    let all = Table::concat(parts)?;
    let perturbed: Vec<f32> = all.f32_lists("x")?.iter().flat_map(|x| x.values().iter().copied()).collect();
    let perturbed = Examples { x: perturbed, ..data.clone() };
    let batch = all.one_batch()?;
    let keep: Vec<usize> = (0..SAMPLES.len()).collect();
    Ok((Table::from_batch(batch.project(&keep)?)?, perturbed))
}
