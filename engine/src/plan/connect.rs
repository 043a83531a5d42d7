//! From a reference to the instances it means, seen from one instance.

use super::Slot;
use super::expand::Grid;
use super::lookup::Lookup;
use crate::spec::{Axis, Fault, Pick, Reference, Request, Span, nearest};
use crate::stage::{Kind, OutputDoc};

/// The wires of one instance.
pub(super) struct Wires<'a> {
    pub(super) lookup: &'a Lookup<'a>,
    pub(super) grid: &'a Grid,
    pub(super) instance: usize,
}

/// Where a reference points along one axis of its target.
enum Along {
    /// One value.
    At(usize),
    /// Every value.
    Every,
}

impl Wires<'_> {
    /// The slots that an input's reference asks for; `None` where there is nothing and that is fine.
    pub(super) fn connect(&self, request: &Request<'_>) -> Result<Option<Vec<Slot>>, Fault> {
        let reference = Reference::parse(request.reference, request.span)?;
        let target = self.target(&reference, request.span)?;
        let output = output_of(&reference, self.lookup.spec.sections[target].kind, request.accepts, request.span)?;
        self.check_selections(&reference, target, request.span)?;
        let Some(along) = self.along(&reference, target, request)? else { return Ok(None) };
        let slots = self.slots(target, output, &along, request)?;
        let collects = along.iter().any(|along| matches!(along, Along::Every));
        if collects && !request.many {
            let message = format!("`{}` takes one artifact, and `{reference}` collects {}", request.field, slots.len());
            return Err(Fault::new("collected-into-one", request.span, message, "collects along an axis")
                .help("fix the axis to a value, as in `train[seed=1]`, or leave it out to repeat this stage over it"));
        }
        if !slots.is_empty() || collects {
            return Ok(Some(slots));
        }
        if request.optional {
            return Ok(None);
        }
        let message = format!("`{reference}` is left out by an `[[exclude]]`");
        Err(Fault::new("excluded-input", request.span, message, "does not exist at every value of its axes")
            .help("exclude the same values here, or write `{ from = \"...\", optional = true }`"))
    }

    fn target(&self, reference: &Reference, span: Span) -> Result<usize, Fault> {
        self.lookup.section(&reference.name).ok_or_else(|| {
            let label = match nearest(&reference.name, self.lookup.section_names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "not defined".to_owned(),
            };
            Fault::new("unknown-stage", span, format!("there is no stage or data set `{}`", reference.name), label)
                .help(format!("add a table `[stage.{0}]` or `[data.{0}]`", reference.name))
        })
    }

    /// Every axis that a reference selects must be one of its target's.
    fn check_selections(&self, reference: &Reference, target: usize, span: Span) -> Result<(), Fault> {
        for selection in &reference.selections {
            let Some(axis) = self.lookup.axis(&selection.axis) else {
                return Err(self.lookup.unknown_axis(&selection.axis, span));
            };
            if !self.grid.axes[target].contains(&axis) {
                let axes: Vec<_> = self.grid.axes[target].iter().map(|&axis| self.axis(axis).name.as_str()).collect();
                let message = format!("`{}` is not repeated over `{}`", reference.name, selection.axis);
                let help = match axes.as_slice() {
                    [] => format!("`{}` is not repeated over any axis", reference.name),
                    axes => format!("`{}` is repeated over {}", reference.name, axes.join(", ")),
                };
                return Err(
                    Fault::new("axis-not-of-stage", span, message, "selects an axis it does not have").help(help)
                );
            }
        }
        Ok(())
    }

    /// Where the reference points along each axis of its target; `None` where it is absent and that is fine.
    fn along(&self, reference: &Reference, target: usize, request: &Request<'_>) -> Result<Option<Vec<Along>>, Fault> {
        let mut along = Vec::new();
        for &axis in &self.grid.axes[target] {
            let name = &self.axis(axis).name;
            let selection = reference.selections.iter().find(|selection| &selection.axis == name);
            match selection.map(|selection| &selection.pick) {
                Some(Pick::All) => along.push(Along::Every),
                Some(Pick::Value(label)) => along.push(Along::At(self.value(axis, label, request.span)?)),
                Some(Pick::Previous(back)) => match self.previous(axis, *back, request)? {
                    Some(index) => along.push(Along::At(index)),
                    None => return Ok(None),
                },
                None => along.push(Along::At(self.own(axis))),
            }
        }
        Ok(Some(along))
    }

    fn axis(&self, axis: usize) -> &Axis {
        &self.lookup.spec.axes[axis]
    }

    /// Where this instance stands on `axis`.
    ///
    /// It stands somewhere: an axis that a reference neither fixes nor collects is one of its reader's, see `axes.rs`.
    fn own(&self, axis: usize) -> usize {
        let (section, point) = &self.grid.points[self.instance];
        let position = self.grid.axes[*section].iter().position(|&other| other == axis);
        position.map_or(0, |position| point[position])
    }

    fn value(&self, axis: usize, label: &str, span: Span) -> Result<usize, Fault> {
        let axis = self.axis(axis);
        let number = label.parse::<f64>().ok();
        let same = |other: &str| other == label || (number.is_some() && other.parse::<f64>().ok() == number);
        axis.values.iter().position(|value| same(&value.label)).ok_or_else(|| {
            let hint = match nearest(label, axis.values.iter().map(|value| value.label.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "not a value of this axis".to_owned(),
            };
            let values: Vec<_> = axis.values.iter().take(12).map(|value| value.label.as_str()).collect();
            let more = if axis.values.len() > values.len() { ", ..." } else { "" };
            Fault::new("unknown-axis-value", span, format!("axis `{}` has no value `{label}`", axis.name), hint)
                .help(format!("its values are {}{more}", values.join(", ")))
        })
    }

    fn previous(&self, axis: usize, back: usize, request: &Request<'_>) -> Result<Option<usize>, Fault> {
        let here = self.own(axis);
        let axis = self.axis(axis);
        if !axis.ordered {
            let message = format!("axis `{}` has no order, so nothing comes before a value of it", axis.name);
            return Err(Fault::new("unordered-axis", request.span, message, "asks for a previous value")
                .help("ranges and ascending lists of numbers are ordered"));
        }
        match here.checked_sub(back) {
            Some(index) => Ok(Some(index)),
            None if request.optional => Ok(None),
            None => {
                let message = format!("`{}` has no value {back} before `{}`", axis.name, axis.values[here].label);
                Err(Fault::new("no-previous", request.span, message, "absent at the first value").help(format!(
                    "write `{{ from = \"{}\", optional = true }}` if the input may be absent there",
                    request.reference
                )))
            }
        }
    }

    /// Every instance that `along` picks, except excluded ones.
    fn slots(
        &self,
        target: usize,
        output: &'static OutputDoc,
        along: &[Along],
        request: &Request<'_>,
    ) -> Result<Vec<Slot>, Fault> {
        let axes = &self.grid.axes[target];
        let every: Vec<usize> =
            axes.iter().zip(along).filter(|(_, along)| matches!(along, Along::Every)).map(|(&axis, _)| axis).collect();
        let mut slots = Vec::new();
        self.lookup.for_each_point(&every, &mut |picked| {
            let mut next = picked.iter();
            let point: Vec<usize> = along
                .iter()
                .map(|along| match along {
                    Along::At(index) => *index,
                    Along::Every => next.next().copied().unwrap_or_default(),
                })
                .collect();
            let labels = every.iter().zip(picked).map(|(&axis, &value)| {
                let axis = self.axis(axis);
                (axis.name.clone(), axis.values[value].label.clone())
            });
            if let Some(from) = self.grid.at(target, &point) {
                slots.push(Slot { field: request.field.clone(), from, output: output.name, labels: labels.collect() });
            }
        });
        if slots.is_empty() && !every.is_empty() {
            let message = format!("`{}` collects nothing: every value is excluded", request.reference);
            return Err(Fault::new("collects-nothing", request.span, message, "empty"));
        }
        Ok(slots)
    }
}

/// The output of `kind` that a reference means: the one it names, or else the only one that fits, or the kind's first.
pub(super) fn output_of(
    reference: &Reference,
    kind: &'static Kind,
    accepts: &[&str],
    span: Span,
) -> Result<&'static OutputDoc, Fault> {
    let fits = |output: &&OutputDoc| accepts.contains(&output.artifact);
    let any_table = accepts.contains(&"table");
    let names = || kind.outputs.iter().map(|output| format!("`{}`", output.name)).collect::<Vec<_>>().join(", ");
    if let Some(name) = &reference.output {
        let Some(output) = kind.outputs.iter().find(|output| output.name == *name) else {
            let label = match nearest(name, kind.outputs.iter().map(|output| output.name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "not an output".to_owned(),
            };
            let message = format!("`{}` has no output `{name}`", reference.name);
            return Err(Fault::new("unknown-output", span, message, label).help(format!("its outputs are {}", names())));
        };
        return if fits(&output) || any_table {
            Ok(output)
        } else {
            Err(mismatch(reference, output, kind, accepts, span))
        };
    }
    let fitting: Vec<_> = kind.outputs.iter().filter(fits).collect();
    match (kind.outputs.first(), fitting.as_slice()) {
        (Some(first), _) if fits(&first) => Ok(first),
        (_, [only]) => Ok(only),
        (_, [first, ..]) if any_table => Ok(first),
        (Some(first), []) => Err(mismatch(reference, first, kind, accepts, span)),
        (_, several) => {
            let ways: Vec<_> = several.iter().map(|output| format!("`{}.{}`", reference.name, output.name)).collect();
            let message = format!("`{}` has several outputs that fit here", reference.name);
            let said = several.iter().map(|output| output.name).collect::<Vec<_>>().join(", ");
            Err(Fault::new("ambiguous-output", span, message, format!("one of {said}?"))
                .help(format!("say which: {}", ways.join(", "))))
        }
    }
}

fn mismatch(reference: &Reference, output: &OutputDoc, kind: &Kind, accepts: &[&str], span: Span) -> Fault {
    let wanted = accepts.join(" or ");
    let message = format!("`{reference}` is {}, where {wanted} is wanted", output.artifact);
    let fault = Fault::new("wrong-input-type", span, message, format!("expected {wanted}, found {}", output.artifact));
    match kind.outputs.iter().find(|other| accepts.contains(&other.artifact)) {
        Some(other) => fault.help(format!("did you mean `{}.{}`?", reference.name, other.name)),
        None => fault.help(format!("a stage of kind `{}` has no output of that type", kind.name)),
    }
}
