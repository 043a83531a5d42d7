//! Axes that are computed: ranges, grids, samples of grids.

use std::collections::BTreeSet;

use super::axes::{AxisValue, MOST_VALUES, as_number, label_of, list};
use super::fault::{Fault, Faults};
use super::suggest::unknown;
use super::value::{Entry, Node, Span, Table, Value};

/// The numbers of `{ range = [first, last], step = 1 }`, both ends included.
pub(super) fn range(axis: &str, node: &Node, table: &Table, faults: &mut Faults) -> Option<Vec<Node>> {
    refuse_others(axis, table, &["range", "step"], faults);
    let ends = &table.get("range")?.node;
    let bad = |span: Span, label: &str, help: String| {
        Fault::new("bad-range", span, format!("axis `{axis}` is no range"), label).help(help)
    };
    let pair = match &ends.value {
        Value::Array(items) => items.as_slice(),
        _ => &[],
    };
    let [first, last] = pair else {
        faults.push(bad(ends.span, "expected two numbers", "write `range = [first, last]`".to_owned()));
        return None;
    };
    let one = Node { value: Value::Integer(1), span: ends.span };
    let step = table.get("step").map_or(&one, |entry| &entry.node);
    let numbers: Vec<_> =
        [first, last, step].iter().filter_map(|node| as_number(node).filter(|n| n.is_finite())).collect();
    let [a, b, by] = numbers.as_slice() else {
        faults.push(bad(node.span, "expected numbers", "write `{ range = [0, 9], step = 1 }`".to_owned()));
        return None;
    };
    if *by == 0.0 || (b - a) * by < 0.0 {
        let help = if *by == 0.0 {
            "write a step other than 0".to_owned()
        } else {
            format!("write `step = {}`, or swap the ends", printed_step(-by))
        };
        faults.push(bad(step.span, &format!("a step of {} never gets from {a} to {b}", printed_step(*by)), help));
        return None;
    }
    // A little more than the quotient: 0.1 goes into 0.3 three times, and 0.3 / 0.1 is 2.9999999999999996.
    let steps = ((b - a) / by * (1.0 + 1e-12) + 1e-9).floor();
    if steps >= MOST_VALUES as f64 {
        faults.push(too_many(axis, node.span, steps + 1.0));
        return None;
    }
    Some((0..=steps as i64).map(|index| Node { value: nth(first, step, index), span: node.span }).collect())
}

/// `first + index * step`, exactly for whole numbers, and for decimals rounded to as many places as the two are written
/// with, so that the third tenth is 0.3 and not 0.30000000000000004.
fn nth(first: &Node, step: &Node, index: i64) -> Value {
    if let (Value::Integer(first), Value::Integer(step)) = (&first.value, &step.value) {
        return Value::Integer(first.saturating_add(step.saturating_mul(index)));
    }
    let (first, step) = (as_number(first).unwrap_or_default(), as_number(step).unwrap_or_default());
    let places = places(first).max(places(step));
    let sum = first + step * index as f64;
    Value::Float(format!("{sum:.places$}").parse().unwrap_or(sum) + 0.0)
}

/// How many digits a number's shortest decimal has behind the point.
fn places(number: f64) -> usize {
    number.to_string().split_once('.').map_or(0, |(_, digits)| digits.len())
}

fn printed_step(step: f64) -> String {
    step.to_string()
}

fn too_many(axis: &str, span: Span, count: f64) -> Fault {
    let message = format!("axis `{axis}` has {count} values, more than the {MOST_VALUES} there may be");
    Fault::new("too-many-values", span, message, "too many").help("take larger steps, or draw some with `sample = ...`")
}

/// The points of `{ grid = { lr = [..], batch = [..] }, sample = 400, seed = 0 }`: every combination in the order of the
/// keys, the last one running fastest; or `sample` of them, drawn without repetition, in that order.
pub(super) fn points(
    axis: &str,
    node: &Node,
    table: &Table,
    study_seed: u64,
    faults: &mut Faults,
) -> Option<Vec<AxisValue>> {
    refuse_others(axis, table, &["grid", "sample", "seed"], faults);
    let sample = whole(axis, table, "sample", 1, faults)?;
    let seed = whole(axis, table, "seed", 0, faults)?.unwrap_or(study_seed);
    let dimensions = dimensions(axis, &table.get("grid")?.node, faults)?;
    let points = dimensions.iter().try_fold(1u64, |points, (_, values)| points.checked_mul(values.len() as u64));
    let most = MOST_VALUES as u64;
    let picked = match (points, sample) {
        (Some(points), Some(sample)) if sample > points => {
            let span = table.get("sample").map_or(node.span, |entry| entry.node.span);
            let message = format!("axis `{axis}` cannot be a sample of {sample}");
            let fault = Fault::new("bad-sample", span, message, format!("the grid has {points} points"));
            faults.push(fault.help("sample fewer, or drop `sample` to take them all"));
            return None;
        }
        (_, Some(sample)) if sample > most => {
            faults.push(too_many(axis, node.span, sample as f64));
            return None;
        }
        (Some(points), Some(sample)) => draw(points, sample, seed),
        (Some(points), None) if points <= most => (0..points).collect(),
        (points, _) => {
            let count = points.map_or(f64::INFINITY, |points| points as f64);
            faults.push(too_many(axis, node.span, count));
            return None;
        }
    };
    Some(picked.into_iter().map(|index| point(&dimensions, index, node.span)).collect())
}

/// A key of a grid and its values.
type Dimension<'t> = (&'t Entry, Vec<AxisValue>);

fn dimensions<'t>(axis: &str, grid: &'t Node, faults: &mut Faults) -> Option<Vec<Dimension<'t>>> {
    let Value::Table(table) = &grid.value else {
        let label = format!("expected a table, found {}", grid.value.describe());
        let fault = Fault::new("bad-axis", grid.span, format!("axis `{axis}` has no grid"), label);
        faults.push(fault.help("write `grid = { lr = [0.1, 0.01], batch = [32, 64] }`"));
        return None;
    };
    if table.entries.is_empty() {
        let fault = Fault::new("empty-axis", grid.span, format!("axis `{axis}` has no values"), "empty");
        faults.push(fault.help("write `grid = { lr = [0.1, 0.01], batch = [32, 64] }`"));
        return None;
    }
    let read: Vec<Option<Dimension<'t>>> = table
        .entries
        .iter()
        .map(|entry| {
            if let Some(fault) = super::names::fault("axis", &entry.key, entry.key_span) {
                faults.push(fault);
                return None;
            }
            Some((entry, dimension(&format!("{axis}.{}", entry.key), &entry.node, faults)?))
        })
        .collect();
    read.into_iter().collect()
}

fn dimension(name: &str, node: &Node, faults: &mut Faults) -> Option<Vec<AxisValue>> {
    match &node.value {
        Value::Array(items) => list(name, node.span, items, faults),
        Value::Table(table) if table.get("range").is_some() => {
            let nodes = range(name, node, table, faults)?;
            Some(nodes.into_iter().map(|node| AxisValue { label: label_of(&node), node }).collect())
        }
        other => {
            let label = format!("expected a list or a range, found {}", other.describe());
            let fault = Fault::new("bad-axis", node.span, format!("`{name}` has no values to go through"), label);
            faults.push(fault.help("put a single value in brackets"));
            None
        }
    }
}

/// The point with this index, counted with the last dimension running fastest.
fn point(dimensions: &[Dimension<'_>], index: u64, span: Span) -> AxisValue {
    let mut rest = index;
    let mut entries = Vec::with_capacity(dimensions.len());
    let mut labels = Vec::with_capacity(dimensions.len());
    for (entry, values) in dimensions.iter().rev() {
        let value = &values[(rest % values.len() as u64) as usize];
        rest /= values.len() as u64;
        labels.push(format!("{}={}", entry.key, value.label));
        entries.push(Entry { key: entry.key.clone(), key_span: entry.key_span, node: value.node.clone() });
    }
    labels.reverse();
    entries.reverse();
    AxisValue { label: labels.join(","), node: Node { value: Value::Table(Table { entries }), span } }
}

/// `count` different numbers below `total`, ascending: Floyd's algorithm (Bentley & Floyd 1987) over `SplitMix64`.
///
/// Part of what a spec means: another draw would be another study.
fn draw(total: u64, count: u64, seed: u64) -> Vec<u64> {
    let mut state = seed;
    let mut picked = BTreeSet::new();
    for last in total - count..total {
        let candidate = below(last, &mut state);
        if !picked.insert(candidate) {
            picked.insert(last);
        }
    }
    picked.into_iter().collect()
}

/// A number from 0 to `last`, by the high half of a 128-bit product (Lemire 2019; its bias is below 2^-40 here).
fn below(last: u64, state: &mut u64) -> u64 {
    ((u128::from(split_mix(state)) * (u128::from(last) + 1)) >> 64) as u64
}

/// `SplitMix64` (Steele, Lea & Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A whole number of at least `min` under a key: `Some(None)` where it is not written, `None` with a fault.
#[expect(clippy::option_option, reason = "absent and wrong are different things, and both are no number")]
fn whole(axis: &str, table: &Table, key: &str, min: i64, faults: &mut Faults) -> Option<Option<u64>> {
    let Some(entry) = table.get(key) else { return Some(None) };
    match entry.node.value {
        Value::Integer(number) if number >= min => Some(Some(number as u64)),
        _ => {
            let message = format!("`{key}` of axis `{axis}` must be a whole number of at least {min}");
            let label = format!("expected a whole number >= {min}");
            faults.push(
                Fault::new("bad-sample", entry.node.span, message, label).help(format!("write `{key} = {min}`, say")),
            );
            None
        }
    }
}

fn refuse_others(axis: &str, table: &Table, known: &[&'static str], faults: &mut Faults) {
    for entry in table.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        let message = format!("`{}` is not a key of axis `{axis}`", entry.key);
        faults.push(unknown("unknown-key", entry.key_span, message, &entry.key, known.iter().copied(), "its keys"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // The first outputs for seed 1234567 of the reference implementation (Vigna, prng.di.unimi.it/splitmix64.c).
        let mut state = 1_234_567;
        let outputs: Vec<u64> = (0..3).map(|_| split_mix(&mut state)).collect();
        assert_eq!(outputs, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn every_point_is_drawn_about_equally_often() {
        let mut counts = [0u32; 10];
        for seed in 0..3000 {
            for picked in draw(10, 3, seed) {
                counts[picked as usize] += 1;
            }
        }
        // 900 expected, standard deviation about 25.
        assert!(counts.iter().all(|count| (800..1000).contains(count)), "{counts:?}");
    }
}
