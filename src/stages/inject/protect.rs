//! The keys of protections, and what they make of a network.

use arrow_array::Array;
use duress_cache::{Table, Tree};
use duress_engine::input::{AnyTable, Input};
use duress_engine::run::RunContext;
use duress_engine::spec::{Count, Fraction, FromSpec, OneOrMany};
use duress_engine::stage::{InferContext, StageError};
use duress_engine::{choice, config};
use duress_network::guard::{activations, measure};
use duress_network::memory::{Code, Format};
use duress_network::op::{Beyond, Role};

use super::check::report;
use crate::nn::fault::matches;
use crate::nn::fault::plan::{CellRate, Protection, Trust, Unit, plan};
use crate::nn::fault::protect::{Scheme, codes};
use crate::nn::{Network, Weights};
use crate::stages::artifact::Split;
use crate::stages::examples::examples;

config! {
    /// A protection, compared with none on the same faults.
    pub struct Protect {
        /// What protects.
        name: Shield,
        /// What the tables call it; its name by default.
        label: Option<String>,
        /// The layers whose weights or activations are protected, by name; `*` stands for any characters.
        layers: OneOrMany<String> = OneOrMany(vec!["*".to_owned()]),
        /// Of `tmr`: the bits that are stored three times; all by default.
        bits: Option<OneOrMany<u32>>,
        /// Of `secded`, and of a `plan` of layers: data bits of a block, 8, 16, 32 or 64.
        [unit = "bits"] block: Count = Count(64),
        /// Of `ranger` and `clip`: the samples whose activations give the bounds; not those of the campaign.
        data: Option<Input<Split>>,
        /// Of `ranger` and `clip`: take only the first so many of them; all by default.
        samples: Option<Count>,
        /// Of `ranger` and `clip`: the share of samples that stay within each bound.
        share: Fraction = Fraction(1.0),
        /// Of `ranger` and `clip`: whether each channel or feature has bounds of its own.
        per_channel: bool = false,
        /// Of `plan`: the `faults` of an earlier campaign on the same network.
        from: Option<Input<AnyTable>>,
        /// Of `plan`: the critical rate to come under.
        under: Option<Fraction>,
        /// Of `plan`: what is protected as one.
        unit: UnitKey = UnitKey::Bit,
        /// Of `plan`: whether to go by the upper ends of 95 % intervals, and not by the estimates.
        cautious: bool = true,
    }
}

choice! {
    /// What protects a network against faults.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Shield {
        /// Activations beyond what calibration data cause become the nearest bound (Ranger, Chen et al. 2021).
        "ranger" => Ranger,
        /// They become zero (FT-ClipAct, Hoang et al. 2020).
        "clip" => Clip,
        /// Bits of weights are stored three times, and the majority is read.
        "tmr" => Tmr,
        /// Blocks of weights are stored in an extended Hamming code: one wrong bit is corrected, of two the block reads as zeros.
        "secded" => Secded,
        /// Weights with a wrong parity read as zero.
        "parity" => Parity,
        /// The top bit of the exponent is copied into the two lowest bits of the mantissa, and the majority is read.
        "mset" => Mset,
        /// The cheapest protection that an earlier campaign says is enough: bits stored three times, or layers in a code.
        "plan" => Plan,
    }
}

choice! {
    /// What a plan protects as one.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum UnitKey {
        /// A bit of all layers, stored three times.
        "bit" => Bit,
        /// A bit of a layer, stored three times.
        "layer-bit" => Cell,
        /// A layer, in the code of `secded`.
        "layer" => Layer,
    }
}

choice! {
    /// How parameters are stored.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum FormatKey {
        /// Single precision.
        "fp32" => Fp32,
        /// Half precision.
        "fp16" => Fp16,
        /// The upper half of single precision.
        "bf16" => Bf16,
        /// Weights as eight-bit integers with a scale for each tensor; other parameters in single precision.
        "int8" => Int8,
        /// Weights as eight-bit integers with a scale for each output; other parameters in single precision.
        "int8-per-channel" => Int8PerChannel,
    }
}

impl From<FormatKey> for Format {
    fn from(key: FormatKey) -> Self {
        match key {
            FormatKey::Fp32 => Self::Fp32,
            FormatKey::Fp16 => Self::Fp16,
            FormatKey::Bf16 => Self::Bf16,
            FormatKey::Int8 => Self::Int8,
            FormatKey::Int8PerChannel => Self::Int8PerChannel,
        }
    }
}

/// What an earlier campaign's table must have for a plan.
const PLANNED_FROM: [&str; 6] = ["layer", "tensor", "bit", "sign", "images", "critical"];

impl Protect {
    /// What the tables call it.
    pub(super) fn label(&self) -> &str {
        self.label.as_deref().unwrap_or_else(|| duress_engine::spec::Choice::word(&self.name))
    }

    fn is_range(&self) -> bool {
        matches!(self.name, Shield::Ranger | Shield::Clip)
    }

    /// Reports what can be known to be wrong.
    pub(super) fn check(&self, cx: &mut InferContext<'_>, format: Format, network: Option<&Network>) {
        let key = "protect";
        if self.is_range() && self.data.is_none() {
            let help = "write `data = \"...\"`, the training samples for example";
            report(cx, "missing-key", key, "`data` is missing", "needs samples to measure activations on", help);
        }
        if self.name == Shield::Plan {
            self.check_plan(cx);
        } else if let Some(network) = network {
            self.check_layers(cx, network);
        }
        if let Some(code) = self.code(format)
            && let Err(error) = code.check(format)
        {
            let text = error.to_string();
            let (message, help) = text.split_once("; ").unwrap_or((&text, "choose another protection"));
            report(cx, "wrong-combination", key, format!("cannot {message}"), "does not suit the format", help);
        }
    }

    fn check_plan(&self, cx: &mut InferContext<'_>) {
        let (key, help) = ("protect", "write `{ name = \"plan\", from = \"STAGE.faults\", under = 0.001 }`");
        match &self.from {
            None => report(cx, "missing-key", key, "`from` is missing", "needs a campaign to plan from", help),
            Some(from) => {
                let columns = cx.inputs.slot(from.slot).map(|fact| &fact.columns);
                let lacks = |name: &&&str| columns.is_some_and(|all| !all.iter().any(|column| column.name == **name));
                if let Some(name) = PLANNED_FROM.iter().find(lacks) {
                    let message = format!("`from` has no column `{name}`");
                    report(cx, "unknown-column", key, message, "not a table of faults", help);
                }
            }
        }
        if !self.under.is_some_and(|under| under.0 > 0.0 && under.0 < 1.0) {
            let message = "`under` must be a rate above 0 and below 1";
            report(cx, "missing-key", key, message, "needs to know how much is enough", help);
        }
    }

    fn check_layers(&self, cx: &mut InferContext<'_>, network: &Network) {
        let names: Vec<&str> = self.candidates(network).map(|node| network.nodes()[node - 1].name.as_str()).collect();
        for pattern in self.layers.0.iter().filter(|pattern| !names.iter().any(|name| matches(pattern, name))) {
            let message = format!("there is no layer `{pattern}` that `{}` could protect", self.label());
            let help = format!("the layers are {}", names.join(", "));
            report(cx, "unknown-layer", "protect", message, "no such layer", &help);
        }
    }

    /// The nodes that it could protect.
    fn candidates<'a>(&self, network: &'a Network) -> Box<dyn Iterator<Item = usize> + 'a> {
        if self.is_range() {
            return Box::new(activations(network).into_iter());
        }
        let stores = |node: &usize| network.parameters().iter().any(|p| p.node == *node && p.role == Role::Weight);
        Box::new((1..=network.nodes().len()).filter(stores))
    }

    /// The code of the weights that it protects, of a scheme that has one for all of them.
    fn code(&self, format: Format) -> Option<Code> {
        Some(match self.name {
            Shield::Tmr => Code::Tmr(match &self.bits {
                Some(bits) => bits.0.iter().fold(0, |mask, bit| mask | 1_u32.checked_shl(*bit).unwrap_or(0)),
                None => u32::MAX >> (32 - format.bits()),
            }),
            Shield::Secded => self.block(),
            Shield::Plan if self.unit == UnitKey::Layer => self.block(),
            Shield::Parity => Code::Parity,
            Shield::Mset => Code::Mset,
            Shield::Ranger | Shield::Clip | Shield::Plan => return None,
        })
    }

    fn block(&self) -> Code {
        Code::Secded(u8::try_from(self.block.0).unwrap_or(u8::MAX))
    }

    /// The configuration as it enters the key: what has no effect is not in it.
    pub(super) fn tree(&self) -> Tree {
        let mut keys = vec![("name", self.name.to_tree()), ("label", Some(Tree::String(self.label().to_owned())))];
        let mut put = |key, tree| keys.push((key, tree));
        if self.name == Shield::Plan {
            put("under", self.under.to_tree());
            put("unit", self.unit.to_tree());
            put("cautious", self.cautious.to_tree());
        } else {
            put("layers", self.layers.to_tree());
        }
        if self.is_range() {
            put("samples", self.samples.to_tree());
            put("share", self.share.to_tree());
            put("per_channel", self.per_channel.to_tree());
        }
        if self.name == Shield::Tmr {
            put("bits", self.bits.to_tree());
        }
        if self.name == Shield::Secded || (self.name == Shield::Plan && self.unit == UnitKey::Layer) {
            put("block", self.block.to_tree());
        }
        Tree::map(keys.into_iter().filter_map(|(key, tree)| Some((key, tree?))))
    }

    /// What it makes of `weights`, which are as they are read from memory in `format`.
    pub(super) fn scheme(
        &self,
        cx: &RunContext<'_>,
        weights: &Weights,
        format: Format,
    ) -> Result<(Scheme, Option<Protection>), StageError> {
        let network = weights.network();
        if self.is_range() {
            return Ok((self.bounds(cx, weights)?, None));
        }
        if let Some(from) = self.from.as_ref().filter(|_| self.name == Shield::Plan) {
            let planned = self.planned(&cx.table(from)?, weights, format)?;
            let code = |layer: &str| match planned.bits.get(layer) {
                None => Code::None,
                Some(_) if self.unit == UnitKey::Layer => self.block(),
                Some(bits) => Code::Tmr(*bits),
            };
            return Ok((Scheme::Memory(codes(network, &["*".to_owned()], code)), Some(planned)));
        }
        let code = self.code(format).unwrap_or_default();
        Ok((Scheme::Memory(codes(network, &self.layers.0, |_| code)), None))
    }

    fn bounds(&self, cx: &RunContext<'_>, weights: &Weights) -> Result<Scheme, StageError> {
        let missing = || StageError::failed("measure activations: `data` is missing; name samples to measure them on");
        let data = examples(cx, self.data.as_ref().ok_or_else(missing)?, self.samples)?;
        let network = weights.network();
        let picked = |node: &usize| self.layers.0.iter().any(|p| matches(p, &network.nodes()[node - 1].name));
        let nodes: Vec<usize> = self.candidates(network).filter(picked).collect();
        let ranges = cx.install(|| measure(weights, &data.x, data.rows(), &nodes)).map_err(StageError::failed)?;
        let beyond = if self.name == Shield::Clip { Beyond::Zero } else { Beyond::Bound };
        Ok(Scheme::Range(ranges.guards(self.share.0, self.per_channel, beyond)))
    }

    /// What to protect, from the faults of an earlier campaign.
    fn planned(&self, faults: &Table, weights: &Weights, format: Format) -> Result<Protection, StageError> {
        let unit = match self.unit {
            UnitKey::Bit => Unit::Bit,
            UnitKey::Cell => Unit::Cell,
            UnitKey::Layer => Unit::Layer,
        };
        let trust = if self.cautious { Trust::Upper(0.95) } else { Trust::Estimate };
        let cells = cells(faults, weights, format)?;
        let code = self.block();
        let cost = f64::from(code.redundant_bits()) / (code.numbers(format) as f64 * f64::from(format.bits()));
        plan(&cells, unit, trust, self.under.map_or(0.0, |under| under.0), cost).map_err(StageError::failed)
    }
}

/// The rates of single-bit faults of weights, by layer, bit and sign.
fn cells(faults: &Table, weights: &Weights, format: Format) -> Result<Vec<CellRate>, StageError> {
    let network = weights.network();
    let mut cells: Vec<CellRate> = Vec::new();
    let mut starts = Vec::with_capacity(network.parameters().len());
    for (parameter, tensor) in network.parameters().iter().zip(weights.tensors()) {
        starts.push(cells.len());
        if parameter.role != Role::Weight {
            continue;
        }
        let negative = tensor.values.iter().filter(|value| value.is_sign_negative()).count() as u64;
        let layer = &network.nodes()[parameter.node - 1].name;
        for bit in 0..format.bits() {
            let cell = |sites| CellRate { layer: layer.clone(), bit, sites, ..CellRate::default() };
            cells.extend([cell(tensor.values.len() as u64 - negative), cell(negative)]);
        }
    }
    let failed = |error: duress_cache::TableError| StageError::failed(error);
    let [tensors, signs] = ["tensor", "sign"].map(|name| faults.strings(name).map_err(failed));
    let [bits, images, critical] = ["bit", "images", "critical"].map(|name| faults.i64s(name).map_err(failed));
    let (tensors, signs, bits, images, critical) = (tensors?, signs?, bits?, images?, critical?);
    for row in 0..faults.rows() {
        if tensors.is_null(row) || signs.is_null(row) || bits.is_null(row) {
            continue;
        }
        let parameter =
            network.parameters().iter().position(|p| p.name == tensors.value(row) && p.role == Role::Weight);
        let bit = usize::try_from(bits.value(row)).ok().filter(|bit| *bit < usize::from(format.bits()));
        let (Some(parameter), Some(bit)) = (parameter, bit) else { continue };
        let cell = &mut cells[starts[parameter] + 2 * bit + usize::from(signs.value(row) == "-")];
        let rate = critical.value(row) as f64 / images.value(row).max(1) as f64;
        cell.faults += 1;
        cell.critical += rate;
        cell.squares += rate * rate;
    }
    if cells.iter().all(|cell| cell.faults == 0) {
        return Err(StageError::failed(
            "plan protection from a campaign without single-bit faults in these weights: name one on the same network",
        ));
    }
    cells.retain(|cell| cell.sites > 0);
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use duress_cache::{ColumnSpec, TableBuilder};

    use super::*;
    use crate::stages::inject::Inject;
    use crate::stages::testing::{INPUTS, fault_codes, key, output_names};

    fn faults(keys: &str) -> Vec<&'static str> {
        fault_codes::<Inject>(keys)
    }

    #[test]
    fn protections_that_cannot_be_are_told_at_plan_time() {
        assert_eq!(faults("protect = { name = 'secded' }"), [""; 0]);
        assert_eq!(faults("protect = [{ name = 'ranger', data = 'digits.train' }, { name = 'mset' }]"), [""; 0]);
        assert_eq!(faults("protect = { name = 'ranger' }"), ["missing-key"]);
        assert_eq!(faults("protect = { name = 'secded', block = 48 }"), ["wrong-combination"]);
        assert_eq!(faults("protect = { name = 'tmr', bits = [40] }"), ["wrong-combination"]);
        assert_eq!(faults("protect = { name = 'mset' }\nformat = 'int8'"), ["wrong-combination"]);
        assert_eq!(faults("protect = { name = 'parity', layers = 'hiden.*' }"), ["unknown-layer"]);
        assert_eq!(faults("protect = { name = 'plan' }"), ["missing-key"; 2]);
        assert_eq!(faults("protect = { name = 'plan', from = 'campaign.faults', under = 0.01 }"), [""; 0]);
        assert_eq!(faults("protect = [{ name = 'tmr', bits = 30 }, { name = 'tmr' }]"), ["duplicate-name"]);
        assert_eq!(faults("protect = { name = 'tmr', label = 'none' }"), ["duplicate-name"]);
    }

    #[test]
    fn narrower_formats_have_fewer_bits_and_hold_parameters_alone() {
        assert_eq!(faults("format = 'int8-per-channel'"), [""; 0]);
        assert_eq!(faults("format = 'bf16'\nbits = 16"), ["out-of-range"]);
        assert_eq!(faults("format = 'int8'\nbits = 7"), [""; 0]);
        assert_eq!(faults("format = 'fp16'\nmodel = { multi-bit = 2 }"), ["wrong-combination"]);
        assert_eq!(faults("format = 'fp16'\ntarget = 'activation'\nmodel = 'zero'"), ["wrong-combination"]);
    }

    #[test]
    fn outputs_of_protections_are_there_where_protections_are() {
        let outputs = output_names::<Inject>;
        assert_eq!(outputs("protect = { name = 'secded' }"), ["results", "strata", "faults", "protections", "paired"]);
    }

    #[test]
    fn keys_without_effect_do_not_enter_the_key() {
        let tree = |keys: &str| key::<Inject>(&format!("{INPUTS}{keys}"));
        assert_eq!(tree(""), tree("format = 'fp32'"));
        assert_ne!(tree(""), tree("format = 'fp16'"));
        assert_ne!(tree(""), tree("protect = { name = 'mset' }"));
        assert_eq!(tree("protect = { name = 'mset' }"), tree("protect = [{ name = 'mset', block = 32, share = 0.5 }]"));
        assert_ne!(tree("protect = { name = 'secded' }"), tree("protect = { name = 'secded', block = 32 }"));
    }

    #[test]
    fn a_plan_counts_the_faults_of_weights_by_layer_bit_and_sign() {
        use duress_network::arch::mlp::Mlp;
        let network = Mlp { hidden: vec![2], ..Mlp::default() }.network(&[2], 2).expect("a network");
        let mut weights = Weights::zeros(&network);
        let names: Vec<String> = network.parameters().iter().map(|p| p.name.clone()).collect();
        weights.value_mut(0).copy_from_slice(&[1.0, -1.0, -2.0, 0.5]);
        let mut table = TableBuilder::new().column(ColumnSpec::text("tensor").nullable());
        table = table.column(ColumnSpec::text("sign").nullable()).column(ColumnSpec::integer("bit").nullable());
        table = table.column(ColumnSpec::integer("images")).column(ColumnSpec::integer("critical"));
        let rows = [
            (0, "-", Some(30_i64), 4_i64),
            (0, "-", Some(30), 8),
            (0, "+", Some(3), 1),
            (1, "+", Some(30), 10),
            (0, "+", None, 5),
        ];
        for (parameter, sign, bit, critical) in rows {
            table
                .push([names[parameter].as_str().into(), sign.into(), bit.into(), 10_i64.into(), critical.into()])
                .expect("fits");
        }
        let table = table.finish().expect("sound");
        let found = cells(&table, &weights, Format::Fp32).expect("rates");
        let sites: u64 = found.iter().map(|cell| cell.sites).sum();
        assert_eq!(sites, 8 * 32);
        let tried: Vec<_> = found.iter().filter(|cell| cell.faults > 0).collect();
        assert_eq!((tried.len(), tried[0].bit, tried[0].sites), (2, 3, 2));
        assert_eq!((tried[1].bit, tried[1].sites, tried[1].faults), (30, 2, 2));
        assert!((tried[1].critical - 1.2).abs() < 1e-12 && (tried[1].squares - 0.8).abs() < 1e-12);
        assert!(cells(&table, &weights, Format::Int8).is_ok(), "bits that int8 lacks are left out");
        let empty = table_without_rows();
        assert!(cells(&empty, &weights, Format::Fp32).unwrap_err().to_string().contains("plan protection"));
    }

    fn table_without_rows() -> Table {
        let mut table = TableBuilder::new().column(ColumnSpec::text("tensor")).column(ColumnSpec::text("sign"));
        table = table.column(ColumnSpec::integer("bit")).column(ColumnSpec::integer("images"));
        table.column(ColumnSpec::integer("critical")).finish().expect("sound")
    }
}
