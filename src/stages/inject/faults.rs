//! The table of faults: one row each, with what it hit and how the samples ended.

use arrow_array::Array;
use duress_cache::{Cell, ColumnSpec, Table, TableBuilder, TableError};
use duress_network::campaign::Outcome;

use crate::nn::Weights;
use crate::nn::fault::list::{Counts, Written};
use crate::nn::fault::space::FaultSite;

/// Columns of the table, and whether they are numbers.
pub(super) const COLUMNS: &[(&str, bool)] = &[
    ("fault", true),
    ("layer", false),
    ("tensor", false),
    ("index", false),
    ("bit", true),
    ("model", false),
    ("sign", false),
    ("numbers", true),
    ("stored", true),
    ("faulty", true),
    ("stratum", true),
    ("images", true),
    ("masked", true),
    ("non_critical", true),
    ("critical", true),
    ("non_finite", true),
    ("top5_lost", true),
    ("correct", true),
    ("correct_top5", true),
    ("confidence_change", true),
    ("screened", true),
    ("audited", true),
    ("audit_wrong", true),
    ("listed_images", true),
    ("listed_masked", true),
    ("listed_non_critical", true),
    ("listed_critical", true),
];

/// A fault that was run.
#[derive(Clone, Debug)]
pub(super) struct Done {
    /// Its number: in the order of the campaign, or in its list.
    pub(super) number: u64,
    pub(super) site: FaultSite,
    /// What is read of the number that is hit, where it is one stored number.
    pub(super) faulty: Option<f32>,
    pub(super) stratum: usize,
    pub(super) outcome: Outcome,
    pub(super) listed: Option<Counts>,
}

/// The table of `faults` in `weights`.
pub(super) fn table(weights: &Weights, faults: &[Done]) -> Result<Table, TableError> {
    let mut table = builder();
    for fault in faults {
        table.push(cells(weights, fault))?;
    }
    table.finish()
}

fn builder() -> TableBuilder {
    let count = |name: &str, doc: &str| ColumnSpec::integer(name).unit("samples").doc(doc);
    TableBuilder::new()
        .column(ColumnSpec::integer("fault").doc("running number, from 0; of a list the number there"))
        .column(ColumnSpec::text("layer").nullable().doc("layer that is hit; null of the whole memory"))
        .column(ColumnSpec::text("tensor").nullable().doc("parameter that is hit; null of activations"))
        .column(ColumnSpec::integers("index").doc(
            "element: [output, input] of a weight, [output, input, row, column] of a convolution, [output] of a bias, \
             [channel, row, column] of an image, [channel] of a whole channel",
        ))
        .column(
            ColumnSpec::integer("bit")
                .nullable()
                .doc("0 the mantissa's least significant, 23 to 30 the exponent, 31 the sign; null of whole numbers"),
        )
        .column(ColumnSpec::text("model").doc("what happens"))
        .column(ColumnSpec::text("sign").nullable().doc("sign of the stored number: + or -"))
        .column(ColumnSpec::integer("numbers").doc("numbers that are hit"))
        .column(ColumnSpec::float("stored").nullable().doc("the stored number without the fault"))
        .column(ColumnSpec::float("faulty").nullable().doc("the number with the fault; null where it is not finite"))
        .column(ColumnSpec::integer("stratum").doc("stratum that it was drawn from, from 0"))
        .column(count("images", "samples that it was run on"))
        .column(count("masked", "no output changes; of a screened campaign at least so many"))
        .column(count("non_critical", "an output changes, the class does not"))
        .column(count("critical", "the predicted class changes (SDC-1)"))
        .column(count("non_finite", "an output is NaN or infinite; counted above too"))
        .column(count("top5_lost", "the fault-free class is not among the five largest outputs"))
        .column(count("correct", "the predicted class is the label").nullable())
        .column(count("correct_top5", "the label is among the five largest outputs").nullable())
        .column(ColumnSpec::float("confidence_change").doc("mean change of the probability of the fault-free class"))
        .column(count("screened", "taken for non-critical without being run"))
        .column(count("audited", "would have been screened, and were run all the same"))
        .column(count("audit_wrong", "of the audited, those that were critical"))
        .column(count("listed_images", "samples that the list says").nullable())
        .column(count("listed_masked", "masked, as the list says").nullable())
        .column(count("listed_non_critical", "non-critical, as the list says").nullable())
        .column(count("listed_critical", "critical, as the list says").nullable())
}

fn cells(weights: &Weights, fault: &Done) -> Vec<Cell> {
    let (site, outcome) = (&fault.site, &fault.outcome);
    let network = weights.network();
    let stored = site.stored(weights);
    let faulty = stored.and(fault.faulty.or(stored));
    let finite = |v: Option<f32>| Cell::from(v.filter(|v| v.is_finite()).map(f64::from));
    let listed = |of: fn(&Counts) -> u64| Cell::from(fault.listed.as_ref().map(of));
    vec![
        fault.number.into(),
        site.node.map(|node| network.nodes()[node - 1].name.as_str()).into(),
        site.parameter.map(|parameter| network.parameters()[parameter].name.as_str()).into(),
        site.index.iter().map(|i| *i as i64).collect::<Vec<_>>().into(),
        site.bit.map(i64::from).into(),
        site.model.name().into(),
        stored.map(|v| if v.is_sign_negative() { "-" } else { "+" }).into(),
        site.numbers().into(),
        finite(stored),
        finite(faulty),
        fault.stratum.into(),
        outcome.images.into(),
        outcome.masked.into(),
        outcome.non_critical.into(),
        outcome.critical.into(),
        outcome.non_finite.into(),
        outcome.top5_lost.into(),
        outcome.correct.into(),
        outcome.correct_top5.into(),
        (outcome.confidence_change / f64::from(outcome.images.max(1))).into(),
        outcome.screened_out.into(),
        outcome.audited.into(),
        outcome.audit_wrong.into(),
        listed(|counts| counts.images),
        listed(|counts| counts.masked),
        listed(|counts| counts.non_critical),
        listed(|counts| counts.critical),
    ]
}

/// A row of the table, as the rates need it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) layer: Option<String>,
    pub(super) bit: Option<i64>,
    pub(super) model: String,
    pub(super) sign: Option<String>,
    pub(super) stratum: usize,
    pub(super) images: u64,
    pub(super) masked: u64,
    pub(super) non_critical: u64,
    pub(super) critical: u64,
    pub(super) non_finite: u64,
    pub(super) top5_lost: u64,
    pub(super) correct: Option<u64>,
    pub(super) correct_top5: Option<u64>,
    pub(super) confidence_change: f64,
    pub(super) screened: u64,
    pub(super) audited: u64,
    pub(super) audit_wrong: u64,
    /// Samples and critical ones, as the list says.
    pub(super) listed: Option<(u64, u64)>,
}

impl Row {
    /// The share of its samples that are critical.
    pub(super) fn rate(&self) -> f64 {
        self.critical as f64 / self.images.max(1) as f64
    }
}

/// The rows of a table of faults.
pub(super) fn rows(table: &Table) -> Result<Vec<Row>, TableError> {
    let (layer, model, sign) = (table.strings("layer")?, table.strings("model")?, table.strings("sign")?);
    let integers = |name: &str| table.i64s(name);
    let [bit, stratum, images, masked, non_critical, critical] =
        ["bit", "stratum", "images", "masked", "non_critical", "critical"].map(integers);
    let [non_finite, top5_lost, correct, correct_top5] =
        ["non_finite", "top5_lost", "correct", "correct_top5"].map(integers);
    let [screened, audited, audit_wrong, listed_images, listed_critical] =
        ["screened", "audited", "audit_wrong", "listed_images", "listed_critical"].map(integers);
    let (bit, stratum, images, masked) = (bit?, stratum?, images?, masked?);
    let (non_critical, critical, non_finite, top5_lost) = (non_critical?, critical?, non_finite?, top5_lost?);
    let (correct, correct_top5, screened, audited) = (correct?, correct_top5?, screened?, audited?);
    let (audit_wrong, listed_images, listed_critical) = (audit_wrong?, listed_images?, listed_critical?);
    let confidence_change = table.f64s("confidence_change")?;
    let text = |column: &arrow_array::StringArray, r| (!column.is_null(r)).then(|| column.value(r).to_owned());
    let count = |column: &arrow_array::Int64Array, r| (!column.is_null(r)).then(|| column.value(r) as u64);
    let row = |r: usize| Row {
        layer: text(&layer, r),
        bit: (!bit.is_null(r)).then(|| bit.value(r)),
        model: model.value(r).to_owned(),
        sign: text(&sign, r),
        stratum: stratum.value(r) as usize,
        images: images.value(r) as u64,
        masked: masked.value(r) as u64,
        non_critical: non_critical.value(r) as u64,
        critical: critical.value(r) as u64,
        non_finite: non_finite.value(r) as u64,
        top5_lost: top5_lost.value(r) as u64,
        correct: count(&correct, r),
        correct_top5: count(&correct_top5, r),
        confidence_change: confidence_change.value(r),
        screened: screened.value(r) as u64,
        audited: audited.value(r) as u64,
        audit_wrong: audit_wrong.value(r) as u64,
        listed: count(&listed_images, r).zip(count(&listed_critical, r)),
    };
    Ok((0..table.rows()).map(row).collect())
}

/// The faults of a table as a list has them. Faults of activations and of the whole memory are in no parameter, and left out.
///
/// # Errors
/// Where the table is no table of faults.
pub fn listed(table: &Table) -> Result<Vec<Written>, TableError> {
    let (number, tensor, index) = (table.i64s("fault")?, table.strings("tensor")?, table.i64_lists("index")?);
    let (bit, model, faulty) = (table.i64s("bit")?, table.strings("model")?, table.f64s("faulty")?);
    let [images, masked, non_critical, critical] =
        ["images", "masked", "non_critical", "critical"].map(|name| table.i64s(name));
    let (images, masked, non_critical, critical) = (images?, masked?, non_critical?, critical?);
    let written = |r: usize| Written {
        number: number.value(r) as u64,
        tensor: tensor.value(r).to_owned(),
        index: index[r].values().iter().map(|i| *i as usize).collect(),
        bit: (!bit.is_null(r)).then(|| bit.value(r) as u8),
        // What was drawn is written as what was drawn.
        model: if model.value(r) == "random" { "value".to_owned() } else { model.value(r).to_owned() },
        value: (bit.is_null(r) && model.value(r) != "zero" && !faulty.is_null(r)).then(|| faulty.value(r) as f32),
        counts: Some(Counts {
            images: images.value(r) as u64,
            masked: masked.value(r) as u64,
            non_critical: non_critical.value(r) as u64,
            critical: critical.value(r) as u64,
        }),
    };
    Ok((0..table.rows()).filter(|r| !tensor.is_null(*r)).map(written).collect())
}
