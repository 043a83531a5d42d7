//! Where the ticks of an axis stand and what they say.
//!
//! Steps are 1, 2, 2.5 or 5 times a power of ten, the finest that gives no more ticks than there is room for (Heckbert,
//! "Nice numbers for graph labels", Graphics Gems 1990, with 2.5 added).

use super::number::{Format, fixed, printed, scientific};

/// A labelled tick.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// Its value, in the quantity's own unit.
    pub(super) value: f64,
    /// What it says; empty where there is no room.
    pub(super) label: String,
}

/// The step between ticks for a range of `span`, so that about `target` fit; `whole` numbers have no ticks between them.
pub(super) fn step(span: f64, target: usize, whole: bool) -> f64 {
    let raw = span / target.max(1) as f64;
    let base = 10.0_f64.powf(raw.log10().floor());
    let factors: &[f64] = if whole && base < 9.0 { &[1.0, 2.0, 5.0, 10.0] } else { &[1.0, 2.0, 2.5, 5.0, 10.0] };
    // A hair of tolerance, or rounding would choose the next step for a range that fits exactly.
    let factor = factors.iter().copied().find(|factor| factor * base >= raw * (1.0 - 1e-9)).unwrap_or(10.0);
    let step = factor * base;
    if whole { step.max(1.0) } else { step }
}

/// The ticks of a linear axis from `low` to `high`, at multiples of `step`.
pub(super) fn linear(low: f64, high: f64, step: f64, format: Format) -> Vec<Tick> {
    let slack = 1e-9 * (high - low);
    let (first, last) = (((low - slack) / step).ceil(), ((high + slack) / step).floor());
    let count = (last - first + 1.0).clamp(0.0, 1000.0) as usize;
    let values: Vec<f64> = (0..count).map(|index| (first + index as f64) * step + 0.0).collect();
    let shown = if format == Format::Percent { 100.0 } else { 1.0 };
    let size = low.abs().max(high.abs()) * shown;
    let plain = size == 0.0 || (1e-4..1e6).contains(&size);
    let decimals = decimals(step * shown);
    let label = |value: f64| if plain { fixed(value, decimals, format) } else { printed(value, format) };
    values.into_iter().map(|value| Tick { value, label: label(value) }).collect()
}

/// How many decimals tell multiples of `step` apart.
fn decimals(step: f64) -> usize {
    let exponent = step.log10().floor();
    let mantissa = step / 10.0_f64.powf(exponent);
    let more = if (mantissa - 2.5).abs() < 1e-6 { 1.0 } else { 0.0 };
    (more - exponent).clamp(0.0, 12.0) as usize
}

/// The ticks of a logarithmic axis from `low` to `high`, both above 0: labelled ones, and the places of unlabelled ones.
///
/// Decades are labelled, every second or third where they are many; 2 and 5 too where decades are few. On less than that,
/// labels are those of a linear axis.
pub(super) fn logarithmic(low: f64, high: f64, target: usize, format: Format) -> (Vec<Tick>, Vec<f64>) {
    let slack = 1e-9;
    let within = |value: f64| value >= low * (1.0 - slack) && value <= high * (1.0 + slack);
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = high.log10() - low.log10();
    let every = ((decades / target.max(1) as f64).ceil() as i32).max(1);
    let fine: &[f64] = if decades <= 0.75 * target as f64 && decades < 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let mut places: Vec<(f64, i32)> = Vec::new();
    for exponent in (first..=last).filter(|exponent| every == 1 || exponent.rem_euclid(every) == 0) {
        places.extend(fine.iter().map(|&factor| (factor, exponent)).filter(|&(f, e)| within(f * power(e))));
    }
    if places.len() < 2 {
        let step = step(high - low, target, false);
        let ticks = linear(low, high, step, format).into_iter().filter(|tick| tick.value > 0.0);
        return (ticks.collect(), Vec::new());
    }
    let plain = format == Format::Percent || places.iter().all(|(_, exponent)| (-3..=4).contains(exponent));
    let label = |(factor, exponent): (f64, i32)| {
        if plain { printed(factor * power(exponent), format) } else { scientific(&format!("{factor}"), exponent) }
    };
    let ticks: Vec<Tick> = places.iter().map(|&(f, e)| Tick { value: f * power(e), label: label((f, e)) }).collect();
    (ticks, minor(first, last, every, decades).into_iter().filter(|&value| within(value)).collect())
}

fn minor(first: i32, last: i32, every: i32, decades: f64) -> Vec<f64> {
    if every > 1 {
        return (first..=last).map(power).collect();
    }
    let factors = if decades <= 8.0 { 2..=9 } else { 5..=5 };
    (first..=last).flat_map(|exponent| factors.clone().map(move |factor| f64::from(factor) * power(exponent))).collect()
}

/// A power of ten as its decimal says it, which `powi` does not give for all negative exponents.
fn power(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn steps_are_one_two_two_and_a_half_or_five() {
        let cases = [(1.0, 5, 0.2), (0.3, 6, 0.05), (0.9, 4, 0.25), (31.0, 6, 10.0), (3.0, 10, 0.5), (2e-7, 4, 5e-8)];
        for (span, target, expected) in cases {
            let got = step(span, target, false);
            assert!((got - expected).abs() < 1e-12 * expected, "{span} / {target}: {got}, not {expected}");
        }
    }

    #[test]
    fn whole_numbers_have_no_ticks_between_them() {
        assert_eq!(labels(&linear(0.0, 2.0, step(2.0, 8, true), Format::Plain)), ["0", "1", "2"]);
        assert_eq!(labels(&linear(0.0, 31.0, step(31.0, 6, true), Format::Plain)), ["0", "10", "20", "30"]);
    }

    #[test]
    fn the_labels_of_one_axis_have_the_same_decimals() {
        assert_eq!(
            labels(&linear(0.0, 0.3, 0.05, Format::Plain)),
            ["0.00", "0.05", "0.10", "0.15", "0.20", "0.25", "0.30"]
        );
        assert_eq!(labels(&linear(0.2, 1.0, 0.2, Format::Percent)), ["20%", "40%", "60%", "80%", "100%"]);
        assert_eq!(labels(&linear(-1.0, 1.0, 0.5, Format::Plain)), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(&linear(0.95, 1.0, 0.025, Format::Percent)), ["95.0%", "97.5%", "100.0%"]);
        assert_eq!(labels(&linear(0.0, 2e-6, 1e-6, Format::Plain)), ["0", "10⁻⁶", "2×10⁻⁶"]);
    }

    #[test]
    fn a_few_decades_are_labelled_one_by_one_and_many_skip() {
        let (ticks, minor) = logarithmic(1e-3, 1.0, 4, Format::Plain);
        assert_eq!(labels(&ticks), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(minor.len(), 3 * 8);
        let (ticks, _) = logarithmic(1e-9, 1.0, 4, Format::Plain);
        assert_eq!(labels(&ticks), ["10⁻⁹", "10⁻⁶", "10⁻³", "10⁰"]);
    }

    #[test]
    fn within_a_decade_or_two_there_are_twos_and_fives_or_a_linear_axis() {
        let (ticks, _) = logarithmic(0.02, 0.3, 5, Format::Plain);
        assert_eq!(labels(&ticks), ["0.02", "0.05", "0.1", "0.2"]);
        let (ticks, _) = logarithmic(3.0, 4.0, 4, Format::Plain);
        assert_eq!(labels(&ticks), ["3.00", "3.25", "3.50", "3.75", "4.00"]);
        let (ticks, _) = logarithmic(0.001, 1.0, 4, Format::Percent);
        assert_eq!(labels(&ticks), ["0.1%", "1%", "10%", "100%"]);
    }
}
