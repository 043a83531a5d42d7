//! [`Axis`]: from values to places between 0 and 1, with ticks.

use super::data::Quantity;
use super::measure::width;
use super::number::Format;
use super::ticks::{Tick, linear, logarithmic, step};
use super::value::Value;

/// How values lie along an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scale {
    /// Evenly from `low` to `high`.
    Linear { low: f64, high: f64 },
    /// By their logarithms.
    Logarithmic { low: f64, high: f64 },
    /// One place each.
    Places(Vec<Value>),
}

/// A scale with its ticks and its name.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    /// Labelled ticks: where, and what they say.
    pub(super) ticks: Vec<(f64, String)>,
    /// Unlabelled ticks.
    pub(super) minor: Vec<f64>,
    /// The quantity and its unit.
    pub(super) title: String,
}

/// How much room an axis leaves around its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// A little at both ends, so that no marker is cut; for x.
    Margin,
    /// Out to the next tick; for y.
    Ticks,
    /// Out to the next tick, and 0 is on the axis; for bars.
    Zero,
    /// None; for colours.
    None,
}

impl Axis {
    /// An axis of numbers; `values` are all that must lie on it. Logarithmic ones take only what is above 0.
    ///
    /// With nothing to show it runs from 0 to 1.
    pub(super) fn continuous(quantity: &Quantity, values: &[f64], log: bool, room: Room, target: usize) -> Self {
        let usable: Vec<f64> = values.iter().copied().filter(|&value| !log || value > 0.0).collect();
        let low = usable.iter().copied().reduce(f64::min);
        let high = usable.iter().copied().reduce(f64::max);
        let (low, high) = low.zip(high).unwrap_or(if log { (0.1, 1.0) } else { (0.0, 1.0) });
        let whole = quantity.format == Format::Plain && usable.iter().all(|value| value.fract() == 0.0);
        let axis = if log {
            logarithmic_axis(low, high, room, target, quantity.format)
        } else {
            linear_axis(low, high, room, target, whole, quantity.format)
        };
        Self { title: quantity.title(), ..axis }
    }

    /// An axis with one place for each value.
    pub(super) fn places(quantity: &Quantity, values: &[Value]) -> Self {
        let count = values.len().max(1) as f64;
        let tick = |(index, value): (usize, &Value)| ((index as f64 + 0.5) / count, value.print(quantity.format));
        let ticks = values.iter().enumerate().map(tick).collect();
        Self { scale: Scale::Places(values.to_vec()), ticks, minor: Vec::new(), title: quantity.title() }
    }

    /// Where a value stands, from 0 to 1; `None` where it has no place on this axis.
    pub(super) fn at(&self, value: &Value) -> Option<f64> {
        match &self.scale {
            Scale::Places(values) => {
                let index = values.binary_search(value).ok()?;
                Some((index as f64 + 0.5) / values.len() as f64)
            }
            _ => self.number(value.as_number()?),
        }
    }

    /// Where a number stands, held within the axis; `None` for what is not above 0 on a logarithmic axis.
    pub(super) fn number(&self, value: f64) -> Option<f64> {
        let at = match self.scale {
            Scale::Linear { low, high } => (value - low) / (high - low),
            Scale::Logarithmic { low, high } if value > 0.0 => (value / low).ln() / (high / low).ln(),
            _ => return None,
        };
        Some(at.clamp(0.0, 1.0))
    }

    /// Like [`Axis::number`], but the lower end of a band that leaves a logarithmic axis is at its edge.
    pub(super) fn edge(&self, value: f64) -> f64 {
        self.number(value).unwrap_or(0.0)
    }

    /// Where a bar stands on: 0, or the lower end where there is none.
    pub(super) fn base(&self) -> f64 {
        if matches!(self.scale, Scale::Linear { .. }) { self.edge(0.0) } else { 0.0 }
    }

    /// How much of the axis one place takes, where it has places.
    pub(super) fn place_width(&self) -> Option<f64> {
        if let Scale::Places(values) = &self.scale { Some(1.0 / values.len().max(1) as f64) } else { None }
    }

    /// The width of the widest label.
    pub(super) fn widest(&self, size: f64) -> f64 {
        self.ticks.iter().map(|(_, label)| width(label, size)).fold(0.0, f64::max)
    }
}

fn linear_axis(low: f64, high: f64, room: Room, target: usize, whole: bool, format: Format) -> Axis {
    let share = format == Format::Percent;
    let (mut low, mut high) = (low, high);
    if room == Room::Zero {
        (low, high) = (low.min(0.0), high.max(0.0));
    }
    if low >= high {
        let around = if low == 0.0 || whole { 1.0 } else { low.abs() * 0.1 };
        (low, high) =
            if share { ((low - 0.05).max(0.0), (high + 0.05).min(1.0)) } else { (low - around, high + around) };
    }
    if room == Room::Ticks && low > 0.0 && low < 0.35 * high {
        low = 0.0;
    }
    let step = step(high - low, target, whole);
    if matches!(room, Room::Margin | Room::None) {
        let margin = if room == Room::Margin { 0.035 * (high - low) } else { 0.0 };
        (low, high) = (low - margin, high + margin);
    } else {
        (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        if share {
            (low, high) = (low.max(0.0), high.min(1.0));
        }
    }
    let ticks = linear(low, high, step, format);
    placed(Scale::Linear { low, high }, ticks, &[])
}

fn logarithmic_axis(low: f64, high: f64, room: Room, target: usize, format: Format) -> Axis {
    let (low, high) = if matches!(room, Room::Margin | Room::None) {
        let share = if room == Room::Margin { 0.035 } else { 0.0 };
        let margin = if low < high { (high / low).powf(share) } else { 2.0 };
        (low / margin, high * margin)
    } else {
        let (low, high) = (nice(low, false), nice(high, true));
        if low < high { (low, high) } else { (low / 10.0, high * 10.0) }
    };
    let (ticks, minor) = logarithmic(low, high, target, format);
    placed(Scale::Logarithmic { low, high }, ticks, &minor)
}

/// The next of 1, 2 and 5 times a power of ten.
fn nice(value: f64, up: bool) -> f64 {
    let base = 10.0_f64.powf(value.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * base);
    let found = if up {
        factors.into_iter().find(|&factor| factor >= value * (1.0 - 1e-9))
    } else {
        factors.into_iter().rev().find(|&factor| factor <= value * (1.0 + 1e-9))
    };
    found.unwrap_or(value)
}

fn placed(scale: Scale, ticks: Vec<Tick>, minor: &[f64]) -> Axis {
    let mut axis = Axis { scale, ticks: Vec::new(), minor: Vec::new(), title: String::new() };
    axis.ticks = ticks.into_iter().filter_map(|tick| Some((axis.number(tick.value)?, tick.label))).collect();
    axis.minor = minor.iter().filter_map(|&value| axis.number(value)).collect();
    axis
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(format: Format) -> Quantity {
        Quantity { name: "q".into(), unit: String::new(), format }
    }

    #[test]
    fn a_vertical_axis_ends_on_ticks_and_starts_at_zero_where_zero_is_near() {
        let axis = |values: &[f64], format| Axis::continuous(&quantity(format), values, false, Room::Ticks, 5).scale;
        assert_eq!(axis(&[0.1, 0.93], Format::Percent), Scale::Linear { low: 0.0, high: 1.0 });
        let Scale::Linear { low, high } = axis(&[0.91, 0.97], Format::Percent) else { panic!("linear") };
        assert!((low - 0.9).abs() < 1e-12 && (high - 0.98).abs() < 1e-12, "{low} {high}");
        assert_eq!(axis(&[0.0, 0.0], Format::Plain), Scale::Linear { low: -1.0, high: 1.0 });
        assert_eq!(axis(&[], Format::Plain), Scale::Linear { low: 0.0, high: 1.0 });
    }

    #[test]
    fn bars_stand_on_zero() {
        let axis = Axis::continuous(&quantity(Format::Plain), &[5.0, 9.0], false, Room::Zero, 5);
        assert_eq!(axis.scale, Scale::Linear { low: 0.0, high: 10.0 });
        assert!(axis.base().abs() < 1e-12);
        let axis = Axis::continuous(&quantity(Format::Plain), &[-5.0, 5.0], false, Room::Zero, 5);
        assert!((axis.base() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_logarithmic_axis_has_no_place_for_zero() {
        let axis = Axis::continuous(&quantity(Format::Plain), &[0.0, 0.01, 1.0], true, Room::Ticks, 5);
        assert_eq!(axis.scale, Scale::Logarithmic { low: 0.01, high: 1.0 });
        assert_eq!(axis.number(0.0), None);
        assert!((axis.number(0.1).expect("on the axis") - 0.5).abs() < 1e-12);
    }

    #[test]
    fn places_are_the_middles_of_equal_shares() {
        let values = [Value::Boolean(false), Value::Boolean(true)];
        let axis = Axis::places(&quantity(Format::Plain), &values);
        assert_eq!(axis.at(&values[1]), Some(0.75));
        assert_eq!(axis.at(&Value::number(1.0)), None);
        assert_eq!(axis.place_width(), Some(0.5));
    }
}
